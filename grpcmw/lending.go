package grpcmw

import (
	"time"

	"github.com/blackbox4/switchgear/internal/places"
)

// Waits implements places.Lender.
func (s *serverStream) Waits() (since time.Duration, ok bool) {
	s.once.Lock()
	defer s.once.Unlock()
	since, ok = s.waitsLocked()
	return since, ok && !s.once.Claimed
}

// Lend implements places.Lender.
func (s *serverStream) Lend() bool {
	return s.once.LendIf(s.ctx, func() bool {
		_, waits := s.waitsLocked()
		return waits
	})
}

// reclaim asks for a place again when the client is heard of, as a call that comes now
// would. Without one, the stream goes on and counts as what it was.
func (s *serverStream) reclaim() {
	s.once.Lock()
	lost := s.unread || s.ctx.Err() != nil
	s.once.Unlock()
	if lost {
		return
	}
	wants := func() bool { return !s.over }
	if places.Reclaim(s.ctx, s.gate, &s.once, &s.place, wants, func() { s.credited = s.waited }) {
		s.guard()
	}
}
