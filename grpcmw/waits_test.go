package grpcmw_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/grpcmw"
)

// TestAHandlersTimeIsItsOwn: what it waits for its client is neither slow nor hung.
func TestAHandlersTimeIsItsOwn(t *testing.T) {
	for _, c := range []struct {
		name         string
		before, work time.Duration // until the client sends, and the handler's own after that
		deadline     time.Duration
		want         core.Outcome
		slow         uint64
	}{
		{"a slow client", 10 * time.Second, 400 * time.Millisecond, 0, core.Success, 0},
		{"a slow handler", time.Second, 600 * time.Millisecond, 0, core.Success, 1},
		{"a slow client until its deadline", 3500 * time.Millisecond, time.Minute, 4 * time.Second, core.Ignored, 0},
		{"a handler that hangs until the deadline", time.Second, time.Minute, 4 * time.Second, core.Failure, 1},
		{"a handler that hangs for a second", 3 * time.Second, time.Minute, 4 * time.Second, core.Failure, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubbles(t, []string{up, both}, func(t *testing.T, method string) {
				cfg := counting()
				cfg.SlowAfter = 500 * time.Millisecond
				b := newBreaker(t, cfg)
				cc := connect(t, "passthrough:///memory", serve(t, backend{stream: func(method string, ss grpc.ServerStream) error {
					if err := ss.RecvMsg(new(wrapperspb.StringValue)); err != nil {
						return err
					}
					select {
					case <-time.After(c.work):
						return answer(method, ss)
					case <-ss.Context().Done():
						return ss.Context().Err()
					}
				}}, guards(grpcmw.ServerOptions{Gate: b})...))
				ctx, stop := context.WithCancel(bg)
				if c.deadline > 0 {
					ctx, stop = context.WithTimeout(bg, c.deadline)
				}
				defer stop()
				cs := mustBegin(t, ctx, cc, method)
				time.Sleep(c.before)
				_ = finish(cs, method)
				time.Sleep(time.Minute)
				synctest.Wait()
				if got := b.Snapshot().Totals; countsOf(b) != times(1, c.want) || got.Slow != c.slow {
					t.Errorf("outcomes %+v, %d slow; want %+v, %d", countsOf(b), got.Slow, times(1, c.want), c.slow)
				}
			})
		})
	}
}

// loose is a stream of a server without gRPC, whose client sends when a test says.
type loose struct {
	noServerStream

	sends chan struct{}
}

func (l loose) RecvMsg(any) error { <-l.sends; return nil }

// TestAHandlerThatHasReturnedTakesNoPlace: it may have left a goroutine behind that
// receives.
func TestAHandlerThatHasReturnedTakesNoPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(t, oneProbe())
		halfOpen(t, b)
		guard := grpcmw.StreamServerInterceptor(nil, &grpcmw.ServerOptions{Gate: b})
		info := &grpc.StreamServerInfo{FullMethod: both, IsClientStream: true, IsServerStream: true}
		first, returns := loose{sends: make(chan struct{})}, make(chan struct{})
		go func() {
			_ = guard(1, first, info, func(_ any, ss grpc.ServerStream) error {
				go func() { _ = ss.RecvMsg(nil) }()
				<-returns
				return nil
			})
		}()
		synctest.Wait()
		_ = guard(1, loose{}, info, func(any, grpc.ServerStream) error { return nil }) // takes the place
		close(returns)
		synctest.Wait()
		close(first.sends)
		synctest.Wait()
		if got := b.Snapshot().Totals; got.InFlight != 0 || got.Successes != 1 || got.Ignored != 1 {
			t.Errorf("%d in flight, %d succeeded, %d ignored; want none, 1, 1", got.InFlight, got.Successes, got.Ignored)
		}
	})
}

// TestOneOfThoseThatWaitMakesRoom, the one that has waited the longest.
func TestOneOfThoseThatWaitMakesRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := oneProbe()
		cfg.HalfOpenMaxCalls, cfg.SuccessThreshold = 3, 10
		b := newBreaker(t, cfg)
		cc := connect(t, "passthrough:///memory", serve(t, backend{stream: func(method string, ss grpc.ServerStream) error {
			if err := ss.RecvMsg(new(wrapperspb.StringValue)); err != nil {
				return err
			}
			time.Sleep(time.Second) // at work
			return answer(method, ss)
		}}, guards(grpcmw.ServerOptions{Gate: b})...))
		halfOpen(t, b)
		var all []grpc.ClientStream
		for range 3 {
			cs := mustBegin(t, bg, cc, both)
			if err := send(cs); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			time.Sleep(time.Millisecond)
			all = append(all, cs)
		}
		time.Sleep(2 * time.Second) // they wait
		mustBegin(t, bg, cc, both)
		synctest.Wait()
		if got := b.Snapshot().Totals; got.Ignored != 1 || got.InFlight != 3 || got.Refused != 0 {
			t.Errorf("%d ignored, %d in flight, %d refused; want 1, 3, none", got.Ignored, got.InFlight, got.Refused)
		}
		for i, cs := range all[1:] {
			if err := finish(cs, both); err != nil {
				t.Error(err)
			}
			synctest.Wait()
			if got := countsOf(b).success; got != uint64(i+1) {
				t.Errorf("%d successes, want %d: these have their places", got, i+1)
			}
		}
	})
}
