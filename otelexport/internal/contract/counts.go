package contract

import (
	"sync"
	"time"
)

// counts are the values of a [Reading] that are exported as counters.
type counts struct {
	calls                        [len(results)]int64
	slow, timeouts, spared, lost [1]int64
	probes                       [3]int64
	transitions                  [len(transitions)]int64
	trips                        [len(trips)]int64
	times                        [len(states)]float64
}

// groups are the numbers of c that begin anew together.
func (c *counts) groups() [3][][]int64 {
	return [...][][]int64{
		{c.calls[:], c.slow[:], c.timeouts[:], c.spared[:], c.lost[:]},
		{c.probes[:]},
		{c.transitions[:], c.trips[:]},
	}
}

// Counters are what is exported as counters under one name, whichever breaker has
// it. They never go down: OpenTelemetry's API has no way to give a series a new start
// time. The zero Counters are ready. They are safe for concurrent use.
type Counters struct {
	mu      sync.Mutex
	issued  uint64    // numbers of breakers
	number  uint64    // of the breaker that was read last; 0 for none
	started time.Time // its
	at      time.Time // when it was read
	last    counts    // what it had counted then
	base    counts    // what those before it had, of which it tells nothing
	out     counts    // what is exported
	start   time.Time // of out
	restart time.Time // of what the breaker itself has counted
}

// After makes counters for a name that may have been exported until a time, with
// what is not remembered.
func After(t time.Time) *Counters { return &Counters{start: t} }

// Next returns a number for a breaker that gets the name.
func (c *Counters) Next() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.issued++
	return c.issued
}

// Note makes of a reading what is exported. The number is what [Counters.Next] gave
// for the breaker. Of a breaker that another has taken over
// from, which a second reader may still be reading, nothing is noted.
func (c *Counters) Note(number uint64, r *Reading) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if number >= c.number {
		switch now := time.Now().Round(0); {
		case c.number == 0:
			c.start = later(c.start, earlier(r.Started.Round(0), now)) // a breaker may have a clock of its own
			c.restart = c.start
		case number > c.number:
			if !r.Started.Equal(c.started) {
				c.restart = later(c.restart, now)
			}
			c.follow(r)
		}
		c.number, c.started, c.at, c.last = number, r.Started, r.At, r.counts
		c.raise()
	}
	r.counts, r.Start, r.Restart = c.out, c.start, c.restart
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// follow is for a breaker that takes over from another. If it began to count since,
// what it counts comes on top. If not, it continues the numbers of the other, as one
// that its registry has made anew does, or it was there all along: then its own numbers
// are exported, unless they are lower.
func (c *Counters) follow(r *Reading) {
	anew := r.Started.After(c.at)
	now, before, base := r.groups(), c.last.groups(), c.base.groups()
	for g := range now {
		if anew || lower(now[g], before[g]) {
			for i := range base[g] {
				for j := range base[g][i] {
					base[g][i][j] += before[g][i][j]
				}
			}
		}
	}
	less := false
	for i, seconds := range r.times {
		less = less || seconds < c.last.times[i]
	}
	if anew || less {
		for i, seconds := range c.last.times {
			c.base.times[i] += seconds
		}
	}
}

func lower(now, before [][]int64) bool {
	for i := range now {
		for j := range now[i] {
			if now[i][j] < before[i][j] {
				return true
			}
		}
	}
	return false
}

// raise exports what was noted. A number that is lower than before, for a clock that
// went back or by a second reader that was faster, waits until it is passed.
func (c *Counters) raise() {
	out, last, base := c.out.groups(), c.last.groups(), c.base.groups()
	for g := range out {
		for i := range out[g] {
			for j := range out[g][i] {
				out[g][i][j] = max(out[g][i][j], last[g][i][j]+base[g][i][j])
			}
		}
	}
	for i := range c.out.times {
		c.out.times[i] = max(c.out.times[i], c.last.times[i]+c.base.times[i])
	}
}

// Exported fills r with what was exported last. It reports false if nothing ever
// was.
func (c *Counters) Exported(r *Reading) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	*r = Reading{Started: c.started, Start: c.start, Restart: c.restart, counts: c.out}
	return c.number > 0
}
