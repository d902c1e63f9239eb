package core

import (
	"maps"
	"sync/atomic"
	"time"
)

// shelf is one part of a registry's map. The map is immutable and replaced
// whole, so a lookup takes no lock and writes nothing; with 256 of them a new
// name copies little.
type shelf struct {
	entries atomic.Pointer[map[string]*entry]
}

// entry is a name's breaker. A lookup marks it used, a sweep marks it unused,
// and only an unused one can go; whoever finds it gone waits for Registry.mu.
// So a breaker is never given out once it is forgotten.
type entry struct {
	breaker *Breaker
	life    atomic.Uint32
	seen    time.Duration // when a sweep last found it used; guarded by Registry.mu
}

const (
	entryUnused = iota
	entryUsed
	entryGone
)

// use marks the entry used; it reports false if it is gone.
func (e *entry) use() bool {
	for {
		switch e.life.Load() {
		case entryUsed:
			return true
		case entryGone:
			return false
		}
		perturb()
		if e.life.CompareAndSwap(entryUnused, entryUsed) {
			return true
		}
	}
}

func (s *shelf) find(name string) *entry {
	if m := s.entries.Load(); m != nil {
		return (*m)[name]
	}
	return nil
}

// with replaces the map by one with name set to e, or without it if e is nil.
func (s *shelf) with(name string, e *entry) {
	next := make(map[string]*entry)
	if m := s.entries.Load(); m != nil {
		maps.Copy(next, *m)
	}
	if e == nil {
		delete(next, name)
	} else {
		next[name] = e
	}
	s.entries.Store(&next)
}
