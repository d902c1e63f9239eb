package grpcmw

import (
	"context"
	"io"
	"sync/atomic"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/internal/connloss"
	"github.com/blackbox4/switchgear/internal/places"
	"github.com/blackbox4/switchgear/internal/settle"
)

// StreamClientInterceptor is [UnaryClientInterceptor] for streams. A stream is settled once, when its
// status is known, or as [ClientOptions].StreamSuccess says: by what RecvMsg returns, by
// gRPC itself when it has ended otherwise (its context, a send that met the end,
// the connection closed), or by the error of opening it. When RecvMsg returns an
// error, the place of a probe is free. A stream that is never finished stays in
// flight; that of a probe is settled after ProbeLease, see [ClientOptions]. A stream that had received
// messages is not counted when its connection is closed as planned, as servers do
// to connections of some age.
func StreamClientInterceptor(registry *core.Registry, o *ClientOptions) grpc.StreamClientInterceptor {
	c := newClient(registry, o)
	return func(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, streamer grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
		gate, key := c.gate(cc, method)
		if gate == nil {
			return streamer(ctx, desc, cc, method, opts...)
		}
		p, err := gate.Allow(ctx)
		if err != nil {
			return nil, c.refusals.of(ctx, err)
		}
		s := &stream{ctx: ctx, client: c, cc: cc, gate: gate, key: key, begun: c.losses.Begin(), limit: limitOf(opts), singleReply: !desc.ServerStreams, calls: 1}
		s.once.Hold(&p)
		opened := false
		defer func() {
			if !opened { // streamer has panicked or exited
				s.once.Settle(ctx, core.Failure)
			}
		}()
		all := append(append(s.optionsBuffer[:0], opts...), grpc.OnFinish(s.finished))
		s.ClientStream, err = streamer(ctx, desc, cc, method, all...)
		opened = true
		if err != nil {
			s.end(err, opening)
			return nil, err
		}
		s.leave(&s.calls)
		if s.once.Probe {
			s.once.Lease(ctx, c.ProbeLease, s.leased, s.expired)
		}
		return s, nil
	}
}

// stream is a client's stream whose end settles the call. It and its func finished
// are all that a stream allocates. Its fields lie so that it fills 256 bytes, which the
// allocator has a size for.
type stream struct {
	grpc.ClientStream

	once          settle.Once
	ctx           context.Context //nolint:containedctx // the stream's own
	client        *client
	cc            *grpc.ClientConn
	gate          core.Gate
	key           string // of the breaker
	begun         connloss.Mark
	limit         int                // of the length of a message
	optionsBuffer [4]grpc.CallOption // so that the usual few need no memory of their own
	heard         atomic.Bool        // a message
	singleReply   bool               // there is one reply, not a stream of them

	// Guarded by once: whether there is a header; whether gRPC says how the stream has
	// ended; the calls of RecvMsg that have not returned, and the other calls; and how
	// the stream is said to have ended, io.EOF for well, nil for not yet.
	header, finishedByGRPC bool
	receiving, calls       int32
	over                   error
}

// leased is called when the lease of a probe has passed. If nothing has come of a
// stream that has a deadline, that is no sign that the server is well: the place is
// given back, and what comes counts then, the deadline at the latest. Of a stream
// without one nothing may ever come though all is well, and where all streams of a
// method are so, nothing else would close the breaker.
func (s *stream) leased() {
	_, limited := s.ctx.Deadline()
	if !s.once.LendIf(s.ctx, func() bool { return limited && !s.heard.Load() && !s.header }) {
		s.once.Settle(s.ctx, core.Success)
	}
}

// answered settles a stream that has lent its place, if there is one for it now.
func (s *stream) answered() {
	if s.reclaim() {
		s.once.Settle(s.ctx, core.Success)
	}
}

// reclaim asks for a place again for the stream of a probe that has lent its own.
func (s *stream) reclaim() bool {
	s.once.Lock()
	ask := s.once.Lent
	s.once.Lent = false
	s.once.Unlock()
	if !ask {
		return false
	}
	p, ok := places.Ask(context.WithoutCancel(s.ctx), s.gate)
	if !ok {
		return false
	}
	if !p.Probe() { // the others have decided
		p.Settle(s.ctx, core.Ignored)
		return false
	}
	s.once.Lock()
	defer s.once.Unlock()
	s.once.Hold(&p)
	return true
}

// finished notes how the stream has ended. gRPC calls it on any goroutine, and in
// versions before 1.78 with its own lock held, with which no other code may
// run: so a call that has not returned settles, or a goroutine.
func (s *stream) finished(err error) {
	if err == nil {
		err = io.EOF
	}
	s.note(err, true)
	s.client.through.note(true)
}

// expired does the same when the context has ended, in case gRPC does not tell.
func (s *stream) expired() { s.note(s.ctx.Err(), false) }

func (s *stream) note(over error, byGRPC bool) {
	s.once.Lock()
	s.over, s.finishedByGRPC = over, s.finishedByGRPC || byGRPC
	alone := s.receiving+s.calls == 0 && (!s.once.Claimed || s.once.Lent)
	s.once.Unlock()
	if alone {
		go s.end(over, elsewhere)
	}
}

// ended returns whether gRPC says that the stream has ended, and how it has
// ended, as far as is known.
func (s *stream) ended() (byGRPC bool, over error) {
	s.once.Lock()
	defer s.once.Unlock()
	return s.finishedByGRPC, s.over
}

