package core

import (
	"time"
)

// broken returns the rule by which counts open a closed breaker, or NoCause. The
// last call left mark m: only a failure breaks a rule about failures, and only a
// slow call the one about slow calls.
func (s *settings) broken(c Counts, m mark) Cause {
	switch enough := c.Calls >= s.MinimumCalls; {
	case m.failed() && s.FailureThreshold > 0 && c.Consecutive >= s.FailureThreshold:
		return CauseConsecutiveFailures
	case m.failed() && enough && reached(s.FailureRateThreshold, uint64(c.Failures), uint64(c.Calls)):
		return CauseFailureRate
	case m.slow() && enough && reached(s.SlowRateThreshold, uint64(c.Slow), uint64(c.Calls)):
		return CauseSlowRate
	}
	return NoCause
}

// opens returns the rule by which a call with mark m opens the closed phase ph,
// whose word next is to be, and what it goes by. Where a reading is not one
// moment's, see timeWindow, the rules about failures and about slow calls have one
// each. Without a mark s may be nil.
func (s *settings) opens(ph *phase, now time.Duration, next word, m mark) (Cause, Counts) {
	if m == 0 {
		return NoCause, Counts{}
	}
	for _, rule := range [...]mark{markFailed, markSlow} {
		if m&rule == 0 {
			continue
		}
		c := ph.window.countsFor(rule, next, now)
		if cause := s.broken(c, rule); cause != NoCause {
			return cause, c
		}
	}
	return NoCause, Counts{}
}

// isSlow reports whether a call of that duration is slow.
func (s *settings) isSlow(d time.Duration) bool { return s.SlowAfter > 0 && d > s.SlowAfter }

// reached reports whether part of whole is at least the rate. The slack keeps
// 7 of 100 at a rate of 0.07 from being lost to binary fractions.
func reached(rate float64, part, whole uint64) bool {
	const slack = 1e-9
	return rate > 0 && float64(part) >= rate*float64(whole)-slack
}
