package core

import (
	"maps"
	"sync/atomic"
	"time"
)

// nameShard is one part of a registry's map. The map is immutable and replaced
// whole, so a lookup takes no lock and writes nothing to it; there are so many
// shards that a new name copies little.
type nameShard struct {
	entries atomic.Pointer[map[string]*entry]
	// gone is what evicted breakers of the shard's names had counted, without those
	// that were made anew and go on counting; past is what is kept of the last for
	// that. Both are guarded by Registry.mu.
	gone Totals
	past pastNames
}

// entry is a name's breaker. Invariants:
//
//  1. seen is the tick of the last lookup, or of the making, or entryGone. A lookup
//     moves it to the current tick and no further; ticks only grow. So of two
//     entries the one with the smaller seen was asked for less recently, to the
//     interval between two new names.
//  2. Only an eviction sets entryGone, under Registry.mu, by a compare-and-swap
//     from the value that it judged: a lookup at a later tick makes it fail. A
//     lookup that finds entryGone waits for Registry.mu. So a breaker is never
//     given out once it is evicted.
//  3. After entryGone is set the breaker is looked at once more: a permit that was
//     taken meanwhile brings the entry back. Only then does it leave the map,
//     before Registry.mu is given back; so no holder of mu finds an entry in the
//     map that is gone.
//  4. While half of the places are taken, every entry is in one list of ages, or
//     will be when the hand has passed.
//
// All but breaker, seen and made is guarded by Registry.mu.
type entry struct {
	breaker *Breaker
	seen    atomic.Uint64

	met   uint64        // seen, as the hand last found it; at first that of its making
	again int           // how often the hand found that it was asked for since
	swept uint64        // seen, as the last sweep found it
	since time.Duration // when a sweep first found that value
	links               // see ages

	// made is the config that the breaker was made or last updated by; it is written
	// before the entry is shared, then by Registry.Update alone.
	made *func(string) Config
}

const entryGone = ^uint64(0)

// use notes a lookup at a tick; it reports false if the entry is gone.
func (e *entry) use(tick uint64) bool {
	for {
		seen := e.seen.Load()
		if seen == entryGone {
			return false
		}
		if seen >= tick {
			return true
		}
		perturb()
		if e.seen.CompareAndSwap(seen, tick) {
			return true
		}
	}
}

func (s *nameShard) all() map[string]*entry {
	if m := s.entries.Load(); m != nil {
		return *m
	}
	return nil
}

func (s *nameShard) find(name string) *entry { return s.all()[name] }

// with adds an entry. It needs Registry.mu, as without does.
func (s *nameShard) with(name string, e *entry) {
	next := make(map[string]*entry, len(s.all())+1)
	maps.Copy(next, s.all())
	next[name] = e
	s.entries.Store(&next)
}

// without takes out entries that are gone, some at once: the map is copied for
// all of them together.
func (s *nameShard) without(gone int) {
	next := make(map[string]*entry, len(s.all())-gone)
	for name, e := range s.all() {
		if e.seen.Load() != entryGone {
			next[name] = e
		}
	}
	s.entries.Store(&next)
}
