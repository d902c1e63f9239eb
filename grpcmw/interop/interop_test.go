package interop

import (
	"context"
	"fmt"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/grpclog"
	"google.golang.org/grpc/interop"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/test/bufconn"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/grpcmw"
)

// patience is how long a test waits for what should happen at once.
const patience = 10 * time.Second

// fatal makes a panic of what gRPC's suite takes for the end of the program. It is
// no grpclog.DepthLoggerV2, which the suite would use instead.
type fatal struct{}

func (fatal) Info(...any)             {}
func (fatal) Infoln(...any)           {}
func (fatal) Infof(string, ...any)    {}
func (fatal) Warning(...any)          {}
func (fatal) Warningln(...any)        {}
func (fatal) Warningf(string, ...any) {}
func (fatal) Error(...any)            {}
func (fatal) Errorln(...any)          {}
func (fatal) Errorf(string, ...any)   {}
func (fatal) Fatal(v ...any)          { panic(fmt.Sprint(v...)) }
func (fatal) Fatalln(v ...any)        { panic(fmt.Sprint(v...)) }
func (fatal) Fatalf(f string, v ...any) {
	panic(fmt.Sprintf(f, v...))
}
func (fatal) V(int) bool { return false }

func TestMain(m *testing.M) {
	grpclog.SetLoggerV2(fatal{})
	m.Run()
}

// counts are the outcomes of calls.
type counts struct{ success, failure, ignored uint64 }

func countsOf(b *core.Breaker) counts {
	t := b.Snapshot().Totals
	return counts{t.Successes, t.Failures, t.Ignored}
}

func newBreaker(t *testing.T, cfg core.Config) *core.Breaker {
	t.Helper()
	b, err := core.New("backend", cfg)
	if err != nil {
		t.Fatalf("New(%+v) = %v, want a breaker", cfg, err)
	}
	return b
}

// opened returns a breaker that is open.
func opened(t *testing.T) *core.Breaker {
	t.Helper()
	b := newBreaker(t, core.Config{FailureThreshold: 1})
	p, err := b.Allow(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	p.Settle(t.Context(), core.Failure)
	return b
}

func guarded(b *core.Breaker) []grpc.DialOption {
	o := &grpcmw.ClientOptions{Gate: b}
	return []grpc.DialOption{grpc.WithChainUnaryInterceptor(grpcmw.UnaryClientInterceptor(nil, o)), grpc.WithChainStreamInterceptor(grpcmw.StreamClientInterceptor(nil, o))}
}

func guards(b *core.Breaker) []grpc.ServerOption {
	o := &grpcmw.ServerOptions{Gate: b}
	return []grpc.ServerOption{grpc.ChainUnaryInterceptor(grpcmw.UnaryServerInterceptor(nil, o)), grpc.ChainStreamInterceptor(grpcmw.StreamServerInterceptor(nil, o))}
}

// connect starts gRPC's test server in memory and returns a connection to it.
func connect(t *testing.T, server []grpc.ServerOption, client []grpc.DialOption) *grpc.ClientConn {
	t.Helper()
	l := bufconn.Listen(1 << 20)
	s := grpc.NewServer(server...)
	testpb.RegisterTestServiceServer(s, interop.NewTestServer())
	var serving sync.WaitGroup
	serving.Go(func() { _ = s.Serve(l) })
	cc, err := grpc.NewClient("passthrough:///memory", append(client,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return l.DialContext(ctx) }))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cc.Close()
		s.Stop()
		serving.Wait()
	})
	return cc
}

