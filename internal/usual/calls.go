// Package usual remembers how long calls of a route or method usually take, so
// that a server can tell a deadline that is too short from a handler that hangs.
package usual

import (
	"math"
	"sync/atomic"
	"time"
)

// Calls are the recent successes of one route or method. The zero value has seen
// none and is ready for use. It is safe for concurrent use, takes one word, and
// nothing in it allocates.
//
// It keeps the longest of the current 64 successes and the longest of the 64
// before them, so a duration is remembered for 64 to 127 further successes.
type Calls struct {
	// One word, so that a reading is never torn:
	//
	//	bits 0-5    calls in the current generation
	//	bits 6-34   the longest of them, in milliseconds, rounded up; 0 is none
	//	bits 35-63  the longest of the generation before
	word atomic.Uint64
}

const (
	generation = 64
	countMask  = generation - 1
	youngShift = 6
	oldShift   = 35
	longMask   = 1<<29 - 1 // 6 days, which a longer call is taken for

	// floor is the time from which on a call may be unusual at all.
	floor         = time.Second
	defaultFactor = 2
)

// Took notes a success that took d.
func (c *Calls) Took(d time.Duration) {
	c.note(min(max(uint64(max(d, 0)+time.Millisecond-1)/uint64(time.Millisecond), 1), longMask))
}

// note counts a call in the current generation, and what it took if it succeeded.
func (c *Calls) note(ms uint64) {
	for {
		have := c.word.Load()
		count, young, old := have&countMask+1, max(have>>youngShift&longMask, ms), have>>oldShift
		if count == generation {
			count, young, old = 0, 0, young
		}
		if c.word.CompareAndSwap(have, count|young<<youngShift|old<<oldShift) {
			return
		}
	}
}

// Longest returns the longest of the recent successes, in whole milliseconds,
// rounded up, 6 days at most. It is known from the first success on.
func (c *Calls) Longest() (d time.Duration, known bool) {
	have := c.word.Load()
	ms := max(have>>youngShift&longMask, have>>oldShift)
	return time.Duration(ms) * time.Millisecond, ms > 0
}

// Unusual reports whether a call that has run for so long has clearly run longer
// than recent successes: for at least a second, and for at least factor times the
// longest of them. While none is known a second is enough. A factor of zero means
// 2; one that is negative or NaN means 0, so that a second is always enough.
//
// A call of a second or more that is not unusual ages what is known as a success
// does: where hundreds end so and none succeeds, what calls took before says
// nothing any more.
func (c *Calls) Unusual(ran time.Duration, factor float64) bool {
	if ran < floor {
		return false
	}
	if factor == 0 {
		factor = defaultFactor
	}
	if !(factor > 0) { // NaN too
		return true
	}
	longest, _ := c.Longest()
	if float64(ran) >= math.Min(factor*float64(longest), math.MaxInt64) {
		return true
	}
	c.note(0)
	return false
}
