package presets

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/blackbox4/switchgear/core"
)

// Retry says how a call that failed is made again, and whether. The zero Retry
// never does; a preset says how, and it is the caller who says whether, by Enabled
// or [Policy.WithRetry]: a call that is not safe to make twice is not made twice
// unless its owner asks for that. In another field zero means the stated default.
//
// Every attempt is admitted and counted by the breaker. What is never made
// again, whatever If says: a call that panicked; one that failed when its
// context had ended, so also one that outlived its CallTimeout (waiting for an
// answer as long again would hold the caller, and load the dependency, twice), or
// that returned [context.Canceled] or [context.DeadlineExceeded] of a context of
// its own; and one that a breaker refused, which ends the retries at once.
type Retry struct {
	// Enabled says that a call that failed is made again. Zero means that it is
	// not, whatever the other fields say.
	Enabled bool `json:"enabled,omitzero"`
	// Strategy is how the waits grow. Zero means [StrategyExponential] where retries are
	// enabled.
	Strategy Strategy `json:"strategy,omitzero"`
	// Attempts is how many calls are made at most, the first included. Zero
	// means 3; at most 100.
	Attempts int `json:"attempts,omitzero"`
	// InitialDelay is the first wait. Zero means 1 s.
	InitialDelay time.Duration `json:"initial_delay,omitzero"`
	// MaxDelay caps every wait, jitter included. Zero means 10 s, or
	// InitialDelay if that is more. An error that asks for more by
	// [core.RetryAfter] ends the retries: coming back sooner would be no use.
	MaxDelay time.Duration `json:"max_delay,omitzero"`
	// Multiplier is by how much [StrategyExponential] and [StrategyRandom] grow. Zero means 2;
	// 1 to 100.
	Multiplier float64 `json:"multiplier,omitzero"`
	// JitterFactor spreads each wait evenly over ± this share of it, so that
	// callers that failed together do not come back together. Zero means 0.1,
	// negative means none; at most 1.
	JitterFactor float64 `json:"jitter_factor,omitzero"`
	// If says whether a call that returned err may be made again. Nil means
	// every one. It is not part of a file, and must be safe for concurrent use.
	If func(err error) bool `json:"-"`
}

const (
	defaultAttempts     = 3
	defaultInitialDelay = time.Second
	defaultMaxDelay     = 10 * time.Second
	defaultMultiplier   = 2
	defaultJitterFactor = 0.1

	maxAttempts   = 100
	maxMultiplier = 100
)

func (r Retry) faults() []error {
	var faults []error
	check := func(ok bool, field string, value any, allowed string) {
		if !ok {
			faults = append(faults, &core.ConfigError{Field: "Retry." + field, Value: value, Allowed: allowed})
		}
	}
	check(r.Strategy <= StrategyRandom, "Strategy", r.Strategy, allowedStrategies)
	check(r.Attempts >= 0 && r.Attempts <= maxAttempts, "Attempts", r.Attempts, "1 to 100; 0 for 3")
	check(r.InitialDelay >= 0, "InitialDelay", r.InitialDelay, "positive; 0 for 1s")
	check(r.MaxDelay == 0 || r.MaxDelay >= r.WithDefaults().InitialDelay, "MaxDelay", r.MaxDelay, "at least InitialDelay; 0 for 10s")
	check(r.Multiplier == 0 || r.Multiplier >= 1 && r.Multiplier <= maxMultiplier, "Multiplier", r.Multiplier, "1 to 100; 0 for 2")
	check(r.JitterFactor <= 1, "JitterFactor", r.JitterFactor, "in (0, 1]; 0 for 0.1, negative for none")
	return faults
}

