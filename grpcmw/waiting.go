package grpcmw

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/blackbox4/switchgear/core"
)

// waiting are the streams of a server that are probes, by the key of their gate.
// There are no more than there may be probes. One that waits for its client keeps its
// place only until another call wants it: otherwise a few clients that send nothing
// would keep a half-open breaker from all others. So it may be that more than
// HalfOpenMaxCalls handlers run while clients are slow.
type waiting struct {
	n  atomic.Int64 // how many keys there are
	mu sync.Mutex
	of map[string]map[*serverStream]struct{}
}

func (w *waiting) add(s *serverStream) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.of == nil {
		w.of = make(map[string]map[*serverStream]struct{})
	}
	if w.of[s.key] == nil {
		w.of[s.key] = make(map[*serverStream]struct{})
	}
	w.of[s.key][s] = struct{}{}
	w.n.Store(int64(len(w.of)))
}

func (w *waiting) remove(s *serverStream) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if delete(w.of[s.key], s); len(w.of[s.key]) == 0 {
		delete(w.of, s.key)
	}
	w.n.Store(int64(len(w.of)))
}

// makeRoom has the probe that has waited for its client the longest lend its place
// to a call that is about to ask for one. It reports whether there was one.
func (w *waiting) makeRoom(key string) bool {
	for w.n.Load() > 0 {
		s := w.longest(key)
		if s == nil {
			break
		}
		if s.lend() {
			return true
		}
	}
	return false
}

func (w *waiting) longest(key string) *serverStream {
	w.mu.Lock()
	defer w.mu.Unlock()
	var longest *serverStream
	var least time.Duration
	for s := range w.of[key] {
		s.mu.Lock()
		since, waits := s.waitsLocked()
		waits = waits && !s.claimed
		s.mu.Unlock()
		if waits && (longest == nil || since < least) {
			longest, least = s, since
		}
	}
	return longest
}

// lend gives back the place of a probe, unless it is settled.
func (s *serverStream) lend() (lent bool) {
	if !s.once(s.ctx, func(p *core.Permit) { p.Settle(s.ctx, core.Ignored) }) {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lent = true
	return true
}

// reclaim asks for a place again when the client is heard of, as a call that comes now
// would. Without one, the stream goes on and counts as what it was.
func (s *serverStream) reclaim() {
	if b, ok := s.gate.(*core.Breaker); ok && b.State() == core.Open {
		return // which is not a refusal that anyone has met
	}
	s.mu.Lock()
	ask := s.lent && !s.over && !s.unread && s.ctx.Err() == nil
	s.lent = s.lent && !ask
	s.mu.Unlock()
	if !ask {
		return
	}
	p, err := s.server.admit(s.ctx, s.gate, s.key)
	if err != nil {
		return
	}
	s.mu.Lock()
	if s.over {
		s.mu.Unlock()
		p.Settle(s.ctx, core.Ignored)
		return
	}
	s.permit, s.probe = p.Take(), p.Probe()
	s.claimed, s.settled, s.release = false, nil, nil
	s.credited = s.waited
	s.mu.Unlock()
	s.guard()
}
