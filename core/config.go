package core

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// Config says when a [Breaker] opens, for how long, and how it closes again.
//
// The zero Config is the documented default: it opens after 5 failures in a
// row, and when half of the last 100 calls have failed, from 20 calls on; it stays
// open for 60 s, then lets up to 3 probes out at once and closes after 2 successes. In every field zero means the stated default; where a
// field says so, a negative number switches the rule off. A Config is plain
// data: it can be copied, compared field by field and filled from JSON, with
// durations in nanoseconds; the func fields and the logger are not part of that.
type Config struct {
	// FailureThreshold is how many consecutive failures open the breaker.
	// Zero means 5, negative means never; at most 1000. The streak ends with a
	// success, an opening or a Reset, and with nothing else: not with time, not with
	// an ignored call and not with an Update, so failures of which the first lies a
	// month back count as long as no call has succeeded since.
	FailureThreshold int `json:"failure_threshold,omitzero"`
	// FailureRateThreshold is the share of failures in Window, in (0, 1],
	// from which the breaker opens. Zero means 0.5, negative means never.
	FailureRateThreshold float64 `json:"failure_rate_threshold,omitzero"`
	// SlowRateThreshold is the share of calls in Window slower than
	// SlowAfter, in (0, 1], from which the breaker opens; with it a slow
	// probe opens the breaker again. Zero or negative means off.
	SlowRateThreshold float64 `json:"slow_rate_threshold,omitzero"`
	// SlowAfter is the duration above which a call is slow. Zero or negative
	// means that no call is. It costs a second clock reading a call.
	SlowAfter time.Duration `json:"slow_after,omitzero"`
	// MinimumCalls is how many calls the window must hold before a rate
	// counts. Zero means 20, or Window.Calls if that is less; negative
	// means no minimum. One that is set needs a rate that is on.
	MinimumCalls int `json:"minimum_calls,omitzero"`
	// Window is what the rates are taken over. Zero means the last 100 calls. One
	// that is set needs a rate that is on.
	Window Window `json:"window,omitzero"`

	// Timeout is how long the breaker stays open. Zero means 60 s.
	Timeout time.Duration `json:"timeout,omitzero" aka:"open_for"`
	// MaxTimeout caps the time spent open, however it was arrived at: by
	// TimeoutFactor, Jitter or a failure's own [RetryAfter]. Zero means
	// 10 min, or Timeout if that is more.
	MaxTimeout time.Duration `json:"max_timeout,omitzero"`
	// TimeoutFactor multiplies the time spent open with each opening that
	// follows another without a close between. Zero, negative or 1 means no
	// growth; at most 100.
	TimeoutFactor float64 `json:"timeout_factor,omitzero"`
	// Jitter spreads the time spent open evenly over ± this share of it, in
	// (0, 1). Zero or negative means none.
	Jitter float64 `json:"jitter,omitzero"`

	// HalfOpenMaxCalls is how many probes may be out at once. Zero means 3;
	// at most 10,000.
	HalfOpenMaxCalls int `json:"half_open_max_calls,omitzero"`
	// SuccessThreshold is how many successful probes close the breaker.
	// Zero means 2; at most 10,000.
	SuccessThreshold int `json:"success_threshold,omitzero"`
	// ProbeTimeout is after how long a probe that is not settled is lost: its
	// place is free again, and a further probe goes out each Timeout until one
	// succeeds. The lost one may still be settled, and counts then as any other.
	// Zero means 30 s, or CallTimeout if that is more; it cannot be less than
	// CallTimeout. It cannot be switched off: without it one forgotten permit
	// would keep the breaker half-open for ever.
	ProbeTimeout time.Duration `json:"probe_timeout,omitzero"`
	// RampUp is the time after closing over which the share of admitted
	// calls grows from 10 % to 100 %. Zero or negative means off.
	RampUp time.Duration `json:"ramp_up,omitzero"`

	// CallTimeout is the deadline that [Do], [Wrap] and [Breaker.Do] give to
	// the context of a call. A call that outlives it is a failure and a
	// timeout, also when it returns no error. Zero or negative means none.
	CallTimeout time.Duration `json:"call_timeout,omitzero"`

	// Durations keeps the mean, the percentiles and the buckets of durations, see
	// [Breaker.Buckets]. It costs two clock readings a call and about 4 KiB a core.
	Durations bool `json:"durations,omitzero"`
	// History is how far back [Snapshot.History] goes, in 60 intervals. Zero
	// or negative means off; at least 1 min, at most 24 h. It costs a clock
	// reading a call and 2 KiB.
	History time.Duration `json:"history,omitzero"`
	// RecentCalls is how many of the last calls [Snapshot.RecentCalls] lists, with
	// their errors. Zero or negative means none; at most 10,000. It costs a clock
	// reading and a short lock a call, and 64 B for each that is kept.
	RecentCalls int `json:"recent_calls,omitzero"`
	// Health sets the limits of [Breaker.Health]. Nil means the defaults of
	// [HealthLimits].
	Health *HealthLimits `json:"health,omitzero"`

	// Classify decides what became of a call that returned err; ctx is the
	// caller's. Nil means [DefaultClassify]. It runs with no lock held. A
	// panic of it passes through; the call is then a failure.
	Classify func(ctx context.Context, err error) Outcome `json:"-" yaml:"-"`
	// Hooks are told what happened.
	Hooks Hooks `json:"-" yaml:"-"`
	// Logger gets one line for each transition, override and panic of a hook,
	// and at most one about refusals for each stay in a state. Nil means no
	// logging.
	Logger *slog.Logger `json:"-" yaml:"-"`
	// Now is the clock. Nil means the time package's monotonic one. It is
	// taken by [New]; [Breaker.Update] does not change it. Until a clock that
	// was set back has caught up, breaks and waits go on, and a window of time does
	// not slide and may miss calls. It is called by many
	// goroutines, and with the locks of the breaker and its registry held: it
	// must not panic, nor call either. CallTimeout does not go by it.
	Now func() time.Time `json:"-" yaml:"-"`
	// RetriesEnabled marks the Config of a policy that retries, see
	// presets.Policy.WithRetry. A breaker retries nothing, so [New] and Update refuse
	// it: true would be a retry that is never made. Use presets.Protect.
	RetriesEnabled bool `json:"-" yaml:"-"`
}

