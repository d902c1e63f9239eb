package grpcmw

import (
	"cmp"
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/internal/durations"
	"github.com/blackbox4/switchgear/internal/gatefault"
	"github.com/blackbox4/switchgear/internal/places"
)

// ServerOptions change what [UnaryServerInterceptor] and [StreamServerInterceptor] make. In each field
// zero is the stated default. The funcs must be safe for concurrent use.
type ServerOptions struct {
	// Gate is asked for every call. Nil means a breaker of the registry.
	Gate core.Gate
	// Key names the breaker of a method; the empty key has none, and the call
	// passes. Nil means the method itself, "/package.Service/Method". What the server
	// has not registered, which [grpc.UnknownServiceHandler] serves, is counted as
	// "(unknown)" then, and never refused: a proxy should set Key.
	Key func(method string) string
	// Skip reports whether the calls of a method pass without being counted or
	// refused. Nil means [IsInfrastructure].
	Skip func(method string) bool
	// Classify decides what became of a call by what its handler returned. Nil
	// means [DefaultClassifyServer].
	Classify func(ctx context.Context, err error) core.Outcome
	// Pushback tells clients that retry by their service config to do so when the
	// break is over. By default they are told not to retry.
	Pushback bool
	// ProbeLease is how long the handler of a probe's stream may go on before the probe
	// counts as a success, or is ignored if it is waiting for its client and has not
	// sent a message. Zero means 10 s; it should be less than the breaker's
	// ProbeTimeout, when the probe would be lost.
	ProbeLease time.Duration
	// DeadlineFactor says when a client's deadline that has passed counts as a
	// failure: when the handler had run, for a second at least, this many times as
	// long as the longest of the last 64 to 128 successes of the method, or for a
	// second while there is none. Zero means 2; negative means that every deadline
	// counts, however short, for clients that are trusted.
	//
	// So where all clients have deadlines of less than a second, an overloaded method
	// is not seen by them: a client whose deadline is too short looks the same. Set
	// a negative factor if the clients are trusted, or have the handler give up by
	// itself, before them and with Unavailable, which counts:
	//
	//	ctx, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
	DeadlineFactor float64
}

// IsInfrastructure reports whether a method is one of health checking or
// reflection, which must work while a breaker is open.
func IsInfrastructure(method string) bool {
	return strings.HasPrefix(method, "/grpc.health.v1.Health/") || strings.HasPrefix(method, "/grpc.reflection.")
}

const (
	unknownMethod = "(unknown)"
	pushback      = "grpc-retry-pushback-ms"
)

type server struct {
	ServerOptions

	breakers breakers
	methods  durations.Table // how long calls take
	places   places.Table
	faults   gatefault.Log
	plain    bool // there is no Classify of the user's
	epoch    time.Time
}

func newServer(registry *core.Registry, o *ServerOptions) *server {
	s := &server{breakers: newBreakers(registry), epoch: time.Now()}
	if o != nil {
		s.ServerOptions = *o
	}
	if s.Skip == nil {
		s.Skip = IsInfrastructure
	}
	if s.Classify == nil {
		s.Classify, s.plain = DefaultClassifyServer, true
	}
	s.ProbeLease = cmp.Or(max(s.ProbeLease, 0), defaultLease)
	s.places.Kept = s.ProbeLease
	return s
}

// now is the server's clock.
func (s *server) now() time.Duration { return time.Since(s.epoch) }

// gate returns the gate of a method, or nil if it has none, and what tells it from
// others. Methods that clients make up share one breaker, whose refusals do not hold.
func (s *server) gate(method string, registered bool) (gate core.Gate, key string) {
	switch {
	case s.Skip(method):
		return nil, ""
	case s.Gate != nil:
		return s.Gate, ""
	case s.Key != nil:
		key = s.Key(method)
	case !registered:
		return passing{s.breakers.of(unknownMethod)}, unknownMethod
	default:
		key = method
	}
	return s.breakers.of(key), key
}

// passing is a gate that only counts.
type passing struct{ core.Gate }

func (g passing) Allow(ctx context.Context) (core.Permit, error) {
	p, err := g.Gate.Allow(ctx)
	if errors.Is(err, core.ErrOpen) {
		return core.Permit{}, nil
	}
	return p.Move(), err
}

