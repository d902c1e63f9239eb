package grpcmw_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/grpcmw"
)

// wantRefusal insists on the status of a refusal and returns the wait it asks for.
func wantRefusal(t *testing.T, err error) time.Duration {
	t.Helper()
	wantCode(t, err, codes.Unavailable)
	st, _ := status.FromError(err)
	if strings.Contains(st.Message(), "backend") {
		t.Errorf("the status says %q, want nothing of the inside", st.Message())
	}
	var info *errdetails.ErrorInfo
	var retry *errdetails.RetryInfo
	for _, d := range st.Details() {
		switch d := d.(type) {
		case *errdetails.ErrorInfo:
			info = d
		case *errdetails.RetryInfo:
			retry = d
		}
	}
	if info.GetReason() != grpcmw.Reason || info.GetDomain() != grpcmw.Domain {
		t.Fatalf("ErrorInfo %v, want reason %s of %s", info, grpcmw.Reason, grpcmw.Domain)
	}
	if retry.GetRetryDelay().AsDuration() <= 0 {
		t.Fatalf("RetryInfo %v, want some time", retry)
	}
	return retry.GetRetryDelay().AsDuration()
}

func TestARefusalIsAStatusAndErrOpen(t *testing.T) {
	each(t, methods, func(t *testing.T, method string) {
		var sent atomic.Int32
		dial := append(guarded(grpcmw.ClientOptions{Gate: opened(t)}),
			grpc.WithChainUnaryInterceptor(func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoker grpc.UnaryInvoker, opts ...grpc.CallOption) error {
				sent.Add(1)
				return invoker(ctx, method, req, reply, cc, opts...)
			}),
			grpc.WithChainStreamInterceptor(func(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, streamer grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
				sent.Add(1)
				return streamer(ctx, desc, cc, method, opts...)
			}))
		cc := connect(t, "passthrough:///memory", append(dial, serve(t, backend{}))...)
		err := call(bg, cc, method)
		if wait := wantRefusal(t, err); wait > time.Minute || wait < time.Minute-patience {
			t.Errorf("RetryInfo says %v, want what is left of 1m", wait)
		}
		refusal, ok := errors.AsType[*core.OpenError](err)
		if !errors.Is(err, core.ErrOpen) || !ok || refusal.Name != "backend" || !strings.Contains(err.Error(), `"backend"`) {
			t.Errorf("%T %v, want it to match ErrOpen and to name the breaker", err, err)
		}
		if n := sent.Load(); n != 0 {
			t.Errorf("%d calls went on to gRPC, want none", n)
		}
		if err := fmt.Errorf("wrapped: %w", err); status.Code(err) != codes.Unavailable {
			t.Errorf("wrapped, its code is %v, want Unavailable", status.Code(err))
		}
	})
}

// gate is a gate that refuses with an error.
type gate struct{ err error }

func (g gate) Allow(context.Context) (core.Permit, error) { return core.Permit{}, g.err }

func TestRefusalsOfOtherGates(t *testing.T) {
	held := newBreaker(t, core.Config{})
	if err := held.Force(core.ForcedOpen); err != nil {
		t.Fatal(err)
	}
	invalid := &core.Registry{Config: func(string) core.Config { return core.Config{Timeout: -time.Second} }}
	for _, c := range []struct {
		name     string
		registry *core.Registry
		gate     core.Gate
		ctx      context.Context
		want     codes.Code
		open     bool
	}{
		{name: "forced open", gate: held, want: codes.Unavailable, open: true},
		{name: "an ErrOpen that is no OpenError", gate: gate{fmt.Errorf("a gate: %w", core.ErrOpen)}, want: codes.Unavailable, open: true},
		{name: "a gate with a status of its own", gate: gate{status.Error(codes.ResourceExhausted, "quota")}, want: codes.ResourceExhausted},
		{name: "a Config that is not valid", registry: invalid, want: codes.Internal},
		{name: "the caller has cancelled", gate: held, ctx: cancelled(), want: codes.Canceled},
	} {
		t.Run(c.name, func(t *testing.T) {
			ctx := c.ctx
			if ctx == nil {
				ctx = bg
			}
			here := grpcmw.UnaryClientInterceptor(c.registry, &grpcmw.ClientOptions{Gate: c.gate})(ctx, unary, nil, nil, nil, nil)
			_, there := grpcmw.UnaryServerInterceptor(c.registry, &grpcmw.ServerOptions{Gate: c.gate})(ctx, nil, &grpc.UnaryServerInfo{FullMethod: unary}, nil)
			for side, err := range map[string]error{"client": here, "server": there} {
				wantCode(t, err, c.want)
				if got := errors.Is(err, core.ErrOpen); got != c.open {
					t.Errorf("%s: errors.Is(%v, ErrOpen) = %v, want %v", side, err, got, c.open)
				}
				if c.open && wantRefusal(t, err) != time.Second {
					t.Errorf("%s: the wait is %v, want 1s, as the real one is not known", side, wantRefusal(t, err))
				}
				if text := status.Convert(err).Message(); strings.Contains(text, "Timeout") {
					t.Errorf("%s: the status says %q, want nothing of the inside", side, text)
				}
			}
		})
	}
}

