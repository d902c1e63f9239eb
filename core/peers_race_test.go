package core_test

import (
	"context"
	"math"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/blackbox4/switchgear/core"
)

// Faults that other circuit breakers have or had and that need several goroutines.
// In a bubble no time passes while a goroutine runs, so a call that is admitted
// while the breaker is open was admitted by a race.

// cep21/circuit: a config set while calls run is read without the lock: a race.
func TestUpdateWhileCallsRun(t *testing.T) {
	b := newBreaker(t, core.Config{FailureThreshold: -1})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 2000 {
				_ = b.Do(bg, func(context.Context) error { return nil })
				b.Explain()
			}
		})
	}
	wg.Go(func() {
		for i := range 500 {
			cfg := core.Config{FailureThreshold: -1, Window: core.Window{Calls: 1 + i%100}, Classify: func(context.Context, error) core.Outcome { return core.Success }}
			if i%3 == 0 {
				cfg.Window = core.Window{For: time.Second * time.Duration(1+i%7)}
				cfg.Durations, cfg.History = true, time.Minute
			}
			if err := b.Update(cfg); err != nil {
				t.Error(err)
			}
		}
	})
	wg.Wait()
	wantTotals(t, b, core.Totals{Calls: 8000, Successes: 8000})
}

// resilience4j: a refusal just after the break's end is told twice: 350 became 410.
func TestARefusalIsCountedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told atomic.Int64
		b := halfOpened(t, core.Config{HalfOpenMaxCalls: 1, SuccessThreshold: 1, Hooks: core.Hooks{Refused: func(context.Context, *core.OpenError) { told.Add(1) }}})
		var refused atomic.Int64
		for range 50 { // each time at the very end of a break
			var wg sync.WaitGroup
			for range 8 {
				wg.Go(func() {
					p, err := b.Allow(bg)
					if err != nil {
						refused.Add(1)
						return
					}
					p.Settle(bg, core.Failure)
				})
			}
			wg.Wait()
			time.Sleep(time.Second)
		}
		if told.Load() != refused.Load() || uint64(refused.Load()) != b.Snapshot().Totals.Refused {
			t.Errorf("%d refused, %d told, %d counted", refused.Load(), told.Load(), b.Snapshot().Totals.Refused)
		}
	})
}

// resilience4j: side effects inside a retried update run more than once.
func TestATransitionHappensOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for range 200 {
			var told diary
			b := newBreaker(t, core.Config{FailureThreshold: 1, Hooks: core.Hooks{Transition: told.hooks().Transition}})
			var out []*core.Permit
			for range 8 {
				out = append(out, take(t, b))
			}
			var wg sync.WaitGroup
			for _, p := range out {
				wg.Go(func() { p.Settle(bg, core.Failure) })
			}
			wg.Wait()
			wantPath(t, told.transitions, "closed open")
			if got := b.Snapshot(); got.Opens != 1 || got.Totals.Late != 7 {
				t.Fatalf("%d openings, %d late; want 1 and the 7 that did not open it", got.Opens, got.Totals.Late)
			}
		}
	})
}

// Polly: user code is waited for under the lock, and holds up every caller.
func TestSlowUserCodeHoldsUpNoOtherCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slowly := func() { time.Sleep(time.Hour) }
		b := newBreaker(t, core.Config{
			FailureThreshold: 3,
			Classify:         func(ctx context.Context, err error) core.Outcome { slowly(); return core.DefaultClassify(ctx, err) },
			Hooks:            core.Hooks{Transition: func(context.Context, core.Transition) { slowly() }},
		})
		var wg sync.WaitGroup
		wg.Go(func() { _ = b.Do(bg, func(context.Context) error { return nil }) })
		wg.Go(func() { fail(t, b, 3) })
		synctest.Wait() // one is in Classify, one in the hook
		began := time.Now()
		refusal(t, b)
		_, _, _ = b.State(), b.Snapshot(), b.Explain()
		if err := b.Force(core.ForcedOpen); err != nil {
			t.Error(err)
		}
		b.Reset()
		if waited := time.Since(began); waited != 0 {
			t.Errorf("waited %v for another's callback", waited)
		}
		wg.Wait()
		time.Sleep(10 * time.Hour) // for the hooks that are queued
	})
}

// sentinel: open is visible before its retry time: a racing call goes half-open.
func TestNoProbeAtTheInstantOfOpening(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for range 300 {
			b := newBreaker(t, core.Config{FailureThreshold: 1, Timeout: time.Second})
			var wg sync.WaitGroup
			for g := range 4 {
				wg.Go(func() {
					if g == 0 {
						if p, err := b.Allow(bg); err == nil {
							p.Settle(bg, core.Failure)
						}
						return
					}
					for range 50 {
						if p, err := b.Allow(bg); err == nil {
							p.Settle(bg, core.Ignored)
						}
					}
				})
			}
			wg.Wait()
			wantPath(t, b.Snapshot().Transitions, "closed open")
		}
	})
}

// sentinel: a rule reported as invalid and ignored is active all the same.
func TestAnInvalidConfigIsNotActive(t *testing.T) {
	r := core.Registry{Config: always(core.Config{FailureThreshold: 3})}
	b := get(t, &r, "db")
	bad := core.Config{FailureThreshold: 1, FailureRateThreshold: math.NaN()}
	if err := b.Update(bad); err == nil {
		t.Error("Breaker.Update took NaN")
	}
	if err := r.Update(always(bad)); err == nil {
		t.Error("Registry.Update took NaN")
	}
	fail(t, b, 2)
	wantState(t, b, core.Closed)
	fail(t, get(t, &r, "new"), 2)
	wantState(t, get(t, &r, "new"), core.Closed)
}

// sentinel: the counts are cleared after the close is visible, so a call that
// ends meanwhile opens again by the old counts.
func TestTheWindowStartsEmpty(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for range 200 {
			b := newBreaker(t, core.Config{FailureThreshold: 3, SuccessThreshold: 1, Timeout: time.Second})
			var early []*core.Permit
			for range 6 {
				early = append(early, take(t, b))
			}
			fail(t, b, 3)
			time.Sleep(time.Second)
			probe := take(t, b)
			var wg sync.WaitGroup
			wg.Go(func() { probe.Settle(bg, core.Success) })
			for _, p := range early {
				wg.Go(func() { p.Settle(bg, core.Failure) })
			}
			wg.Wait()
			wantState(t, b, core.Closed)
			wantWindow(t, b, core.Counts{})
		}
	})
}

// go-zero: the forced pass is loaded, then set: several callers pass together.
func TestOneProbeAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := halfOpened(t, core.Config{HalfOpenMaxCalls: 1, SuccessThreshold: 10_000})
		var out, most atomic.Int64
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for range 200 {
					p, err := b.Allow(bg)
					if err != nil {
						time.Sleep(time.Millisecond)
						continue
					}
					if n := out.Add(1); n > most.Load() {
						most.Store(n)
					}
					time.Sleep(time.Millisecond)
					out.Add(-1)
					p.Settle(bg, core.Success)
				}
			})
		}
		wg.Wait()
		if got := most.Load(); got != 1 {
			t.Errorf("%d probes out at once, want 1", got)
		}
	})
}
