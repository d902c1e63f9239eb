package core

import (
	"context"
	"time"
)

// Window is what rates are taken over: the last Calls calls, exactly, or the
// calls that ended in the last For, to a tenth of it. The zero Window is the
// last 100 calls.
type Window struct {
	// Calls is a number of calls, 1 to 10,000.
	Calls int `json:"calls,omitzero"`
	// For is a time, 10 ms to 24 h. It cannot be set together with Calls.
	For time.Duration `json:"for,omitzero"`
}

// mark is what one call leaves in a window: two bits.
type mark uint8

const (
	markFailed mark = 1 << iota
	markSlow
)

func (m mark) failed() bool { return m&markFailed != 0 }

func (m mark) slow() bool { return m&markSlow != 0 }

// addMarks counts calls that left mark m.
func addMarks(c *Counts, m mark, calls int) {
	c.Calls += calls
	if m.failed() {
		c.Failures += calls
	}
	if m.slow() {
		c.Slow += calls
	}
}

// callWindow is the window of a closed phase: a time window if time is set, else a
// count window. What differs between the two is behind its methods.
type callWindow struct {
	count countWindow
	time  *timeWindow
}

// set makes the window empty and of the kind and size of w.
func (cw *callWindow) set(w Window) {
	if w.For > 0 {
		cw.time = newTimeWindow(w.For)
	}
	cw.count.calls = int32(w.Calls)
}

func (cw *callWindow) byTime() bool { return cw.time != nil }

// credit counts a call with mark m that ended at now. A time window is written at
// once, and then credited is true. A count window is part of the word: next replaces
// w, and is w if that counts the call as it is. If ok is false the word has to be read
// again: it is stale, or to be read as it is after the credit.
func (cw *callWindow) credit(t *tally, w word, now time.Duration, shard uint8, m mark) (next word, credited, ok bool) {
	if cw.time != nil {
		return 0, cw.time.credit(now, shard, m), false
	}
	next, ok = cw.count.credit(t, w, m)
	return next, false, ok
}

// countsFor reads the window for a rule about calls with a mark, as it is once the
// word is w.
func (cw *callWindow) countsFor(rule mark, w word, now time.Duration) Counts {
	if cw.time == nil {
		return cw.count.counts(w)
	}
	c := cw.time.counts(now, rule) // forty loads and more
	c.Consecutive = w.streak()
	return c
}

// read reads the window of a phase whose word is w, as of now. What it returns was
// true at one moment; of a time window in which calls end all the time, each rate
// was, but the streak may be older.
func (cw *callWindow) read(t *tally, w word, now time.Duration) Counts {
	if cw.time == nil {
		return cw.count.counts(w)
	}
	return cw.time.read(t, w, now)
}

// takeOver moves the calls of old, sealed with the word w, into the empty window of
// a phase that is not published and began at since. The streak is not part of it.
func (cw *callWindow) takeOver(t *tally, old *callWindow, w word, since, now time.Duration) {
	switch {
	case cw.time == nil && old.time == nil:
		cw.count.replay(t, old.count.last(w))
	case cw.time == nil:
		cw.count.replay(t, marksOf(old.time.take(now), int(cw.count.calls)))
	case old.time == nil:
		cw.time.putOldest(old.count.last(w), since, now)
	default:
		cw.time.adopt(old.time, old.time.take(now), now)
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
	ph.window.takeOver(&ph.tally, &old.window, w, ph.since, now)
	ph.tally.Store(uint64(ph.tally.read()&^streakMask | w&streakMask))
	b.publish(context.Background(), ph, Counts{}, nil)
}