const (
	defaultFailureThreshold = 5
	defaultFailureRate      = 0.5
	defaultMinimumCalls     = 20
	defaultWindowCalls      = 100
	defaultTimeout          = 60 * time.Second
	defaultMaxTimeout       = 10 * time.Minute
	defaultHalfOpenMaxCalls = 3
	defaultSuccessThreshold = 2
	defaultProbeTimeout     = 30 * time.Second

	maxFailureThreshold = 1000   // the streak has ten bits
	maxWindowCalls      = 10_000 // the counts have fourteen
	maxProbes           = 10_000
	maxTimeoutFactor    = 100
	minWindowFor        = 10 * time.Millisecond
	maxWindowFor        = 24 * time.Hour
	minHistory          = time.Minute
	maxHistory          = 24 * time.Hour
	maxRecentCalls      = 10_000
)

// Validate reports every fault of c at once, joined; each is a [*ConfigError].
// It returns nil for a Config that [New] accepts.
func (c Config) Validate() error {
	var faults []error
	check := func(ok bool, field string, value any, allowed string) {
		if !ok {
			faults = append(faults, &ConfigError{Field: field, Value: value, Allowed: allowed})
		}
	}
	rate := func(v float64) bool { return v <= 1 } // false for NaN too

	check(c.FailureThreshold <= maxFailureThreshold, "FailureThreshold", c.FailureThreshold, "at most 1000; 0 for 5, negative for off")
	check(rate(c.FailureRateThreshold), "FailureRateThreshold", c.FailureRateThreshold, "in (0, 1]; 0 for 0.5, negative for off")
	check(rate(c.SlowRateThreshold), "SlowRateThreshold", c.SlowRateThreshold, "in (0, 1]; 0 or negative for off")
	check(c.SlowRateThreshold <= 0 || c.SlowAfter > 0, "SlowAfter", c.SlowAfter, "positive when SlowRateThreshold is set")
	c.checkWindow(check)
	check(c.Timeout >= 0, "Timeout", c.Timeout, "positive; 0 for 60s")
	if c.MaxTimeout != 0 && c.MaxTimeout < c.timeout() {
		check(false, "MaxTimeout", c.MaxTimeout, fmt.Sprintf("at least Timeout (%v); 0 for 10m", c.timeout()))
	}
	check(c.TimeoutFactor <= 0 || c.TimeoutFactor >= 1 && c.TimeoutFactor <= maxTimeoutFactor, "TimeoutFactor", c.TimeoutFactor, "1 to 100; 0 or negative for no growth")
	check(c.Jitter < 1, "Jitter", c.Jitter, "in (0, 1); 0 or negative for none")
	check(c.HalfOpenMaxCalls >= 0 && c.HalfOpenMaxCalls <= maxProbes, "HalfOpenMaxCalls", c.HalfOpenMaxCalls, "1 to 10000; 0 for 3")
	check(c.SuccessThreshold >= 0 && c.SuccessThreshold <= maxProbes, "SuccessThreshold", c.SuccessThreshold, "1 to 10000; 0 for 2")
	check(c.ProbeTimeout >= 0, "ProbeTimeout", c.ProbeTimeout, "positive; 0 for 30s; it cannot be off")
	if c.ProbeTimeout > 0 && c.ProbeTimeout < c.CallTimeout {
		check(false, "ProbeTimeout", c.ProbeTimeout, fmt.Sprintf("at least CallTimeout (%v), which a probe may take; 0 for the larger of 30s and that", c.CallTimeout))
	}
	if c.SlowRateThreshold > 0 && c.CallTimeout > 0 && c.SlowAfter > c.CallTimeout {
		check(false, "SlowAfter", c.SlowAfter, fmt.Sprintf("at most CallTimeout (%v), or no call that succeeds is ever slow", c.CallTimeout))
	}
	check(c.History <= 0 || c.History >= minHistory && c.History <= maxHistory, "History", c.History, "1m to 24h; 0 or negative for off")
	check(c.RecentCalls <= maxRecentCalls, "RecentCalls", c.RecentCalls, "at most 10000; 0 or negative for none")
	check(!c.RetriesEnabled, "RetriesEnabled", c.RetriesEnabled, "false, as a breaker retries nothing; use presets.Protect, or roundtrip.RetryClient for an HTTP client")
	if c.Health != nil {
		faults = append(faults, c.Health.faults()...)
		check(c.History <= 0 || c.Health.Over <= c.History, "Health.Over", c.Health.Over, "at most History, which remembers no more")
	}
	return errors.Join(faults...)
}