// where is what learned of a stream's end.
type where uint8

const (
	elsewhere where = iota
	opening
	sending
	receiving // or asking for the header: the trailer may be read
	planned   // receiving from a connection that was closed in order
)

// end settles by the error that the stream ended with, unless that was done or is
// about to. A call that has met the end may read the trailer, if gRPC has told of it:
// from then on that does not change.
func (s *stream) end(err error, at where) (first bool) {
	if err == io.EOF { //nolint:errorlint // streams return it as it is
		err = nil
	}
	s.reclaim()
	return s.once.Do(s.ctx, func(p *core.Permit) {
		if err == nil && s.client.plain {
			p.Settle(s.ctx, core.Success)
			return
		}
		byGRPC, _ := s.ended()
		o := s.client.Classify(blame(s.ctx, ignoredIf(err != nil && s.own(err, at, byGRPC))), err)
		var md metadata.MD
		if byGRPC && at == receiving && o == core.Failure {
			md = s.Trailer()
			if s.lost(err, md) {
				o = core.Ignored
			}
		}
		if o == core.Failure {
			o = s.client.limitedThere(s.gate, err)
		}
		report(s.ctx, p, o, err, md)
	})
}

// own reports whether an error says nothing of the server.
func (s *stream) own(err error, at where, byGRPC bool) bool {
	switch at {
	case opening:
		return s.client.unsent(s.cc, err, new(wire))
	case sending: // an error of the server's is io.EOF here
		st := statusOf(err)
		return notAsItIs(st.Code(), st.Message()) || userClosed(s.cc)
	case planned:
		return true
	case receiving:
		st := statusOf(err)
		if st.Code() == codes.ResourceExhausted && byGRPC && overLimit(st.Message(), s.limit) && len(s.Trailer()) == 0 {
			return true
		}
	case elsewhere:
	}
	return userClosed(s.cc)
}

// lost reports whether the stream has ended with its connection, as one that is
// counted. If it had received a header, that looks as an error of the server's own
// does; but those of one connection, in the same words and of streams that had been
// there together, are one too.
func (s *stream) lost(err error, trailer metadata.MD) bool {
	st := statusOf(err)
	if st.Code() != codes.Unavailable || len(trailer) > 0 {
		return false
	}
	from, ok := peer.FromContext(s.Context())
	return ok && !s.client.losses.first(s.begun, s.key, *from, st.Message())
}

func (s *stream) enter(calls *int32) (before int32) {
	s.once.Lock()
	defer s.once.Unlock()
	*calls++
	return *calls - 1
}

// leave settles if the stream has ended and no other call is about to.
func (s *stream) leave(calls *int32) {
	s.once.Lock()
	*calls--
	over := s.over
	if s.receiving+s.calls > 0 {
		over = nil
	}
	s.once.Unlock()
	if over != nil {
		s.end(over, elsewhere)
	}
}

// RecvMsg settles at the end of the stream, or at a message if that is when.
func (s *stream) RecvMsg(m any) error {
	nested := s.enter(&s.receiving) > 0 // by what runs at the end: it is not to wait for itself
	defer s.leave(&s.receiving)
	err := s.ClientStream.RecvMsg(m)
	over, at := err, receiving
	switch {
	case err == io.EOF: //nolint:errorlint // streams return it as it is; the usual end needs no status made of it
	case err != nil && s.plannedEnd(m, err):
		at = planned
	case err == nil && !s.heard.Load():
		s.heard.Store(true)
		s.answered()
	}
	if err == nil && s.singleReply { // the one answer may yet be followed by an error
		_, over = s.ended()
	}
	switch {
	case over != nil:
		if !s.end(over, at) && !nested {
			s.once.Wait()
		}
	case s.client.StreamSuccess != StreamSuccessAtEnd && !s.singleReply:
		s.once.Settle(s.ctx, core.Success)
	}
	return err
}

// plannedEnd reports whether a stream that had received messages has ended with a
// connection that was closed in order. A server could send the same words as its own
// error. But gRPC makes that anew each time it is asked for, and keeps the one of a
// connection.
func (s *stream) plannedEnd(m any, err error) bool {
	if !s.heard.Load() {
		return false
	}
	st := statusOf(err)
	return st.Code() == codes.Unavailable && inOrder(st.Message()) && s.ClientStream.RecvMsg(m) == err //nolint:errorlint // the very same
}

// SendMsg settles if there is an error of its own: that it has met the end says
// nothing of how that was.
func (s *stream) SendMsg(m any) error {
	s.enter(&s.calls)
	defer s.leave(&s.calls)
	err := s.ClientStream.SendMsg(m)
	if err != nil && err != io.EOF { //nolint:errorlint // streams return it as it is
		s.end(err, sending)
	}
	return err
}

// Header settles if that is when, or if there is none because the stream has ended.
func (s *stream) Header() (metadata.MD, error) {
	s.enter(&s.calls)
	defer s.leave(&s.calls)
	md, err := s.ClientStream.Header()
	switch {
	case err != nil:
		s.end(err, elsewhere)
	case md == nil:
		if _, over := s.ended(); over != nil {
			s.end(over, receiving)
		}
	case s.client.StreamSuccess == StreamSuccessAtHeader:
		s.once.Settle(s.ctx, core.Success)
	}
	if err == nil && md != nil {
		s.once.Lock()
		s.header = true
		s.once.Unlock()
		s.answered()
	}
	return md, err
}
