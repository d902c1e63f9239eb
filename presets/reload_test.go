package presets_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/presets"
)

// In a bubble no time passes while a goroutine runs, so a call's deadline tells to
// the nanosecond by which policy it is made, though goroutines run in parallel.

// oldFleet and newFleet differ in all that a call shows.
func oldFleet() *presets.Fleet { return fleetOf(10*time.Second, 3) }
func newFleet() *presets.Fleet { return fleetOf(20*time.Second, 5) }

func fleetOf(callTimeout time.Duration, attempts int) *presets.Fleet {
	p := presets.Policy{
		Config: core.Config{FailureThreshold: -1, FailureRateThreshold: -1, CallTimeout: callTimeout, Timeout: callTimeout},
		Retry:  presets.Retry{Enabled: true, Strategy: presets.StrategyFixed, Attempts: attempts, InitialDelay: time.Nanosecond, JitterFactor: -1},
	}
	return &presets.Fleet{Defaults: p, Policies: map[string]presets.Policy{"file-*": p}}
}

func apply(t *testing.T, r *presets.Registry, f *presets.Fleet) {
	t.Helper()
	if err := r.Apply(f); err != nil {
		t.Errorf("Apply = %v, want none", err)
	}
}

// tally is what callers have seen.
type tally struct {
	successes, failures, refused atomic.Uint64
	torn                         atomic.Int64
}

// Reloading under traffic loses no call, and every call is made by the old
// policy or the new one.
func TestReloadUnderTraffic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const callers, calls, names = 32, 150, 5
		r := registryFor(t, oldFleet())
		var seen tally
		var protected []func(context.Context, int) (int, error)
		for i := range names {
			protected = append(protected, presets.MustProtect(fmt.Sprint("file-", i), in(r, presets.Moderate()), func(ctx context.Context, fails int) (int, error) {
				deadline, _ := ctx.Deadline()
				if left := time.Until(deadline); left != 10*time.Second && left != 20*time.Second {
					seen.torn.Add(1)
				}
				if fails > 0 && rand.IntN(fails) > 0 {
					seen.failures.Add(1)
					return fails, errDown
				}
				seen.successes.Add(1)
				return fails, nil
			}))
		}
		var wg sync.WaitGroup
		var stop atomic.Bool
		var running sync.WaitGroup
		running.Go(func() { // the one that reloads
			for i := 0; !stop.Load(); i++ {
				apply(t, r, []*presets.Fleet{newFleet(), oldFleet()}[i%2])
				time.Sleep(time.Nanosecond) // the callers wait between attempts, so time must pass
			}
			apply(t, r, newFleet())
		})
		running.Go(func() { // the one that looks: what is counted never goes back
			before := make(map[string]core.Totals)
			for !stop.Load() {
				for name, b := range r.Breakers().All() {
					was, is := before[name], b.Snapshot().Totals
					if is.Calls < was.Calls || is.Failures < was.Failures || is.Successes < was.Successes {
						t.Errorf("%s: the totals went from %+v to %+v", name, was, is)
					}
					before[name] = is
				}
				time.Sleep(time.Nanosecond)
			}
		})
		for g := range callers {
			wg.Go(func() {
				for i := range calls {
					in := (g + i) % 4
					if out, err := protected[(g+i)%names](t.Context(), in); out != in || err != nil && err != errDown {
						t.Errorf("a call of %d = %d, %v, want its own result", in, out, err)
					}
				}
			})
		}
		wg.Wait()
		stop.Store(true)
		running.Wait()
		var got core.Totals
		for _, b := range r.Breakers().All() {
			one := b.Snapshot().Totals
			got.Calls, got.Successes, got.Failures = got.Calls+one.Calls, got.Successes+one.Successes, got.Failures+one.Failures
			got.Refused, got.Ignored, got.InFlight = got.Refused+one.Refused, got.Ignored+one.Ignored, got.InFlight+one.InFlight
		}
		want := core.Totals{Successes: seen.successes.Load(), Failures: seen.failures.Load()}
		want.Calls = want.Successes + want.Failures
		if got != want {
			t.Errorf("the breakers have counted\n %+v, the callers\n %+v", got, want)
		}
		if n := seen.torn.Load(); n != 0 {
			t.Errorf("%d calls were made by neither policy", n)
		}
		for i := range names {
			callTimeoutIs(t, r, fmt.Sprint("file-", i), 20*time.Second)
		}
		f := failsAlways()
		_, _ = presets.MustProtect("file-last", in(r, presets.Moderate()), f.call)(t.Context(), "")
		if f.calls() != 5 {
			t.Errorf("%d attempts in the end, want the new policy's 5", f.calls())
		}
	})
}