func TestGRPCsOwnInteropSuitePasses(t *testing.T) {
	succeeds := func(n uint64) counts { return counts{success: n} }
	for _, c := range []struct {
		name           string
		run            func(ctx context.Context, cc *grpc.ClientConn, tc testpb.TestServiceClient)
		client, server counts
		// The suite takes it that some things are faster than others, and now and then
		// is wrong, with no interceptor at all: that a call of 1 ms gets to a server by
		// then, which in a bubble it does; that a cancellation outruns an answer, which
		// the server then has to hold back.
		bubble, hold bool
	}{
		{name: "empty_unary", client: succeeds(1), server: succeeds(1), run: func(ctx context.Context, _ *grpc.ClientConn, tc testpb.TestServiceClient) {
			interop.DoEmptyUnaryCall(ctx, tc)
		}},
		{name: "large_unary", client: succeeds(1), server: succeeds(1), run: func(ctx context.Context, _ *grpc.ClientConn, tc testpb.TestServiceClient) {
			interop.DoLargeUnaryCall(ctx, tc)
		}},
		{name: "client_streaming", client: succeeds(1), server: succeeds(1), run: func(ctx context.Context, _ *grpc.ClientConn, tc testpb.TestServiceClient) {
			interop.DoClientStreaming(ctx, tc)
		}},
		{name: "server_streaming", client: succeeds(1), server: succeeds(1), run: func(ctx context.Context, _ *grpc.ClientConn, tc testpb.TestServiceClient) {
			interop.DoServerStreaming(ctx, tc)
		}},
		{name: "ping_pong", client: succeeds(1), server: succeeds(1), run: func(ctx context.Context, _ *grpc.ClientConn, tc testpb.TestServiceClient) {
			interop.DoPingPong(ctx, tc)
		}},
		{name: "empty_stream", client: succeeds(1), server: succeeds(1), run: func(ctx context.Context, _ *grpc.ClientConn, tc testpb.TestServiceClient) {
			interop.DoEmptyStream(ctx, tc)
		}},
		{name: "timeout_on_sleeping_server", client: counts{failure: 1}, server: counts{ignored: 1} /* its own short deadline */, bubble: true, run: func(ctx context.Context, _ *grpc.ClientConn, tc testpb.TestServiceClient) {
			interop.DoTimeoutOnSleepingServer(ctx, tc)
		}},
		{name: "cancel_after_begin", client: counts{ignored: 1}, server: counts{ignored: 1}, hold: true, run: func(ctx context.Context, _ *grpc.ClientConn, tc testpb.TestServiceClient) {
			interop.DoCancelAfterBegin(ctx, tc)
		}},
		{name: "cancel_after_first_response", client: counts{ignored: 1}, server: counts{ignored: 1}, run: func(ctx context.Context, _ *grpc.ClientConn, tc testpb.TestServiceClient) {
			interop.DoCancelAfterFirstResponse(ctx, tc)
		}},
		{name: "status_code_and_message", client: counts{failure: 2}, server: counts{failure: 2}, run: func(ctx context.Context, _ *grpc.ClientConn, tc testpb.TestServiceClient) {
			interop.DoStatusCodeAndMessage(ctx, tc)
		}},
		{name: "special_status_message", client: counts{failure: 1}, server: counts{failure: 1}, run: func(ctx context.Context, _ *grpc.ClientConn, tc testpb.TestServiceClient) {
			interop.DoSpecialStatusMessage(ctx, tc)
		}},
		{name: "custom_metadata", client: succeeds(2), server: succeeds(2), run: func(ctx context.Context, _ *grpc.ClientConn, tc testpb.TestServiceClient) {
			interop.DoCustomMetadata(ctx, tc)
		}},
		// Unimplemented is an answer; of a service that is not there the server's
		// interceptors hear nothing.
		{name: "unimplemented_method", client: succeeds(1), server: succeeds(1), run: func(ctx context.Context, cc *grpc.ClientConn, _ testpb.TestServiceClient) {
			interop.DoUnimplementedMethod(ctx, cc)
		}},
		{name: "unimplemented_service", client: succeeds(1), run: func(ctx context.Context, cc *grpc.ClientConn, _ testpb.TestServiceClient) {
			interop.DoUnimplementedService(ctx, testpb.NewUnimplementedServiceClient(cc))
		}},
	} {
		test := func(t *testing.T) {
			client, server := newBreaker(t, core.Config{FailureThreshold: -1, FailureRateThreshold: -1}), newBreaker(t, core.Config{FailureThreshold: -1})
			dial, serve := guarded(client), guards(server)
			if c.hold {
				outer, inner := holding()
				dial, serve = append(outer, dial...), append(serve, inner...)
			}
			if said := try(t, connect(t, serve, dial), c.run); said != nil {
				t.Fatalf("gRPC's suite says: %v", said)
			}
			wantCounts(t, "client", client, c.client)
			wantCounts(t, "server", server, c.server)
		}
		t.Run(c.name, func(t *testing.T) {
			if c.bubble {
				synctest.Test(t, test)
			} else {
				test(t)
			}
		})
	}
}

// holding are a client's and a server's interceptors for streams that begin at both
// ends before the client goes on, and are handled when it has gone.
func holding() ([]grpc.DialOption, []grpc.ServerOption) {
	begun := make(chan struct{}, 1)
	client := grpc.WithChainStreamInterceptor(func(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, streamer grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
		cs, err := streamer(ctx, desc, cc, method, opts...)
		if err == nil {
			<-begun
		}
		return cs, err
	})
	server := grpc.ChainStreamInterceptor(func(srv any, ss grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
		begun <- struct{}{}
		<-ss.Context().Done()
		return handler(srv, ss)
	})
	return []grpc.DialOption{client}, []grpc.ServerOption{server}
}

// try returns what the suite panicked with.
func try(t *testing.T, cc *grpc.ClientConn, run func(context.Context, *grpc.ClientConn, testpb.TestServiceClient)) (said any) {
	defer func() { said = recover() }()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	run(ctx, cc, testpb.NewTestServiceClient(cc))
	return nil
}

// wantCounts waits for the outcomes, of which a server's are on their way when the
// client has its answer.
func wantCounts(t *testing.T, side string, b *core.Breaker, want counts) {
	t.Helper()
	for end := time.Now().Add(patience); countsOf(b) != want || b.Snapshot().Totals.InFlight != 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: outcomes %+v, in flight %d; want %+v, none", side, countsOf(b), b.Snapshot().Totals.InFlight, want)
		}
	}
}
