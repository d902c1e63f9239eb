package core_test

import (
	"context"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/blackbox4/switchgear/core"
)

// One test for each bug of other breakers that a breaker engine can have:
// what the peer does, and that this one does not. Here gobreaker, failsafe-go and
// cep21/circuit; resilience4j, Polly and a map of go-zero's are in
// peers_other_test.go, what takes concurrency or reconfiguration in peers_race_test.go.

// one has one place for probes and closes by one success.
var one = core.Config{HalfOpenMaxCalls: 1, SuccessThreshold: 1, ProbeTimeout: 10 * time.Second}

func peer(t *testing.T, story func(t *testing.T)) { t.Helper(); synctest.Test(t, story) }

// wantRecovery insists that the breaker finds back by itself, given time.
func wantRecovery(t *testing.T, b *core.Breaker) {
	t.Helper()
	for range 3 {
		time.Sleep(time.Minute)
		if p, err := b.Allow(bg); err == nil {
			p.Settle(bg, core.Success)
		}
	}
	wantState(t, b, core.Closed)
}

// onItsOwn runs f on a goroutine that f may end, and survives its panic.
func onItsOwn(f func()) {
	var wg sync.WaitGroup
	wg.Go(func() {
		defer func() { _ = recover() }()
		f()
	})
	wg.Wait()
}

// gobreaker: a probe that ends by Goexit is never recorded; half-open for ever.
func TestPeerG1_GoexitInAProbe(t *testing.T) {
	peer(t, func(t *testing.T) {
		b := halfOpened(t, one)
		onItsOwn(func() { _ = b.Do(bg, func(context.Context) error { runtime.Goexit(); return nil }) })
		wantState(t, b, core.Open)
		wantRecovery(t, b)
	})
}

// gobreaker: a probe whose done is never called keeps it half-open for ever.
func TestPeerG2_ProbeNeverSettled(t *testing.T) {
	peer(t, func(t *testing.T) {
		b := halfOpened(t, one)
		take(t, b)
		refusal(t, b)
		wantRecovery(t, b)
	})
}

// gobreaker: calls longer than the interval are never counted; 200 of 200 lost.
func TestPeerG3_CallsLongerThanTheWindow(t *testing.T) {
	peer(t, func(t *testing.T) {
		b := newBreaker(t, core.Config{FailureThreshold: -1, FailureRateThreshold: 0.5, MinimumCalls: 2, Window: core.Window{For: 50 * time.Millisecond}})
		var out []*core.Permit
		for range 200 {
			out = append(out, take(t, b))
		}
		time.Sleep(120 * time.Millisecond)
		for _, p := range out {
			p.Settle(bg, core.Failure)
		}
		wantState(t, b, core.Open)
		if got, want := b.Snapshot().Totals, (core.Totals{Calls: 200, Failures: 200, Late: 198}); got != want {
			t.Errorf("totals %+v, want %+v", got, want)
		}
	})
}

