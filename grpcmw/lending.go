package grpcmw

import (
	"time"

	"github.com/blackbox4/switchgear/core"
)

// Waits implements places.Lender.
func (s *serverStream) Waits() (since time.Duration, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	since, ok = s.waitsLocked()
	return since, ok && !s.claimed
}

// Lend implements places.Lender.
func (s *serverStream) Lend() bool {
	return s.lendIf(s.ctx, func() bool {
		_, waits := s.waitsLocked()
		return waits
	})
}

// reclaim asks for a place again when the client is heard of, as a call that comes now
// would. Without one, the stream goes on and counts as what it was.
func (s *serverStream) reclaim() {
	s.mu.Lock()
	ask, place := s.lent && !s.over && !s.unread && s.ctx.Err() == nil, s.place
	s.lent = s.lent && !ask
	s.mu.Unlock()
	if !ask {
		return
	}
	p, ok := place.Again(s.ctx, s.gate)
	if !ok {
		return
	}
	next := s.server.places.Hold(s.key, s) // not with the lock held
	s.mu.Lock()
	if s.over {
		s.mu.Unlock()
		next.Over()
		p.Settle(s.ctx, core.Ignored)
		return
	}
	s.permit, s.probe, s.place = p.Move(), p.Probe(), next
	s.claimed, s.settled, s.release = false, nil, nil
	s.credited = s.waited
	s.mu.Unlock()
	place.Over()
	s.guard()
}
