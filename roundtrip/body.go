package roundtrip

import (
	"context"
	"io"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/internal/settle"
)

// body is a response's body whose end settles the call. It is one allocation, and
// most of the cost of a call with a body; what few calls need is in rare.
type body struct {
	io.ReadCloser

	transport *Transport
	request   *http.Request
	response  *http.Response
	rare      *rare // or nil
	once      settle.Once
	pace      pace
	reading   atomic.Bool // a Read has not returned yet; kept only if ends
	ends      bool        // the request's context may end
}

// rare is what a body needs if its call is a probe, has a request body that is
// wrapped, uses a connection that carries other calls, or has a Classify of the
// user's.
type rare struct {
	sending *sending
	carried *carried
	elapsed time.Duration
}

type rareBody struct {
	body
	more rare
}

// newBody returns a body that is still empty, with rare if it is needed.
func newBody(t *Transport, p *core.Permit, e *Result) *body {
	var r *rareBody
	switch {
	case e.sending != nil && e.sending.answered.CompareAndSwap(false, true): // a Transport within may have come first
		r = &e.sending.answer
	case e.sending != nil || e.carried != nil || t.options.Classify != nil || p.Probe():
		r = new(rareBody)
	default:
		return new(body)
	}
	r.rare = &r.more
	return &r.body
}

// pace tells whether the caller is slow to read. It costs two looks at the clock
// for each Read, so it begins when more has come than surely fits into the buffers
// of a connection: before that no host notices. Times are in milliseconds.
type pace struct {
	read  uint32 // bytes, until it begins
	begun uint32 // when it began to look
	left  uint32 // when the last Read returned
	away  uint32 // time between Reads since begun
}

const unnoticed = 32 << 10

func millis() uint32 { return uint32(time.Since(epoch).Milliseconds()) }

// enter is called before a Read.
func (c *pace) enter() {
	if c.read >= unnoticed {
		c.back()
	}
}

func (c *pace) back() {
	now := millis()
	if c.begun == 0 {
		c.begun = now | 1
	} else {
		c.away += now - c.left
	}
}

// leave is called after a Read of n bytes.
func (c *pace) leave(n int) {
	if c.read < unnoticed {
		c.read += uint32(min(n, unnoticed))
	} else {
		c.left = millis()
	}
}

// slow reports whether most of the time went by between Reads.
func (c *pace) slow() bool {
	return c.begun != 0 && c.away >= uint32(patience.Milliseconds()) && c.away >= (c.left-c.begun)/2
}

// writableBody is the body of an upgraded connection that has another status than 101.
type writableBody struct {
	*body
	io.Writer
}

// wrapBody returns the body of a response, which settles p at its end.
func (t *Transport) wrapBody(p *core.Permit, e *Result) io.ReadCloser {
	p.ResponseStarted()
	b := newBody(t, p, e)
	b.ReadCloser, b.transport, b.request, b.response = e.Response.Body, t, e.Request, e.Response
	b.once.Hold(p)
	ctx := b.request.Context()
	b.ends = ctx.Done() != nil
	if b.rare != nil {
		b.rare.sending, b.rare.carried, b.rare.elapsed = e.sending, e.carried, e.Elapsed
	}
	if b.once.Probe {
		b.once.Lease(ctx, t.options.probeLease(), func() { b.once.Settle(ctx, core.Success) }, func() {
			if ctx.Err() == context.Canceled { // the caller may never read on
				b.once.Settle(ctx, core.Ignored)
			}
		})
	}
	if w, ok := b.ReadCloser.(io.Writer); ok {
		return &writableBody{b, w}
	}
	return b
}

// Read settles when the body ends, or cannot be read.
func (b *body) Read(buf []byte) (int, error) {
	b.pace.enter()
	if b.ends {
		b.reading.Store(true)
	}
	n, err := b.ReadCloser.Read(buf)
	b.pace.leave(n)
	switch {
	case err == io.EOF:
		b.end(nil, false) // and stays reading: that counts no more
	case err != nil:
		b.end(err, b.pace.slow())
	case b.ends:
		b.reading.Store(false)
	}
	return n, err
}

// Close settles as a success if nothing has failed so far. Closing a body during a
// blocked Read, after the context has ended, settles by the context: the Read was
// about to fail by it.
func (b *body) Close() (err error) {
	defer func() { err = b.ReadCloser.Close() }() // last, or a Read at the same time would fail first
	if ctx := b.request.Context(); b.reading.Load() && ctx.Err() != nil {
		b.end(ctx.Err(), false)
	} else {
		b.end(nil, false)
	}
	return nil
}

// end settles by the error of reading. slow says that the caller read slowly.
func (b *body) end(err error, slow bool) {
	first := b.once.Do(b.request.Context(), func(p *core.Permit) { b.settle(p, err, slow) })
	if first || b.rare == nil {
		return
	}
	b.once.Lock()
	early := b.once.Early
	b.once.Unlock()
	if early {
		b.once.Wait() // the place of a probe is free when its body has ended
	}
}

func (b *body) settle(p *core.Permit, err error, slow bool) {
	ctx := b.request.Context()
	if err == nil && b.transport.options.Classify == nil {
		p.Settle(ctx, core.Success)
		return
	}
	e := Result{Request: b.request, Response: b.response, Err: err, Body: true, slowReader: slow}
	if b.rare != nil {
		e.Elapsed, e.sending, e.carried = b.rare.elapsed, b.rare.sending, b.rare.carried
	}
	o := b.transport.judge(&e)
	p.Report(ctx, o, e.reason(o))
}
