package roundtrip

import (
	"context"
	"io"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/blackbox4/switchgear/core"
)

// body is a response's body whose end settles the call.
type body struct {
	io.ReadCloser

	transport *Transport
	request   *http.Request
	response  *http.Response
	sending   *sending
	elapsed   time.Duration
	permit    core.Permit // settled by who sets ended
	lease     *lease
	pace      pace
	ended     atomic.Uint32 // 0, byUser or byLease
	reading   atomic.Bool   // a Read has not returned yet
}

// pace tells whether the caller is slow to read. It costs two looks at the clock
// for each Read, so it begins when more has come than surely fits into the buffers
// of a connection: before that no host notices.
type pace struct {
	read  int   // bytes
	begun int64 // when it began to look
	left  int64 // when the last Read returned
	away  int64 // time between Reads since begun
}

const unnoticed = 32 << 10

// enter is called before a Read.
func (c *pace) enter() {
	if c.read < unnoticed {
		return
	}
	now := clock()
	if c.begun == 0 {
		c.begun = now
	} else {
		c.away += now - c.left
	}
}

// leave is called after a Read of n bytes.
func (c *pace) leave(n int) {
	c.read += n
	if c.begun != 0 {
		c.left = clock()
	}
}

// slow reports whether most of the time went by between Reads.
func (c *pace) slow() bool {
	return c.begun != 0 && time.Duration(c.away) >= patience && c.away >= (c.left-c.begun)/2
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
	p.Answered()
	b := &body{ReadCloser: e.Response.Body, transport: t, request: e.Request, response: e.Response, sending: e.sending, elapsed: e.Elapsed, permit: p.Take()}
	if b.permit.Probe() {
		b.lend()
	}
	if w, ok := b.ReadCloser.(io.Writer); ok {
		return &writableBody{b, w}
	}
	return b
}

// Read settles when the body ends, or cannot be read.
func (b *body) Read(buf []byte) (int, error) {
	b.pace.enter()
	b.reading.Store(true)
	n, err := b.ReadCloser.Read(buf)
	b.pace.leave(n)
	if err == nil {
		b.reading.Store(false)
		return n, nil
	}
	b.lease.stop()
	if err == io.EOF { //nolint:errorlint // readers return it as it is
		b.end(nil, false)
	} else {
		b.end(err, b.pace.slow())
	}
	b.reading.Store(false)
	return n, err
}

// Close settles as a success if nothing has failed so far. Who closes a body that
// another goroutine waits for, because the time is over, has seen it fail.
func (b *body) Close() (err error) {
	defer func() { err = b.ReadCloser.Close() }() // after, or a Read at the same time would fail first
	b.lease.stop()
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
			b.lease.wait() // or who reads on could come before the place is free
		}
		return
	}
	ctx := b.request.Context()
	if err == nil && b.transport.Classify == nil {
		b.permit.Settle(ctx, core.Success)
		return
	}
	defer b.permit.Settle(ctx, core.Failure) // if Classify panics
	e := Exchange{Request: b.request, Response: b.response, Err: err, Body: true, Elapsed: b.elapsed, sending: b.sending, held: held}
	o := b.transport.classify(e)
	b.permit.Report(ctx, o, e.reason(o))
}

// drop is end for a lease. It does not ask Classify: the caller may be reading.
func (b *body) drop(o core.Outcome) {
	if b.claim(byLease) {
		defer close(b.lease.settled)
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
	b.lease = &lease{settled: make(chan struct{})}
	b.lease.timer = time.AfterFunc(d, func() { b.drop(core.Success) })
	b.lease.forget = context.AfterFunc(ctx, func() {
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

func (l *lease) stop() {
	if l != nil {
		l.timer.Stop()
		l.forget()
	}
}

var _ http.RoundTripper = (*Transport)(nil)