// Breakers that open under reloads: each break is the old one's or the new
// one's, none is lost or made shorter, and refusals are counted.
func TestReloadWhileOpening(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fleet := func(failures int, timeout time.Duration) *presets.Fleet {
			return &presets.Fleet{Defaults: presets.Policy{Config: core.Config{FailureThreshold: failures, Timeout: timeout}}}
		}
		old, next := fleet(2, time.Minute), fleet(3, time.Hour)
		r := registryFor(t, old)
		kept := breakerOf(t, r, "kept")
		failing(t, kept, 2)
		until := kept.Snapshot().RetryAt
		var mu sync.Mutex
		var openings []core.Transition
		r.Attach = func(name string, p *presets.Policy) {
			p.Hooks.Transition = func(_ context.Context, tr core.Transition) {
				mu.Lock()
				defer mu.Unlock()
				if tr.To == core.Open {
					openings = append(openings, tr)
				}
			}
		}
		apply(t, r, old) // from here on there are hooks
		var stop atomic.Bool
		var reloading, wg sync.WaitGroup
		reloading.Go(func() {
			for i := 0; !stop.Load(); i++ {
				apply(t, r, []*presets.Fleet{next, old}[i%2])
			}
		})
		var seen tally
		for g := range 32 {
			wg.Go(func() {
				for i := range 30 {
					b := breakerOf(t, r, fmt.Sprint("n", (g*7+i)%40))
					for range 4 {
						switch err := b.Do(t.Context(), func(context.Context) error { return errDown }); {
						case errors.Is(err, core.ErrOpen):
							seen.refused.Add(1)
						default:
							seen.failures.Add(1)
						}
					}
					if err := kept.Do(t.Context(), func(context.Context) error { return nil }); !errors.Is(err, core.ErrOpen) {
						t.Errorf("a call of the open breaker = %v, want it refused", err)
					}
				}
			})
		}
		wg.Wait()
		stop.Store(true)
		reloading.Wait()
		if got := kept.Snapshot(); got.State != core.Open || !got.RetryAt.Equal(until) || got.Totals.Refused != 32*30 {
			t.Errorf("the open breaker is %v until %v with %d refused, want open until %v with %d", got.State, got.RetryAt, got.Totals.Refused, until, 32*30)
		}
		var failures, refused uint64
		for name, b := range r.Breakers().All() {
			if name == "kept" {
				continue
			}
			stateIs(t, b, core.Open) // forty names had 96 failures each, or refusals
			failures, refused = failures+b.Snapshot().Totals.Failures, refused+b.Snapshot().Totals.Refused
		}
		if failures != seen.failures.Load() || refused != seen.refused.Load() {
			t.Errorf("%d failures and %d refusals are counted, the callers saw %d and %d", failures, refused, seen.failures.Load(), seen.refused.Load())
		}
		if len(openings) != 40 {
			t.Errorf("%d openings were told, want 40", len(openings))
		}
		for _, tr := range openings {
			if d := tr.RetryAt.Sub(tr.At); d != time.Minute && d != time.Hour {
				t.Errorf("%s is open for %v, want 1m or 1h", tr.Name, d)
			}
			// A limit that rises meanwhile is reached later, one that falls at once.
			if tr.Counts.Consecutive < 2 || tr.Counts.Consecutive > 3 {
				t.Errorf("%s opened after %d failures, want 2 or 3", tr.Name, tr.Counts.Consecutive)
			}
		}
	})
}

