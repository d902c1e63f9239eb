package roster_test

import (
	"runtime"
	"testing"
	"weak"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/otelexport/internal/contract"
	"github.com/blackbox4/switchgear/otelexport/internal/roster"
)

// registry is one that tells its sums, with a method of its own.
type registry struct {
	set

	stats core.RegistryStats
}

func (r *registry) Stats() core.RegistryStats { return r.stats }

// strange is one that cannot be told from another, so that its sums are of no use.
type strange struct {
	set

	_ []int
}

func (strange) Stats() core.RegistryStats { return core.RegistryStats{Unguarded: 1000} }

func succeed(t *testing.T, b *core.Breaker, n int) {
	t.Helper()
	for range n {
		p, err := b.Allow(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		p.Settle(t.Context(), core.Success)
	}
}

func sums(r *roster.Roster[string]) (successes, unguarded int64, breakers [3]int64) {
	_, w := r.Members()
	return w.Calls[0], w.Unguarded, w.Breakers
}

// A count stays in the sums, whichever source reports it, and is in them once.
func TestSums(t *testing.T) {
	quiet(t)
	want := func(r *roster.Roster[string], successes, unguarded int64, breakers [3]int64) {
		t.Helper()
		if s, u, b := sums(r); s != successes || u != unguarded || b != breakers {
			t.Errorf("%d successes, %d unguarded, breakers %v; want %d, %d, %v", s, u, b, successes, unguarded, breakers)
		}
	}
	r, single := newRoster(), set{}
	told := &registry{set{}, core.RegistryStats{Closed: 3, Open: 2, HalfOpen: 1, Totals: core.Totals{Successes: 100}, Unguarded: 7}}
	r.Add(single, 1)
	r.Add(told, 1)
	removeTold := r.Add(told, 1) // twice
	single.add("a", "b")
	succeed(t, single["a"], 2)
	succeed(t, single["b"], 3)
	want(r, 105, 7, [3]int64{5, 2, 1})
	want(r, 105, 7, [3]int64{5, 2, 1})

	told.stats.Totals.Successes, told.stats.Unguarded = 90, 5 // which a registry does not do
	succeed(t, single["b"], 1)
	want(r, 106, 7, [3]int64{5, 2, 1})
	removeTold()
	want(r, 106, 7, [3]int64{5, 2, 1})

	b := single["b"]
	delete(single, "b")
	want(r, 106, 7, [3]int64{4, 2, 1})
	single["b"] = b // the same again
	succeed(t, b, 1)
	want(r, 107, 7, [3]int64{5, 2, 1})
	single.add("b") // another one
	succeed(t, single["b"], 1)
	want(r, 108, 7, [3]int64{5, 2, 1})

	r.Add(strange{set: set{"s": core.MustNew("s", core.Config{})}}, 1)
	want(r, 108, 7, [3]int64{5, 2, 1})
}

// A registry that is registered again is the same; one that is gone leaves its sums.
func TestSumsOfARegistryThatComesAndGoes(t *testing.T) {
	r := newRoster()
	r.Add(set{}, 0)
	was := func() weak.Pointer[core.Registry] {
		registry := new(core.Registry)
		for range 3 {
			remove := r.Add(registry, 0)
			b, err := registry.Get("a")
			if err != nil {
				t.Fatal(err)
			}
			succeed(t, b, 1)
			r.Members()
			remove()
			r.Members()
		}
		return weak.Make(registry)
	}()
	if s, _, _ := sums(r); s != 3 {
		t.Errorf("%d successes, want 3", s)
	}
	runtime.GC()
	runtime.GC()
	if was.Value() != nil {
		t.Error("the registry is kept alive")
	}
	if s, _, _ := sums(r); s != 3 {
		t.Errorf("%d successes when it is gone, want 3", s)
	}
}

// The counters of a breaker that its source lists no more stay, until their place is
// needed: then those go first that were evicted first.
func TestEvictedMembersMakeRoom(t *testing.T) {
	quiet(t)
	r, s := newRoster(), set{}
	remove := r.Add(s, 3)
	s.add("a", "b", "c")
	for _, name := range []string{"c", "a", "b"} {
		members, _ := r.Members()
		for _, m := range members {
			m.Read(new(contract.Reading))
		}
		delete(s, name)
	}
	present := func(want string) {
		t.Helper()
		got := ""
		members, _ := r.Members()
		for _, name := range []string{"a", "b", "c", "d", "e", "f"} {
			for _, m := range members {
				if m.Name == name {
					got += name
					if m.Breaker == nil {
						got += "-"
					}
				}
			}
		}
		if got != want {
			t.Errorf("there are %s, want %s", got, want)
		}
	}
	present("a-b-c-")
	s.add("d")
	present("a-b-d")
	s.add("a")
	present("ab-d")
	s.add("e")
	present("ade")
	s.add("f")
	present("ade")
	delete(s, "d")
	present("aef")
	remove()
	present("")
	if s, _, _ := sums(r); s != 0 {
		t.Errorf("%d successes of no breaker", s)
	}
}
