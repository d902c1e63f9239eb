package presets

import (
	"math/rand/v2"
	"time"

	"github.com/blackbox4/switchgear/core"
)

// Retry says when a call that failed is made again. The zero Retry never does.
// With a Strategy, zero in another field means the stated default.
//
// Every attempt is admitted and counted by the breaker. What is never made
// again, whatever If says: a call that panicked; one that failed when its
// context had ended, so also one that outlived its CallTimeout (waiting for an
// answer as long again would hold the caller, and load the dependency, twice), or
// that returned [context.Canceled] or [context.DeadlineExceeded] of a context of
// its own; and one that a breaker refused, which ends the retries at once.
type Retry struct {
	// Strategy is how the waits grow. Zero means no retry.
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
	// Multiplier is by how much [Exponential] and [Random] grow. Zero means 2;
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
	check(r.Strategy <= Random, "Strategy", r.Strategy, allowedStrategies)
	set := r.Attempts != 0 || r.InitialDelay != 0 || r.MaxDelay != 0 || r.Multiplier != 0 || r.JitterFactor != 0 || r.If != nil
	check(r.Strategy != None || !set, "Strategy", r.Strategy, "fixed, linear, exponential or random when another field of Retry is set")
	check(r.Attempts >= 0 && r.Attempts <= maxAttempts, "Attempts", r.Attempts, "1 to 100; 0 for 3")
	check(r.InitialDelay >= 0, "InitialDelay", r.InitialDelay, "positive; 0 for 1s")
	check(r.MaxDelay == 0 || r.MaxDelay >= r.WithDefaults().InitialDelay, "MaxDelay", r.MaxDelay, "at least InitialDelay; 0 for 10s")
	check(r.Multiplier == 0 || r.Multiplier >= 1 && r.Multiplier <= maxMultiplier, "Multiplier", r.Multiplier, "1 to 100; 0 for 2")
	check(r.JitterFactor <= 1, "JitterFactor", r.JitterFactor, "in (0, 1]; 0 for 0.1, negative for none")
	return faults
}

// WithDefaults returns r with every default filled in, for those who retry by
// other means. Without a Strategy there is one attempt.
func (r Retry) WithDefaults() Retry {
	if r.Strategy == None {
		r.Attempts = 1
	}
	if r.Attempts == 0 {
		r.Attempts = defaultAttempts
	}
	if r.InitialDelay == 0 {
		r.InitialDelay = defaultInitialDelay
	}
	if r.MaxDelay == 0 {
		r.MaxDelay = max(defaultMaxDelay, r.InitialDelay)
	}
	if r.Multiplier == 0 {
		r.Multiplier = defaultMultiplier
	}
	if r.JitterFactor == 0 {
		r.JitterFactor = defaultJitterFactor
	}
	r.JitterFactor = max(r.JitterFactor, 0)
	return r
}

// Wait returns the wait after n attempts, n from 1, with its jitter drawn anew.
func (r Retry) Wait(n int) time.Duration { return r.WithDefaults().delay(n, rand.Float64()) }

// delay returns the wait after n attempts, for draws in [0, 1).
func (r Retry) delay(n int, draw float64) time.Duration {
	d, limit := float64(r.InitialDelay), float64(r.MaxDelay)
	switch r.Strategy {
	case Linear:
		d *= float64(n)
	case Exponential, Random:
		for range n - 1 {
			if d *= r.Multiplier; d >= limit {
				break
			}
		}
	case None, Fixed:
	}
	d = min(d, limit)
	if r.Strategy == Random {
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
