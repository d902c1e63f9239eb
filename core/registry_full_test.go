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

// Thousands that are idle go at one sweep, and what is open stays for its
// MaxTimeout more.
func TestRegistryEvictsManyAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const many, every = 5000, 10
		r := core.Registry{Config: always(core.Config{FailureThreshold: 1, MaxTimeout: 5 * time.Hour})}
		sick := map[string]*core.Breaker{}
		for i := range many {
			name := fmt.Sprint("host-", i)
			b := get(t, &r, name)
			if i%every == 0 {
				fail(t, b, 1)
				sick[name] = b
			}
		}
		for i, want := range []int{many + 1, many/every + 2} { // a sweep marks, the next one evicts
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
				t.Errorf("%s was evicted while it was open", name)
			}
		}
		if got := get(t, &r, "host-1").Name(); got != "host-1" || r.Len() != many/every+3 {
			t.Errorf("a name that was evicted has %q, want a breaker of its own again", got)
		}
	})
}

// A probe that was lost keeps no breaker from being evicted, whatever has met the
// loss and whatever came after it; one that was settled after all makes up for no
// other permit.
func TestRegistryEvictsInSpiteOfALostProbe(t *testing.T) {
	for name, row := range map[string]struct {
		then func(t *testing.T, b *core.Breaker, lost *core.Permit)
		kept bool
	}{
		"not met":             {func(*testing.T, *core.Breaker, *core.Permit) {}, false},
		"met":                 {func(t *testing.T, b *core.Breaker, _ *core.Permit) { refusal(t, b) }, false},
		"the phase has ended": {func(t *testing.T, b *core.Breaker, _ *core.Permit) { refusal(t, b); b.Reset() }, false},
		"met, and another permit is out": {func(t *testing.T, b *core.Breaker, _ *core.Permit) {
			refusal(t, b)
			b.Reset()
			take(t, b)
		}, true},
		"settled, and another permit is out": {func(t *testing.T, b *core.Breaker, lost *core.Permit) {
			lost.Settle(bg, core.Ignored)
			b.Reset()
			take(t, b)
		}, true},
		"settled late, and another permit is out": {func(t *testing.T, b *core.Breaker, lost *core.Permit) {
			refusal(t, b)
			b.Reset()
			lost.Settle(bg, core.Success)
			take(t, b)
		}, true},
	} {
		bubble(t, name, func(t *testing.T) {
			r := core.Registry{Config: always(core.Config{FailureThreshold: 1, Timeout: time.Second})}
			b := get(t, &r, "a")
			fail(t, b, 1)
			time.Sleep(time.Second)
			lost := take(t, b)
			time.Sleep(30 * time.Second)
			row.then(t, b, lost)
			for i := range 5 {
				time.Sleep(time.Hour)
				get(t, &r, fmt.Sprint("new-", i))
			}
			if got := names(&r)["a"]; got != row.kept {
				t.Errorf("kept: %t, want %t", got, row.kept)
			}
		})
	}
}
