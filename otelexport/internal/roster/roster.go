// Package roster decides which breakers are exported, and under which names.
package roster

import (
	"iter"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/blackbox4/switchgear/core"
)

// DefaultLimit is how many breakers are exported unless somebody says otherwise:
// six series a breaker, which is the most that one instrument has, are then
// within the 2000 that the metrics SDK gives to an instrument.
const DefaultLimit = 300

// Source is what lists breakers and their names.
type Source interface {
	All() iter.Seq2[string, *core.Breaker]
}

// Member is a breaker that is exported. It stays the same for as long as it is.
type Member[T any] struct {
	Name    string
	Breaker *core.Breaker
	Of      T // what the exporter keeps with it

	seen uint64 // the round it was last seen in
}

// Skipped counts the breakers of one round that are not exported.
type Skipped struct {
	Limit     int // because there are too many
	Duplicate int // because another one has the name
}

// Roster is a set of breakers, unique by name, that follows some sources. A
// breaker that is in it stays until its source no longer lists it; free places
// go to the new ones in the order of their names. It is safe for concurrent use.
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

	duplicates, overflows, panics Trouble
}

type listed struct {
	source Source
	limit  int
	id     uint64
}

// New returns an empty roster. of makes what an exporter keeps with a member.
func New[T any](of func(name string, b *core.Breaker) T) *Roster[T] {
	return &Roster[T]{of: of, byName: make(map[string]*Member[T])}
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

// Members reads the sources and returns who is exported now. The slice and its
// elements are for reading only.
func (r *Roster[T]) Members() ([]*Member[T], Skipped) {
	members, now := r.next()
	now.report() // with no lock held: the error handler is the application's
	return members, now.skipped
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
