package main

import (
	"context"
	"errors"
	"io"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/grpcmw"
)

// The methods of the service.
const (
	unaryMethod  = "/soak.Service/Unary"
	streamMethod = "/soak.Service/Stream"
)

// service is what the server does, by hand so that nothing is generated.
type service struct {
	unary  func(ctx context.Context, text string) (string, error)
	stream func(ss grpc.ServerStream) error
}

func (s service) register(server *grpc.Server) {
	server.RegisterService(&grpc.ServiceDesc{
		ServiceName: "soak.Service", HandlerType: (*any)(nil),
		Methods: []grpc.MethodDesc{{MethodName: "Unary", Handler: s.handle}},
		Streams: []grpc.StreamDesc{{
			StreamName: "Stream", ServerStreams: true, ClientStreams: true,
			Handler: func(_ any, ss grpc.ServerStream) error { return s.stream(ss) },
		}},
	}, s)
}

func (s service) handle(_ any, ctx context.Context, decode func(any) error, interceptor grpc.UnaryServerInterceptor) (any, error) { //nolint:revive // gRPC's order
	in := new(wrapperspb.StringValue)
	if err := decode(in); err != nil {
		return nil, err
	}
	handler := func(ctx context.Context, req any) (any, error) {
		answer, err := s.unary(ctx, req.(*wrapperspb.StringValue).GetValue())
		return wrapperspb.String(answer), err
	}
	if interceptor == nil {
		return handler(ctx, in)
	}
	return interceptor(ctx, in, &grpc.UnaryServerInfo{Server: s, FullMethod: unaryMethod}, handler)
}

// The kinds of calls, which a client asks for by the text of its first message.
// What follows a colon is an id, to be told of its arrival.
const (
	kindOK     = "ok"
	kindFail   = "fail"
	kindPanic  = "panic"
	kindCancel = "cancel"
	kindLate   = "late"
)

// behave does what a kind of calls is about, and counts it.
func behave(ctx context.Context, t *tally, kind string) error {
	switch kind {
	case kindFail:
		t.failures.Add(1)
		return status.Error(codes.Internal, "the handler failed")
	case kindPanic:
		t.failures.Add(1)
		panic("in a handler")
	case kindCancel:
		t.ignored.Add(1)
	case kindLate:
		t.either.Add(1) // whether it was too short a deadline is for the breaker to find out
	default:
		t.successes.Add(1)
		return nil
	}
	<-ctx.Done()
	return status.FromContextError(ctx.Err()).Err()
}

// counting is the service behind grpcmw.
func counting(t *tally, a *arrivals) service {
	return service{
		unary: func(ctx context.Context, text string) (string, error) {
			kind, id := cutKind(text)
			a.arrived(id)
			return kind, behave(ctx, t, kind)
		},
		stream: func(ss grpc.ServerStream) error {
			first := new(wrapperspb.StringValue)
			if err := ss.RecvMsg(first); err != nil {
				t.either.Add(1) // only a deadline is that early
				return err
			}
			kind, _ := cutKind(first.GetValue())
			if err := ss.SendMsg(first); err != nil && kind == kindOK {
				t.either.Add(1)
				return err
			}
			if err := behave(ss.Context(), t, kind); err != nil {
				return err
			}
			for {
				if err := ss.RecvMsg(first); errors.Is(err, io.EOF) {
					return nil
				} else if err != nil {
					return err
				}
			}
		},
	}
}

// grpcServer is a server that can be restarted at its address.
type grpcServer struct {
	addr   string
	build  func() *grpc.Server
	mu     sync.Mutex
	server *grpc.Server
	served chan struct{}
}

func newGRPCServer(build func() *grpc.Server) (*grpcServer, error) {
	s := &grpcServer{addr: "127.0.0.1:0", build: build}
	return s, s.start()
}

func (s *grpcServer) start() error {
	l, err := listen(s.addr)
	if err != nil {
		return err
	}
	if s.server == nil { // the first time: clients read it from then on
		s.addr = l.Addr().String()
	}
	server, served := s.build(), make(chan struct{})
	s.mu.Lock()
	defer s.mu.Unlock()
	s.server, s.served = server, served
	go func() {
		defer close(served)
		_ = server.Serve(l) // it was stopped
	}()
	return nil
}

// shutdown lets calls end; kill does not.
func (s *grpcServer) shutdown() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.server.GracefulStop()
	<-s.served
}

func (s *grpcServer) kill() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.server.Stop()
	<-s.served
}

// guardedServer has the interceptors, and outside of them what counts refusals
// and ends panics.
func guardedServer(t *tally, registry *core.Registry, s service) *grpc.Server {
	o := &grpcmw.ServerOptions{ProbeLease: lease}
	after := func(err *error) {
		if p := recover(); p != nil {
			*err = status.Error(codes.Internal, "the handler panicked")
		} else if errors.Is(*err, core.ErrOpen) {
			t.refused.Add(1)
		}
	}
	server := grpc.NewServer(
		grpc.ChainUnaryInterceptor(func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (reply any, err error) {
			defer after(&err)
			return handler(ctx, req)
		}, grpcmw.UnaryServerInterceptor(registry, o)),
		grpc.ChainStreamInterceptor(func(srv any, ss grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler) (err error) {
			defer after(&err)
			return handler(srv, ss)
		}, grpcmw.StreamServerInterceptor(registry, o)))
	s.register(server)
	return server
}
