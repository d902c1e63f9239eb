package grpcmw_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/grpcmw"
)

// TestThePlaceIsFreeWhenRecvMsgReturnsTheEnd: whatever tells the user first that a
// probe's stream has ended, the next one is admitted.
func TestThePlaceIsFreeWhenRecvMsgReturnsTheEnd(t *testing.T) {
	notAFailure := func(ctx context.Context, err error) core.Outcome {
		if o := grpcmw.DefaultClassifyClient(ctx, err); o != core.Failure {
			return o
		}
		return core.Ignored
	}
	for _, c := range []struct {
		name string
		b    backend
		end  func(cs grpc.ClientStream, cancel func()) error
	}{
		{"cancelled, then received", backend{stream: hang}, func(cs grpc.ClientStream, cancel func()) error { cancel(); return receive(cs) }},
		{"cancelled while received", backend{stream: hang}, func(cs grpc.ClientStream, cancel func()) error { go cancel(); return receive(cs) }},
		{"an error", fails(errUnavailable), func(cs grpc.ClientStream, _ func()) error { return receive(cs) }},
		{"its header, then the error", fails(errUnavailable), func(cs grpc.ClientStream, _ func()) error { _, _ = cs.Header(); return receive(cs) }},
		{"only its header", fails(errUnavailable), func(cs grpc.ClientStream, _ func()) error { _, _ = cs.Header(); return io.EOF }},
		{"too long to send", backend{stream: hang}, func(cs grpc.ClientStream, _ func()) error {
			return cs.SendMsg(wrapperspb.String(strings.Repeat("x", 100)))
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubbles(t, streams, func(t *testing.T, method string) {
				client := newBreaker(t, core.Config{FailureThreshold: 1, Timeout: time.Millisecond, HalfOpenMaxCalls: 1})
				cc := connect(t, "passthrough:///memory", append(guarded(grpcmw.ClientOptions{Gate: client, Classify: notAFailure}), serve(t, c.b))...)
				open(t, client)
				time.Sleep(time.Millisecond) // the break
				for i := range 200 {
					ctx, cancel := context.WithCancel(bg)
					cs, err := begin(ctx, cc, method, grpc.MaxCallSendMsgSize(10))
					if err != nil {
						t.Fatalf("stream %d = %v, want its place to be free", i, err)
					}
					if err := c.end(cs, cancel); err == nil {
						t.Fatal("no error at the end")
					}
					cancel()
				}
			})
		})
	}
}

// TestWhoReceivesWaitsForTheOneThatSettles, so that the place of a probe is free, but
// not for long; and not for a call that is no probe.
func TestWhoReceivesWaitsForTheOneThatSettles(t *testing.T) {
	for _, c := range []struct {
		probe     bool
		slow, end time.Duration // of Classify, and of RecvMsg
	}{
		{true, within / 2, within / 2},
		{true, 2 * within, within},
		{false, within / 2, 0},
	} {
		t.Run(fmt.Sprintf("probe %v, %v", c.probe, c.slow), func(t *testing.T) {
			bubbles(t, streams, func(t *testing.T, method string) {
				b := newBreaker(t, oneProbe())
				o := grpcmw.ClientOptions{Gate: b, Classify: func(ctx context.Context, err error) core.Outcome {
					time.Sleep(c.slow)
					return grpcmw.DefaultClassifyClient(ctx, err)
				}}
				cc := connect(t, "passthrough:///memory", append(guarded(o), serve(t, backend{stream: hang}))...)
				if c.probe {
					halfOpen(t, b)
				}
				ctx, cancel := context.WithCancel(bg)
				cs := mustBegin(t, ctx, cc, method)
				cancel()
				synctest.Wait() // Classify sleeps
				start := time.Now()
				wantCode(t, receive(cs), codes.Canceled)
				if took := time.Since(start); took != c.end {
					t.Errorf("RecvMsg took %v, want %v", took, c.end)
				}
				ctx, cancel = context.WithCancel(bg)
				_, err := begin(ctx, cc, method)
				if free := !errors.Is(err, core.ErrOpen); free != (!c.probe || c.slow == c.end) {
					t.Errorf("the next = %v, want the place free: %v", err, c.slow == c.end)
				}
				cancel()
				time.Sleep(c.slow)
			})
		})
	}
}

