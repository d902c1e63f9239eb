package grpcmw

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/blackbox4/switchgear/core"
)

// ServerOptions change what [UnaryServer] and [StreamServer] make. In each field
// zero is the stated default. The funcs must be safe for concurrent use.
type ServerOptions struct {
	// Gate is asked for every call. Nil means a breaker of the registry.
	Gate core.Gate
	// Key names the breaker of a method; the empty key has none, and the call
	// passes. Nil means the method itself, "/package.Service/Method", and
	// "(unknown)" for all that the server has not registered.
	Key func(method string) string
	// Skip reports whether the calls of a method pass without being counted or
	// refused. Nil means [Infrastructure].
	Skip func(method string) bool
	// Classify decides what became of a call by what its handler returned. Nil
	// means [ClassifyServer].
	Classify func(ctx context.Context, err error) core.Outcome
	// Pushback tells clients that retry by their service config to do so when the
	// break is over. By default they are told not to retry.
	Pushback bool
	// Lease is how long the handler of a probe's stream may go on before the probe
	// counts as a success. Zero means 10 s; it should be less than the breaker's
	// ProbeTimeout, when the probe would be lost.
	Lease time.Duration
}

// Infrastructure reports whether a method is one of health checking or
// reflection, which must work while a breaker is open.
func Infrastructure(method string) bool {
	return strings.HasPrefix(method, "/grpc.health.v1.Health/") || strings.HasPrefix(method, "/grpc.reflection.")
}

const (
	unknownMethod = "(unknown)"
	pushback      = "grpc-retry-pushback-ms"
)

type server struct {
	ServerOptions

	breakers breakers
}

func newServer(registry *core.Registry, o *ServerOptions) *server {
	s := &server{breakers: newBreakers(registry)}
	if o != nil {
		s.ServerOptions = *o
	}
	if s.Skip == nil {
		s.Skip = Infrastructure
	}
	if s.Classify == nil {
		s.Classify = ClassifyServer
	}
	if s.Lease <= 0 {
		s.Lease = defaultLease
	}
	return s
}

// gate returns the gate of a method, or nil if it has none. What clients make up
// shares one breaker.
func (s *server) gate(method string, registered bool) core.Gate {
	switch {
	case s.Skip(method):
		return nil
	case s.Gate != nil:
		return s.Gate
	case s.Key != nil:
		return s.breakers.of(s.Key(method))
	case !registered:
		return s.breakers.of(unknownMethod)
	}
	return s.breakers.of(method)
}

// UnaryServer returns an interceptor with the breakers of a registry, one for each
// method. A nil registry is one of its own, of breakers with the default
// configuration; nil options are the zero ones.
//
// A call that is refused does not reach its handler; the error is as the package
// says. A handler that panics, or calls [runtime.Goexit], has failed, unless the
// client has gone; the panic passes through.
func UnaryServer(registry *core.Registry, o *ServerOptions) grpc.UnaryServerInterceptor {
	s := newServer(registry, o)
	return func(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
		gate := s.gate(info.FullMethod, true)
		if gate == nil {
			return handler(ctx, req)
		}
		p, err := gate.Allow(ctx)
		if err != nil {
			return nil, s.refuse(ctx, err, func(md metadata.MD) { _ = grpc.SetTrailer(ctx, md) }) // it fails outside of gRPC
		}
		defer abandon(ctx, &p)
		resp, err := handler(ctx, req)
		report(ctx, &p, s.Classify(ctx, err), err, nil)
		return resp, err
	}
}

// StreamServer is [UnaryServer] for streams: the outcome is what the handler
// returns. The place of a probe is free when that returns, when the call's context
// ends, or after Lease, whichever is first.
func StreamServer(registry *core.Registry, o *ServerOptions) grpc.StreamServerInterceptor {
	s := newServer(registry, o)
	return func(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
		gate := s.gate(info.FullMethod, srv != nil)
		if gate == nil {
			return handler(srv, ss)
		}
		ctx := ss.Context()
		p, err := gate.Allow(ctx)
		if err != nil {
			return s.refuse(ctx, err, ss.SetTrailer)
		}
		if p.Probe() {
			return s.probe(ctx, &p, func() error { return handler(srv, ss) })
		}
		defer abandon(ctx, &p)
		err = handler(srv, ss)
		report(ctx, &p, s.Classify(ctx, err), err, nil)
		return err
	}
}

// probe runs the handler of a probe, which need not return to be settled.
func (s *server) probe(ctx context.Context, p *core.Permit, handler func() error) error {
	h := &held{permit: p.Take(), probe: true}
	end := func(err error) (first bool) {
		return h.once(ctx, func(p *core.Permit) { report(ctx, p, s.Classify(ctx, err), err, nil) })
	}
	defer h.once(ctx, func(p *core.Permit) { abandon(ctx, p) })
	h.lend(ctx, s.Lease, func(err error) { end(err) })
	err := handler()
	if !end(err) {
		h.wait()
	}
	return err
}

// refuse returns the error of a call that was not admitted, with a trailer that
// keeps a client's retry policy from sending it again at once.
func (s *server) refuse(ctx context.Context, err error, setTrailer func(metadata.MD)) error {
	err = refused(ctx, err)
	ms := "-1"
	if r, ok := err.(*refusal); ok && s.Pushback && errors.Is(r, core.ErrOpen) { //nolint:errorlint // made just now
		ms = strconv.FormatInt(r.wait().Milliseconds()+1, 10)
	}
	setTrailer(metadata.Pairs(pushback, ms))
	return err
}

var errAborted = errors.New("the handler panicked or exited")

// abandon settles a call whose handler has not returned.
func abandon(ctx context.Context, p *core.Permit) {
	if ctx.Err() != nil && !overdue(ctx) {
		p.Settle(ctx, core.Ignored)
		return
	}
	p.Report(ctx, core.Failure, errAborted)
}
