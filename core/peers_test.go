package core_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/blackbox4/switchgear/core"
)

// Faults that other circuit breakers have or had, with the name of the package;
// faults that need several goroutines are in peers_race_test.go.

// gobreaker: callbacks run under the mutex; one that reads the state deadlocks.
func TestCallbacksMayUpdateTheBreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b *core.Breaker
		seen := 0
		use := func() { seen++; _, _ = b.State(), b.Snapshot(); _ = b.Update(core.Config{FailureThreshold: 1}) }
		b = newBreaker(t, core.Config{
			FailureThreshold: 1,
			Classify:         func(context.Context, error) core.Outcome { use(); return core.Failure },
			Hooks:            core.Hooks{Transition: func(context.Context, core.Transition) { use() }, Refused: func(context.Context, *core.OpenError) { use() }, Settled: func(context.Context, core.Settlement) { use() }},
		})
		_ = b.Do(bg, func(context.Context) error { return errSick })
		refusal(t, b)
		if seen == 0 {
			t.Error("no callback was called")
		}
	})
}

// failsafe-go: the metrics of a time window never expire on read.
func TestReadingsAreRolledToNow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(t, core.Config{FailureThreshold: -1, FailureRateThreshold: 0.9, MinimumCalls: 2, Window: core.Window{For: 10 * time.Second}})
		play(t, b, "SF")
		if got := b.Health().ErrorRate; got != 0.5 {
			t.Fatalf("error rate %v, want 0.5", got)
		}
		time.Sleep(11 * time.Second)
		if got := b.Health().ErrorRate; got != 0 || !strings.Contains(b.Explain(), "failure rate 0 %") {
			t.Errorf("error rate %v, %q; want 0", got, b.Explain())
		}
	})
}

// failsafe-go: wall-clock time: a step back lengthens the break, one forward ends it.
func TestTimeIsMonotonic(t *testing.T) {
	b := opened(t, core.Config{})
	for what, at := range map[string]time.Time{"RetryAt": refusal(t, b).RetryAt, "Since": b.Snapshot().Since, "At": b.Snapshot().At} {
		if !strings.Contains(at.String(), " m=") {
			t.Errorf("%s = %v carries no monotonic reading, so a step of the wall clock moves it", what, at)
		}
	}
}

// cep21/circuit: the caller's deadline is neutral: a hanging dependency never opens.
func TestCallersDeadlineCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(t, core.Config{})
		for range 5 {
			ctx, cancel := context.WithTimeout(bg, 500*time.Millisecond)
			_ = b.Do(ctx, func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
			cancel()
		}
		wantState(t, b, core.Open)
	})
}

// cep21/circuit: the zero config never opens, but allows ten calls of a second.
func TestZeroConfigOpensAndSetsNoTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(t, core.Config{})
		for range 1000 {
			take(t, b)
		}
		_ = b.Do(bg, func(ctx context.Context) error {
			if _, ok := ctx.Deadline(); ok {
				t.Error("the call has a deadline, want none")
			}
			return nil
		})
		fail(t, b, 5)
		wantState(t, b, core.Open)
	})
}

// resilience4j: a clock that steps back by 2 s stops the time window for an hour.
func TestTimeWindowSurvivesAClockSetBack(t *testing.T) {
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
func TestResetLeavesNothingPending(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
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

// Polly: a half-open call that was cancelled, or never made, closes.
func TestCancelledCallsCloseNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
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

// Polly: a predicate or callback that throws leaves half-open undecided for ever.
func TestPanicsOfClassifyAndHookOnAProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
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