// TestManyWhoEndAStream has a stream cancelled, received from, sent to and asked for
// its header all at once: one settles it, and asks Classify once.
func TestManyWhoEndAStream(t *testing.T) {
	n := 400
	if testing.Short() {
		n /= 10
	}
	for _, when := range []grpcmw.StreamSuccess{grpcmw.StreamSuccessAtEnd, grpcmw.StreamSuccessAtFirstMessage, grpcmw.StreamSuccessAtHeader} {
		for name, b := range map[string]backend{"well": {}, "ill": fails(errUnavailable), "silent": {stream: hang}} {
			t.Run(fmt.Sprintf("%s, settled %d", name, when), func(t *testing.T) {
				each(t, streams, func(t *testing.T, method string) {
					var told, asked atomic.Int64
					cfg := core.Config{HalfOpenMaxCalls: n, SuccessThreshold: n, FailureThreshold: 1, Timeout: time.Nanosecond}
					cfg.Hooks.Settled = func(context.Context, core.Settlement) { told.Add(1) }
					client := newBreaker(t, cfg)
					cc := connect(t, "passthrough:///memory", append(guarded(grpcmw.ClientOptions{
						Gate: client, StreamSuccess: when,
						Classify: func(ctx context.Context, err error) core.Outcome {
							asked.Add(1)
							if o := grpcmw.DefaultClassifyClient(ctx, err); o != core.Failure {
								return o
							}
							return core.Success // so that it stays half-open, and each is a probe
						},
					}), serve(t, b))...)
					p, err := client.Allow(bg)
					if err != nil {
						t.Fatal(err)
					}
					p.Settle(bg, core.Failure)
					wantState(t, client, core.HalfOpen)
					before := client.Snapshot().Totals
					for range n {
						ctx, cancel := context.WithCancel(bg)
						cs, err := begin(ctx, cc, method)
						if errors.Is(err, core.ErrOpen) {
							t.Fatalf("%v, want each to be admitted", err)
						}
						if err != nil {
							t.Fatal(err)
						}
						var ending sync.WaitGroup
						ending.Go(cancel)
						ending.Go(func() { _, _ = cs.Header() })
						ending.Go(func() { _ = send(cs) })
						ending.Go(func() {
							for receive(cs) == nil {
							}
						})
						ending.Wait()
					}
					calls := func() core.Totals {
						got := client.Snapshot().Totals
						got.Calls -= before.Calls
						return got
					}
					for end := time.Now().Add(patience); calls().InFlight != 0 && time.Now().Before(end); time.Sleep(time.Millisecond) {
					}
					got := calls()
					if got.Calls != uint64(n) || got.InFlight != 0 || got.Failures != before.Failures {
						t.Errorf("%d calls, %d in flight, %d failures; want %d, none, none", got.Calls, got.InFlight, got.Failures-before.Failures, n)
					}
					if told.Load() < int64(n) || asked.Load() > int64(n) {
						t.Errorf("%d were told of, Classify was asked %d times; want %d, and at most once each", told.Load(), asked.Load(), n)
					}
				})
			})
		}
	}
}

// TestAnEndOfAStreamThatIsOpening: gRPC tells of a stream's end before there is a
// stream, once or twice, and the streamer returns it, or not.
func TestAnEndOfAStreamThatIsOpening(t *testing.T) {
	for _, c := range []struct {
		name  string
		told  []error
		err   error
		stays bool // the stream is there nevertheless
		want  core.Outcome
	}{
		{"not told", nil, errUnavailable, false, core.Failure},
		{"told", []error{errUnavailable}, errUnavailable, false, core.Failure},
		{"told twice", []error{errUnavailable, errUnavailable}, errUnavailable, false, core.Failure},
		{"told otherwise", []error{nil}, errUnavailable, false, core.Failure},
		{"told of a stream that is there", []error{status.Error(codes.Canceled, "closing")}, nil, true, core.Ignored},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBreaker(t, counting())
				cs, err := grpcmw.StreamClientInterceptor(nil, &grpcmw.ClientOptions{Gate: b})(bg, descs[both], nil, both,
					func(_ context.Context, _ *grpc.StreamDesc, _ *grpc.ClientConn, _ string, opts ...grpc.CallOption) (grpc.ClientStream, error) {
						for _, err := range c.told {
							for _, o := range opts {
								if o, ok := o.(grpc.OnFinishCallOption); ok {
									o.OnFinish(err)
								}
							}
						}
						if c.stays {
							return &mute{}, nil
						}
						return nil, c.err
					})
				if (cs != nil) != c.stays || err != c.err {
					t.Errorf("%v, %v; want a stream: %v, and %v", cs, err, c.stays, c.err)
				}
				if got := countsOf(b); got != times(1, c.want) {
					t.Errorf("outcomes %+v when it has returned, want %+v", got, times(1, c.want))
				}
			})
		})
	}
}

// scripted is a stream without gRPC whose methods do what a test says.
type scripted struct {
	grpc.ClientStream

	send, receive func() error
	header        func() (metadata.MD, error)
	finished      func(error)
}

func (s *scripted) SendMsg(any) error            { return s.send() }
func (s *scripted) RecvMsg(any) error            { return s.receive() }
func (s *scripted) Header() (metadata.MD, error) { return s.header() }

func (s *scripted) begin(t *testing.T, method string, o grpcmw.ClientOptions) grpc.ClientStream {
	t.Helper()
	return s.beginWith(t, bg, method, o)
}

func (s *scripted) beginWith(t *testing.T, ctx context.Context, method string, o grpcmw.ClientOptions) grpc.ClientStream { //nolint:revive // t comes first in a helper
	t.Helper()
	cs, err := grpcmw.StreamClientInterceptor(nil, &o)(ctx, descs[method], nil, method,
		func(_ context.Context, _ *grpc.StreamDesc, _ *grpc.ClientConn, _ string, opts ...grpc.CallOption) (grpc.ClientStream, error) {
			s.finished = opts[0].(grpc.OnFinishCallOption).OnFinish
			return s, nil
		})
	if err != nil {
		t.Fatal(err)
	}
	return cs
}

