package core_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/blackbox4/switchgear/core"
)

// Under a crowd that makes the breaker flap, transitions are told
// one at a time, without a gap, each from where the one before led.
func TestTransitionsInOrderUnderACrowd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told diary
		running := false // the race detector watches: hooks run one at a time
		hooks := told.hooks()
		keep := hooks.Transition
		hooks.Transition = func(ctx context.Context, tr core.Transition) {
			if running {
				t.Error("two hooks at once")
			}
			running = true
			runtime.Gosched()
			keep(ctx, tr)
			running = false
		}
		b := newBreaker(t, core.Config{FailureThreshold: 1, SuccessThreshold: 1, Timeout: time.Millisecond, Hooks: hooks})
		var wg sync.WaitGroup
		for g := range 8 {
			wg.Go(func() {
				for i := range 300 {
					if p, err := b.Allow(bg); err == nil {
						p.Settle(bg, []core.Outcome{core.Success, core.Failure}[(g+i)%2])
					} else {
						time.Sleep(time.Millisecond)
					}
				}
			})
		}
		wg.Wait()
		if len(told.transitions) < 100 {
			t.Fatalf("%d transitions, want hundreds", len(told.transitions))
		}
		for i, tr := range told.transitions {
			if tr.Seq != uint64(i+1) {
				t.Fatalf("transition %d has number %d", i+1, tr.Seq)
			}
			if i > 0 && (tr.From != told.transitions[i-1].To || tr.At.Before(told.transitions[i-1].At)) {
				t.Fatalf("%+v follows %+v", tr, told.transitions[i-1])
			}
			if tr.From == tr.To {
				t.Fatalf("68: %+v is no transition", tr)
			}
		}
		if got, want := told.transitions[len(told.transitions)-1].To, b.Snapshot().State; got != want && want != core.HalfOpen {
			t.Errorf("the last transition leads to %v, the breaker is %v", got, want)
		}
		if got := b.Snapshot().EventsDropped; got != 0 {
			t.Errorf("%d events dropped, want none", got)
		}
	})
}

// Many goroutines, mixed outcomes: each call is told of exactly
// once, the sums agree, and nothing is in flight at rest.
func TestEveryCallIsCountedOnce(t *testing.T) {
	const callers, each = 50, 2000
	var told core.Totals
	b := newBreaker(t, core.Config{FailureThreshold: 3, SuccessThreshold: 1, HalfOpenMaxCalls: 2, Timeout: 50 * time.Microsecond, Hooks: core.Hooks{
		Refused: func(context.Context, *core.OpenError) { told.Refused++ },
		Settled: func(_ context.Context, s core.Settlement) {
			switch s.Outcome {
			case core.Success:
				told.Successes++
			case core.Failure:
				told.Failures++
			case core.Ignored:
				told.Ignored++
			}
		},
	}})
	var mu sync.Mutex
	var made core.Totals
	var wg sync.WaitGroup
	for g := range callers {
		wg.Go(func() {
			var mine core.Totals
			for i := range each {
				p, err := b.Allow(bg)
				if err != nil {
					mine.Refused++
					continue
				}
				switch (g*7 + i) % 5 {
				case 0:
					mine.Failures++
					p.Settle(bg, core.Failure)
				case 1:
					mine.Ignored++
					p.Settle(bg, core.Ignored)
				default:
					mine.Successes++
					p.Settle(bg, core.Success)
				}
			}
			mu.Lock()
			defer mu.Unlock()
			made.Refused += mine.Refused
			made.Successes += mine.Successes
			made.Failures += mine.Failures
			made.Ignored += mine.Ignored
		})
	}
	wg.Wait()
	b.WaitForHooks()
	snap := b.Snapshot()
	made.Calls = made.Successes + made.Failures + made.Ignored
	got := snap.Totals
	got.Late = 0
	if got != made {
		t.Errorf("totals\n %+v, want what was made\n %+v", got, made)
	}
	if made.Calls+made.Refused != callers*each {
		t.Errorf("%d calls and %d refusals, want %d", made.Calls, made.Refused, callers*each)
	}
	heard := told.Refused + told.Successes + told.Failures + told.Ignored
	if sum := heard + snap.EventsDropped; sum < callers*each || heard > callers*each || told.Failures > made.Failures {
		t.Errorf("told of %d and dropped %d of %d", heard, snap.EventsDropped, callers*each)
	}
}

func TestRegistryConcurrentGetIsOneBreaker(t *testing.T) {
	for range 20 {
		r := core.Registry{Max: 5}
		var got [16]*core.Breaker
		var wg sync.WaitGroup
		for i := range got {
			wg.Go(func() { got[i], _ = r.Get("db") })
		}
		wg.Wait()
		for _, b := range got {
			if b == nil || b != got[0] {
				t.Fatalf("two breakers of one name: %p and %p", b, got[0])
			}
		}
		if r.Len() != 1 {
			t.Fatalf("%d breakers, want 1", r.Len())
		}
	}
}

// While breakers are evicted all the time, no caller holds a breaker with a
// permit out that is not the one its name has.
func TestRegistryRacingEviction(t *testing.T) {
	r := core.Registry{Max: 8, Idle: 1, Config: always(core.Config{FailureThreshold: -1})}
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 2000 {
				name := fmt.Sprint((g + i) % 12)
				b, err := r.Get(name)
				if errors.Is(err, core.ErrRegistryFull) {
					continue // all others have permits out
				}
				if err != nil {
					t.Errorf("Get(%s) = %v", name, err)
					return
				}
				if got := b.Name(); got != name {
					t.Errorf("Get(%s) gave %s", name, got)
					return
				}
				p, err := b.Allow(bg)
				if err != nil {
					t.Errorf("Allow = %v", err)
					return
				}
				if i%64 == 0 {
					r.Stats()
				}
				p.Settle(bg, core.Success)
			}
		})
	}
	wg.Wait()
	if got := r.Len(); got > 8 || got != len(names(&r)) {
		t.Errorf("Len %d, All gives %d; want at most 8, and the same", got, len(names(&r)))
	}
	if got := r.Stats().Totals.InFlight; got != 0 {
		t.Errorf("%d permits out at rest, want none", got)
	}
}
