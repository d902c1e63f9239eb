package core

import (
	"context"
	"slices"
	"time"
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
		ph.half.mark(now, s)
	case ph.state == Closed && s.Window != old.Window:
		b.reshapeLocked(s, ph, now)
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
// goes on: permits of ph settle in the new phase, and all calls that ended go
// over with the window, as far as they fit.
func (b *Breaker) reshapeLocked(s *settings, old *phase, now time.Duration) {
	ph := b.newClosed(s, old.since, old.cause)
	ph.opens, ph.until, ph.err, ph.draw, ph.stay = old.opens, old.until, old.err, old.draw, old.stay
	ph.reported.Store(old.reported.Load())
	ph.ramp.Store(old.ramp.Load())
	w := old.tally.seal()
	switch {
	case old.buckets == nil && ph.buckets == nil:
		ph.replay(old.last(w))
	case old.buckets == nil:
		// When the calls ended is not known: they leave the window first.
		newest := ph.buckets.tenthOf(now)
		oldest := max(newest-min(newest, tenths-1), ph.buckets.tenthOf(ph.since))
		var calls [4]uint64
		for _, m := range old.last(w) {
			calls[m]++
		}
		ph.buckets.put(oldest, calls)
	case ph.buckets == nil:
		ph.replay(marksOf(old.buckets.take(now), int(ph.calls)))
	default:
		ph.buckets.adopt(old.buckets, old.buckets.take(now), now)
	}
	ph.tally.Store(uint64(ph.tally.read()&^streakMask | w&streakMask))
	b.publish(context.Background(), ph, Counts{}, nil)
}

// last returns the marks of a sealed count window whose word is w, oldest first.
func (p *phase) last(w word) []mark {
	n := int(p.calls)
	words := p.ring.of(n)
	held := w.counts(n).Calls
	marks := make([]mark, held)
	for i := range marks {
		slot := (w.pos() - held + i) % n
		marks[i] = markAt(words[slot/marksPerWord].Load(), slot)
	}
	if held > 0 {
		marks[held-1] = w.pending()
	}
	return marks
}

// replay credits marks to the count window of an unpublished phase.
func (p *phase) replay(marks []mark) {
	for _, m := range marks[max(len(marks)-int(p.calls), 0):] {
		next, _ := p.credit(p.tally.read(), m)
		p.tally.Store(uint64(next))
	}
}

// marksOf returns the marks of the newest n calls of a time window, oldest first.
// The order within a tenth is not known; of one that does not fit whole, the
// share of each mark is kept, rounded in favour of the good.
func marksOf(window []tenthCounts, n int) []mark {
	var newestFirst []mark
	for _, t := range slices.Backward(window) {
		all := t.calls[0] + t.calls[1] + t.calls[2] + t.calls[3]
		fit := min(all, uint64(n-len(newestFirst)))
		good := fit
		for m := mark(3); m > 0; m-- {
			bad := t.calls[m] * fit / all
			newestFirst = append(newestFirst, slices.Repeat([]mark{m}, int(bad))...)
			good -= bad
		}
		newestFirst = append(newestFirst, make([]mark, good)...)
	}
	slices.Reverse(newestFirst)
	return newestFirst
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
	r := st.recent.Load()
	switch {
	case s.RecentCalls == 0:
		st.recent.Store(nil)
	case r == nil || len(r.slots) != s.RecentCalls:
		st.recent.Store(newRecent(s.RecentCalls))
	}
}
