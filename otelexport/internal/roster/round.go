package roster

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/otelexport/internal/contract"
)

// round is one reading of the sources. It needs Roster.mu, but for report.
type round[T any] struct {
	*Roster[T]

	limit   int
	skipped Skipped
	whole   contract.Whole
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
	source  uint64
	rank    rank
}

// read sees what the sources list.
func (r *round[T]) read() {
	r.rounds++
	r.heirs, r.fresh = r.Roster.heirs[:0], r.Roster.fresh[:0]
	r.sum.begin()
	for _, l := range r.sources {
		r.survive(func() { r.readOne(l) })
		r.survive(func() { r.sum.add(l.source) })
	}
	r.sum.end()
}

// survive survives the panic of a source.
func (r *round[T]) survive(f func()) {
	defer func() {
		if p := recover(); p != nil && r.panic == nil {
			r.panic = fmt.Errorf("switchgear: a source of circuit breakers panicked: %v", p)
		}
	}()
	f()
}

func (r *round[T]) readOne(l listed) {
	for name, b := range l.source.All() {
		if b == nil {
			continue
		}
		// A name that is not UTF-8 would cost all others their export. It comes
		// from a source that does not take its names from core.
		r.see(candidate{name: strings.ToValidUTF8(name, "\uFFFD"), breaker: b, source: l.id})
	}
}

func (r *round[T]) see(c candidate) {
	switch m := r.byName[c.name]; {
	case m == nil:
		r.fresh = append(r.fresh, c)
		if r.limit >= 0 && len(r.fresh) >= 2*r.limit+64 { // a registry may be far larger than the limit
			r.unique()
			if over := len(r.fresh) - r.limit; over > 0 {
				r.sort()
				r.skipped.Limit += over
				r.fresh = r.fresh[:r.limit]
			}
		}
	case m.Breaker == c.breaker:
		m.seen, m.source = r.rounds, c.source
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
	gone := r.unseen()
	r.unique()
	var over int
	if r.limit >= 0 {
		over = max(len(r.byName)+len(r.fresh)-r.limit, 0)
	} else {
		over = max(len(gone)-maxPast, 0)
	}
	for _, m := range gone[:min(over, len(gone))] {
		r.drop(m)
	}
	if over > len(gone) {
		r.sort()
	}
	for i, c := range r.fresh {
		if r.limit >= 0 && len(r.byName) >= r.limit {
			r.displace(r.fresh[i:])
			break
		}
		r.admit(c)
	}
	r.Roster.heirs, r.Roster.fresh = r.heirs, r.fresh
	clear(r.heirs[:cap(r.heirs)]) // what a registry forgets must not be kept alive
	clear(r.fresh[:cap(r.fresh)])
}

// unseen ends the members that no source lists any more, and returns those whose
// counters are still exported, first those that were evicted first.
func (r *round[T]) unseen() (gone []*Member[T]) {
	for name, m := range r.byName {
		switch {
		case m.seen == r.rounds:
			continue
		case !slices.ContainsFunc(r.sources, func(l listed) bool { return l.id == m.source }): // unregistered
			r.drop(m)
			continue
		case m.Breaker != nil:
			m = &Member[T]{Name: name, Of: m.Of, counters: m.counters, source: m.source, gone: r.rounds}
			r.byName[name] = m
			r.changed = true
		}
		gone = append(gone, m)
	}
	slices.SortFunc(gone, func(a, b *Member[T]) int {
		return cmp.Or(cmp.Compare(a.gone, b.gone), strings.Compare(a.Name, b.Name))
	})
	return gone
}

// displace gives places of members to those of a higher level, which are at the
// front; all others are skipped.
func (r *round[T]) displace(rest []candidate) {
	r.skipped.Limit += len(rest)
	if rest[0].rank.level == 0 || r.limit == 0 {
		return
	}
	members := make([]candidate, 0, len(r.byName))
	for name, m := range r.byName {
		members = append(members, candidate{name: name, rank: rankOf(&r.sick, m.Breaker)})
	}
	slices.SortFunc(members, byRank)
	for _, c := range rest {
		last := len(members) - 1
		if last < 0 || c.rank.level <= members[last].rank.level {
			return
		}
		r.drop(r.byName[members[last].name])
		members = members[:last]
		r.admit(c)
	}
}

// sort puts first who is to have a place first.
func (r *round[T]) sort() {
	for i := range r.fresh {
		r.fresh[i].rank = rankOf(&r.sick, r.fresh[i].breaker)
	}
	slices.SortFunc(r.fresh, byRank)
}

// unique sorts fresh by name and leaves one of each name, that of the first source.
func (r *round[T]) unique() {
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

// admit gives a place, or that of the member of its name, which goes on counting from
// where that was.
func (r *round[T]) admit(c candidate) {
	name := strings.Clone(c.name)
	var counters *contract.Counters
	if m := r.byName[name]; m != nil {
		counters = m.counters
	} else if counters = r.past.take(name); counters == nil {
		counters = contract.After(r.past.lost)
	}
	r.byName[name] = &Member[T]{
		Name: name, Breaker: c.breaker, Of: r.of(name, c.breaker),
		sick: &r.sick, counters: counters, number: counters.Next(), source: c.source, seen: r.rounds,
	}
	r.changed = true
}

// drop ends a member, and keeps what it had counted in case its name comes back.
func (r *round[T]) drop(m *Member[T]) {
	delete(r.byName, m.Name)
	r.past.put(m.Name, m.counters)
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
