package core

import "time"

// TimeIn is how long a breaker has been in each state. While it is forced open or
// disabled, the time is that of the override and not of the state below; [Shadow]
// changes nothing here. The times add up to the breaker's age, without the time
// between the eviction of a breaker and the making of the one that continues it.
type TimeIn struct {
	Closed     time.Duration `json:"closed"`
	Open       time.Duration `json:"open"`
	HalfOpen   time.Duration `json:"half_open"`
	ForcedOpen time.Duration `json:"forced_open"`
	Disabled   time.Duration `json:"disabled"`
}

func (t *TimeIn) add(s State, d time.Duration) {
	switch s {
	case Closed:
		t.Closed += d
	case Open:
		t.Open += d
	case HalfOpen:
		t.HalfOpen += d
	}
}
