package core

import (
	"fmt"
	"slices"
	"time"
)

// Health is a breaker's health by the limits of [HealthLimits]: healthy when at
// least 80 % of its calls succeeded, less than 20 % failed in the last five
// minutes, and they took less than 5 s on average, unless set otherwise. The
// five minutes need Config.History of as much, the mean needs Config.Durations;
// NotLookedAt tells which of them was not looked at. It is about the dependency;
// whether calls are admitted is the State's business.
type Health struct {
	Healthy     bool          `json:"healthy"`
	SuccessRate float64       `json:"success_rate"`     // over the breaker's life; 1 without calls
	ErrorRate   float64       `json:"error_rate"`       // see [HealthLimits]
	Mean        time.Duration `json:"mean"`             // of the time that ErrorRate looks back, or, without Config.History, that of Durations; 0 unless Config.Durations
	Reasons     []string      `json:"reasons,omitzero"` // one sentence for each check that failed
	// NotLookedAt has a sentence for each check that could not be made as it is
	// meant, with what is missing. Healthy does not speak of it.
	NotLookedAt []string `json:"not_looked_at,omitzero"`
}

// bucketError is the part of a duration that its bucket may be off by: a mean made of
// buckets is ill only if it is so all the same.
const bucketError = 16

// Health judges the breaker by Config.Health.
func (b *Breaker) Health() Health {
	if !b.made() {
		return Health{Reasons: []string{errNoBreaker.Error()}}
	}
	snap, s := b.snapshot()
	return snap.health(&s.Config)
}

func (s *Snapshot) health(cfg *Config) Health {
	var l HealthLimits
	if cfg.Health != nil {
		l = *cfg.Health
	}
	if l.Over == 0 && cfg.History > 0 {
		l.Over = min(defaultErrorOver, cfg.History)
	}
	l.SuccessRate = or(l.SuccessRate, defaultSuccessRate)
	l.ErrorRate = or(l.ErrorRate, defaultErrorRate)
	l.Over = or(l.Over, defaultErrorOver)
	l.Mean = or(l.Mean, defaultMean)

	h := Health{SuccessRate: 1, ErrorRate: s.errorRate(l.Over)}
	var slack time.Duration
	if h.Mean, slack = s.Durations.Mean, s.Durations.Mean/bucketError; cfg.Durations && s.History != nil {
		h.Mean, slack = s.meanOver(l.Over), 0
	}
	if n := s.Totals.Successes + s.Totals.Failures; n > 0 {
		h.SuccessRate = float64(s.Totals.Successes) / float64(n)
	}
	if l.SuccessRate > 0 && h.SuccessRate < l.SuccessRate {
		h.Reasons = append(h.Reasons, fmt.Sprintf("%s of all calls succeeded, at least %s should", percent(h.SuccessRate), percent(l.SuccessRate)))
	}
	if l.ErrorRate > 0 && h.ErrorRate >= l.ErrorRate {
		h.Reasons = append(h.Reasons, fmt.Sprintf("%s of the calls failed lately, less than %s should", percent(h.ErrorRate), percent(l.ErrorRate)))
	}
	if l.Mean > 0 && h.Mean-slack >= l.Mean {
		h.Reasons = append(h.Reasons, fmt.Sprintf("calls took %v on average, less than %v is healthy", h.Mean.Round(time.Millisecond), l.Mean))
	}
	h.Healthy = len(h.Reasons) == 0
	h.NotLookedAt = notLookedAt(&l, cfg)
	return h
}

// errorRate is the share of failures over a time, from the history, or, without
// one, from the window.
func (s *Snapshot) errorRate(over time.Duration) float64 {
	if s.History == nil {
		if s.State == Closed {
			return s.Window.FailureRate()
		}
		for _, t := range slices.Backward(s.Transitions) {
			if t.To == Open {
				return t.Counts.FailureRate()
			}
		}
		return 0
	}
	var calls, failures uint64
	from := s.At.Add(-over)
	for _, i := range s.History {
		if i.Start.Add(i.Length).After(from) {
			calls += i.Calls
			failures += i.Failures
		}
	}
	if calls == 0 {
		return 0
	}
	return float64(failures) / float64(calls)
}

// notLookedAt is what cannot be checked as it is meant, and why.
func notLookedAt(l *HealthLimits, cfg *Config) (missing []string) {
	if l.ErrorRate > 0 && cfg.History <= 0 {
		missing = append(missing, fmt.Sprintf("the error rate over %v: set History; the rate of the window stands in for it", l.Over))
	}
	if l.ErrorRate > 0 && cfg.History > 0 && l.Over < defaultErrorOver && (cfg.Health == nil || cfg.Health.Over == 0) {
		missing = append(missing, fmt.Sprintf("the error rate over %v: History remembers %v", defaultErrorOver, cfg.History))
	}
	if l.Mean > 0 && !cfg.Durations {
		missing = append(missing, "the mean duration: set Durations")
	}
	return missing
}

// meanOver is the mean duration over a time, exactly, from the history.
func (s *Snapshot) meanOver(over time.Duration) time.Duration {
	var calls uint64
	var sum float64
	from := s.At.Add(-over)
	for _, i := range s.History {
		if i.Start.Add(i.Length).After(from) {
			calls += i.Calls
			sum += float64(i.Mean) * float64(i.Calls)
		}
	}
	return time.Duration(sum / float64(max(calls, 1)))
}

func percent(rate float64) string { return fmt.Sprintf("%.4g %%", 100*rate) }

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