// trailed is a stream of a server without gRPC that may be refused.
type trailed struct{ noServerStream }

func (trailed) SetTrailer(metadata.MD) {}

// TestAGateThatCannotBeAsked is a fault of the program: the server logs the reason,
// once, and the client has it in its error; what is a refusal is not logged.
func TestAGateThatCannotBeAsked(t *testing.T) {
	for _, c := range []struct {
		name   string
		config func(string) core.Config
		gate   core.Gate
		reason string // "": a refusal, or the end of a context
	}{
		{name: "a nil Breaker", gate: (*core.Breaker)(nil), reason: "make it with New"},
		{name: "the zero Breaker", gate: new(core.Breaker), reason: "make it with New"},
		{name: "a Config that is not valid", config: func(string) core.Config { return core.Config{Timeout: -time.Second} }, reason: "Timeout"},
		{name: "an error of its own", gate: gate{errors.New("not connected")}, reason: "not connected"},
		{name: "a status", gate: gate{status.Error(codes.ResourceExhausted, "quota")}},
		{name: "ErrOpen", gate: gate{fmt.Errorf("a gate: %w", core.ErrOpen)}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var log strings.Builder
			registry := &core.Registry{Config: c.config, Logger: slog.New(slog.NewTextHandler(&log, nil))}
			one := grpcmw.UnaryServerInterceptor(registry, &grpcmw.ServerOptions{Gate: c.gate})
			many := grpcmw.StreamServerInterceptor(registry, &grpcmw.ServerOptions{Gate: c.gate})
			for range 3 {
				_, err := one(bg, nil, &grpc.UnaryServerInfo{FullMethod: unary}, nil)
				if c.reason != "" {
					wantCode(t, err, codes.Internal)
				}
			}
			check := func(lines int) {
				t.Helper()
				if got := strings.Count(log.String(), "\n"); got != lines || lines > 0 && (!strings.Contains(log.String(), c.reason) || !strings.Contains(log.String(), "remedy=")) {
					t.Errorf("logged %q, want %d lines with the reason %q and a remedy", log.String(), lines, c.reason)
				}
			}
			lines := 0
			if c.reason != "" {
				lines = 1
			}
			check(lines)
			_ = many(1, trailed{}, &grpc.StreamServerInfo{FullMethod: both}, nil)
			check(2 * lines) // which is another interceptor
			err := grpcmw.UnaryClientInterceptor(registry, &grpcmw.ClientOptions{Gate: c.gate})(bg, unary, nil, nil, nil, nil)
			if !strings.Contains(err.Error(), c.reason) {
				t.Errorf("the client is told %v, want the reason %q", err, c.reason)
			}
			check(2 * lines)
		})
	}
}

// retrying is a service config that has Unavailable tried up to four times.
func retrying(backoff string) grpc.DialOption {
	return grpc.WithDefaultServiceConfig(`{"methodConfig": [{"name": [{}], "retryPolicy": {
		"maxAttempts": 4, "initialBackoff": "` + backoff + `", "maxBackoff": "` + backoff + `", "backoffMultiplier": 1,
		"retryableStatusCodes": ["UNAVAILABLE"]}}]}`)
}

// arrivals notes when calls reach a server, before its breaker.
type arrivals struct{ at []time.Time }

