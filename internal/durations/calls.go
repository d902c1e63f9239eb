// Package durations remembers how long calls of a route or method usually take, so
// that a server can tell a deadline that is too short from a handler that hangs.
package durations

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

	// tries is the most tries that a handler is taken to share a client's time among.
	tries = 8
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
// longest of them. While none is known a second is enough. A factor of zero or NaN
// means 2; with a negative one every call is unusual.
//
// A call of a second or more that is not unusual ages what is known as a success
// does: where hundreds end so and none succeeds, what calls took before says
// nothing any more.
//
// The second is what keeps one client from closing a route to others: with less, a
// request that takes a few times as long as most, and a deadline to match, would do.
func (c *Calls) Unusual(ran time.Duration, factor float64) bool {
	if factor < 0 {
		return true
	}
	if ran < floor {
		return false
	}
	if c.beyond(ran, factor) {
		return true
	}
	c.note(0)
	return false
}

// beyond reports whether a call has run for factor times the longest success, if one
// is known.
func (c *Calls) beyond(ran time.Duration, factor float64) bool {
	if !(factor > 0) { // NaN too
		factor = defaultFactor
	}
	longest, _ := c.Longest()
	return float64(ran) >= math.Min(factor*float64(longest), math.MaxInt64)
}

// CutShort reports whether a handler that says it ran out of time, before the
// deadline of its client, may have been cut short by that: handlers give each of
// several tries a share of it. So it is if the client gave less time than recent
// successes took; or if the handler had an eighth of it or more, and has not run
// clearly longer than those, in the sense of Unusual but for the second. While none is
// known, it is if the handler had an eighth and the client gave less than a second.
func (c *Calls) CutShort(ran, limit time.Duration, factor float64) bool {
	switch longest, known := c.Longest(); {
	case factor < 0:
		return false
	case limit < longest:
		return true
	case ran < limit/tries:
		return false
	case !known:
		return limit < floor
	}
	return !c.beyond(ran, factor)
}
