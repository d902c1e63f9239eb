package grpcmw

import (
	"context"
	"errors"
	"io"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/internal/places"
	"github.com/blackbox4/switchgear/internal/settle"
)

// serverCall is a call in a server that may be settled before its handler returns:
// a probe whose client has gone, or a handler that hangs. Its fields are guarded by
// once.
type serverCall struct {
	once   settle.Once
	server *server
	ctx    context.Context //nolint:containedctx // the call's own
	times  times
	stream *serverStream // nil for a unary call
	gate   core.Gate     // of a stream
	key    string        // of that
	gone   time.Duration // when the context ended
	grace  *time.Timer
	over   bool // the handler does not run any more

	place    *places.Place // of a stream that is a probe
	credited time.Duration // of the time waited: before the permit was asked for
}

// guard has the permit of a stream looked after.
func (s *serverStream) guard() {
	if s.once.Probe || s.server.mayHang(s.times.limit) {
		s.watch()
	}
}

// watch sees to it that the call is settled when its context has ended, though the
// handler does not return; or its lease, if it is the stream of a probe.
func (c *serverCall) watch() {
	var lease *time.Timer
	place := c.place
	if c.once.Probe && c.stream != nil {
		lease = time.AfterFunc(c.server.ProbeLease, c.leased)
	}
	forget := context.AfterFunc(c.ctx, c.left)
	c.once.OnClaim(func() {
		forget()
		place.Settled()
		if lease != nil {
			lease.Stop()
		}
		c.once.Lock()
		defer c.once.Unlock()
		if c.grace != nil {
			c.grace.Stop()
		}
	})
}

// left is called when the context has ended. A probe has to give its place back. Of
// another call the handler knows more, if it returns.
func (c *serverCall) left() {
	c.once.Lock()
	c.gone = c.server.now()
	at := c.signsLocked()
	wait := !c.once.Probe && !c.once.Claimed && c.times.passed(c.ctx, &at)
	if wait {
		c.grace = time.AfterFunc(grace, func() { c.end(context.DeadlineExceeded) })
	}
	probe := c.once.Probe
	c.once.Unlock()
	if probe {
		c.end(c.ctx.Err())
	}
}

// leased is called when the lease of a probe has passed.
func (c *serverCall) leased() {
	c.once.Lock()
	o := core.Success
	if c.stream.waits > 0 && !c.stream.sent {
		o = core.Ignored
	}
	c.once.Unlock()
	c.once.Do(c.ctx, func(p *core.Permit) {
		p.Waited(c.signs().waited - c.credited)
		p.Settle(c.ctx, o)
	})
}

func (c *serverCall) signsLocked() signs {
	now := c.server.now()
	at := signs{elapsed: now - c.times.start}
	if c.gone > 0 {
		at.gone = max(c.gone-c.times.start, 1)
	}
	if s := c.stream; s != nil {
		at.waited, at.unread, at.short, at.sent = s.waited, s.unread, s.short, s.sent
		if s.waits > 0 {
			at.waited += now - s.since
		}
	}
	return at
}

func (c *serverCall) signs() signs {
	c.once.Lock()
	defer c.once.Unlock()
	return c.signsLocked()
}

// finish settles a call whose handler has returned.
func (c *serverCall) finish(err error) {
	c.stop()
	if !c.end(err) {
		c.once.Wait()
	}
}

func (c *serverCall) stop() {
	c.once.Lock()
	c.over = true
	place := c.place
	c.once.Unlock()
	place.Over()
}

func (c *serverCall) end(err error) (first bool) {
	return c.once.Do(c.ctx, func(p *core.Permit) {
		at := c.signs()
		p.Waited(at.waited - c.credited)
		c.server.report(c.ctx, p, &c.times, &at, err)
	})
}

// abandon settles a call whose handler has not returned.
func (c *serverCall) abandon() {
	c.stop()
	c.once.Do(c.ctx, func(p *core.Permit) {
		at := c.signs()
		p.Waited(at.waited - c.credited)
		c.server.aborted(c.ctx, p, &c.times, &at)
	})
}

// serverStream knows when its handler waits for the client, and what became of the
// client's messages. It is also guarded by once.
type serverStream struct {
	grpc.ServerStream
	serverCall

	one bool // there is one message of the client, not a stream of them

	received            bool // or there will be no message
	waits               int  // how many calls wait for the client
	since, waited       time.Duration
	unread, short, sent bool
}

// waitsLocked reports whether the handler waits for its client, as it also does
// until it has received what the client begins with; and since when.
func (s *serverStream) waitsLocked() (since time.Duration, waits bool) {
	switch {
	case s.waits > 0:
		return s.since, true
	case !s.received && !s.sent:
		return s.times.start, true
	}
	return 0, false
}

func (s *serverStream) enter() {
	s.once.Lock()
	defer s.once.Unlock()
	if s.waits++; s.waits == 1 {
		s.since = s.server.now()
	}
}

// leave ends a wait, of which what makes a note. A place that was lent meanwhile is
// asked for again.
func (s *serverStream) leave(what func()) {
	s.once.Lock()
	if s.waits--; s.waits == 0 {
		s.waited += s.server.now() - s.since
	}
	what()
	lent := s.once.Lent && s.waits == 0
	s.once.Unlock()
	if lent {
		s.reclaim()
	}
}

// RecvMsg notes what became of the message. That a client has gone is told by the
// context.
func (s *serverStream) RecvMsg(m any) error {
	s.enter()
	done := false
	defer func() {
		s.leave(func() { s.received = s.received || done })
	}()
	err := s.ServerStream.RecvMsg(m)
	done = true
	switch {
	case err == nil:
	case isEOF(err):
		s.note(func() { s.short, s.unread = true, s.unread || s.one && !s.received })
	case !ofContext(err):
		s.note(func() { s.unread = true })
	}
	return err
}

// SendMsg notes whether the client could be sent to, and what could not be sent for
// a reason of the handler's does not count as that.
func (s *serverStream) SendMsg(m any) error {
	s.enter()
	defer s.leave(func() {})
	err := s.ServerStream.SendMsg(m)
	s.note(func() {
		if s.sent = s.sent || err == nil; unwritten(err) {
			s.unread = true
		}
	})
	return err
}

// SendHeader does the same, and does not wait.
func (s *serverStream) SendHeader(md metadata.MD) error {
	err := s.ServerStream.SendHeader(md)
	if unwritten(err) {
		s.note(func() { s.unread = true })
	}
	return err
}

func (s *serverStream) note(what func()) {
	s.once.Lock()
	defer s.once.Unlock()
	what()
}

func isEOF(err error) bool { return errors.Is(err, io.EOF) }

// ofContext reports whether an error is that of a context, which is told by that.
func ofContext(err error) bool {
	code := statusOf(err).Code()
	return code == codes.Canceled || code == codes.DeadlineExceeded
}

// unwritten reports whether an error of sending is that of a connection that is gone.
func unwritten(err error) bool {
	return err != nil && statusOf(err).Code() == codes.Unavailable
}
