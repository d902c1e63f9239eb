package grpcmw_test

import (
	"context"
	"errors"
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/resolver"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/grpcmw"
)

// dead is a dialer whose server is not there.
func dead() grpc.DialOption {
	return grpc.WithContextDialer(func(context.Context, string) (net.Conn, error) { return nil, errors.New("connection refused") })
}

// lost is a resolver that finds nothing.
type lost struct{}

func (lost) Scheme() string                        { return "lost" }
func (lost) ResolveNow(resolver.ResolveNowOptions) {}
func (lost) Close()                                {}
func (l lost) Build(_ resolver.Target, cc resolver.ClientConn, _ resolver.BuildOptions) (resolver.Resolver, error) {
	cc.ReportError(errors.New("no such host"))
	return l, nil
}

func TestACallWithAnEndedContextTakesNoPermit(t *testing.T) {
	each(t, methods, func(t *testing.T, method string) {
		for _, c := range []struct {
			name   string
			ctx    context.Context
			target string
			dial   grpc.DialOption
			opt    grpc.CallOption
			code   codes.Code
			want   counts
		}{
			{name: "already cancelled", ctx: cancelled(), dial: dead(), code: codes.Canceled},
			{name: "no server", dial: dead(), code: codes.Unavailable, want: times(1, core.Failure)},
			{name: "no such name", target: "lost:///nowhere", dial: grpc.WithResolvers(lost{}), code: codes.Unavailable, want: times(1, core.Failure)},
			{name: "no such codec", dial: dead(), opt: grpc.CallContentSubtype("unknown"), code: codes.Internal, want: times(1, core.Ignored)},
		} {
			t.Run(c.name, func(t *testing.T) {
				b := newBreaker(t, counting())
				dial := guarded(grpcmw.ClientOptions{Gate: b})
				if c.dial != nil {
					dial = append(dial, c.dial)
				}
				ctx, target, opts := c.ctx, c.target, []grpc.CallOption(nil)
				if ctx == nil {
					ctx = bg
				}
				if target == "" {
					target = "passthrough:///nowhere"
				}
				if c.opt != nil {
					opts = append(opts, c.opt)
				}
				wantCode(t, call(ctx, connect(t, target, dial...), method, opts...), c.code)
				wantCounts(t, b, c.want)
			})
		}
	})
}

// TestCancellingIsIgnored: the gate has admitted the call, and then there is no
// caller any more; some versions of gRPC tell of that twice.
func TestCancellingIsIgnored(t *testing.T) {
	each(t, methods, func(t *testing.T, method string) {
		b := newBreaker(t, counting())
		ctx, cancel := context.WithCancel(bg)
		var asked int
		cc := connect(t, "passthrough:///nowhere", append(guarded(grpcmw.ClientOptions{
			Gate: admitting(func(ctx context.Context) (core.Permit, error) {
				p, err := b.Allow(ctx)
				cancel()
				return p.Move(), err
			}),
			Classify: func(ctx context.Context, err error) core.Outcome {
				asked++
				return grpcmw.DefaultClassifyClient(ctx, err)
			},
		}), dead())...)
		wantCode(t, call(ctx, cc, method), codes.Canceled)
		wantCounts(t, b, times(1, core.Ignored))
		if asked != 1 {
			t.Errorf("Classify was asked %d times, want once", asked)
		}
	})
}

// admitting is a gate made of a func.
type admitting func(context.Context) (core.Permit, error)

func (g admitting) Allow(ctx context.Context) (core.Permit, error) { return g(ctx) }

// TestCallsOverLoopback is the dead target of real life.
func TestCallsOverLoopback(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	each(t, methods, func(t *testing.T, method string) {
		b := newBreaker(t, counting())
		wantCode(t, call(bg, connect(t, address, guarded(grpcmw.ClientOptions{Gate: b})...), method), codes.Unavailable)
		wantCounts(t, b, times(1, core.Failure))
	})
}

func TestRetriesOfAServiceConfigAreOneCall(t *testing.T) {
	bubbles(t, methods, func(t *testing.T, method string) {
		p := between(t, fails(errUnavailable), counting(), retrying("0.01s"))
		wantCode(t, call(bg, p.cc, method), codes.Unavailable)
		wantCounts(t, p.server, times(4, core.Failure))
		wantCounts(t, p.client, times(1, core.Failure))
	})
	bubbles(t, methods, func(t *testing.T, method string) {
		var tries atomic.Int32
		second := func() error {
			if tries.Add(1) == 1 {
				return errUnavailable
			}
			return nil
		}
		p := between(t, backend{
			unary: func(context.Context, string) (string, error) { return "", second() },
			stream: func(method string, ss grpc.ServerStream) error {
				if err := second(); err != nil {
					return err
				}
				return answer(method, ss)
			},
		}, counting(), retrying("0.01s"))
		if err := call(bg, p.cc, method); err != nil {
			t.Fatalf("%v, want the second attempt to succeed", err)
		}
		wantCounts(t, p.server, counts{success: 1, failure: 1})
		wantCounts(t, p.client, times(1, core.Success))
	})
}

func TestWaitingForAServerThatIsDead(t *testing.T) {
	bubbles(t, methods, func(t *testing.T, method string) {
		b := newBreaker(t, counting())
		cc := connect(t, "passthrough:///nowhere", append(guarded(grpcmw.ClientOptions{Gate: b}), dead())...)
		ctx, cancel := context.WithTimeout(bg, 5*time.Second)
		defer cancel()
		wantCode(t, call(ctx, cc, method, grpc.WaitForReady(true)), codes.DeadlineExceeded)
		wantCounts(t, b, times(1, core.Failure))
		if got := b.Snapshot().Totals.Timeouts; got != 1 {
			t.Errorf("%d timeouts, want 1", got)
		}
	})
}

// TestAProbeThatWaitsForEver has one wait for a server without a deadline: it
// keeps its place until it is lost, and the next goes out a Timeout later.
func TestAProbeThatWaitsForEver(t *testing.T) {
	bubbles(t, methods, func(t *testing.T, method string) {
		b := newBreaker(t, oneProbe())
		cc := connect(t, "passthrough:///nowhere", append(guarded(grpcmw.ClientOptions{Gate: b}), dead())...)
		halfOpen(t, b)
		go func() { _ = call(bg, cc, method, grpc.WaitForReady(true)) }() // until cc is closed
		synctest.Wait()
		time.Sleep(30*time.Second - 1) // ProbeTimeout
		if _, err := b.Allow(bg); err == nil {
			t.Error("before the probe is lost another is admitted, want a refusal")
		}
		time.Sleep(time.Second + 1)
		p, err := b.Allow(bg)
		if err != nil {
			t.Errorf("a second after it was lost the next = %v, want it admitted", err)
		}
		p.Settle(bg, core.Ignored)
		wantState(t, b, core.HalfOpen)
		cc.Close()
	})
}
