// Package roster decides which breakers are exported, and under which names.
package roster

import (
	"iter"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/otelexport/internal/contract"
)

// DefaultLimit is how many breakers are exported unless told otherwise: five series a
// breaker, which is the most that one instrument has, are then within the 2000 that
// the metrics SDK gives to an instrument.
const DefaultLimit = 300

// Source is what lists breakers and their names.
type Source interface {
	All() iter.Seq2[string, *core.Breaker]
}

// Member is a breaker that is exported. It stays the same for as long as it is.
type Member[T any] struct {
	Name string
	// Breaker is nil when it was evicted. Of such a member the counters are exported
	// as they were, while there is room: a reader of deltas takes a series that comes
	// back for a new one, and would count everything again.
	Breaker *core.Breaker
	Of      T // what the exporter keeps with it

	sick     *sick
	counters *contract.Counters // of the name
	number   uint64             // of the breaker
	source   uint64             // where it was seen
	seen     uint64             // the round it was last seen in
	gone     uint64             // the round from which on it was not, of an evicted one
}

// Read fills r with what is exported. It reports false if there is nothing: for an
// evicted member that never was read, and for one whose reading has panicked once. Of
// one that is evicted only counters mean anything.
func (m *Member[T]) Read(r *contract.Reading) bool {
	if m.Breaker == nil {
		return m.counters.Exported(r)
	}
	if !m.sick.read(m.Breaker, func() { r.Read(m.Breaker) }) {
		return false
	}
	m.counters.Note(m.number, r)
	return true
}

// Skipped counts the breakers of one round that are not exported.
type Skipped struct {
	Limit     int // because there are too many
	Duplicate int // because another one has the name
}

// Roster is a set of breakers, unique by name, that follows some sources. A
// breaker that is in it stays until its source no longer lists it, or until one that
// is not closed or is overridden needs its place; free places go to the new ones by
// their [rank]. It is safe for concurrent use.
type Roster[T any] struct {
	of func(name string, b *core.Breaker) T // must not panic

	mu      sync.Mutex
	sources []listed
	added   uint64 // sources, ever
	byName  map[string]*Member[T]
	members []*Member[T]                          // replaced, never changed: readers hold it
	index   atomic.Pointer[map[string]*Member[T]] // as members
	heirs   []candidate                           // room for the next round
	fresh   []candidate                           // the same
	rounds  uint64
	past    memory[*contract.Counters] // of names that were exported
	sum     sums
	sick    sick

	duplicates, overflows, panics Trouble
}

type listed struct {
	source Source
	limit  int
	id     uint64
}

// New returns an empty roster. of makes what an exporter keeps with a member.
func New[T any](of func(name string, b *core.Breaker) T) *Roster[T] {
	r := &Roster[T]{of: of, byName: make(map[string]*Member[T])}
	r.sum = newSums(&r.sick)
	return r
}

// Add adds a source. The limit is on the breakers of all sources, of which the
// largest holds; zero means [DefaultLimit], negative none. The result removes the
// source, and may be called more than once.
func (r *Roster[T]) Add(source Source, limit int) (remove func()) {
	if limit == 0 {
		limit = DefaultLimit
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.added++
	id := r.added
	r.sources = append(r.sources, listed{source, limit, id})
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.sources = slices.DeleteFunc(r.sources, func(l listed) bool { return l.id == id })
		if len(r.sources) == 0 { // there may be no round any more that lets go of them
			now := &round[T]{Roster: r}
			now.read()
			now.settle()
			r.publish()
		}
	}
}

// Find returns the member of a name, as of the last round, or nil. It takes no
// lock.
func (r *Roster[T]) Find(name string) *Member[T] {
	index := r.index.Load()
	if index == nil {
		return nil
	}
	return (*index)[name]
}

// Members reads the sources and returns who is exported now, and what all breakers
// are together. The slice and its elements are for reading only.
func (r *Roster[T]) Members() ([]*Member[T], contract.Whole) {
	members, now := r.next()
	now.report() // with no lock held: the error handler is the application's
	return members, now.whole
}

func (r *Roster[T]) next() ([]*Member[T], *round[T]) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := &round[T]{Roster: r, limit: r.limit()}
	now.read()
	now.settle()
	if now.changed {
		r.publish()
	}
	now.whole = r.sum.whole()
	now.whole.Limit, now.whole.Duplicate = int64(now.skipped.Limit), int64(now.skipped.Duplicate)
	return r.members, now
}

// publish replaces what readers hold.
func (r *Roster[T]) publish() {
	index := maps.Clone(r.byName)
	r.members = slices.Collect(maps.Values(index))
	r.index.Store(&index)
}

// limit is the largest of the sources' limits, negative for none.
func (r *Roster[T]) limit() int {
	limit := 0
	for _, l := range r.sources {
		if l.limit < 0 {
			return -1
		}
		limit = max(limit, l.limit)
	}
	return limit
}
