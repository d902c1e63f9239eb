package core

import (
	"context"
	"time"
)

// Force sets an operator's override, which is logged; the state machine keeps
// its state below it. [NoOverride] is [Breaker.Release]. An Override that is not
// one of the constants is refused with a [*ConfigError].
//
// [ForcedOpen] refuses every call. [Disabled] admits every call and counts none;
// a CallTimeout still holds. [Shadow] admits every call and lets the state
// machine run on what they return: Hooks.Refused and Totals.ShadowAdmitted tell what it
// would have refused.
func (b *Breaker) Force(o Override) error {
	if o > Shadow {
		return &ConfigError{Field: "Override", Value: o, Allowed: "NoOverride, ForcedOpen, Disabled or Shadow"}
	}
	if !b.made() {
		return errNoBreaker
	}
	now, old := b.lock(), b.settings.Load()
	b.advanceLocked(context.Background(), old, now) // what lies behind is timed by the old override
	b.recordLocked().overriddenUntil(old.override, b.phase.Load().state, now)
	s := b.overridden(newSettings(old.Config, o), now)
	b.settings.Store(s)
	if s.Logger != nil {
		b.ledgerOf().queueEvent(event{ctx: context.Background(), override: &o})
	}
	b.mu.Unlock()
	b.deliver()
	return nil
}

// overridden completes settings that refuse by themselves. It needs Breaker.mu.
func (b *Breaker) overridden(s *settings, now time.Duration) *settings {
	if s.override == ForcedOpen {
		v := b.viewLocked(b.phase.Load(), s, now)
		s.forced = &OpenError{Name: b.name, State: v.state, Cause: CauseForcedOpen}
	}
	return s
}

// Release takes the override back: the state machine decides again, from the
// state that it has reached meanwhile.
func (b *Breaker) Release() { _ = b.Force(NoOverride) }

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
		return b.countsOf(ph, ph.tally.seal(), now)
	case HalfOpen:
		return ph.half.counts()
	case Open:
	}
	return Counts{}
}

// maxReadings is how often a time window is read for two readings that agree. More
// than that are only needed while calls end all the time.
const maxReadings = 64

// countsOf reads the window of a closed phase whose word is w, as of now. What it
// returns was true at one moment; of a time window in which calls end all the time,
// each rate was, but the streak may be older.
func (b *Breaker) countsOf(ph *phase, w word, now time.Duration) (c Counts) {
	if ph.buckets == nil {
		return w.counts(int(ph.calls))
	}
	for i := range maxReadings {
		last := c
		if c = ph.buckets.counts(now, markFailed); i > 0 && c == last {
			break // and so it was when w was read
		}
		w = ph.tally.read()
		perturb()
	}
	c.Consecutive = w.streak()
	return c
}
