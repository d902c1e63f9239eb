package core_test

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/blackbox4/switchgear/core"
)

// Hooks that an Update of the registry causes, and the func that it is given,
// may use the registry: neither runs under its lock.
func TestRegistryUpdateRunsNothingUnderItsLock(t *testing.T) {
	use := func(r *core.Registry, name string) {
		get(t, r, name)
		names(r)
		r.Len()
		r.Stats()
	}
	t.Run("hooks", func(t *testing.T) {
		within(t, func() {
			clock := newFakeClock()
			var r core.Registry
			told := 0
			cfg := core.Config{FailureThreshold: 1, Timeout: time.Minute, ProbeTimeout: time.Second, Now: clock.now, Hooks: core.Hooks{
				Transition: func(_ context.Context, tr core.Transition) {
					told++
					use(&r, fmt.Sprint("new ", tr.Name, tr.Seq))
				},
			}}
			r.Config = always(cfg)
			for _, name := range []string{"a", "b", "c"} {
				fail(t, get(t, &r, name), 1)
			}
			clock.advance(time.Minute)
			for _, name := range []string{"a", "b", "c"} {
				fail(t, get(t, &r, name), 1)
			}
			clock.advance(time.Minute)
			if told != 9 {
				t.Fatalf("told of %d transitions, want 6", told)
			}
			if err := r.Update(always(cfg)); err != nil {
				t.Fatal(err)
			}
			if told != 9 {
				t.Errorf("told of %d transitions, want 3 more: Update found the probes lost", told)
			}
			if got := r.Len(); got != 3+9 {
				t.Errorf("%d breakers, want the three and one for each transition", got)
			}
		})
	})
	t.Run("config", func(t *testing.T) {
		within(t, func() {
			var r core.Registry
			get(t, &r, "a")
			err := r.Update(func(name string) core.Config {
				use(&r, "a")
				if name == "a" {
					use(&r, "added meanwhile")
				}
				return core.Config{FailureThreshold: 1}
			})
			if err != nil {
				t.Fatal(err)
			}
			for _, name := range []string{"a", "added meanwhile", "added later"} {
				b := get(t, &r, name)
				fail(t, b, 1)
				wantState(t, b, core.Open)
			}
		})
	})
	t.Run("a bad Config for a name that was added meanwhile", func(t *testing.T) {
		within(t, func() {
			r := core.Registry{Max: 10} // few enough that Update does not come across the new name
			a := get(t, &r, "a")
			err := r.Update(func(name string) core.Config {
				switch name {
				case "a":
					get(t, &r, "added meanwhile")
				case "added meanwhile":
					return core.Config{Jitter: 2}
				}
				return core.Config{FailureThreshold: 1}
			})
			if err == nil {
				t.Error("Update = nil, want the fault of the name that was added")
			}
			fail(t, a, 4)
			wantState(t, a, core.Closed)
		})
	})
}

// An Update ends though a name comes for each that it looks at, and asks for a Config
// a bounded number of times.
func TestRegistryUpdateEndsHoweverManyNamesCome(t *testing.T) {
	within(t, func() {
		const many = 1000
		var r core.Registry
		for i := range many {
			get(t, &r, fmt.Sprint("old-", i))
		}
		asked, added := 0, 0
		err := r.Update(func(name string) core.Config {
			asked++
			if strings.HasPrefix(name, "old-") && added < 20*many {
				for range 3 {
					added++
					get(t, &r, fmt.Sprint("new-", added))
				}
			}
			return core.Config{FailureThreshold: 1}
		})
		if err != nil || asked > 3*(many+added) {
			t.Errorf("Update = %v, Config was asked %d times for %d names", err, asked, many+added)
		}
		if added > 6*many {
			t.Errorf("%d names were added, want 6 for each of %d: each is looked at twice", added, many)
		}
		for name, b := range r.All() {
			if got := b.Config().FailureThreshold; got != 1 {
				t.Fatalf("%s has FailureThreshold %d, want 1", name, got)
			}
		}
	})
}

