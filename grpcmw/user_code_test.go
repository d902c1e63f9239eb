package grpcmw_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/grpcmw"
)

// within is how long others wait for who settles a probe, and what runs there.
const within = 100 * time.Millisecond

// finale is how a stream comes to its end, for tests of what runs then.
type finale struct {
	name string
	b    backend
	end  func(cs grpc.ClientStream, cancel func())
	wait time.Duration // for itself, of a probe whose hook receives
	take time.Duration // all the same
}

var finales = []finale{
	{name: "an error received", b: fails(errUnavailable), end: func(cs grpc.ClientStream, _ func()) { _ = receive(cs) }},
	{name: "only the header", b: fails(errUnavailable), end: func(cs grpc.ClientStream, _ func()) { _, _ = cs.Header() }, wait: within},
	{name: "too long to send", b: backend{stream: hang}, end: func(cs grpc.ClientStream, _ func()) {
		_ = cs.SendMsg(wrapperspb.String(strings.Repeat("x", 100)))
	}, wait: within},
	{name: "cancelled", b: backend{stream: hang}, end: func(_ grpc.ClientStream, cancel func()) { cancel() }, wait: within},
	{name: "cancelled while receiving", b: backend{stream: hang}, take: time.Second, end: func(cs grpc.ClientStream, cancel func()) {
		time.AfterFunc(time.Second, cancel)
		_ = receive(cs)
	}},
}

// everything has all the methods of a stream that has ended called.
func everything(t *testing.T, cs grpc.ClientStream) {
	t.Helper()
	_, _ = cs.Header()
	_ = cs.Context()
	_ = send(cs)
	if err := cs.CloseSend(); err != nil {
		t.Errorf("CloseSend = %v", err)
	}
	if err := receive(cs); err == nil {
		t.Error("RecvMsg = nil, want an error")
	}
	_ = cs.Trailer()
}

// TestWhatRunsAtTheEndOfAStreamMayUseIt has a hook, or a Classify, call the stream
// that it is told of, which must wait neither for itself nor, with old versions, for
// gRPC.
func TestWhatRunsAtTheEndOfAStreamMayUseIt(t *testing.T) {
	for _, f := range finales {
		for _, what := range []string{"a hook", "Classify"} {
			for _, probe := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s, %s, probe %v", f.name, what, probe), func(t *testing.T) {
					bubbles(t, streams, func(t *testing.T, method string) {
						var cs grpc.ClientStream
						var ran atomic.Int32
						use := func() {
							if ran.Add(1) == 1 {
								everything(t, cs)
							}
						}
						cfg, o := oneProbe(), grpcmw.ClientOptions{}
						if what == "a hook" {
							cfg.Hooks.Settled = func(context.Context, core.Settlement) {
								if cs != nil {
									use()
								}
							}
						} else {
							o.Classify = func(ctx context.Context, err error) core.Outcome {
								use()
								return grpcmw.DefaultClassifyClient(ctx, err)
							}
						}
						o.Gate = newBreaker(t, cfg)
						cc := connect(t, "passthrough:///memory", append(guarded(o), serve(t, f.b))...)
						if probe {
							halfOpen(t, o.Gate.(*core.Breaker))
						}
						ctx, cancel := context.WithCancel(bg)
						defer cancel()
						begun, err := begin(ctx, cc, method, grpc.MaxCallSendMsgSize(10))
						if err != nil {
							t.Fatal(err)
						}
						cs = begun
						start := time.Now()
						f.end(cs, cancel)
						synctest.Wait()
						limit := f.take
						if probe {
							limit += f.wait
						}
						if took := time.Since(start); took > limit {
							t.Errorf("the end took %v, want at most %v", took, limit)
						}
						time.Sleep(limit)
						synctest.Wait()
						if n := ran.Load(); n != 1 {
							t.Errorf("%s has run %d times, want once", what, n)
						}
						if got := o.Gate.(*core.Breaker).Snapshot().Totals.InFlight; got != 0 {
							t.Errorf("%d in flight, want none", got)
						}
					})
				})
			}
		}
	}
}