// Names that come up during a reload end with the new policy.
func TestReloadAndNewNames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for round := range 20 {
			r := registryFor(t, oldFleet())
			start := make(chan struct{})
			var wg sync.WaitGroup
			wg.Go(func() {
				<-start
				apply(t, r, newFleet())
			})
			for g := range 8 {
				wg.Go(func() {
					<-start
					for i := range 10 {
						name := fmt.Sprint("file-", g%4, "-", i)
						var left time.Duration
						see := func(ctx context.Context) error {
							deadline, _ := ctx.Deadline()
							left = time.Until(deadline)
							return nil
						}
						if g < 4 {
							_ = presets.MustProtectFunc(name, in(r, presets.Moderate()), see)(t.Context())
						} else if b, err := r.Breakers().Get(name); err == nil {
							_ = b.Do(t.Context(), see)
						}
						if left != 10*time.Second && left != 20*time.Second {
							t.Errorf("a call of %s has %v, want 10s or 20s", name, left)
						}
					}
				})
			}
			synctest.Wait()
			close(start)
			wg.Wait()
			for g := range 4 {
				for i := range 10 {
					name := fmt.Sprint("file-", g, "-", i)
					callTimeoutIs(t, r, name, 20*time.Second)
					f := failsAlways()
					_, _ = presets.MustProtect(name, in(r, presets.Moderate()), f.call)(t.Context(), "")
					if f.calls() != 5 {
						t.Errorf("%s makes %d attempts, want the new policy's 5", name, f.calls())
					}
				}
			}
			if t.Failed() {
				t.Fatalf("in round %d", round)
			}
		}
	})
}

// yield lets others go first, n times. A sleep would do so as well, but not in a
// bubble where others wait for a lock that is held meanwhile.
func yield(n int) {
	for range n {
		runtime.Gosched()
	}
}

// Two reloads at once: one of them is the later, for everything. Attach lets others
// go first, so that chance interleaves the two in every way.
func TestApplyConcurrently(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for round := range 300 {
			r := registryFor(t, nil)
			var slow atomic.Bool
			r.Attach = func(string, *presets.Policy) {
				if slow.Load() {
					yield(rand.N(10))
				}
			}
			f := failsAlways()
			call := presets.MustProtect("file-code", in(r, presets.Moderate()), f.call)
			breakerOf(t, r, "default")
			breakerOf(t, r, "found") // and then protected, when others reload
			slow.Store(true)
			var wg sync.WaitGroup
			for _, fleet := range []*presets.Fleet{oldFleet(), newFleet()} {
				wg.Go(func() { apply(t, r, fleet) })
			}
			for _, name := range []string{"file-other", "found", "fresh"} {
				wg.Go(func() {
					yield(rand.N(50))
					_ = protectNothing(name, in(r, limited(time.Minute)))(t.Context())
				})
			}
			wg.Wait()
			slow.Store(false)
			want := r.Policy("file-code")
			for _, name := range []string{"file-code", "default", "file-other"} {
				callTimeoutIs(t, r, name, want.CallTimeout)
			}
			callTimeoutIs(t, r, "found", time.Minute)
			callTimeoutIs(t, r, "fresh", time.Minute)
			_, _ = call(t.Context(), "")
			if f.calls() != want.Retry.Attempts {
				t.Errorf("%d attempts, want the %d of the policy that holds", f.calls(), want.Retry.Attempts)
			}
			if t.Failed() {
				t.Fatalf("in round %d", round)
			}
		}
	})
}
