package main

import (
	"context"
	"io"
	"net"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	testgrpc "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/stats"
)

// unaryInterceptor is that of the peer, for calls that no transport carries.
func (p grpcPeer) unaryInterceptor() grpc.UnaryClientInterceptor {
	switch {
	case p.unary != nil:
		return p.unary()
	case p.stats != nil:
		return raising(p.stats())
	}
	return passUnary
}

// streamInterceptor is the same for streams.
func (p grpcPeer) streamInterceptor() grpc.StreamClientInterceptor {
	if p.stream != nil {
		return p.stream()
	}
	return passStream
}

// raising gives a stats handler the events that gRPC raises for a call that
// succeeds. They are made once, which gRPC does for each call.
func raising(h stats.Handler) grpc.UnaryClientInterceptor {
	info := &stats.RPCTagInfo{FullMethodName: testgrpc.BenchmarkService_UnaryCall_FullMethodName}
	server := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 443}
	before := []stats.RPCStats{
		&stats.Begin{Client: true},
		&stats.OutHeader{Client: true, FullMethod: info.FullMethodName, RemoteAddr: server},
		&stats.OutPayload{Client: true},
	}
	after := []stats.RPCStats{
		&stats.InHeader{Client: true},
		&stats.InTrailer{Client: true},
		&stats.InPayload{Client: true},
		&stats.End{Client: true},
	}
	return func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoker grpc.UnaryInvoker, opts ...grpc.CallOption) error {
		ctx = h.TagRPC(ctx, info)
		for _, s := range before {
			h.HandleRPC(ctx, s)
		}
		err := invoker(ctx, method, req, reply, cc, opts...)
		for _, s := range after {
			h.HandleRPC(ctx, s)
		}
		return err
	}
}

// passUnary and the like are what any interceptor costs.
func passUnary(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoker grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	return invoker(ctx, method, req, reply, cc, opts...)
}

func passStream(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, streamer grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	return streamer(ctx, desc, cc, method, opts...)
}

func passingServer() []grpc.ServerOption {
	return []grpc.ServerOption{
		grpc.UnaryInterceptor(func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
			return handler(ctx, req)
		}),
		grpc.StreamInterceptor(func(srv any, ss grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
			return handler(srv, ss)
		}),
	}
}

// unconnected is a connection that knows its target and was never made.
func unconnected() *grpc.ClientConn {
	cc, err := grpc.NewClient("passthrough:///nowhere", grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		panic(err) // the target is ours
	}
	return cc
}

// invoking makes unary calls with an invoker that does nothing but the work.
func invoking(opts ...grpc.CallOption) func(grpcPeer) (func(work) call, func()) {
	return func(p grpcPeer) (func(work) call, func()) {
		ctx, cc, intercept := context.Background(), unconnected(), p.unaryInterceptor()
		bind := func(w work) call {
			req, reply := new(testgrpc.SimpleRequest), new(testgrpc.SimpleResponse)
			invoker := func(context.Context, string, any, any, *grpc.ClientConn, ...grpc.CallOption) error { return w.plain() }
			return func() error {
				return intercept(ctx, testgrpc.BenchmarkService_UnaryCall_FullMethodName, req, reply, cc, invoker, opts...)
			}
		}
		return bind, func() { _ = cc.Close() }
	}
}

// streaming opens streams of the server's that are there already, each
// goroutine's its own, receives a message, and then the end.
func streaming(p grpcPeer) (func(work) call, func()) {
	cc, intercept, desc := unconnected(), p.streamInterceptor(), &grpc.StreamDesc{ServerStreams: true}
	ctx, opts := context.Background(), []grpc.CallOption{grpc.StaticMethod()}
	bind := func(w work) call {
		req, reply, s := new(testgrpc.SimpleRequest), new(testgrpc.SimpleResponse), &noStream{end: w.plain}
		streamer := s.open
		return func() error {
			cs, err := intercept(ctx, desc, cc, testgrpc.BenchmarkService_StreamingFromServer_FullMethodName, streamer, opts...)
			if err != nil {
				return err
			}
			if err = cs.SendMsg(req); err == nil {
				err = cs.CloseSend()
			}
			for err == nil {
				err = cs.RecvMsg(reply)
			}
			return notEOF(err)
		}
	}
	return bind, func() { _ = cc.Close() }
}

// noStream has one message and then ends, of which it tells as gRPC does.
type noStream struct {
	grpc.ClientStream

	end  func() error
	opts []grpc.CallOption
	sent bool
}

func (s *noStream) open(_ context.Context, _ *grpc.StreamDesc, _ *grpc.ClientConn, _ string, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	s.opts, s.sent = opts, false
	return s, nil
}

func (*noStream) SendMsg(any) error { return nil }
func (*noStream) CloseSend() error  { return nil }

func (s *noStream) RecvMsg(any) error {
	if !s.sent {
		s.sent = true
		return nil
	}
	err := s.end()
	for _, o := range s.opts {
		if f, ok := o.(grpc.OnFinishCallOption); ok {
			f.OnFinish(err)
		}
	}
	if err != nil {
		return err
	}
	return io.EOF
}

// notEOF is the error of a stream's end.
func notEOF(err error) error {
	if err == io.EOF { //nolint:errorlint // streams return it as it is
		return nil
	}
	return err
}