// UnaryServerInterceptor returns an interceptor with the breakers of a registry, one for each
// method. A nil registry is one of its own, of breakers with the default
// configuration; nil options are the zero ones.
//
// A call that is refused does not reach its handler; the error is as the package
// says. The first one whose gate can neither admit nor refuse it, see there, is
// logged with the reason, to the registry's Logger. A handler that panics, or calls [runtime.Goexit], has failed, unless the
// client has gone; the panic passes through.
//
// No client closes a method to others: what its deadline, its cancellation, its
// bytes or its speed have done is ignored. So a deadline counts only if the handler
// had run for clearly longer than calls of the method do, see
// [ServerOptions].DeadlineFactor; then it counts also if the handler does not return.
// A handler that returns DeadlineExceeded before that, as of one of several tries which
// share the client's time, is ignored if it has not run clearly longer either.
func UnaryServerInterceptor(registry *core.Registry, o *ServerOptions) grpc.UnaryServerInterceptor {
	s := newServer(registry, o)
	return func(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
		gate, key := s.gate(info.FullMethod, true)
		if gate == nil {
			return handler(ctx, req)
		}
		p, err := s.places.Admit(ctx, gate, key)
		if err != nil {
			return nil, s.refuse(ctx, key, err, func(md metadata.MD) { _ = grpc.SetTrailer(ctx, md) }) // it fails outside of gRPC
		}
		at := s.begin(ctx, cmp.Or(key, info.FullMethod))
		if p.Probe() || s.mayHang(at.limit) {
			c := &serverCall{server: s, ctx: ctx, times: at}
			c.once.Hold(&p)
			defer c.abandon()
			c.watch()
			resp, err := handler(ctx, req)
			c.finish(err)
			return resp, err
		}
		defer s.abandon(ctx, &p, &at)
		resp, err := handler(ctx, req)
		s.settle(ctx, &p, &at, err)
		return resp, err
	}
}

// StreamServerInterceptor is [UnaryServerInterceptor] for streams: the outcome is what the handler
// returns. The time that the handler has waited for its client, to receive or to
// send, is not its own. The place of a probe is free when the handler returns, when
// the call's context ends, after ProbeLease, or when another call needs it while this one
// waits for its client; whichever is first. A stream that has lent its place so asks
// for one again when its client is heard of. At most four times HalfOpenMaxCalls have
// done that and still run, those left out that did so more than ProbeLease ago: so many slow
// clients do not keep others from a method that is half-open, and so many handlers may
// run at once there though they are no probes.
func StreamServerInterceptor(registry *core.Registry, o *ServerOptions) grpc.StreamServerInterceptor {
	s := newServer(registry, o)
	return func(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
		gate, key := s.gate(info.FullMethod, srv != nil)
		if gate == nil {
			return handler(srv, ss)
		}
		ctx := ss.Context()
		p, err := s.places.Admit(ctx, gate, key)
		if err != nil {
			return s.refuse(ctx, key, err, ss.SetTrailer)
		}
		c := &serverStream{ServerStream: ss, one: !info.IsClientStream}
		c.serverCall = serverCall{
			server: s, ctx: ctx, times: s.begin(ctx, cmp.Or(key, info.FullMethod)),
			stream: c, gate: gate, key: key,
		}
		c.once.Hold(&p)
		if c.once.Probe {
			c.place = s.places.Hold(key, c)
		}
		defer c.abandon()
		c.guard()
		err = handler(srv, c)
		c.finish(err)
		return err
	}
}

// refuse returns the error of a call that was not admitted, with a trailer that
// keeps a client's retry policy from sending it again at once.
func (s *server) refuse(ctx context.Context, key string, err error, setTrailer func(metadata.MD)) error {
	if err = refused(ctx, err); isFault(err) {
		s.faults.Tell(s.breakers.Logger, "calls are answered with code Internal", key, err)
	}
	if !s.Pushback && errors.Is(err, core.ErrLimited) {
		return err // the call may be sent again, as the client's policy says
	}
	ms := "-1"
	if r, ok := err.(*refusal); ok && s.Pushback && errors.Is(r, core.ErrOpen) { //nolint:errorlint // made just now
		ms = strconv.FormatInt(r.wait().Milliseconds()+1, 10)
	}
	setTrailer(metadata.Pairs(pushback, ms))
	return err
}
