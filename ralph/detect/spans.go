package detect

import (
	"cmp"
	"time"

	"github.com/blackbox4/switchgear/core"
)

// DurationLimits are the times after which a rule nudges and trips. Zero and negative mean
// what they do in [Limits].
type DurationLimits struct {
	Nudge time.Duration `json:"nudge,omitzero"`
	Trip  time.Duration `json:"trip,omitzero"`
}

func (s DurationLimits) or(nudge, trip time.Duration) DurationLimits {
	given := s.Nudge != 0
	s.Nudge = max(cmp.Or(s.Nudge, nudge), never)
	s.Trip = max(cmp.Or(s.Trip, trip), never)
	if !given && s.Trip != never && s.Nudge >= s.Trip {
		s.Nudge = never
	}
	return s
}

func (s DurationLimits) level(d time.Duration) (level Level, limit time.Duration) {
	switch {
	case s.Trip != never && d >= s.Trip:
		return LevelTrip, s.Trip
	case s.Nudge != never && d >= s.Nudge:
		return LevelNudge, s.Nudge
	}
	return 0, 0
}

// left is the span to the next level; zero or less if there is none.
func (s DurationLimits) left(level Level) time.Duration {
	if level == 0 && s.Nudge > 0 {
		return s.Nudge
	}
	if level < LevelTrip {
		return s.Trip
	}
	return 0
}

func (s DurationLimits) faults(field string) []error {
	if s.Trip != never && s.Nudge >= s.Trip {
		return []error{&core.ConfigError{Field: field + ".Nudge", Value: s.Nudge, Allowed: "less than Trip; negative for never"}}
	}
	return nil
}
