package roster

import (
	"fmt"
	"slices"
	"strings"

	"github.com/blackbox4/switchgear/core"
)

// round is one reading of the sources. It needs Roster.mu, but for report.
type round[T any] struct {
	*Roster[T]

	limit   int
	skipped Skipped
	rivals  string // a name that two have
	changed bool
	panic   error
	// heirs have the name of a member that has not been seen so far: it has been
	// replaced, or is yet to come. fresh have a name that no member has.
	heirs, fresh []candidate
}

type candidate struct {
	name    string
	breaker *core.Breaker
}

// read sees what the sources list.
func (r *round[T]) read() {
	r.rounds++
	r.heirs, r.fresh = r.Roster.heirs[:0], r.Roster.fresh[:0]
	for _, l := range r.sources {
		r.readOne(l.source)
	}
}

// readOne survives the panic of a source.
func (r *round[T]) readOne(s Source) {
	defer func() {
		if p := recover(); p != nil && r.panic == nil {
			r.panic = fmt.Errorf("switchgear: a source of circuit breakers panicked: %v", p)
		}
	}()
	for name, b := range s.All() {
		if b == nil {
			continue
		}
		// A name that is not UTF-8 would cost all others their export. It comes
		// from a source that does not take its names from core.
		r.see(candidate{strings.ToValidUTF8(name, "\uFFFD"), b})
	}
}

func (r *round[T]) see(c candidate) {
	switch m := r.byName[c.name]; {
	case m == nil:
		r.fresh = append(r.fresh, c)
		if r.limit >= 0 && len(r.fresh) >= 2*r.limit+64 { // a registry may be far larger than the limit
			r.sort()
			r.skipped.Limit += max(len(r.fresh)-r.limit, 0)
			r.fresh = r.fresh[:min(len(r.fresh), r.limit)]
		}
	case m.Breaker == c.breaker:
		m.seen = r.rounds
	case m.seen == r.rounds:
		r.clash(c)
	default:
		r.heirs = append(r.heirs, c)
	}
}

// settle decides who is a member.
func (r *round[T]) settle() {
	for _, c := range r.heirs {
		switch m := r.byName[c.name]; {
		case m.seen != r.rounds:
			r.admit(c)
		case m.Breaker != c.breaker:
			r.clash(c)
		}
	}
	for name, m := range r.byName {
		if m.seen != r.rounds {
			delete(r.byName, name)
			r.changed = true
		}
	}
	r.sort()
	for _, c := range r.fresh {
		if r.limit >= 0 && len(r.byName) >= r.limit {
			r.skipped.Limit++
		} else {
			r.admit(c)
		}
	}
	r.Roster.heirs, r.Roster.fresh = r.heirs, r.fresh
	clear(r.heirs[:cap(r.heirs)]) // what a registry forgets must not be kept alive
	clear(r.fresh[:cap(r.fresh)])
}

// sort sorts fresh by name and leaves one of each name, that of the first source.
func (r *round[T]) sort() {
	slices.SortStableFunc(r.fresh, func(a, b candidate) int { return strings.Compare(a.name, b.name) })
	r.fresh = slices.CompactFunc(r.fresh, func(first, c candidate) bool {
		if first.name != c.name {
			return false
		}
		if first.breaker != c.breaker { // else it is listed twice
			r.clash(c)
		}
		return true
	})
}

func (r *round[T]) admit(c candidate) {
	name := strings.Clone(c.name)
	r.byName[name] = &Member[T]{Name: name, Breaker: c.breaker, Of: r.of(name, c.breaker), seen: r.rounds}
	r.changed = true
}

func (r *round[T]) clash(c candidate) {
	r.skipped.Duplicate++
	r.rivals = c.name
}

// report tells what went wrong.
func (r *round[T]) report() {
	if r.panic != nil {
		r.panics.Tell(r.panic)
	}
	if n := r.skipped.Duplicate; n > 0 {
		r.duplicates.Tell(fmt.Errorf(
			"switchgear: %d circuit breakers are not exported, because others have their names, as %q", n, r.rivals))
	}
	if n := r.skipped.Limit; n > 0 {
		r.overflows.Tell(fmt.Errorf("switchgear: %d circuit breakers are not exported, MaxBreakers is %d", n, r.limit))
	}
}