// TestAnAnswerWhileSomebodySends: the one answer of a stream is there, and the call
// has succeeded, though a message is still on its way.
func TestAnAnswerWhileSomebodySends(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, sent := newBreaker(t, counting()), make(chan struct{})
		s := &scripted{send: func() error { <-sent; return io.EOF }}
		s.receive = func() error { s.finished(nil); return nil }
		cs := s.begin(t, up, grpcmw.ClientOptions{Gate: b})
		go func() { _ = send(cs) }()
		synctest.Wait()
		if err := receive(cs); err != nil {
			t.Fatal(err)
		}
		if got := countsOf(b); got != times(1, core.Success) {
			t.Errorf("outcomes %+v when the answer is there, want a success", got)
		}
		close(sent)
	})
}

// TestAnEndThatOnlyACallTells has nothing told by gRPC, as when an interceptor
// further in keeps our options to itself.
func TestAnEndThatOnlyACallTells(t *testing.T) {
	for name, call := range map[string]func(s *scripted, cs grpc.ClientStream) error{
		"SendMsg": func(s *scripted, cs grpc.ClientStream) error {
			s.send = func() error { return errInternal }
			return send(cs)
		},
		"RecvMsg": func(s *scripted, cs grpc.ClientStream) error {
			s.receive = func() error { return errInternal }
			return receive(cs)
		},
		"Header": func(s *scripted, cs grpc.ClientStream) error {
			s.header = func() (metadata.MD, error) { return nil, errInternal }
			_, err := cs.Header()
			return err
		},
	} {
		b, s := newBreaker(t, counting()), new(scripted)
		if err := call(s, s.begin(t, both, grpcmw.ClientOptions{Gate: b})); err != errInternal {
			t.Errorf("%s = %v, want %v", name, err, errInternal)
		}
		if got := countsOf(b); got != times(1, core.Failure) {
			t.Errorf("%s: outcomes %+v, want a failure", name, got)
		}
	}
}

// TestTheTrailerIsReadOnlyWhenGRPCSaysSo: before that it is not there to be read, and
// the end of a probe's context says nothing of that.
func TestTheTrailerIsReadOnlyWhenGRPCSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(t, oneProbe())
		halfOpen(t, b)
		ctx, cancel := context.WithTimeout(bg, time.Second)
		defer cancel()
		s := &scripted{receive: func() error { <-ctx.Done(); synctest.Wait(); return ctx.Err() }} // Trailer would panic
		cs := s.beginWith(t, ctx, both, grpcmw.ClientOptions{Gate: b})
		if err := receive(cs); err != context.DeadlineExceeded {
			t.Fatalf("%v, want %v", err, context.DeadlineExceeded)
		}
		if got := countsOf(b); got != times(2, core.Failure) {
			t.Errorf("outcomes %+v, want that of the probe a failure", got)
		}
	})
}

// registrar is a context that counts those who want to know of its end.
type registrar struct {
	context.Context

	done chan struct{}
	n    atomic.Int32
}

func (r *registrar) Done() <-chan struct{} { return r.done }
func (r *registrar) AfterFunc(func()) (stop func() bool) {
	r.n.Add(1)
	return func() bool { r.n.Add(-1); return true }
}

// TestNothingWaitsForAProbeThatIsSettled, neither for its lease nor for the end of a
// context that may live on.
func TestNothingWaitsForAProbeThatIsSettled(t *testing.T) {
	for _, c := range []struct {
		name    string
		opening bool // it ends while it is opened
		lease   time.Duration
	}{{"received", false, time.Hour}, {"while it is opened", true, time.Hour}, {"after its lease", false, time.Second}} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cfg := oneProbe()
				cfg.ProbeTimeout = 2 * time.Hour
				b := newBreaker(t, cfg)
				halfOpen(t, b)
				ctx := &registrar{Context: bg, done: make(chan struct{})}
				streamer := func(_ context.Context, _ *grpc.StreamDesc, _ *grpc.ClientConn, _ string, opts ...grpc.CallOption) (grpc.ClientStream, error) {
					if c.opening {
						opts[0].(grpc.OnFinishCallOption).OnFinish(nil)
					}
					return &mute{}, nil
				}
				cs, err := grpcmw.StreamClientInterceptor(nil, &grpcmw.ClientOptions{Gate: b, ProbeLease: c.lease})(ctx, descs[both], nil, both, streamer)
				if err != nil {
					t.Fatal(err)
				}
				if !c.opening && ctx.n.Load() != 1 {
					t.Errorf("%d wait for the context, want 1", ctx.n.Load())
				}
				time.Sleep(time.Second)
				synctest.Wait()
				if c.lease > time.Second {
					_ = receive(cs)
				}
				if got := ctx.n.Load(); got != 0 || b.Snapshot().Totals.InFlight != 0 {
					t.Errorf("%d wait for the context, %d in flight; want none", got, b.Snapshot().Totals.InFlight)
				}
			})
		})
	}
}
