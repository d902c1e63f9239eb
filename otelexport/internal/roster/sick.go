package roster

import (
	"sync"
	"sync/atomic"
	"weak"

	"github.com/blackbox4/switchgear/core"
)

// sick are breakers whose reading has panicked, in a clock of the application's. They
// are not read again: a lock of theirs may be held for ever.
type sick struct{ breakers sync.Map }

type sickness struct {
	panic any
	told  atomic.Bool
}

// read calls f, which reads a breaker, and is called for no sick one. It reports false
// for those. The panic, also one that snapshot has met, passes through once.
func (s *sick) read(b *core.Breaker, f func()) bool {
	if is, found := s.breakers.Load(weak.Make(b)); found {
		if is := is.(*sickness); !is.told.Swap(true) {
			panic(is.panic)
		}
		return false
	}
	if p := s.try(b, f); p != nil {
		p.told.Store(true)
		panic(p.panic)
	}
	return true
}

// snapshot reads a breaker; ok is false for one that is sick.
func (s *sick) snapshot(b *core.Breaker) (snap core.Snapshot, ok bool) {
	if _, is := s.breakers.Load(weak.Make(b)); is {
		return snap, false
	}
	return snap, s.try(b, func() { snap = b.Snapshot() }) == nil
}

func (s *sick) try(b *core.Breaker, f func()) (p *sickness) {
	defer func() {
		if value := recover(); value != nil {
			p = &sickness{panic: value}
			s.breakers.Store(weak.Make(b), p)
		}
	}()
	f()
	return nil
}
