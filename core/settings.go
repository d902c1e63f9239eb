package core

import (
	"sync/atomic"
	"time"
)

// settings is a Config made ready for use, immutable, swapped whole.
type settings struct {
	Config

	override Override
	// quick: a healthy call needs none of what only the long paths do.
	quick bool
	// silent: neither hook nor log is told of a refusal.
	silent bool
	notes  flags // of every permit
	// timed: the duration of a call is wanted.
	timed  bool
	forced *OpenError // what ForcedOpen refuses with
	// reported is set by the first refusal of forced that is logged.
	reported atomic.Bool
}

func newSettings(cfg Config, override Override) *settings {
	s := &settings{Config: cfg.withDefaults(), override: override}
	s.timed = s.Durations || s.SlowAfter > 0
	s.quick = override == NoOverride && s.History == 0 && s.RecentCalls == 0 && s.Hooks.Settled == nil
	s.silent = s.Hooks.Refused == nil && s.Logger == nil
	s.notes = flag(timed, s.timed) | flag(limited, s.CallTimeout > 0)
	return s
}

func flag(f flags, set bool) flags {
	if set {
		return f
	}
	return 0
}

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
// moment's, see buckets, the rules about failures and about slow calls have one
// each. Without a mark s may be nil.
func (s *settings) opens(ph *phase, now time.Duration, next word, m mark) (Cause, Counts) {
	if m == 0 {
		return NoCause, Counts{}
	}
	if ph.buckets == nil {
		c := next.counts(int(ph.calls))
		return s.broken(c, m), c
	}
	for _, rule := range [...]mark{markFailed, markSlow} {
		if m&rule == 0 {
			continue
		}
		c := ph.buckets.counts(now, rule) // forty loads and more
		c.Consecutive = next.streak()
		if cause := s.broken(c, rule); cause != NoCause {
			return cause, c
		}
	}
	return NoCause, Counts{}
}

// isSlow reports whether a call of that duration is slow.
func (s *settings) isSlow(d time.Duration) bool { return s.SlowAfter > 0 && d > s.SlowAfter }
