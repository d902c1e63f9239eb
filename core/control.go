package core

import "context"

// Force sets an operator's override, which is logged; the state machine keeps
// its state below it. [NoOverride] is [Breaker.Release]. An Override that is not one of the
// constants is refused with a [*ConfigError].
//
// [ForcedOpen] refuses every call. [Disabled] admits every call and counts none;
// a CallTimeout still holds.
// [Shadow] admits every call and lets the state machine run on what they
// return: Hooks.Refused and Totals.Spared tell what it would have refused.
func (b *Breaker) Force(o Override) error {
	if o > Shadow {
		return &ConfigError{Field: "Override", Value: o, Allowed: "NoOverride, ForcedOpen, Disabled or Shadow"}
	}
	b.mu.Lock()
	s := b.overridden(newSettings(b.settings.Load().Config, o))
	b.settings.Store(s)
	if s.Logger != nil {
		b.book().queueEvent(event{ctx: context.Background(), override: &o, breaker: b.name})
	}
	b.mu.Unlock()
	b.deliver()
	return nil
}

// overridden completes settings that refuse by themselves. It needs Breaker.mu.
func (b *Breaker) overridden(s *settings) *settings {
	if s.override == ForcedOpen {
		now := b.viewLocked(b.phase.Load(), s, b.now())
		s.forced = &OpenError{Name: b.name, State: now.state, Cause: HeldOpen}
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
	ctx := context.Background()
	b.mu.Lock()
	s, now := b.settings.Load(), b.now()
	b.advanceLocked(ctx, s, now)
	b.closeLocked(ctx, s, now, ManualReset, b.endLocked(b.phase.Load()))
	b.mu.Unlock()
	b.deliver()
}

// endLocked seals a phase that is about to be replaced by hand and returns what
// it had counted.
func (b *Breaker) endLocked(ph *phase) Counts {
	switch ph.state {
	case Closed:
		return b.countsOf(ph, ph.tally.seal())
	case HalfOpen:
		return ph.half.counts()
	case Open:
	}
	return Counts{}
}

// countsOf reads the window of a closed phase whose word is w.
func (b *Breaker) countsOf(ph *phase, w word) Counts {
	if ph.buckets == nil {
		return w.counts(int(ph.calls))
	}
	c := ph.buckets.counts(b.now())
	c.InRow = w.streak()
	return c
}

// Update replaces the Config, but for Now. The new limits hold from the next
// call or settlement on; nothing is evaluated at once, a break that runs keeps
// its end, and a settlement that overlaps Update may still go by the old limits.
// State, totals, openings in a row, override and the permits that are out are
// kept. So is the window: if its size changes, the last calls (or tenths of the
// time) that fit are taken over; if its kind changes, it starts empty and only
// the streak is kept. History starts anew if its length changes. The error is
// [Config.Validate]'s, and nothing has changed then.
func (b *Breaker) Update(cfg Config) error {
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
	old := b.settings.Load()
	s := b.overridden(newSettings(cfg, old.override))
	ph := b.phase.Load()
	switch {
	case ph.state == HalfOpen:
		b.advanceLocked(context.Background(), old, b.now())
		if b.phase.Load() == ph {
			ph.half.mark(s)
		}
	case ph.state == Closed && (s.Window != old.Window || (s.SlowAfter > 0) != (old.SlowAfter > 0) && s.Window.For > 0):
		b.reshapeLocked(s, ph)
	}
	b.settings.Store(s)
	if st := b.stats(); st != nil {
		b.equip(st, s)
	}
	if s.RampUp == 0 {
		b.phase.Load().ramp.Store(nil)
	}
}

// reshapeLocked replaces a closed phase by one with the window of s. The stay
// goes on: permits of ph settle with its heir.
func (b *Breaker) reshapeLocked(s *settings, ph *phase) {
	heir := b.newClosed(s, ph.since, ph.cause)
	heir.opens, heir.until, heir.err, heir.draw = ph.opens, ph.until, ph.err, ph.draw
	heir.reported.Store(ph.reported.Load())
	heir.ramp.Store(ph.ramp.Load())
	ph.heir = heir
	w := ph.tally.seal()
	heir.tally.Store(uint64(w & streakMask))
	switch {
	case ph.buckets == nil && heir.buckets == nil:
		heir.replay(ph, w)
	case ph.buckets != nil && heir.buckets != nil:
		heir.buckets.adopt(ph.buckets, b.now())
	}
	b.publish(context.Background(), heir, Counts{}, nil)
}

// replay credits to an unpublished phase the marks of a sealed count window,
// oldest first, and leaves its streak alone.
func (p *phase) replay(old *phase, last word) {
	n := int(old.calls)
	words := old.ring.of(n)
	held := last.counts(n).Calls
	streak := p.tally.read() & streakMask
	for i := max(held-int(p.calls), 0); i < held; i++ {
		slot := (last.pos() - held + i) % n
		m := markAt(words[slot/marksPerWord].Load(), slot)
		if i == held-1 {
			m = last.pending()
		}
		next, _ := p.credit(p.tally.read(), m)
		p.tally.Store(uint64(next))
	}
	p.tally.Store(uint64(p.tally.read()&^streakMask | streak))
}

// equip gives the stats what s asks for. It needs Breaker.mu.
func (b *Breaker) equip(st *stats, s *settings) {
	h := st.history.Load()
	switch {
	case s.History == 0:
		st.history.Store(nil)
	case h == nil || h.width != s.History/intervals:
		st.history.Store(newHistory(st, s.History, b.now()))
	}
	switch {
	case !s.Durations:
		st.lengths.Store(nil)
	case st.lengths.Load() == nil:
		st.lengths.Store(newHistograms())
	}
}
