package grpcmw_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/grpcmw"
)

// A client with a breaker for each method: after five failures the method is left
// alone.
func Example() {
	memory := bufconn.Listen(1 << 20)
	server := grpc.NewServer() // it knows no method, which its answer tells
	go server.Serve(memory)
	defer server.Stop()

	cc, err := grpc.NewClient("passthrough:///orders",
		grpc.WithUnaryInterceptor(grpcmw.UnaryClientInterceptor(nil, &grpcmw.ClientOptions{
			Classify: func(ctx context.Context, err error) core.Outcome {
				if status.Code(err) == codes.Unimplemented {
					return core.Failure // a server of last year
				}
				return grpcmw.DefaultClassifyClient(ctx, err)
			},
		})),
		grpc.WithStreamInterceptor(grpcmw.StreamClientInterceptor(nil, nil)),
		grpc.WithContextDialer(func(context.Context, string) (net.Conn, error) { return memory.Dial() }),
		grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer cc.Close()

	client := healthpb.NewHealthClient(cc)
	for range 7 {
		_, err := client.Check(context.Background(), nil)
		fmt.Println(status.Code(err), errors.Is(err, core.ErrOpen))
	}
	// Output:
	// Unimplemented false
	// Unimplemented false
	// Unimplemented false
	// Unimplemented false
	// Unimplemented false
	// Unavailable true
	// Unavailable true
}

// A server with a breaker for each method. Its health checks pass whatever the
// breakers say.
func ExampleUnaryServerInterceptor() {
	registry := &core.Registry{Config: func(method string) core.Config {
		return core.Config{FailureThreshold: 3, Timeout: 10 * time.Second}
	}}
	server := grpc.NewServer(
		grpc.UnaryInterceptor(grpcmw.UnaryServerInterceptor(registry, nil)),
		grpc.StreamInterceptor(grpcmw.StreamServerInterceptor(registry, nil)))
	healthpb.RegisterHealthServer(server, health.NewServer())

	memory := bufconn.Listen(1 << 20)
	go server.Serve(memory)
	defer server.Stop()
	cc, err := grpc.NewClient("passthrough:///orders",
		grpc.WithContextDialer(func(context.Context, string) (net.Conn, error) { return memory.Dial() }),
		grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer cc.Close()

	answer, err := healthpb.NewHealthClient(cc).Check(context.Background(), &healthpb.HealthCheckRequest{})
	fmt.Println(answer.GetStatus(), err)
	fmt.Println(registry.Len(), "breakers")
	// Output:
	// SERVING <nil>
	// 0 breakers
}

// A long stream, such as a subscription, says nothing at its end that was not
// known at its first message.
func ExampleClientOptions_streamSuccess() {
	interceptor := grpcmw.StreamClientInterceptor(nil, &grpcmw.ClientOptions{StreamSuccess: grpcmw.StreamSuccessAtFirstMessage})
	cc, err := grpc.NewClient("dns:///events.example.com:443",
		grpc.WithStreamInterceptor(interceptor),
		grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer cc.Close()
	// Output:
}

// Put retries outside of the breaker, and configure them to leave refusals
// alone.
func ExampleRetriable() {
	// With github.com/grpc-ecosystem/go-grpc-middleware/v2/interceptors/retry:
	//
	//	grpc.WithChainUnaryInterceptor(
	//		retry.UnaryClientInterceptor(retry.WithMax(3), retry.WithRetriable(grpcmw.Retriable(nil))),
	//		grpcmw.UnaryClientInterceptor(nil, nil))
	retriable := grpcmw.Retriable(nil)
	fmt.Println(retriable(status.Error(codes.Unavailable, "connection refused")))
	fmt.Println(retriable(status.Error(codes.NotFound, "no such order")))
	fmt.Println(retriable(core.ErrOpen))
	// Output:
	// true
	// false
	// false
}
