package roster

import (
	"reflect"
	"time"
	"weak"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/otelexport/internal/contract"
)

// sums add up all breakers of the sources, those without a place on the roster
// included. Counts stay in them when a breaker is evicted or a source is
// removed.
type sums struct {
	sick *sick

	now     contract.Whole // of the round that runs or ran last
	kept    contract.Whole // of breakers and registries that are there no more
	round   uint64
	books   map[any]*book              // of registries, which sum up themselves, by what tells them apart
	singles map[*core.Breaker]*account // of other sources
	fresh   []single                   // of this round, with no account yet
	past    memory[account]            // of single breakers that are listed no more
}

// book is what a registry has told, which never goes down here.
type book struct {
	whole contract.Whole
	round uint64
}

// account is what a breaker has told.
type account struct {
	name    string
	started time.Time
	calls   [4]int64
	round   uint64
}

// single is a breaker that has no account yet.
type single struct {
	name    string
	breaker *core.Breaker
}

func newSums(sick *sick) sums {
	return sums{sick: sick, books: make(map[any]*book), singles: make(map[*core.Breaker]*account)}
}

// whole returns what the last round has found.
func (s *sums) whole() contract.Whole {
	w := s.now
	for _, from := range s.books {
		s.count(&w, &from.whole)
	}
	s.count(&w, &s.kept)
	for _, a := range s.singles {
		for i, n := range a.calls {
			w.Calls[i] += n
		}
	}
	return w
}

func (s *sums) count(to, from *contract.Whole) {
	for i, n := range from.Calls {
		to.Calls[i] += n
	}
	to.Unguarded += from.Unguarded
}

func (s *sums) begin() {
	s.round++
	s.now = contract.Whole{}
}

// parts is a source of several.
type parts interface {
	Parts(yield func(part any) bool)
}

// stats is a source that sums up itself, as a registry does.
type stats interface{ Stats() core.RegistryStats }

func (s *sums) add(source any) {
	switch source := source.(type) {
	case parts:
		for part := range source.Parts {
			s.add(part)
		}
	case stats:
		if reflect.ValueOf(source).Comparable() {
			s.addBook(source)
		}
	case Source:
		for name, b := range source.All() {
			if b != nil {
				s.addSingle(name, b)
			}
		}
	}
}

func (s *sums) addBook(source stats) {
	var key any = source
	if registry, ok := source.(*core.Registry); ok {
		key = weak.Make(registry) // it may be registered again, and is not kept for that
	}
	b := s.books[key]
	if b == nil {
		b = new(book)
		s.books[key] = b
	}
	if b.round == s.round { // listed twice
		return
	}
	b.round = s.round
	st := source.Stats()
	for i, n := range contract.CallsOf(&st.Totals) {
		b.whole.Calls[i] = max(b.whole.Calls[i], n)
	}
	b.whole.Unguarded = max(b.whole.Unguarded, int64(st.Unguarded))
	for i, n := range [...]int{core.Closed: st.Closed, core.Open: st.Open, core.HalfOpen: st.HalfOpen} {
		s.now.Breakers[i] += int64(n)
	}
}

func (s *sums) addSingle(name string, b *core.Breaker) {
	a := s.singles[b]
	if a == nil { // it may continue what one has told that is listed no more, see end
		s.fresh = append(s.fresh, single{name, b})
		return
	}
	if a.round == s.round { // listed twice
		return
	}
	a.round = s.round
	if snap, ok := s.sick.snapshot(b); ok {
		s.note(a, &snap)
	}
}

func (s *sums) note(a *account, snap *core.Snapshot) {
	for i, n := range contract.CallsOf(&snap.Totals) {
		a.calls[i] = max(a.calls[i], n)
	}
	s.now.Breakers[snap.State]++
}

// open makes an account. A breaker that was made anew under its name, or that is
// listed again, goes on with what is in the past.
func (s *sums) open(name string, b *core.Breaker) {
	snap, ok := s.sick.snapshot(b)
	if !ok || s.singles[b] != nil {
		return
	}
	started := snap.Started
	a := &account{name: name, started: started, round: s.round}
	if before := s.past.get(name); before.started.Equal(started) {
		s.past.take(name)
		a.calls = before.calls
		for i, n := range before.calls {
			s.kept.Calls[i] -= n
		}
	}
	s.singles[b] = a
	s.note(a, &snap)
}

// end keeps what those have told that are listed no more.
func (s *sums) end() {
	for b, a := range s.singles {
		if a.round != s.round {
			for i, n := range a.calls {
				s.kept.Calls[i] += n
			}
			s.past.put(a.name, *a)
			delete(s.singles, b)
		}
	}
	for _, f := range s.fresh {
		s.open(f.name, f.breaker)
	}
	clear(s.fresh)
	s.fresh = s.fresh[:0]
	for key, b := range s.books {
		if registry, ok := key.(weak.Pointer[core.Registry]); b.round != s.round && (!ok || registry.Value() == nil) {
			s.count(&s.kept, &b.whole)
			delete(s.books, key)
		}
	}
}
