package main

import (
	"context"
	"net"
	"sync"
	"sync/atomic"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

const (
	getMethod  = "/shop.Orders/Get"
	listMethod = "/shop.Orders/List"
)

// server is a gRPC server on loopback that can be ill.
type server struct {
	name, address    string
	ill              atomic.Bool
	arrived, handled atomic.Int64
	stop             func()
}

// newServer starts a server whose interceptors, behind one that counts, are opts.
func newServer(name string, opts ...grpc.ServerOption) (*server, error) {
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &server{name: name, address: l.Addr().String()}
	gs := grpc.NewServer(append([]grpc.ServerOption{
		grpc.ChainUnaryInterceptor(func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
			s.arrived.Add(1)
			return handler(ctx, req)
		}),
		grpc.ChainStreamInterceptor(func(srv any, ss grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
			s.arrived.Add(1)
			return handler(srv, ss)
		}),
	}, opts...)...)
	gs.RegisterService(&orders, s)
	var serving sync.WaitGroup
	serving.Go(func() { _ = gs.Serve(l) }) // until stop
	s.stop = func() {
		gs.Stop()
		serving.Wait()
	}
	return s, nil
}

// orders describes the service, as generated code would.
var orders = grpc.ServiceDesc{
	ServiceName: "shop.Orders",
	HandlerType: (*any)(nil),
	Methods:     []grpc.MethodDesc{{MethodName: "Get", Handler: getHandler}},
	Streams:     []grpc.StreamDesc{{StreamName: "List", ServerStreams: true, Handler: listHandler}},
}

func getHandler(srv any, ctx context.Context, decode func(any) error, interceptor grpc.UnaryServerInterceptor) (any, error) { //nolint:revive // gRPC has it so
	in := new(wrapperspb.StringValue)
	if err := decode(in); err != nil {
		return nil, err
	}
	return interceptor(ctx, in, &grpc.UnaryServerInfo{Server: srv, FullMethod: getMethod}, func(context.Context, any) (any, error) {
		return in, srv.(*server).work()
	})
}

func listHandler(srv any, ss grpc.ServerStream) error {
	in := new(wrapperspb.StringValue)
	if err := ss.RecvMsg(in); err != nil {
		return err
	}
	if err := srv.(*server).work(); err != nil {
		return err
	}
	for range 3 {
		if err := ss.SendMsg(in); err != nil {
			return err
		}
	}
	return nil
}

// work is what the server is there for.
func (s *server) work() error {
	s.handled.Add(1)
	if s.ill.Load() {
		return status.Error(codes.Unavailable, "no answer from the database")
	}
	return nil
}

// reason is the reason that a server's status gives.
func reason(err error) string {
	for _, detail := range status.Convert(err).Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok {
			return info.GetReason()
		}
	}
	return ""
}
