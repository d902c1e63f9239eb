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
	elapsed   time.Duration
	permit    core.Permit // settled by who sets ended
	lease     *lease
	ended     atomic.Uint32 // 0, byUser or byLease
	reading   atomic.Bool   // a Read has not returned yet
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
func (t *Transport) watch(p *core.Permit, e Exchange) io.ReadCloser {
	p.Answered()
	b := &body{ReadCloser: e.Response.Body, transport: t, request: e.Request, response: e.Response, elapsed: e.Elapsed, permit: p.Take()}
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
	b.reading.Store(true)
	n, err := b.ReadCloser.Read(buf)
	b.reading.Store(false)
	if err != nil {
		b.lease.stop()
		b.end(bodyError(err))
	}
	return n, err
}

// Close settles as a success if nothing has failed so far. Who closes a body that
// another goroutine waits for, because the time is over, has seen it fail.
func (b *body) Close() (err error) {
	defer func() { err = b.ReadCloser.Close() }() // after, or a Read at the same time would fail first
	b.lease.stop()
	if ctx := b.request.Context(); b.reading.Load() && ctx.Err() != nil {
		b.end(ctx.Err())
	} else {
		b.end(nil)
	}
	return nil
}

// claim reports whether the caller is the first who may settle.
func (b *body) claim(by uint32) bool { return b.ended.Load() == 0 && b.ended.CompareAndSwap(0, by) }

func (b *body) end(err error) {
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
	e := Exchange{Request: b.request, Response: b.response, Err: err, Body: true, Elapsed: b.elapsed}
	o := b.transport.classify(e)
	b.permit.Report(ctx, o, e.reason(o))
}

// drop is end for a lease. It does not ask Classify: somebody may be reading.
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
	d := b.transport.Lease
	if d <= 0 {
		d = defaultLease
	}
	ctx := b.request.Context()
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
