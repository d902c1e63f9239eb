package core

import (
	"maps"
	"sync/atomic"
	"time"
)

// shelf is one part of a registry's map. The map is immutable and replaced
// whole, so a lookup takes no lock and writes nothing; there are so many of them
// that a new name copies little.
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

// with adds an entry. It needs Registry.mu, as forget does.
func (s *shelf) with(name string, e *entry) {
	next := map[string]*entry{name: e}
	if m := s.entries.Load(); m != nil {
		maps.Copy(next, *m)
	}
	s.entries.Store(&next)
}

// forget takes out what has expired and returns how many that were.
func (s *shelf) forget(expired func(*entry) bool) int64 {
	m := s.entries.Load()
	if m == nil {
		return 0
	}
	next := make(map[string]*entry, len(*m))
	for name, e := range *m {
		if !expired(e) {
			next[name] = e
		}
	}
	gone := len(*m) - len(next)
	if gone > 0 {
		s.entries.Store(&next)
	}
	return int64(gone)
}

// expire reports whether the entry is gone from now on: nobody has asked for it
// for so long, and its breaker has nothing to remember.
func (e *entry) expire(now, idle time.Duration) bool {
	if e.life.CompareAndSwap(entryUsed, entryUnused) {
		e.seen = now
		return false
	}
	if now-e.seen < idle || !e.breaker.idle() || !e.life.CompareAndSwap(entryUnused, entryGone) {
		return false
	}
	perturb()
	if !e.breaker.idle() { // somebody who kept it has just called
		e.life.Store(entryUsed)
		return false
	}
	return true
}
