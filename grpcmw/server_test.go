package grpcmw_test

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/reflection"
	reflectionpb "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/grpcmw"
)

// recovering are interceptors that make an error of a panic.
func recovering() []grpc.ServerOption {
	recovered := func(err *error) {
		if v := recover(); v != nil {
			*err = status.Errorf(codes.Internal, "recovered: %v", v)
		}
	}
	return []grpc.ServerOption{
		grpc.ChainUnaryInterceptor(func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (_ any, err error) {
			defer recovered(&err)
			return handler(ctx, req)
		}),
		grpc.ChainStreamInterceptor(func(srv any, ss grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler) (err error) {
			defer recovered(&err)
			return handler(srv, ss)
		}),
	}
}

func TestAHandlerThatDoesNotReturn(t *testing.T) {
	for _, probe := range []bool{false, true} {
		for _, c := range []struct {
			name string
			end  func()
			opts func(o grpcmw.ServerOptions) []grpc.ServerOption
		}{
			{"a panic, recovered inside", func() { panic("boo") }, func(o grpcmw.ServerOptions) []grpc.ServerOption { return append(guards(o), recovering()...) }},
			{"a panic, recovered outside", func() { panic("boo") }, func(o grpcmw.ServerOptions) []grpc.ServerOption { return append(recovering(), guards(o)...) }},
			{"Goexit", runtime.Goexit, guards},
		} {
			t.Run(fmt.Sprintf("%s, probe %v", c.name, probe), func(t *testing.T) {
				bubbles(t, methods, func(t *testing.T, method string) {
					b := newBreaker(t, oneProbe())
					cc := connect(t, "passthrough:///memory", serve(t, backend{
						unary:  func(context.Context, string) (string, error) { c.end(); return "", nil },
						stream: func(string, grpc.ServerStream) error { c.end(); return nil },
					}, c.opts(grpcmw.ServerOptions{Gate: b})...))
					want := times(1, core.Failure)
					if probe {
						halfOpen(t, b)
						want.failure++
					}
					ctx, cancel := context.WithTimeout(bg, 100*time.Millisecond) // there is no answer after Goexit
					defer cancel()
					if err := call(ctx, cc, method); err == nil {
						t.Error("the call succeeded, want an error")
					}
					wantCounts(t, b, want)
					wantState(t, b, core.Open)
				})
			})
		}
	}
}

func TestAPanicWhenTheClientHasGone(t *testing.T) {
	bubbles(t, methods, func(t *testing.T, method string) {
		b := newBreaker(t, oneProbe())
		end := func(ctx context.Context) { <-ctx.Done(); panic("boo") }
		cc := connect(t, "passthrough:///memory", serve(t, backend{
			unary:  func(ctx context.Context, _ string) (string, error) { end(ctx); return "", nil },
			stream: func(_ string, ss grpc.ServerStream) error { end(ss.Context()); return nil },
		}, append(recovering(), guards(grpcmw.ServerOptions{Gate: b})...)...))
		ctx, cancel := context.WithCancel(bg)
		go func() {
			synctest.Wait()
			cancel()
		}()
		wantCode(t, call(ctx, cc, method), codes.Canceled)
		wantCounts(t, b, times(1, core.Ignored))
	})
}

