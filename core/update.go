package core

import (
	"context"
)

// Update replaces the Config, but for Now. The new limits hold from the next
// call or settlement on; nothing is evaluated at once, a break that runs keeps
// its end, and a settlement that overlaps Update may still go by the old limits.
// State, totals, openings in a row, override and the permits that are out are
// kept. So is the window: the last calls that fit are taken over. If its kind
// changes, they are as old as they can be in a window of time, and in the order
// of its tenths in a window of calls. History and RecentCalls start anew if their length changes, and a ramp ends
// if RampUp is off. The error is [Config.Validate]'s, and nothing has changed
// then.
func (b *Breaker) Update(cfg Config) error {
	if !b.made() {
		return errNoBreaker
	}
	if err := cfg.Validate(); err != nil {
		return err
	}
	b.update(cfg)
	b.deliver()
	return nil
}

// update is Update for a valid Config; what it caused is to be delivered.
func (b *Breaker) update(cfg Config) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now, old := b.now(), b.settings.Load() // the clock first: one of the user's may panic
	s := b.overridden(newSettings(cfg, old.override), now)
	ph := b.phase.Load()
	switch {
	case ph.state == HalfOpen:
		b.advanceLocked(context.Background(), old, now) // what was lost by now was lost by the old limit
		ph.half.updateFull(now, s)
	case ph.state == Closed && s.Window != old.Window:
		b.reshapeLocked(s, ph, now)
	}
	s.reported.Store(old.reported.Load())
	b.settings.Store(s)
	if st := b.stats(); st != nil {
		b.applyStatsOptions(st, s)
	}
	if s.RampUp == 0 {
		b.phase.Load().ramp.Store(nil)
	}
}
