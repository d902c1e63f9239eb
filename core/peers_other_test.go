package core_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/blackbox4/switchgear/core"
)

// The bugs of other breakers, continued from peers_test.go.

// resilience4j: a clock that steps back by 2 s stops the time window for an hour.
func TestPeerR1_ClockStepsBack(t *testing.T) {
	clock := newFakeClock()
	b := newBreaker(t, core.Config{FailureThreshold: -1, FailureRateThreshold: 0.5, MinimumCalls: 80, Window: core.Window{For: 10 * time.Second}, Now: clock.now})
	clock.advance(time.Minute)
	succeed(t, b, 10)
	clock.advance(-2 * time.Second)
	for i := range 90 { // 70 failures to the minimum
		if b.State() == core.Open {
			break
		}
		if i >= 75 {
			t.Fatalf("closed after %d failures (%s)", i, b.Explain())
		}
		clock.advance(5 * time.Millisecond)
		fail(t, b, 1)
	}
	wantState(t, b, core.Open)
}

// resilience4j: reset leaves the timers pending: it opens without a call, and
// the next break is cut short.
func TestPeerR2_ResetLeavesNothingPending(t *testing.T) {
	peer(t, func(t *testing.T) {
		b := halfOpened(t, one)
		take(t, b)
		b.Reset()
		time.Sleep(time.Hour)
		wantState(t, b, core.Closed)

		fail(t, b, 1) // a break of 1 s
		time.Sleep(500 * time.Millisecond)
		b.Reset()
		fail(t, b, 1)
		if got := breakOf(t, b); got != time.Second {
			t.Errorf("the break after a reset lasts %v, want 1s", got)
		}
	})
}

// resilience4j: late ignored errors add half-open permits: 2 become 7.
func TestPeerR3_LateIgnoredAddNoPermits(t *testing.T) {
	peer(t, func(t *testing.T) {
		b := newBreaker(t, core.Config{FailureThreshold: 1, HalfOpenMaxCalls: 2, Timeout: time.Second})
		var early []*core.Permit
		for range 5 {
			early = append(early, take(t, b))
		}
		fail(t, b, 1)
		time.Sleep(time.Second)
		take(t, b)
		for _, p := range early {
			p.Settle(bg, core.Ignored)
		}
		take(t, b)
		refusal(t, b)
	})
}

// resilience4j: late successes decide half-open with no probe made.
func TestPeerR4_LateSuccessesDecideNothing(t *testing.T) {
	peer(t, func(t *testing.T) {
		b := newBreaker(t, core.Config{FailureThreshold: 1, SuccessThreshold: 2, Timeout: time.Second})
		var early []*core.Permit
		for range 10 {
			early = append(early, take(t, b))
		}
		fail(t, b, 1)
		time.Sleep(time.Second)
		take(t, b).Settle(bg, core.Ignored) // half-open, met
		for _, p := range early {
			p.Settle(bg, core.Success)
		}
		wantState(t, b, core.HalfOpen)
		wantWindow(t, b, core.Counts{})
	})
}

// resilience4j: a java.lang.Error leaks the permit. Here: the runtime's own panics.
func TestPeerR5_RuntimeErrorsAreSettled(t *testing.T) {
	peer(t, func(t *testing.T) {
		b := halfOpened(t, one)
		onItsOwn(func() {
			_ = b.Do(bg, func(context.Context) error {
				var m map[string]int
				m["x"] = 1 //nolint:staticcheck,govet // the runtime's panic is the point
				return nil
			})
		})
		wantState(t, b, core.Open)
		wantRecovery(t, b)
	})
}

// resilience4j: the break a result asks for is ignored for failures and half-open.
func TestPeerR7_TheBreakAskedForIsKept(t *testing.T) {
	peer(t, func(t *testing.T) {
		b := newBreaker(t, core.Config{FailureThreshold: 1, Timeout: time.Second})
		for what, d := range map[string]time.Duration{"first": 3 * time.Minute, "second": 4 * time.Minute} {
			_ = b.Do(bg, func(context.Context) error { return core.RetryAfter(errSick, d) })
			if got := breakOf(t, b); got != d {
				t.Errorf("the %s break lasts %v, want %v", what, got, d)
			}
			time.Sleep(d)
		}
	})
}

