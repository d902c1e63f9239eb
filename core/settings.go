package core

import (
	"sync/atomic"
)

// settings is a Config made ready for use, immutable, swapped whole.
type settings struct {
	Config

	override Override
	// quick: a healthy call needs none of what only the long paths do.
	quick bool
	// silent: neither hook nor log is told of a refusal.
	silent bool
	meta   flags // of every permit
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
	s.meta = flag(timed, s.timed) | flag(limited, s.CallTimeout > 0)
	return s
}

func flag(f flags, set bool) flags {
	if set {
		return f
	}
	return 0
}
