package grpcmw

import (
	"context"
	"io"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/blackbox4/switchgear/core"
)

// StreamClient is [UnaryClient] for streams. A stream is settled once, when its
// status is known, or as [ClientOptions].Settle says: by what RecvMsg returns, by
// gRPC itself when it has ended otherwise (its context, a send that met the end,
// the connection closed), or by the error of opening it. A stream that nobody
// finishes stays in flight; that of a probe is a success after Lease. Of a stream
// only RetryInfo is heeded, not its trailer.
func StreamClient(registry *core.Registry, o *ClientOptions) grpc.StreamClientInterceptor {
	c := newClient(registry, o)
	return func(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, streamer grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
		gate := c.gate(cc, method)
		if gate == nil {
			return streamer(ctx, desc, cc, method, opts...)
		}
		p, err := gate.Allow(ctx)
		if err != nil {
			return nil, refused(ctx, err)
		}
		probe := p.Probe()
		s := &stream{ctx: ctx, client: c, lone: !desc.ServerStreams, held: held{permit: p.Take()}}
		opened := false
		defer func() {
			if !opened { // streamer has panicked or exited
				s.settle(ctx, core.Failure)
			}
		}()
		all := append(append(s.room[:0], opts...), grpc.OnFinish(s.finished))
		s.ClientStream, err = streamer(ctx, desc, cc, method, all...)
		opened = true
		if err != nil {
			s.finished(err)
			return nil, err
		}
		if probe {
			s.lend(ctx, c.Lease, s.finished)
		}
		return s, nil
	}
}

// stream is a client's stream whose end settles the call.
type stream struct {
	grpc.ClientStream
	held

	ctx    context.Context //nolint:containedctx // the stream's own
	client *client
	lone   bool               // there is one answer, not a stream of them
	room   [4]grpc.CallOption // so that the usual few need no memory of their own
}

// finished settles by the error that the stream ended with. gRPC calls it, RecvMsg
// does, or whoever opened it; the first one counts.
func (s *stream) finished(err error) {
	if err == io.EOF { //nolint:errorlint // streams return it as it is
		err = nil
	}
	s.once(s.ctx, func(p *core.Permit) {
		// Not the trailer: gRPC may be calling with its lock held.
		report(s.ctx, p, s.client.Classify(s.ctx, err), err, nil)
	})
}

// RecvMsg settles at the end of the stream, or at a message if that is when.
func (s *stream) RecvMsg(m any) error {
	err := s.ClientStream.RecvMsg(m)
	switch {
	case err != nil:
		s.finished(err)
	case s.client.Settle != AtEnd && !s.lone: // one answer may yet be followed by an error
		s.settle(s.ctx, core.Success)
	}
	return err
}

// Header settles if that is when.
func (s *stream) Header() (metadata.MD, error) {
	md, err := s.ClientStream.Header()
	if err == nil && md != nil && s.client.Settle == AtHeader { // there is none if the stream has failed
		s.settle(s.ctx, core.Success)
	}
	return md, err
}