// TestAPanicPassesThrough: the interceptors recover nothing, here with a Classify
// that panics.
func TestAPanicPassesThrough(t *testing.T) {
	broken := func(context.Context, error) core.Outcome { panic("classify") }
	for _, probe := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			b := newBreaker(t, oneProbe())
			for side, call := range map[string]func(){
				"unary client": func() {
					_ = grpcmw.UnaryClientInterceptor(nil, &grpcmw.ClientOptions{Gate: b, Classify: broken})(bg, unary, nil, nil, nil, nothing)
				},
				"stream client": func() {
					cs, _ := grpcmw.StreamClientInterceptor(nil, &grpcmw.ClientOptions{Gate: b, Classify: broken})(bg, descs[both], nil, both, noStream)
					_ = cs.RecvMsg(nil)
				},
				"stream client, the streamer": func() {
					_, _ = grpcmw.StreamClientInterceptor(nil, &grpcmw.ClientOptions{Gate: b})(bg, descs[both], nil, both, nil)
				},
				"unary server": func() {
					_, _ = grpcmw.UnaryServerInterceptor(nil, &grpcmw.ServerOptions{Gate: b, Classify: broken})(bg, nil, &grpc.UnaryServerInfo{}, func(context.Context, any) (any, error) { return nil, nil })
				},
				"stream server": func() {
					_ = grpcmw.StreamServerInterceptor(nil, &grpcmw.ServerOptions{Gate: b, Classify: broken})(nil, noServerStream{}, &grpc.StreamServerInfo{}, func(any, grpc.ServerStream) error { return nil })
				},
			} {
				if probe {
					if b.State() == core.Closed {
						open(t, b)
					}
					time.Sleep(time.Second)
					wantState(t, b, core.HalfOpen)
				} else {
					b.Reset()
				}
				before := countsOf(b)
				func() {
					defer func() {
						if recover() == nil {
							t.Errorf("%s: no panic, want that of Classify or of the streamer", side)
						}
					}()
					call()
				}()
				if got := countsOf(b); got.failure != before.failure+1 || b.State() != core.Open {
					t.Errorf("%s: outcomes %+v after %+v and %v, want a failure more and open", side, got, before, b.State())
				}
			}
		})
	}
}

// nothing is an invoker without gRPC.
func nothing(context.Context, string, any, any, *grpc.ClientConn, ...grpc.CallOption) error {
	return nil
}

// mute is a stream without gRPC, of one message: it calls no OnFinish.
type mute struct {
	grpc.ClientStream

	messages int
}

func (m *mute) RecvMsg(any) error {
	if m.messages--; m.messages < 0 {
		return fmt.Errorf("a mute stream: %w", errUnavailable)
	}
	return nil
}

func noStream(context.Context, *grpc.StreamDesc, *grpc.ClientConn, string, ...grpc.CallOption) (grpc.ClientStream, error) {
	return &mute{messages: 0}, nil
}

// noServerStream is the same for a server.
type noServerStream struct{ grpc.ServerStream }

func (noServerStream) Context() context.Context { return bg }

// TestAStreamThatTellsNothing has an inner interceptor that keeps our options from
// gRPC: what RecvMsg returns, and for a probe its context, has to do.
func TestAStreamThatTellsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(t, oneProbe())
		begin := grpcmw.StreamClientInterceptor(nil, &grpcmw.ClientOptions{Gate: b})
		cs, err := begin(bg, descs[both], nil, both, noStream)
		if err != nil {
			t.Fatal(err)
		}
		wantCode(t, cs.RecvMsg(nil), codes.Unavailable)
		wantCounts(t, b, times(1, core.Failure))
		time.Sleep(time.Second)
		ctx, cancel := context.WithCancel(bg)
		if _, err = begin(ctx, descs[both], nil, both, noStream); err != nil {
			t.Fatal(err)
		}
		cancel()
		synctest.Wait()
		wantCounts(t, b, counts{failure: 1, ignored: 1})
		wantState(t, b, core.HalfOpen)
	})
}

func TestMethodsThatClientsMakeUp(t *testing.T) {
	invented := 10_000
	if testing.Short() {
		invented /= 10
	}
	for _, c := range []struct {
		name     string
		key      func(string) string
		breakers int
		has      string
	}{
		{"by default", nil, 1, "(unknown)"},
		{"with a Key", strings.ToUpper, 50, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			registry := &core.Registry{Max: 50}
			reached := serve(t, backend{},
				grpc.StreamInterceptor(grpcmw.StreamServerInterceptor(registry, &grpcmw.ServerOptions{Key: c.key})),
				grpc.UnaryInterceptor(grpcmw.UnaryServerInterceptor(registry, &grpcmw.ServerOptions{Key: c.key})),
				grpc.UnknownServiceHandler(func(any, grpc.ServerStream) error { return status.Error(codes.Unimplemented, "not here") }))
			cc := connect(t, "passthrough:///memory", reached)
			for i := range invented {
				method := fmt.Sprintf("/made.Up/Method%d%s", i, strings.Repeat("x", i%500))
				err := cc.Invoke(bg, method, wrapperspb.String("text"), new(wrapperspb.StringValue))
				wantCode(t, err, codes.Unimplemented)
			}
			if got := registry.Len(); got != c.breakers {
				t.Errorf("%d breakers for %d invented methods, want %d", got, invented, c.breakers)
			}
			names := map[string]bool{}
			for name := range registry.All() {
				names[name] = true
			}
			if c.has != "" && !names[c.has] {
				t.Errorf("breakers %v, want %s among them", names, c.has)
			}
		})
	}
}