func (a *arrivals) options() []grpc.ServerOption {
	return []grpc.ServerOption{
		grpc.ChainUnaryInterceptor(func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
			a.at = append(a.at, time.Now())
			return handler(ctx, req)
		}),
		grpc.ChainStreamInterceptor(func(srv any, ss grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
			a.at = append(a.at, time.Now())
			return handler(srv, ss)
		}),
	}
}

func TestARefusalIsNotRetried(t *testing.T) {
	bubbles(t, methods, func(t *testing.T, method string) {
		var a arrivals
		reached := serve(t, backend{}, append(a.options(), guards(grpcmw.ServerOptions{Gate: opened(t)})...)...)
		cc := connect(t, "passthrough:///memory", reached, retrying("0.01s"))
		wait := wantRefusal(t, call(bg, cc, method))
		if wait != time.Minute {
			t.Errorf("RetryInfo says %v, want 1m", wait)
		}
		if len(a.at) != 1 {
			t.Errorf("%d attempts, want 1", len(a.at))
		}
		if method == unary {
			return
		}
		cs := mustBegin(t, bg, cc, method)
		_ = finish(cs, method)
		if got := cs.Trailer().Get("grpc-retry-pushback-ms"); !slices.Equal(got, []string{"-1"}) {
			t.Errorf("pushback %q, want -1", got)
		}
		if md, err := cs.Header(); md != nil || err != nil {
			t.Errorf("header %v, %v; want a response of trailers only", md, err)
		}
	})
}

func TestWithoutTheInterceptorItIsFourTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var a arrivals
		cc := connect(t, "passthrough:///memory", retrying("0.01s"),
			serve(t, fails(status.Error(codes.Unavailable, "a breaker without a pushback")), a.options()...))
		wantCode(t, invoke(bg, cc), codes.Unavailable)
		if len(a.at) != 4 {
			t.Errorf("%d attempts, want 4: the policy of this test is not in force", len(a.at))
		}
	})
}

func TestPushbackUntilTheBreakIsOver(t *testing.T) {
	bubbles(t, methods, func(t *testing.T, method string) {
		var a arrivals
		b := newBreaker(t, oneProbe())
		reached := serve(t, backend{}, append(a.options(), guards(grpcmw.ServerOptions{Gate: b, Pushback: true})...)...)
		cc := connect(t, "passthrough:///memory", reached, retrying("0.01s"))
		open(t, b)
		if err := call(bg, cc, method); err != nil {
			t.Fatalf("%v, want the second attempt to succeed", err)
		}
		if len(a.at) != 2 || a.at[1].Sub(a.at[0]) < time.Second {
			t.Errorf("attempts at %v, want two, a second apart", a.at)
		}
	})
}

func TestARemoteWaitSetsTheBreak(t *testing.T) {
	info := func(d time.Duration) error {
		st, err := status.New(codes.Unavailable, "resting").WithDetails(&errdetails.RetryInfo{RetryDelay: durationOf(d)})
		if err != nil {
			t.Fatal(err)
		}
		return st.Err()
	}
	plain := status.Error(codes.Unavailable, "resting")
	headerFirst := func(ctx context.Context, cc *grpc.ClientConn, method string) error {
		cs, err := begin(ctx, cc, method)
		if err != nil {
			return err
		}
		_, _ = cs.Header() // the end, if there is nothing else
		return finish(cs, method)
	}
	for _, c := range []struct {
		name     string
		err      error
		pushback []string
		want     time.Duration
	}{
		{"neither", plain, nil, time.Second},
		{"RetryInfo", info(7 * time.Second), nil, 7 * time.Second},
		{"RetryInfo past MaxTimeout", info(time.Hour), nil, time.Minute},
		{"RetryInfo of less than Timeout", info(time.Millisecond), nil, time.Second},
		{"RetryInfo below zero", info(-time.Hour), nil, time.Second},
		{"pushback", plain, []string{"9000"}, 9 * time.Second},
		{"pushback past every clock", plain, []string{"9223372036854775807"}, time.Minute},
		{"pushback that says never", plain, []string{"-1"}, time.Second},
		{"pushback that is no number", plain, []string{"soon"}, time.Second},
		{"pushback twice", plain, []string{"9000", "9000"}, time.Second},
		{"both", info(7 * time.Second), []string{"9000"}, 7 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubbles(t, methods, func(t *testing.T, method string) {
				push := func(ctx context.Context) {
					for _, ms := range c.pushback {
						_ = grpc.SetTrailer(ctx, pushbackOf(ms))
					}
				}
				withMessage := false
				reached := serve(t, backend{
					unary: func(ctx context.Context, _ string) (string, error) { push(ctx); return "", c.err },
					stream: func(_ string, ss grpc.ServerStream) error {
						push(ss.Context())
						if withMessage {
							if err := ss.SendMsg(wrapperspb.String("one")); err != nil {
								return err
							}
						}
						return c.err
					},
				})
				cfg := oneProbe()
				cfg.MaxTimeout = time.Minute
				b := newBreaker(t, cfg)
				cc := connect(t, "passthrough:///memory", append(guarded(grpcmw.ClientOptions{Gate: b}), reached)...)
				fails := func(call func() error) {
					t.Helper()
					b.Reset()
					wantCode(t, call(), codes.Unavailable)
					wantState(t, b, core.Open)
					snap := b.Snapshot()
					if got := snap.RetryAt.Sub(snap.At); got != c.want {
						t.Errorf("the breaker is open for %v, want %v", got, c.want)
					}
				}
				fails(func() error { return call(bg, cc, method) })
				if method == unary {
					return
				}
				fails(func() error { return headerFirst(bg, cc, method) })
				withMessage = true // not a response of trailers only
				fails(func() error { return call(bg, cc, method) })
			})
		})
	}
}

