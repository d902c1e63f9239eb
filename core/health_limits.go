package core

import (
	"time"
)

// HealthLimits say what [Breaker.Health] calls healthy. Zero in a field means
// its default; a negative number switches that check off, but for Over.
type HealthLimits struct {
	// SuccessRate is the least share of successes over the breaker's life.
	// Zero means 0.8; at most 1.
	SuccessRate float64 `json:"success_rate,omitzero"`
	// ErrorRate is the share of failures over the last Over from which on the
	// breaker is unhealthy. Zero means 0.2; at most 1. It is taken from the
	// history if Config.History is set. Without it, [Health].NotLookedAt says so, and
	// it is that of the window or, of a breaker that is not closed, of what opened it.
	ErrorRate float64 `json:"error_rate,omitzero"`
	// Over is the time ErrorRate looks back. Zero means 5 min, or
	// Config.History if that is less; it cannot be more than that.
	Over time.Duration `json:"over,omitzero"`
	// Mean is the mean duration from which on the breaker is unhealthy. Zero
	// means 5 s. It is looked at if Config.Durations is set; [Health].NotLookedAt says so if not.
	Mean time.Duration `json:"mean,omitzero"`
}

const (
	defaultSuccessRate = 0.8
	defaultErrorRate   = 0.2
	defaultErrorOver   = 5 * time.Minute
	defaultMean        = 5 * time.Second
)

func (l *HealthLimits) faults() []error {
	var faults []error
	check := func(ok bool, field string, value any, allowed string) {
		if !ok {
			faults = append(faults, &ConfigError{Field: "Health." + field, Value: value, Allowed: allowed})
		}
	}
	check(l.SuccessRate <= 1, "SuccessRate", l.SuccessRate, "at most 1; 0 for 0.8, negative for off")
	check(l.ErrorRate <= 1, "ErrorRate", l.ErrorRate, "at most 1; 0 for 0.2, negative for off")
	check(l.Over >= 0, "Over", l.Over, "positive; 0 for 5m")
	return faults
}
