package core

import (
	"time"
)

// Settlement is one settled call.
type Settlement struct {
	Name     string        // the breaker
	Seq      uint64        // numbers the settlements of a breaker, from 1; a gap was dropped
	Outcome  Outcome       //
	Err      error         // what the call returned, if the settler told
	Duration time.Duration // 0 unless Durations or SlowAfter is set
	Slow     bool          // it took longer than SlowAfter
	TimedOut bool          // it outlived its CallTimeout, or failed by a deadline
	Probe    bool          // it was a probe of a half-open breaker
	Late     bool          // the phase that issued the permit had ended
}