// gobreaker: callbacks run under the mutex; one that reads the state deadlocks.
func TestPeerG4_CallbacksThatCallBack(t *testing.T) {
	peer(t, func(t *testing.T) {
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

// gobreaker: one Allow, six dones: six failures counted, and open.
func TestPeerG5_SettledSixTimes(t *testing.T) {
	b := newBreaker(t, core.Config{FailureThreshold: 6})
	p := take(t, b)
	for range 6 {
		p.Done(bg, errSick)
	}
	wantState(t, b, core.Closed)
	wantWindow(t, b, core.Counts{Calls: 1, Failures: 1, Consecutive: 1})
}

// gobreaker: Counts is ten intervals out of date when nobody calls.
func TestPeerG6_CountsRollOnRead(t *testing.T) {
	peer(t, func(t *testing.T) {
		b := newBreaker(t, core.Config{FailureThreshold: -1, Window: core.Window{For: time.Second}})
		fail(t, b, 7)
		time.Sleep(10 * time.Second)
		wantWindow(t, b, core.Counts{Consecutive: 7})
	})
}

// failsafe-go: a panicking listener unlocks an unlocked mutex; the process dies.
func TestPeerF1_ListenerPanics(t *testing.T) {
	b := newBreaker(t, core.Config{FailureThreshold: 1, Hooks: core.Hooks{Transition: func(context.Context, core.Transition) { panic("listener") }}})
	fail(t, b, 1)
	wantState(t, b, core.Open)
	refusal(t, b)
}

// failsafe-go: late results add half-open permits and close with no probe back.
func TestPeerF2_LateResultsAddPermits(t *testing.T) {
	peer(t, func(t *testing.T) {
		b := newBreaker(t, core.Config{FailureThreshold: 1, HalfOpenMaxCalls: 3, SuccessThreshold: 3, Timeout: time.Second})
		early := []*core.Permit{take(t, b), take(t, b), take(t, b)}
		fail(t, b, 1)
		time.Sleep(time.Second)
		take(t, b)
		for _, p := range early {
			p.Settle(bg, core.Success)
		}
		wantState(t, b, core.HalfOpen)
		take(t, b)
		take(t, b)
		refusal(t, b)
	})
}

// failsafe-go: a panic leaks the permit; after 100 panics nothing is admitted.
func TestPeerF3_PanicsLeakNothing(t *testing.T) {
	peer(t, func(t *testing.T) {
		b := halfOpened(t, one)
		runs := 0
		for range 100 {
			onItsOwn(func() { _ = b.Do(bg, func(context.Context) error { runs++; panic("call") }) })
			time.Sleep(time.Minute)
		}
		if runs != 100 {
			t.Errorf("%d of 100 calls were made", runs)
		}
		wantRecovery(t, b)
	})
}

// failsafe-go: the metrics of a time window never expire on read.
func TestPeerF10_MetricsExpireOnRead(t *testing.T) {
	peer(t, func(t *testing.T) {
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

// failsafe-go: no neutral outcome: a cancelled probe closes, an inner refusal opens.
func TestPeerF11_ThereIsANeutralOutcome(t *testing.T) {
	peer(t, func(t *testing.T) {
		b := halfOpened(t, one)
		ctx, cancel := context.WithCancel(bg)
		_ = b.Do(ctx, func(ctx context.Context) error { cancel(); return ctx.Err() })
		wantState(t, b, core.HalfOpen)
		outer := newBreaker(t, core.Config{FailureThreshold: 1})
		_ = outer.Do(bg, func(context.Context) error { return &core.OpenError{Name: "inner"} })
		wantState(t, outer, core.Closed)
	})
}

// failsafe-go: wall-clock time: a step back lengthens the break, one forward ends it.
func TestPeerF12_TimeIsMonotonic(t *testing.T) {
	b := opened(t, core.Config{})
	for what, at := range map[string]time.Time{"RetryAt": refusal(t, b).RetryAt, "Since": b.Snapshot().Since, "At": b.Snapshot().At} {
		if !strings.Contains(at.String(), " m=") {
			t.Errorf("%s = %v carries no monotonic reading, so a step of the wall clock moves it", what, at)
		}
	}
}

// cep21/circuit: the caller's deadline is neutral: a hanging dependency never opens.
func TestPeerC1_CallersDeadlineCounts(t *testing.T) {
	peer(t, func(t *testing.T) {
		b := newBreaker(t, core.Config{})
		for range 5 {
			ctx, cancel := context.WithTimeout(bg, 500*time.Millisecond)
			_ = b.Do(ctx, func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
			cancel()
		}
		wantState(t, b, core.Open)
	})
}

// cep21/circuit: a panic bypasses all recording: 100 panics, no callback.
func TestPeerC2_PanicsAreRecorded(t *testing.T) {
	var told diary
	b := newBreaker(t, core.Config{FailureThreshold: -1, FailureRateThreshold: -1, Hooks: told.hooks()})
	for range 100 {
		onItsOwn(func() { _ = b.Do(bg, func(context.Context) error { panic("call") }) })
	}
	if len(told.settled) != 100 {
		t.Errorf("told of %d of 100 panics", len(told.settled))
	}
	wantTotals(t, b, core.Totals{Calls: 100, Failures: 100})
}

// cep21/circuit: a refusal by the forced-open side emits no metric.
func TestPeerC4_ForcedRefusalsAreCounted(t *testing.T) {
	var told diary
	b := newBreaker(t, core.Config{Hooks: told.hooks()})
	force(t, b, core.ForcedOpen)
	for range 10 {
		refusal(t, b)
	}
	if got := b.Snapshot().Totals.Refused; got != 10 || len(told.refused) != 10 {
		t.Errorf("%d counted, %d told; want 10", got, len(told.refused))
	}
}

// cep21/circuit: the zero config never opens, but allows ten calls of a second.
func TestPeerC5_ZeroConfigIsABreaker(t *testing.T) {
	peer(t, func(t *testing.T) {
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