func TestHealthAndReflectionPass(t *testing.T) {
	b := opened(t)
	before := b.Snapshot().Totals
	l := bufconn.Listen(1 << 20)
	s := grpc.NewServer(guards(grpcmw.ServerOptions{Gate: b})...)
	healthpb.RegisterHealthServer(s, health.NewServer())
	reflection.Register(s)
	serveOn(t, s, l)
	cc := connect(t, "passthrough:///memory", dialer(l))
	ctx, cancel := context.WithTimeout(bg, patience)
	defer cancel()

	client := healthpb.NewHealthClient(cc)
	if got, err := client.Check(ctx, &healthpb.HealthCheckRequest{}); err != nil || got.GetStatus() != healthpb.HealthCheckResponse_SERVING {
		t.Errorf("Check = %v, %v; want SERVING", got, err)
	}
	watch, err := client.Watch(ctx, &healthpb.HealthCheckRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := watch.Recv(); err != nil || got.GetStatus() != healthpb.HealthCheckResponse_SERVING {
		t.Errorf("Watch = %v, %v; want SERVING", got, err)
	}
	reflect, err := reflectionpb.NewServerReflectionClient(cc).ServerReflectionInfo(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := reflect.Send(&reflectionpb.ServerReflectionRequest{MessageRequest: &reflectionpb.ServerReflectionRequest_ListServices{}}); err != nil {
		t.Fatal(err)
	}
	if got, err := reflect.Recv(); err != nil || len(got.GetListServicesResponse().GetService()) == 0 {
		t.Errorf("reflection = %v, %v; want the services", got, err)
	}
	if got := b.Snapshot().Totals; got != before {
		t.Errorf("totals %+v, want %+v: none of that is counted", got, before)
	}
}

// TestTheHealthChecksOfABalancer: a client asks by itself whether the server
// serves, and sends nothing while it does not.
func TestTheHealthChecksOfABalancer(t *testing.T) {
	for name, c := range map[string]struct {
		skip func(string) bool
		want codes.Code
	}{
		"exempt":     {nil, codes.Unavailable}, // the refusal of the method itself: it was sent
		"not exempt": {func(string) bool { return false }, codes.DeadlineExceeded},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := bufconn.Listen(1 << 20)
				s := grpc.NewServer(guards(grpcmw.ServerOptions{Gate: opened(t), Skip: c.skip})...)
				healthpb.RegisterHealthServer(s, health.NewServer())
				backend{}.register(s)
				serveOn(t, s, l)
				cc := connect(t, "passthrough:///memory", dialer(l), grpc.WithTransportCredentials(insecure.NewCredentials()),
					grpc.WithDefaultServiceConfig(`{"loadBalancingConfig": [{"round_robin": {}}], "healthCheckConfig": {"serviceName": ""}}`))
				ctx, cancel := context.WithTimeout(bg, 10*time.Second)
				defer cancel()
				wantCode(t, invoke(ctx, cc, grpc.WaitForReady(true)), c.want)
			})
		})
	}
}

func TestTheResponseIsTheHandlers(t *testing.T) {
	type own struct{ n int }
	guard := grpcmw.UnaryServerInterceptor(nil, nil)
	for _, want := range []any{nil, 1, "text", own{1}, &own{2}, wrapperspb.String("text"), []any{1}} {
		got, err := guard(bg, "request", &grpc.UnaryServerInfo{FullMethod: unary}, func(_ context.Context, req any) (any, error) {
			if req != "request" {
				t.Errorf("the handler got %v, want the request as it is", req)
			}
			return want, nil
		})
		if fmt.Sprintf("%T %v", got, got) != fmt.Sprintf("%T %v", want, want) || err != nil {
			t.Errorf("%T %v, %v; want %T %v as it is", got, got, err, want, want)
		}
	}
	failed := fmt.Errorf("wrapped: %w", errInternal)
	got, err := guard(bg, nil, &grpc.UnaryServerInfo{FullMethod: unary}, func(context.Context, any) (any, error) { return "some", failed })
	if got != "some" || err != failed {
		t.Errorf("%v, %v; want what the handler returned", got, err)
	}
}
