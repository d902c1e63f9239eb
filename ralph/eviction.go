package ralph

import (
	"fmt"
	"slices"
	"time"
)

// makeRoom reports whether there is room for another agent. It evicts idle ones, but
// not its parent. It needs mu.
func (s *Supervisor) makeRoom(a *Agent, now time.Duration) bool {
	if a.parent != nil {
		a.parent.seen.Store(int64(now))
	}
	s.sweep(now)
	return len(s.agents) < s.cfg.MaxAgents
}

// sweep evicts idle agents, at most ten times in Idle. It needs mu.
func (s *Supervisor) sweep(now time.Duration) {
	if s.cfg.Idle == never || now-s.swept < s.cfg.Idle/10 {
		return
	}
	s.swept = now
	full := len(s.agents) >= s.cfg.MaxAgents // then whose work is over goes first
	for {
		evicted := 0
		for _, a := range s.agents {
			idle := now-time.Duration(a.seen.Load()) >= s.cfg.Idle || full && a.stopped()
			if idle && len(a.children()) == 0 && s.evict(a) {
				evicted++
			}
		}
		if evicted == 0 { // else some parents may have become childless
			return
		}
	}
}

// evict takes an agent out, unless it has something to remember. It needs mu.
func (s *Supervisor) evict(a *Agent) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.inFlight > 0 || a.state != Running && a.state != Stopped {
		return false
	}
	a.evicted.Store(true)
	delete(s.agents, a.id)
	if p := a.parent; p != nil {
		*p.childList = slices.DeleteFunc(*p.childList, func(b *Agent) bool { return b == a })
	}
	s.states[a.state].Add(-1)
	a.due = never
	s.schedule.put(a, never)
	a.save(false)
	return true
}

// readmit puts an agent back that was evicted.
func (s *Supervisor) readmit(a *Agent, now time.Duration) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !a.evicted.Load() {
		return nil
	}
	switch p := a.parent; {
	case s.agents[a.id] != nil:
		return fmt.Errorf("%w: %s was evicted after %v, and another has its id now", ErrUnknownAgent, quoted(a.id), s.cfg.Idle)
	case p != nil && p.evicted.Load():
		return fmt.Errorf("%w: %s and its parent were evicted after %v", ErrUnknownAgent, quoted(a.id), s.cfg.Idle)
	}
	if !s.makeRoom(a, now) {
		return fmt.Errorf("%w: %s was evicted after %v, and there are MaxAgents now", ErrTooManyAgents, quoted(a.id), s.cfg.Idle)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	s.add(a)
	a.evicted.Store(false)
	a.save(false)
	a.schedule()
	return nil
}