func (c Config) checkWindow(check func(ok bool, field string, value any, allowed string)) {
	check(c.Window.Calls >= 0 && c.Window.Calls <= maxWindowCalls, "Window.Calls", c.Window.Calls, "1 to 10000; 0 for 100")
	check(c.Window.For == 0 || c.Window.For >= minWindowFor && c.Window.For <= maxWindowFor, "Window.For", c.Window.For, "10ms to 24h; 0 for a window of calls")
	check(c.Window.Calls == 0 || c.Window.For == 0, "Window", c.Window, "either Calls or For, not both")
	if !c.ratesOn() {
		const unused = "only with a rate that is taken over it: FailureRateThreshold, which is negative and so off, or SlowRateThreshold"
		check(c.Window == Window{}, "Window", c.Window, unused)
		check(c.MinimumCalls <= 0, "MinimumCalls", c.MinimumCalls, unused)
	}
	if c.Window.For == 0 && c.Window.Calls >= 0 {
		calls := c.Window.Calls
		if calls == 0 {
			calls = defaultWindowCalls
		}
		if c.MinimumCalls > calls {
			check(false, "MinimumCalls", c.MinimumCalls, fmt.Sprintf("at most Window.Calls (%d), or no rate would ever count", calls))
		}
	}
}

// ratesOn reports whether a rule looks at the window.
func (c Config) ratesOn() bool { return !(c.FailureRateThreshold < 0) || c.SlowRateThreshold > 0 }

func (c Config) timeout() time.Duration {
	if c.Timeout == 0 {
		return defaultTimeout
	}
	return c.Timeout
}

// withDefaults returns c with every default filled in and every rule that is
// off at its neutral value, so that the engine compares without special cases.
// c must be valid.
func (c Config) withDefaults() Config {
	c.FailureThreshold = or(c.FailureThreshold, defaultFailureThreshold)
	c.FailureRateThreshold = or(c.FailureRateThreshold, defaultFailureRate)
	c.SlowRateThreshold = max(c.SlowRateThreshold, 0)
	c.SlowAfter = max(c.SlowAfter, 0)
	if c.Window == (Window{}) {
		c.Window.Calls = defaultWindowCalls
	}
	switch {
	case c.MinimumCalls < 0:
		c.MinimumCalls = 1
	case c.MinimumCalls == 0 && c.Window.Calls > 0:
		c.MinimumCalls = min(defaultMinimumCalls, c.Window.Calls)
	case c.MinimumCalls == 0:
		c.MinimumCalls = defaultMinimumCalls
	}
	c.Timeout = c.timeout()
	c.MaxTimeout = or(c.MaxTimeout, max(defaultMaxTimeout, c.Timeout))
	c.TimeoutFactor = max(c.TimeoutFactor, 1)
	c.Jitter = max(c.Jitter, 0)
	c.HalfOpenMaxCalls = or(c.HalfOpenMaxCalls, defaultHalfOpenMaxCalls)
	c.SuccessThreshold = or(c.SuccessThreshold, defaultSuccessThreshold)
	c.ProbeTimeout = or(c.ProbeTimeout, max(defaultProbeTimeout, c.CallTimeout))
	c.RampUp = max(c.RampUp, 0)
	c.CallTimeout = max(c.CallTimeout, 0)
	c.History = max(c.History, 0)
	c.RecentCalls = max(c.RecentCalls, 0)
	if c.Health != nil {
		own := *c.Health
		c.Health = &own
	}
	return c
}

func or[T comparable](v, zero T) T {
	var z T
	if v == z {
		return zero
	}
	return v
}
