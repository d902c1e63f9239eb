package detect

import (
	"cmp"
	"math"
	"time"
)

// setBack is how far an event may lie before the last one and still be merely late.
// One that is earlier shows that the clock was set.
const setBack = time.Minute

// clock makes of the caller's times one that never goes back: the time since the
// first event.
type clock struct {
	base time.Time // of the first event, with its monotonic reading
	clockState
}

type clockState struct {
	Began  int64 // base, Unix nanoseconds; zero if there was no event yet
	Last   time.Duration
	Adjust time.Duration // what the clock was set back, all told
}

// now is the time of an event at at.
func (c *clock) now(at time.Time) time.Duration {
	if at.IsZero() {
		return c.Last
	}
	if c.base.IsZero() {
		if c.Began == 0 {
			c.Began = cmp.Or(at.UnixNano(), 1)
			c.base = at
			return 0
		}
		c.base = time.Unix(0, c.Began) // got back from a store
	}
	d := at.Sub(c.base)
	switch passed := d + c.Adjust; {
	case passed < d: // beyond all times
		c.Last = math.MaxInt64
	case passed >= c.Last:
		c.Last = passed
	case c.Last-passed > setBack || passed > c.Last: // the latter by wrapping
		c.Adjust = c.Last - max(d, math.MinInt64/2)
	}
	return c.Last
}

// time is when it was d.
func (c *clock) time(d time.Duration) time.Time {
	switch {
	case c.Began == 0:
		return time.Time{}
	case c.base.IsZero():
		c.base = time.Unix(0, c.Began)
	}
	return c.base.Add(d - c.Adjust)
}
