package roster_test

import (
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"testing"

	"go.opentelemetry.io/otel"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/otelexport/internal/roster"
)

// set is a source without an order, as a registry is one.
type set map[string]*core.Breaker

func (s set) All() iter.Seq2[string, *core.Breaker] { return maps.All(s) }

func (s set) add(names ...string) {
	for _, name := range names {
		s[name] = core.MustNew(name, core.Config{})
	}
}

func numbers(from, to int) (names []string) {
	for i := from; i < to; i++ {
		names = append(names, fmt.Sprintf("%04d", i))
	}
	return names
}

func quiet(t *testing.T) {
	old := otel.GetErrorHandler()
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(error) {}))
	t.Cleanup(func() { otel.SetErrorHandler(old) })
}

func newRoster() *roster.Roster[string] {
	return roster.New(func(name string, b *core.Breaker) string { return name + "=" + b.Name() })
}

func check(t *testing.T, r *roster.Roster[string], skipped roster.Skipped, names ...string) {
	t.Helper()
	members, whole := r.Members()
	got := roster.Skipped{Limit: int(whole.Limit), Duplicate: int(whole.Duplicate)}
	var have []string
	for _, m := range members {
		have = append(have, m.Name)
		if r.Find(m.Name) != m {
			t.Errorf("%s is not found", m.Name)
		}
	}
	slices.Sort(have)
	if !slices.Equal(have, names) || got != skipped {
		t.Errorf("%s and %+v, want %s and %+v", have, got, names, skipped)
	}
}

// TestFarMoreThanTheLimit has the first by name, whatever the order of the source.
func TestFarMoreThanTheLimit(t *testing.T) {
	quiet(t)
	for range 20 {
		r, s := newRoster(), set{}
		s.add(numbers(0, 1000)...)
		r.Add(s, 3)
		for range 3 {
			check(t, r, roster.Skipped{Limit: 997}, "0000", "0001", "0002")
		}
	}
}

func TestWhoIsInStays(t *testing.T) {
	quiet(t)
	r, s := newRoster(), set{}
	r.Add(s, 3)
	check(t, r, roster.Skipped{})
	s.add("m", "n", "o")
	check(t, r, roster.Skipped{}, "m", "n", "o")
	s.add("z", "b", "a")
	check(t, r, roster.Skipped{Limit: 3}, "m", "n", "o")
	was := r.Find("n")
	delete(s, "m")
	check(t, r, roster.Skipped{Limit: 2}, "a", "n", "o")
	if r.Find("n") != was || r.Find("m") != nil {
		t.Error("n is another member, or m is still found")
	}
	s.add("n")                                           // a new one of the name
	check(t, r, roster.Skipped{Limit: 2}, "a", "n", "o") // has its place, though b is before it
	if r.Find("n") == was || r.Find("n").Breaker != s["n"] {
		t.Error("n is the member of old")
	}
}

func TestDuplicates(t *testing.T) {
	quiet(t)
	r, first, second := newRoster(), set{}, set{}
	second.add("a", "b")
	r.Add(first, 0)
	remove := r.Add(second, 0)
	check(t, r, roster.Skipped{}, "a", "b")
	first.add("a", "c") // before it in order, but too late
	for range 3 {
		check(t, r, roster.Skipped{Duplicate: 1}, "a", "b", "c")
	}
	if r.Find("a").Breaker != second["a"] {
		t.Error("who came later has the name")
	}
	r.Add(set{"alias": first["c"], "none": nil}, 0)
	check(t, r, roster.Skipped{Duplicate: 1}, "a", "alias", "b", "c")
	remove()
	check(t, r, roster.Skipped{}, "a", "alias", "c")
	r.Add(second, 0)
	remove() // not the one that was added since
	check(t, r, roster.Skipped{Duplicate: 1}, "a", "alias", "b", "c")
}

func TestLimits(t *testing.T) {
	quiet(t)
	r, s := newRoster(), set{}
	s.add(numbers(0, 1000)...)
	removeSmall := r.Add(s, 2)
	removeLarge := r.Add(s, 4)
	for _, name := range numbers(0, 4) {
		if r.Members(); r.Find(name) == nil {
			t.Errorf("%s is not in", name)
		}
	}
	removeNone := r.Add(s, -1)
	check(t, r, roster.Skipped{}, numbers(0, 1000)...)
	removeNone()
	removeLarge()
	members, _ := r.Members()
	if len(members) != 1000 {
		t.Errorf("%d members, want 1000: who is in stays", len(members))
	}
	removeSmall()
	check(t, r, roster.Skipped{})
	r.Add(s, 0)
	check(t, r, roster.Skipped{Limit: 1000 - roster.DefaultLimit}, numbers(0, roster.DefaultLimit)...)
}

func TestOf(t *testing.T) {
	r := newRoster()
	r.Add(set{"here": core.MustNew("there", core.Config{})}, 0)
	members, _ := r.Members()
	if of := members[0].Of; of != "here=there" {
		t.Errorf("%q is kept", of)
	}
	if strings.Contains(members[0].Name, "there") {
		t.Error("it is exported under the breaker's own name")
	}
}
