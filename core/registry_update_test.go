package core_test

import (
	"context"
	"fmt"
	"testing"
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
			var r core.Registry
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