// TestAHookThatBlocksKeepsNoOtherCaller: a goroutine that uses the stream meanwhile, a stream's
// end that comes by itself, and other streams go on.
func TestAHookThatBlocksKeepsNoOtherCaller(t *testing.T) {
	for _, probe := range []bool{false, true} {
		t.Run(fmt.Sprint("probe ", probe), func(t *testing.T) {
			bubbles(t, streams, func(t *testing.T, method string) {
				release, cfg := make(chan struct{}), oneProbe()
				var blocking atomic.Bool
				cfg.Hooks.Settled = func(context.Context, core.Settlement) {
					if blocking.Load() {
						<-release
					}
				}
				b := newBreaker(t, cfg)
				cc := connect(t, "passthrough:///memory", append(guarded(grpcmw.ClientOptions{Gate: b}), serve(t, backend{stream: hang}))...)
				if probe {
					halfOpen(t, b)
				}
				blocking.Store(true)
				for range 3 {
					ctx, cancel := context.WithCancel(bg)
					cs := mustBegin(t, ctx, cc, method)
					cancel()
					synctest.Wait() // the first is in the hook
					start := time.Now()
					wantCode(t, receive(cs), codes.Canceled)
					if _, err := cs.Header(); err != nil {
						t.Error(err)
					}
					if took := time.Since(start); took > within {
						t.Errorf("RecvMsg took %v, want at most %v", took, within)
					}
				}
				close(release)
				synctest.Wait()
				if got := b.Snapshot().Totals; got.Ignored != 3 || got.InFlight != 0 {
					t.Errorf("%d ignored, %d in flight; want 3, none", got.Ignored, got.InFlight)
				}
			})
		})
	}
}

// TestAHookOnTheOtherSideOfAStream: a hook that tells of each settlement by a stream
// which is itself one of those that are guarded, and ends.
func TestAHookOnTheOtherSideOfAStream(t *testing.T) {
	bubbles(t, []string{up, both}, func(t *testing.T, method string) {
		var telling grpc.ClientStream
		var told atomic.Int32
		cfg := counting()
		cfg.Hooks.Settled = func(context.Context, core.Settlement) {
			_ = send(telling)
			told.Add(1)
		}
		b := newBreaker(t, cfg)
		cc := connect(t, "passthrough:///memory", append(guarded(grpcmw.ClientOptions{Gate: b}), serve(t, backend{stream: hang}))...)
		ctx, cancel := context.WithCancel(bg)
		telling = mustBegin(t, ctx, cc, method)
		cancel()
		synctest.Wait()
		if told.Load() != 1 {
			t.Errorf("the hook has told %d times, want once", told.Load())
		}
		if err := receive(telling); err == nil {
			t.Error("RecvMsg = nil, want an error")
		}
	})
}

// TestAClassifyThatPanics panics where the stream is received from, and is a failure
// there as elsewhere.
func TestAClassifyThatPanics(t *testing.T) {
	for _, probe := range []bool{false, true} {
		bubbles(t, streams, func(t *testing.T, method string) {
			b := newBreaker(t, oneProbe())
			o := grpcmw.ClientOptions{Gate: b, Classify: func(context.Context, error) core.Outcome { panic("classify") }}
			cc := connect(t, "passthrough:///memory", append(guarded(o), serve(t, fails(errUnavailable)))...)
			if probe {
				halfOpen(t, b)
			}
			before := countsOf(b)
			ctx, cancel := context.WithCancel(bg)
			defer cancel()
			cs := mustBegin(t, ctx, cc, method)
			func() {
				defer func() {
					if v := recover(); v != "classify" {
						t.Errorf("recovered %v, want what Classify panicked with", v)
					}
				}()
				_ = receive(cs)
			}()
			if got := countsOf(b); got.failure != before.failure+1 || b.State() != core.Open {
				t.Errorf("outcomes %+v after %+v, %v; want one failure more, open", got, before, b.State())
			}
			everything(t, cs) // it is not asked again
		})
	}
}

// TestAServersHandlerIsNotKept: the same for the handler of a probe whose client has
// gone.
func TestAServersHandlerIsNotKept(t *testing.T) {
	bubbles(t, streams, func(t *testing.T, method string) {
		release := make(chan struct{})
		cfg := oneProbe()
		var blocking atomic.Bool
		cfg.Hooks.Settled = func(context.Context, core.Settlement) {
			if blocking.Load() {
				<-release
			}
		}
		b := newBreaker(t, cfg)
		var gone, returned time.Time
		slow := func(method string, ss grpc.ServerStream) error {
			defer time.Sleep(time.Millisecond) // so that another goroutine settles
			return hang(method, ss)
		}
		cc := connect(t, "passthrough:///memory", serve(t, backend{stream: slow},
			grpc.ChainStreamInterceptor(func(srv any, ss grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
				defer func() { returned = time.Now() }()
				return handler(srv, ss)
			}, grpcmw.StreamServerInterceptor(nil, &grpcmw.ServerOptions{Gate: b}))))
		halfOpen(t, b)
		blocking.Store(true)
		ctx, cancel := context.WithCancel(bg)
		mustBegin(t, ctx, cc, method)
		synctest.Wait()
		gone = time.Now()
		cancel()
		time.Sleep(2 * within)
		synctest.Wait()
		if got, want := returned.Sub(gone), within+time.Millisecond; got != want {
			t.Errorf("the handler returned after %v, want %v", got, want)
		}
		if p, err := b.Allow(bg); err != nil {
			t.Errorf("the next = %v, want the place to be free", err)
		} else {
			p.Settle(bg, core.Ignored)
		}
		close(release)
	})
}
