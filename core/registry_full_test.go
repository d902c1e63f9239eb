package core_test

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/blackbox4/switchgear/core"
)

// A flood of names past the cap costs a look for each: no Config, no breaker.
func TestRegistryPastTheCapCostsALook(t *testing.T) {
	flood := make([]string, 1000)
	for i := range flood {
		flood[i] = fmt.Sprint("host-", i)
	}
	for name, idle := range map[string]time.Duration{"an hour": 0, "never": -1} {
		t.Run(name, func(t *testing.T) {
			asked := 0
			r := core.Registry{Max: 2, Idle: idle, Config: func(string) core.Config { asked++; return core.Config{} }}
			get(t, &r, "a")
			get(t, &r, "b")
			shared := get(t, &r, core.OverflowName)
			for _, name := range flood {
				if get(t, &r, name) != shared {
					t.Fatalf("%s has a breaker of its own past the cap", name)
				}
			}
			if asked != 3 {
				t.Errorf("Config was asked %d times, want 3", asked)
			}
			i := 0
			if allocs := testing.AllocsPerRun(len(flood), func() {
				get(t, &r, flood[i%len(flood)])
				i++
			}); allocs != 0 {
				t.Errorf("a name past the cap costs %v allocations, want none", allocs)
			}
		})
	}
	bubble(t, "but for one each time that room may be made", func(t *testing.T) {
		asked := 0
		r := core.Registry{Max: 2, Config: func(string) core.Config { asked++; return core.Config{} }}
		get(t, &r, "a")
		get(t, &r, "b")
		get(t, &r, core.OverflowName)
		for i := range 5 {
			time.Sleep(6 * time.Minute) // a tenth of Idle
			for _, name := range flood {
				get(t, &r, name)
			}
			if got := asked - 3; got != i+1 {
				t.Fatalf("Config was asked %d times in %d tenths of Idle, want once in each", got, i+1)
			}
		}
		time.Sleep(2 * time.Hour)
		get(t, &r, "a")
		if got := get(t, &r, "c").Name(); got != "c" {
			t.Errorf("c has %q, want its own: b is forgotten", got)
		}
	})
}

// Config sees only names that a breaker can have.
func TestRegistryConfigSeesNoInvalidName(t *testing.T) {
	for _, limit := range []int{10, 1} {
		r := core.Registry{Max: limit, Config: func(name string) core.Config {
			if name != "a" {
				t.Errorf("Config was asked for %q", name)
			}
			return core.Config{}
		}}
		get(t, &r, "a")
		for _, name := range []string{"", "a\n", "\xff", strings.Repeat("x", 257)} {
			b, err := r.Get(name)
			if fault, ok := errors.AsType[*core.ConfigError](err); !ok || fault.Field != "name" || b != nil {
				t.Errorf("Get(%q) = %v, %v; want a ConfigError about the name", name, b, err)
			}
		}
	}
}

// Thousands that are idle go at one sweep, and what has something to remember
// stays.
func TestRegistryForgetsManyAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const many, every = 5000, 10
		r := core.Registry{Config: always(core.Config{FailureThreshold: 1})}
		sick := map[string]*core.Breaker{}
		for i := range many {
			name := fmt.Sprint("host-", i)
			b := get(t, &r, name)
			if i%every == 0 {
				fail(t, b, 1)
				sick[name] = b
			}
		}
		for i, want := range []int{many + 1, many/every + 2} { // a sweep marks, the next one forgets
			time.Sleep(time.Hour)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			get(t, &r, fmt.Sprint("new-", i))
			runtime.ReadMemStats(&after)
			if got := r.Len(); got != want || len(names(&r)) != want {
				t.Fatalf("sweep %d: Len %d, All gives %d; want %d", i+1, got, len(names(&r)), want)
			}
			if each := (after.TotalAlloc - before.TotalAlloc) / many; each > 200 {
				t.Errorf("sweep %d took %d B for each name, want each map copied once", i+1, each)
			}
		}
		for name, b := range r.All() {
			if kept := sick[name]; kept != nil && kept != b || kept == nil && !strings.HasPrefix(name, "new-") {
				t.Errorf("All gives %s, want only what was sick and what is new", name)
			}
		}
		for name, b := range sick {
			if get(t, &r, name) != b {
				t.Errorf("%s was forgotten while it was not closed", name)
			}
		}
		if got := get(t, &r, "host-1").Name(); got != "host-1" || r.Len() != many/every+3 {
			t.Errorf("a name that was forgotten has %q, want a breaker of its own again", got)
		}
	})
}