// Polly: a half-open call that was cancelled, or never made, closes.
func TestPeerP1_CancelledCallsCloseNothing(t *testing.T) {
	peer(t, func(t *testing.T) {
		b := halfOpened(t, one)
		done, cancel := context.WithCancel(bg)
		cancel()
		if err := b.Do(done, func(context.Context) error { return nil }); !errors.Is(err, context.Canceled) {
			t.Errorf("Do = %v, want context.Canceled", err)
		}
		p := take(t, b)
		p.Done(done, context.Canceled)
		wantState(t, b, core.HalfOpen)
		if got := b.Snapshot().Totals.Successes; got != 0 {
			t.Errorf("%d successes, want none", got)
		}
	})
}

// Polly: a hung probe refuses everybody for ever; one trial a break would do.
func TestPeerP2_AHungProbeIsReplaced(t *testing.T) {
	peer(t, func(t *testing.T) {
		b := halfOpened(t, one)
		hung := take(t, b)
		time.Sleep(10*time.Second + time.Second) // ProbeTimeout, break
		again := take(t, b)
		hung.Settle(bg, core.Success) // comes back after all
		wantState(t, b, core.Closed)
		again.Settle(bg, core.Success)
		wantTotals(t, b, core.Totals{Calls: 3, Successes: 2, Failures: 1, Lost: 1, Late: 1})
	})
}

// Polly: a predicate or callback that throws leaves half-open undecided for ever.
func TestPeerP3_CallbacksThatThrow(t *testing.T) {
	peer(t, func(t *testing.T) {
		cfg := one
		cfg.Classify = func(_ context.Context, err error) core.Outcome {
			if err == nil {
				return core.Success
			}
			panic("predicate")
		}
		cfg.Hooks.Transition = func(context.Context, core.Transition) { panic("callback") }
		b := halfOpened(t, cfg)
		onItsOwn(func() { _ = b.Do(bg, func(context.Context) error { return errSick }) })
		wantState(t, b, core.Open)
		wantRecovery(t, b)
	})
}

// Polly: one parked task per breaker.
func TestPeerP5_NoGoroutines(t *testing.T) {
	before := runtime.NumGoroutine()
	for i := range 500 {
		b, err := core.New(fmt.Sprint(i), core.Config{FailureThreshold: 1, History: time.Minute, Durations: true, Hooks: core.Hooks{Settled: func(context.Context, core.Settlement) {}}})
		if err != nil {
			t.Fatal(err)
		}
		play(t, b, "SF")
	}
	if got := runtime.NumGoroutine(); got > before {
		t.Errorf("%d goroutines more for 500 breakers", got-before)
	}
}

// Polly: the keyed registry cannot remove, so it grows without bound.
func TestPeerP6_TheRegistryIsBounded(t *testing.T) {
	r := core.Registry{Max: 100}
	for i := range 10_000 {
		get(t, &r, fmt.Sprint("tenant-", i))
	}
	if got := len(names(&r)); got != 100 {
		t.Errorf("%d breakers after 10000 names, want 100", got)
	}
}

// go-zero: the global map of breakers never shrinks.
func TestPeerZ4_TheRegistryShrinks(t *testing.T) {
	peer(t, func(t *testing.T) {
		var r core.Registry
		for i := range 1000 {
			succeed(t, get(t, &r, fmt.Sprint("key-", i)), 1)
		}
		for i := range 4 {
			time.Sleep(time.Hour)
			get(t, &r, fmt.Sprint("new-", i))
		}
		if got := r.Len(); got > 4 {
			t.Errorf("%d breakers four hours after the last call, want the new ones", got)
		}
	})
}
