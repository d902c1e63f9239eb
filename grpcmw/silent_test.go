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

// TestASilentStreamIsNoSuccess at the end of its lease: the place is given back, and
// what becomes of the stream later counts. But one without a deadline may have nothing to
// say.
func TestASilentStreamIsNoSuccess(t *testing.T) {
	const lease = 3 * time.Second
	for _, c := range []struct {
		name     string
		deadline time.Duration
		says     time.Duration // when the server sends a message; 0 is never
		listens  bool
		leased   core.Outcome // at the end of the lease
		later    core.Outcome // 0: nothing more
		when     time.Duration
	}{
		{"silent, without a deadline", 0, 0, true, core.Success, 0, 0},
		{"silent until its deadline", 8 * time.Second, 0, true, core.Ignored, core.Failure, 8 * time.Second},
		{"silent until its deadline, without a listener", 8 * time.Second, 0, false, core.Ignored, core.Failure, 8 * time.Second},
		{"a message, late", 20 * time.Second, 5 * time.Second, true, core.Ignored, core.Success, 5 * time.Second},
		{"a message, in time", 20 * time.Second, time.Second, true, core.Success, 0, 0},
		{"without a listener", 0, time.Second, false, core.Success, 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubbles(t, []string{down, both}, func(t *testing.T, method string) {
				b := newBreaker(t, oneProbe())
				cc := connect(t, "passthrough:///memory", append(guarded(grpcmw.ClientOptions{Gate: b, ProbeLease: lease}), serve(t, backend{stream: func(_ string, ss grpc.ServerStream) error {
					if c.says > 0 {
						time.Sleep(c.says)
						if err := ss.SendMsg(wrapperspb.String("one")); err != nil {
							return err
						}
					}
					<-ss.Context().Done()
					return ss.Context().Err()
				}}))...)
				halfOpen(t, b)
				ctx, cancel := context.WithCancel(bg)
				if c.deadline > 0 {
					ctx, cancel = context.WithTimeout(bg, c.deadline)
				}
				defer cancel()
				cs := mustBegin(t, ctx, cc, method)
				if c.listens {
					go func() { _ = drain(cs) }()
				}
				want := times(1, core.Failure) // which opened it
				check := func(at string, o core.Outcome) {
					t.Helper()
					synctest.Wait()
					add := times(1, o)
					if o == 0 {
						add = counts{}
					}
					want.success, want.failure, want.ignored = want.success+add.success, want.failure+add.failure, want.ignored+add.ignored
					if got := countsOf(b); got != want {
						t.Fatalf("%s: outcomes %+v, want %+v", at, got, want)
					}
				}
				time.Sleep(lease - 1)
				check("before the end of the lease", 0)
				time.Sleep(time.Nanosecond)
				check("at the end of the lease", c.leased)
				if c.leased == core.Ignored {
					p, err := b.Allow(bg)
					if err != nil {
						t.Fatalf("the next call = %v, want the place to be free", err)
					}
					p.Settle(bg, core.Ignored)
					want.ignored++
				}
				if c.when > 0 {
					time.Sleep(c.when - lease - 1)
					check("before", 0)
					time.Sleep(time.Nanosecond)
				}
				check("later", c.later)
				cancel()
				time.Sleep(time.Minute)
				synctest.Wait()
				if got := b.Snapshot().Totals; got.InFlight != 0 || got.Refused != 0 {
					t.Errorf("%d in flight, %d refused; want none", got.InFlight, got.Refused)
				}
			})
		})
	}
}

// TestSilentStreamsDoNotWedge: a method whose streams have nothing to say is closed
// again.
func TestSilentStreamsDoNotWedge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(t, oneProbe())
		cc := connect(t, "passthrough:///memory", append(guarded(grpcmw.ClientOptions{Gate: b}), serve(t, backend{stream: hang}))...)
		halfOpen(t, b)
		for range 60 {
			if cs, err := begin(bg, cc, both); err == nil {
				go func() { _ = drain(cs) }()
			}
			time.Sleep(time.Second)
		}
		wantState(t, b, core.Closed)
	})
}
