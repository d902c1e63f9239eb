package main

import (
	"context"
	"net"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	testgrpc "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
)

// calling makes calls of generated code to a server, over a connection that is
// made before.
func calling(listen func() (net.Listener, grpc.DialOption), do func(testgrpc.BenchmarkServiceClient, *testgrpc.SimpleRequest) error) func(grpcPeer) (func(work) call, func()) {
	return func(p grpcPeer) (func(work) call, func()) {
		listener, dial := listen()
		var options []grpc.ServerOption
		if p.server != nil {
			options = p.server()
		}
		server := grpc.NewServer(options...)
		testgrpc.RegisterBenchmarkServiceServer(server, answering{})
		go func() { _ = server.Serve(listener) }() // an error shows in the client

		cc, err := grpc.NewClient("passthrough:///"+listener.Addr().String(), append(p.dialOptions(), dial)...)
		if err != nil {
			panic(err) // the target is ours
		}
		client := testgrpc.NewBenchmarkServiceClient(cc)
		bind := func(w work) call {
			req := new(testgrpc.SimpleRequest)
			if w.plain() != nil {
				req.ResponseStatus = &testgrpc.EchoStatus{Code: int32(failedThere)}
			}
			return func() error {
				if err := do(client, req); err != nil {
					return asWork(err)
				}
				return nil
			}
		}
		return bind, func() {
			_ = cc.Close()
			server.Stop()
		}
	}
}

// dialOptions are those that install the peer in a client.
func (p grpcPeer) dialOptions() []grpc.DialOption {
	options := []grpc.DialOption{grpc.WithTransportCredentials(insecure.NewCredentials())}
	if p.unary != nil {
		options = append(options, grpc.WithUnaryInterceptor(p.unary()))
	}
	if p.stream != nil {
		options = append(options, grpc.WithStreamInterceptor(p.stream()))
	}
	if p.stats != nil {
		options = append(options, grpc.WithStatsHandler(p.stats()))
	}
	return options
}

func inMemory() (net.Listener, grpc.DialOption) {
	const buffer = 1 << 20
	l := bufconn.Listen(buffer)
	return l, grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return l.DialContext(ctx) })
}

func onLoopback() (net.Listener, grpc.DialOption) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err) // without a network there is nothing to measure
	}
	return l, grpc.EmptyDialOption{}
}

func unaryCall(client testgrpc.BenchmarkServiceClient, req *testgrpc.SimpleRequest) error {
	_, err := client.UnaryCall(context.Background(), req)
	return err
}

// streamCall receives all that there is, which is one message.
func streamCall(client testgrpc.BenchmarkServiceClient, req *testgrpc.SimpleRequest) error {
	stream, err := client.StreamingFromServer(context.Background(), req)
	for err == nil {
		_, err = stream.Recv()
	}
	return notEOF(err)
}

// failedThere is what work that fails is to a server: a code that all breakers
// count, and none refuses with.
const failedThere = codes.DataLoss

// asWork makes an error that the server was asked for that of the work.
func asWork(err error) error {
	if status.Code(err) == failedThere {
		return errFailed
	}
	return err
}

// answering is a server that does what it is asked for: an empty message, or an
// error.
type answering struct {
	testgrpc.UnimplementedBenchmarkServiceServer
}

func (answering) UnaryCall(_ context.Context, req *testgrpc.SimpleRequest) (*testgrpc.SimpleResponse, error) {
	if s := req.GetResponseStatus(); s != nil {
		return nil, status.Error(codes.Code(s.GetCode()), s.GetMessage())
	}
	return new(testgrpc.SimpleResponse), nil
}

func (a answering) StreamingFromServer(req *testgrpc.SimpleRequest, stream grpc.ServerStreamingServer[testgrpc.SimpleResponse]) error {
	resp, err := a.UnaryCall(stream.Context(), req)
	if err != nil {
		return err
	}
	return stream.Send(resp)
}
