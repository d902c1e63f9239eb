package core

import (
	"context"
)

// Update replaces the Config, but for Now. The new limits hold from the next
// call or settlement on; nothing is evaluated at once, a break that runs keeps
// its end, and a settlement that overlaps Update may still go by the old limits.
// State, totals, openings in a row, override and the permits that are out are
// kept. So is the window: if its size changes, the last calls (or tenths of the
// time) that fit are taken over; if its kind changes, it starts empty and only
// the streak is kept. History starts anew if its length changes, and a ramp ends
// if RampUp is off. The error is [Config.Validate]'s, and nothing has changed
// then.
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
		now := b.now()
		b.advanceLocked(context.Background(), old, now) // what was lost by now was lost by the old limit
		ph.half.mark(now, s)
	case ph.state == Closed && (s.Window != old.Window || (s.SlowAfter > 0) != (old.SlowAfter > 0) && s.Window.For > 0):
		b.reshapeLocked(s, ph)
	}
	s.reported.Store(old.reported.Load())
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
	now := b.now() // before sealing, see open
	ph.heir = heir
	w := ph.tally.seal()
	heir.tally.Store(uint64(w & streakMask))
	switch {
	case ph.buckets == nil && heir.buckets == nil:
		heir.replay(ph, w)
	case ph.buckets != nil && heir.buckets != nil:
		heir.buckets.adopt(ph.buckets, now)
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
