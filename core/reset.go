package core

import (
	"context"
	"errors"
	"time"
)

// Reset closes the breaker and forgets the window, the streak and the openings
// in a row. Totals, history and transitions are kept, and so is an override.
// Permits that are out become late.
func (b *Breaker) Reset() {
	if !b.made() {
		return
	}
	ctx := context.Background()
	now, s := b.lock(), b.settings.Load()
	b.advanceLocked(ctx, s, now)
	b.closeLocked(ctx, s, now, CauseManualReset, b.endLocked(b.phase.Load(), now))
	b.mu.Unlock()
	b.deliver()
}

// endLocked seals a phase that is about to be replaced by hand and returns what
// it had counted.
func (b *Breaker) endLocked(ph *phase, now time.Duration) Counts {
	switch ph.state {
	case Closed:
		return ph.window.read(&ph.tally, ph.tally.seal(), now)
	case HalfOpen:
		return ph.half.counts()
	case Open:
	}
	return Counts{}
}

// maxRestoredOpens bounds what a snapshot may say of openings.
const maxRestoredOpens = 1 << 20

// Restore puts a breaker that is closed into the state of a [Snapshot] that an
// earlier one of the same dependency left behind, so that a break survives a
// restart: it opens until the snapshot's RetryAt by the wall clock, but not for
// longer than MaxTimeout, with the openings that the snapshot had counted and the
// reason of its last opening. A break that is over by now, and a snapshot that was
// half-open, make it half-open at once.
//
// Nothing else is taken over: neither window and totals nor an override. A snapshot
// that was closed and a breaker that is not are left as they are. The error is a
// [*ConfigError] for a State that is none.
func (b *Breaker) Restore(s Snapshot) error {
	if !b.made() {
		return errNoBreaker
	}
	switch s.State {
	case Closed:
		return nil
	case Open, HalfOpen:
	default:
		return &ConfigError{Field: "State", Value: s.State, Allowed: "closed, open or half-open"}
	}
	now := b.lock()
	b.restoreLocked(&s, now)
	b.mu.Unlock()
	b.deliver()
	return nil
}

func (b *Breaker) restoreLocked(s *Snapshot, now time.Duration) {
	ctx := context.Background()
	old, cfg := b.phase.Load(), b.settings.Load()
	if old.state != Closed {
		return
	}
	left := time.Duration(0)
	if s.State == Open {
		left = max(min(s.RetryAt.Sub(b.epoch.Add(now)), cfg.MaxTimeout), 0)
	}
	counts := b.endLocked(old, now)
	ph := b.newPhase(Open, CauseRestored, now)
	ph.opens = int32(min(max(s.Opens, 1), maxRestoredOpens))
	ph.until = later(now, left)
	ph.reason = s.openedOn()
	ph.err = &OpenError{Name: b.name, State: Open, Cause: CauseRestored, RetryAt: b.epoch.Add(ph.until), Reason: ph.reason}
	var err error
	if ph.reason != "" {
		err = errors.New(ph.reason)
	}
	b.publish(ctx, ph, counts, err)
	b.advanceLocked(ctx, cfg, now) // the break may be over
}

// openedOn is the text of the error of the last opening.
func (s *Snapshot) openedOn() string {
	for i := range s.Transitions {
		if t := &s.Transitions[len(s.Transitions)-1-i]; t.To == Open {
			return reasonOf(t.Err)
		}
	}
	return ""
}