// While an Update waits for a Config, names old and new have their breakers, by the
// old Config.
func TestRegistryUpdateHoldsNothingUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := core.Registry{Max: 3, Config: always(core.Config{FailureThreshold: 7})}
		get(t, &r, "a")
		blocked := make(chan struct{})
		var wg sync.WaitGroup
		wg.Go(func() {
			if err := r.Update(func(name string) core.Config {
				if name == "a" {
					<-blocked
				}
				return core.Config{FailureThreshold: 1}
			}); err != nil {
				t.Error(err)
			}
		})
		synctest.Wait()
		get(t, &r, "a")
		for i := range 10 { // evicts, too
			if got := get(t, &r, fmt.Sprint(i)).Config().FailureThreshold; got != 7 {
				t.Errorf("FailureThreshold is %d before the Update is done, want 7", got)
			}
		}
		r.Stats()
		names(&r)
		close(blocked)
		wg.Wait()
		for name, b := range r.All() {
			if got := b.Config().FailureThreshold; got != 1 {
				t.Errorf("%s has FailureThreshold %d, want 1", name, got)
			}
		}
	})
}

// Of Updates that overlap, the later wins for every breaker.
func TestRegistryUpdatesHaveAnOrder(t *testing.T) {
	var r core.Registry
	for i := range 50 {
		get(t, &r, fmt.Sprint(i))
	}
	for range scaled(100) {
		hammer(4, 3, func(g, i int) {
			threshold := 1 + g*3 + i
			if err := r.Update(func(string) core.Config { return core.Config{FailureThreshold: threshold} }); err != nil {
				t.Error(err)
			}
			get(t, &r, fmt.Sprint("new-", g, i))
		})
		seen := map[int]int{}
		for _, b := range r.All() {
			seen[b.Config().FailureThreshold]++
		}
		if len(seen) != 1 {
			t.Fatalf("after overlapping Updates the breakers have %v (threshold to breakers), want one for all", seen)
		}
	}
}

// An Update that is called while another runs follows it, wherever that is.
func TestRegistryUpdateFollowsTheOneThatRuns(t *testing.T) {
	var r core.Registry
	for i := range 20 {
		get(t, &r, fmt.Sprint(i))
	}
	var second sync.WaitGroup
	asked := 0
	if err := r.Update(func(string) core.Config {
		if asked++; asked == 30 { // the breakers are being updated
			second.Go(func() {
				if err := r.Update(always(core.Config{FailureThreshold: 2})); err != nil {
					t.Error(err)
				}
			})
			for range 10_000 { // time for it to go wrong
				runtime.Gosched()
			}
		}
		return core.Config{FailureThreshold: 1}
	}); err != nil {
		t.Fatal(err)
	}
	second.Wait()
	for name, b := range r.All() {
		if got := b.Config().FailureThreshold; got != 2 {
			t.Errorf("%s has FailureThreshold %d, want 2 of the later Update", name, got)
		}
	}
}

// An Update that fails by a name that came meanwhile leaves everything as it was, and
// the next one is not hindered.
func TestRegistryUpdateThatFailsOrPanicsIsOver(t *testing.T) {
	r := core.Registry{Max: 10, Config: always(core.Config{FailureThreshold: 9})}
	a := get(t, &r, "a")
	func() {
		defer func() { _ = recover() }()
		_ = r.Update(func(string) core.Config { panic("config") })
	}()
	if err := r.Update(func(name string) core.Config {
		if name == "a" {
			get(t, &r, "b")
			return core.Config{}
		}
		return core.Config{Jitter: 2}
	}); err == nil || !strings.Contains(err.Error(), `breaker "b"`) {
		t.Errorf("Update = %v, want the fault of b", err)
	}
	if got := a.Config().FailureThreshold; got != 9 {
		t.Errorf("a has FailureThreshold %d after an Update that failed, want 9 as before", got)
	}
	get(t, &r, "c") // is not checked by what was pending
	if err := r.Update(always(core.Config{FailureThreshold: 3})); err != nil {
		t.Error(err)
	}
	for _, b := range []*core.Breaker{a, get(t, &r, "b"), get(t, &r, "c"), get(t, &r, "d")} {
		if got := b.Config().FailureThreshold; got != 3 {
			t.Errorf("%s has FailureThreshold %d, want 3", b.Name(), got)
		}
	}
}

// When an Update is over, a name is asked for once by the current Config alone.
func TestRegistryUpdateLeavesNothingPending(t *testing.T) {
	var r core.Registry
	get(t, &r, "a")
	asked := map[string]int{}
	if err := r.Update(func(name string) core.Config { asked[name]++; return core.Config{} }); err != nil {
		t.Fatal(err)
	}
	if get(t, &r, "b"); asked["b"] != 1 {
		t.Errorf("Config was asked %d times for a name that came after the Update, want once", asked["b"])
	}
}
