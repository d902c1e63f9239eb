package ralph

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/blackbox4/switchgear/ralph/detect"
)

// session is what trees of agents that hand work to each other have in common. Two
// of them become one at the first hand-off between them.
type session struct {
	into atomic.Pointer[session] // the one that this one has become part of
	size atomic.Int64            // hand-offs

	mu    sync.Mutex // after Agent.mu
	graph *detect.Graph
}

// current is the session that s has become.
func (s *session) current() *session {
	for next := s.into.Load(); next != nil; next = s.into.Load() {
		s = next
	}
	return s
}

// join returns the session that both agents are part of from now on. The windows
// that live on are those of a task that has just begun, and otherwise of the session
// with more hand-offs.
func (s *Supervisor) join(a, b *Agent) *session {
	s.joining.Lock()
	defer s.joining.Unlock()
	x, anew := s.sessionOf(a.root())
	y, newer := s.sessionOf(b.root())
	if x == y {
		return x
	}
	if newer && !anew || newer == anew && x.size.Load() < y.size.Load() {
		x, y = y, x
	}
	x.size.Add(y.size.Load())
	y.into.Store(x)
	a.root().session.Store(x)
	b.root().session.Store(x)
	return x
}

// sessionOf returns the session of an agent without a parent, made if there is none;
// anew if a task has begun since the last hand-off. It needs joining.
func (s *Supervisor) sessionOf(root *Agent) (current *session, anew bool) {
	anew = root.startSession.Swap(false)
	if current = root.session.Load(); current == nil {
		current = &session{graph: s.graphs.NewGraph()}
	}
	current = current.current()
	root.session.Store(current)
	return current, anew
}

// with calls f with the graph, under the lock of the session that s has become.
func (s *session) with(f func(*detect.Graph)) {
	for {
		s = s.current()
		s.mu.Lock()
		if s.into.Load() == nil {
			f(s.graph)
			s.mu.Unlock()
			return
		}
		s.mu.Unlock()
	}
}

func (s *session) progress(fingerprint string) {
	s.with(func(g *detect.Graph) { g.Progress(fingerprint) })
}
func (s *session) resume(at time.Time)       { s.with(func(g *detect.Graph) { g.Resume(at) }) }
func (s *session) acted(id string, n uint64) { s.with(func(g *detect.Graph) { g.Acted(id, n) }) }

func (s *session) nudged(told []nudge) {
	s.with(func(g *detect.Graph) {
		for _, n := range told {
			g.Nudged(n.rule)
		}
	})
}
