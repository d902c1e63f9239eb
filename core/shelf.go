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

// entry is a name's breaker. A sweep clears used; a lookup sets it and then
// looks whether the entry is still there. A removal takes the entry out and
// then looks at used. So a breaker that somebody was given just now is either
// seen as used and put back, or was not given.
type entry struct {
	breaker *Breaker
	used    atomic.Bool
	seen    time.Duration // when a sweep last found it used; guarded by Registry.mu
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
