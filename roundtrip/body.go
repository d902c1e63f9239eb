package roundtrip

import (
	"context"
	"io"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/blackbox4/switchgear/core"
)

// body is a response's body whose end settles the call. It is one allocation, and
// most of what a call with a body costs; what few calls need is in rare.
type body struct {
	io.ReadCloser

	transport *Transport
	request   *http.Request
	response  *http.Response
	permit    core.Permit // settled by who sets ended
	rare      *rare       // or nil
	pace      pace
	ended     atomic.Uint32 // 0, byUser or byLease
	reading   atomic.Bool   // a Read has not returned yet; kept only if ends
	ends      bool          // the request's context may end
}

// rare is what the body of a call needs that is a probe, has a body of its own that
// is watched, goes by a connection that carries others, or is classified by the user.
type rare struct {
	sending *sending
	carried *carried
	elapsed time.Duration
	lease   lease
}

type rareBody struct {
	body
	more rare
}

// newBody returns a body that is still empty, with rare if it is needed.
func newBody(t *Transport, p *core.Permit, e *Exchange) *body {
	var r *rareBody
	switch {
	case e.sending != nil && e.sending.answered.CompareAndSwap(false, true): // a Transport within may have come first
		r = &e.sending.answer
	case e.sending != nil || e.carried != nil || t.Classify != nil || p.Probe():
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

const (
	byUser  = 1
	byLease = 2
)

// writableBody is the body of what is a connection, by another name than 101.
type writableBody struct {
	*body
	io.Writer
}

// watch returns the body of a response, with p settled at its end.
func (t *Transport) watch(p *core.Permit, e *Exchange) io.ReadCloser {
	p.ResponseStarted()
	b := newBody(t, p, e)
	b.ReadCloser, b.transport, b.request, b.response, b.permit = e.Response.Body, t, e.Request, e.Response, p.Move()
	b.ends = b.request.Context().Done() != nil
	if b.rare != nil {
		b.rare.sending, b.rare.carried, b.rare.elapsed = e.sending, e.carried, e.Elapsed
		if b.permit.Probe() {
			b.lend()
		}
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
	if err != nil {
		b.failed(err) // and stays reading: that counts no more
	} else if b.ends {
		b.reading.Store(false)
	}
	return n, err
}

// failed settles when a Read has returned an error.
func (b *body) failed(err error) {
	b.stop()
	if err == io.EOF { //nolint:errorlint // readers return it as it is
		b.end(nil, false)
	} else {
		b.end(err, b.pace.slow())
	}
}

// Close settles as a success if nothing has failed so far. Who closes a body that
// another goroutine waits for, because the time is over, has seen it fail.
func (b *body) Close() (err error) {
	defer func() { err = b.ReadCloser.Close() }() // after, or a Read at the same time would fail first
	b.stop()
	if ctx := b.request.Context(); b.reading.Load() && ctx.Err() != nil {
		b.end(ctx.Err(), false)
	} else {
		b.end(nil, false)
	}
	return nil
}

// claim reports whether the caller is the first who may settle.
func (b *body) claim(by uint32) bool { return b.ended.Load() == 0 && b.ended.CompareAndSwap(0, by) }

// end settles by the error of reading. held says that the caller read slowly.
func (b *body) end(err error, held bool) {
	if !b.claim(byUser) {
		if b.ended.Load() == byLease {
			b.rare.lease.wait() // or who reads on could come before the place is free
		}
		return
	}
	ctx := b.request.Context()
	if err == nil && b.transport.Classify == nil {
		b.permit.Settle(ctx, core.Success)
		return
	}
	defer b.permit.Settle(ctx, core.Failure) // if Classify panics
	e := Exchange{Request: b.request, Response: b.response, Err: err, Body: true, held: held}
	if b.rare != nil {
		e.Elapsed, e.sending, e.carried = b.rare.elapsed, b.rare.sending, b.rare.carried
	}
	o := b.transport.judge(&e)
	b.permit.Report(ctx, o, e.reason(o))
}

// drop is end for a lease. It does not ask Classify: the caller may be reading.
func (b *body) drop(o core.Outcome) {
	if b.claim(byLease) {
		defer close(b.rare.lease.settled)
		b.permit.Settle(b.request.Context(), o)
	}
}

// lease gives the place of a probe back when its body takes too long, or when
// the caller has cancelled and reads no more.
type lease struct {
	settled chan struct{} // closed when it has settled
	timer   *time.Timer
	forget  func() bool
}

func (b *body) lend() {
	d, ctx := b.transport.lease(), b.request.Context()
	l := &b.rare.lease
	l.settled = make(chan struct{})
	l.timer = time.AfterFunc(d, func() { b.drop(core.Success) })
	l.forget = context.AfterFunc(ctx, func() {
		if ctx.Err() == context.Canceled {
			b.drop(core.Ignored)
		}
	})
}

// wait returns when the lease, which is about to settle, has. That takes a
// microsecond; but hooks run in it, and one may be waiting for who waits here.
func (l *lease) wait() {
	const enough = 100 * time.Millisecond
	select {
	case <-l.settled:
	case <-time.After(enough):
	}
}

// stop ends the lease, if there is one.
func (b *body) stop() {
	if r := b.rare; r != nil && r.lease.timer != nil {
		r.lease.timer.Stop()
		r.lease.forget()
	}
}

var _ http.RoundTripper = (*Transport)(nil)