// zeros are the faults of fields of a preset that were set to zero, which reads as
// "none" and would stand for the default; own is what the preset says.
func (r Retry) zeros(own Retry) (faults []error) {
	if !r.Enabled {
		return nil
	}
	if r.Attempts == 0 && own.Attempts != 0 {
		faults = append(faults, &core.ConfigError{Field: "Retry.Attempts", Value: 0, Allowed: "1 to 100 where retries are enabled; WithoutRetry makes each call once"})
	}
	if r.Strategy == StrategyNone && own.Strategy != StrategyNone {
		faults = append(faults, &core.ConfigError{Field: "Retry.Strategy", Value: r.Strategy, Allowed: "fixed, linear, exponential or random where retries are enabled; WithoutRetry makes each call once"})
	}
	return faults
}

// inVain returns a field that was set and has no effect, because retries are not
// enabled; empty if there is none. What a preset says by itself was not set; own is
// what that of the policy says.
func (r Retry) inVain(own Retry) (field string, value any) {
	if r.Enabled || r.If == nil && slices.ContainsFunc(table(), func(p preset) bool { return r.isHow(p.retry) }) {
		return "", nil
	}
	switch {
	case r.If != nil:
		return "If", "a func"
	case r.Attempts != 0 && r.Attempts != own.Attempts:
		return "Attempts", r.Attempts
	case r.InitialDelay != 0 && r.InitialDelay != own.InitialDelay:
		return "InitialDelay", r.InitialDelay
	case r.MaxDelay != 0 && r.MaxDelay != own.MaxDelay:
		return "MaxDelay", r.MaxDelay
	case r.Multiplier != 0:
		return "Multiplier", r.Multiplier
	case r.JitterFactor != 0:
		return "JitterFactor", r.JitterFactor
	case r.Strategy != StrategyNone:
		return "Strategy", r.Strategy
	}
	return "", nil
}

// isHow reports whether r says how as own does, but perhaps for a strategy that was
// taken away.
func (r Retry) isHow(own Retry) bool {
	if r.Strategy == StrategyNone {
		own.Strategy = StrategyNone
	}
	return r.Strategy == own.Strategy && r.Attempts == own.Attempts && r.InitialDelay == own.InitialDelay &&
		r.MaxDelay == own.MaxDelay && r.Multiplier == own.Multiplier && r.JitterFactor == own.JitterFactor
}

// enabled returns r with retries that are made.
func (r Retry) enabled() Retry {
	r.Enabled = true
	if r.Strategy == StrategyNone {
		r.Strategy = StrategyExponential
	}
	return r
}

// WithDefaults returns r with every default filled in, for those who retry by
// other means. Unless retries are enabled there is one attempt.
func (r Retry) WithDefaults() Retry {
	if r.Enabled {
		r = r.enabled()
	} else {
		r.Attempts = 1
	}
	r.Attempts = cmp.Or(r.Attempts, defaultAttempts)
	r.InitialDelay = cmp.Or(r.InitialDelay, defaultInitialDelay)
	r.MaxDelay = cmp.Or(r.MaxDelay, max(defaultMaxDelay, r.InitialDelay))
	r.Multiplier = cmp.Or(r.Multiplier, defaultMultiplier)
	r.JitterFactor = max(cmp.Or(r.JitterFactor, defaultJitterFactor), 0)
	return r
}

// Wait returns the wait after n attempts, n from 1, with its jitter drawn anew.
func (r Retry) Wait(n int) time.Duration { return r.WithDefaults().delay(n, rand.Float64()) }

// delay returns the wait after n attempts, for draws in [0, 1).
func (r Retry) delay(n int, draw float64) time.Duration {
	d, limit := float64(r.InitialDelay), float64(r.MaxDelay)
	switch r.Strategy {
	case StrategyLinear:
		d *= float64(n)
	case StrategyExponential, StrategyRandom:
		for range n - 1 {
			if d *= r.Multiplier; d >= limit {
				break
			}
		}
	case StrategyNone, StrategyFixed:
	}
	d = min(d, limit)
	if r.Strategy == StrategyRandom {
		d *= draw
	} else {
		d *= 1 + r.JitterFactor*(2*draw-1)
		if d > limit { // back inside, or half of them would come back together
			d = max(2*limit-d, 0)
		}
	}
	if d >= limit { // which a float may not hold exactly
		return r.MaxDelay
	}
	return time.Duration(d)
}
