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