func TestRetriable(t *testing.T) {
	here := grpcmw.UnaryClientInterceptor(nil, &grpcmw.ClientOptions{Gate: opened(t)})(bg, unary, nil, nil, nil, nil)
	there := status.Convert(here).Err() // as it comes over the wire
	yes := func(error) bool { return true }
	for _, c := range []struct {
		name string
		next func(error) bool
		err  error
		want bool
	}{
		{"refused here", yes, here, false},
		{"refused here, wrapped", yes, fmt.Errorf("wrapped: %w", here), false},
		{"refused by the server", yes, there, false},
		{"anything else", yes, status.Error(codes.NotFound, ""), true},
		{"no error", yes, nil, false},
		{"as next says", func(error) bool { return false }, status.Error(codes.Unavailable, ""), false},
		{"by default Unavailable", nil, status.Error(codes.Unavailable, ""), true},
		{"by default nothing else", nil, status.Error(codes.ResourceExhausted, ""), false},
		{"by default no refusal", nil, there, false},
	} {
		if got := grpcmw.Retriable(c.next)(c.err); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

// A refusal is made once for each stay, and is that of its own breaker and stay.
func TestRefusalsAreTheirBreakers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		registry := &core.Registry{Config: func(string) core.Config { return core.Config{FailureThreshold: 1, Timeout: time.Minute} }}
		calls := grpcmw.UnaryClientInterceptor(registry, &grpcmw.ClientOptions{Key: func(_ *grpc.ClientConn, method string) string { return method }})
		refused := func(method string) error {
			t.Helper()
			err := calls(bg, method, nil, nil, nil, nothing)
			if open, ok := errors.AsType[*core.OpenError](err); !ok || open.Name != method {
				t.Fatalf("%s is refused by %v, want its own breaker", method, err)
			}
			return err
		}
		methods := []string{"/a/a", "/b/b"}
		for _, method := range methods {
			b, _ := registry.Get(method)
			p, _ := b.Allow(bg)
			p.Settle(bg, core.Failure)
		}
		for range 3 {
			for _, method := range methods {
				first := refused(method)
				if again := refused(method); again != first {
					t.Error("a second refusal of the same stay is another error")
				}
				if wait := wantRefusal(t, first); wait != time.Minute {
					t.Errorf("RetryInfo says %v, want 1m", wait)
				}
			}
			if err := calls(cancelled(), methods[0], nil, nil, nil, nothing); status.Code(err) != codes.Canceled {
				t.Errorf("a call that is cancelled: %v, want Canceled", err)
			}
			old := refused(methods[0])
			time.Sleep(time.Minute)
			for _, method := range methods { // the probe fails: a new break
				b, _ := registry.Get(method)
				p, err := b.Allow(bg)
				if err != nil {
					t.Fatal(err)
				}
				p.Settle(bg, core.Failure)
			}
			if refused(methods[0]) == old {
				t.Error("the refusal of a break that is over is told again")
			}
		}
	})
}
