package failsafe

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/blackbox4/switchgear/core"
)

// ErrorLimits make conditions of the errors that a [core.Breaker] has counted. They
// are independent of the rules by which it opens. Zero in a field means its
// default; a negative number switches that rule off, but for Over.
type ErrorLimits struct {
	// Rate is the percentage of calls of the last Over that failed, from which
	// on it is a condition. Zero means 50; at least 1, at most 100.
	Rate float64 `json:"rate,omitzero"`
	// Over is the time that Rate looks back. Zero means 60 s; at least 1 s. It
	// is taken from the breaker's History, to within one of its intervals, which
	// for Config.History of a minute is a second.
	Over time.Duration `json:"over,omitzero"`
	// MinimumCalls is how many calls there must be in Over for Rate to count.
	// Zero means 10; negative means no minimum.
	MinimumCalls int `json:"minimum_calls,omitzero"`
	// Consecutive is how many consecutive failures are a condition. Zero means 5.
	Consecutive int `json:"consecutive,omitzero"`
}

const (
	defaultRate         = 50.0
	defaultOver         = time.Minute
	defaultMinimumCalls = 10
	defaultConsecutive  = 5
	highRate            = 70.0
	criticalRate        = 90.0
)

// Validate reports every fault of l at once, joined; each is a
// [*core.ConfigError].
func (l ErrorLimits) Validate() error {
	var faults []error
	if !percentage(l.Rate) {
		faults = append(faults, &core.ConfigError{Field: "Rate", Value: l.Rate, Allowed: "1 to 100 percent; 0 for 50, negative for off"})
	}
	if l.Over != 0 && l.Over < time.Second {
		faults = append(faults, &core.ConfigError{Field: "Over", Value: l.Over, Allowed: "at least 1s; 0 for 1m"})
	}
	return errors.Join(faults...)
}

// Conditions says what is wrong by a snapshot of a breaker, worst first. A breaker
// without Config.History has no error rate, which is a condition of the type
// [Sensor] while Rate is on. l must be valid.
func (l ErrorLimits) Conditions(s core.Snapshot) []Condition {
	l.Rate, l.Over = or(l.Rate, defaultRate), or(l.Over, defaultOver)
	l.MinimumCalls, l.Consecutive = or(l.MinimumCalls, defaultMinimumCalls), or(l.Consecutive, defaultConsecutive)
	var all []Condition
	add := func(t Type, severity Severity, threshold, value float64, format string, args ...any) {
		all = append(all, Condition{
			Type: t, Severity: severity, Threshold: threshold, Value: value, At: s.At,
			Message: fmt.Sprintf(format, args...), Metadata: map[string]string{"breaker": s.Name},
		})
		if t == Sensor {
			all[len(all)-1].Metadata["sensor"] = string(ErrorRate)
		}
	}
	switch calls, failures := recent(s, l.Over); {
	case l.Rate <= 0 || s.Totals.Calls == 0:
	case s.History == nil:
		add(Sensor, Low, l.Over.Seconds(), 0, "the error rate of %q cannot be told: its breaker keeps no history", s.Name)
	case calls > 0 && calls >= uint64(max(l.MinimumCalls, 0)):
		if rate := share(float64(failures), float64(calls)); rate >= l.Rate {
			add(ErrorRate, rateSeverity(rate), l.Rate, rate, "%.3g %% of the calls of %q failed in the last %v (%d of %d), and from %.4g %% on that is too much",
				rate, s.Name, l.Over, failures, calls, l.Rate)
		}
	}
	if n := consecutiveFailures(s); l.Consecutive > 0 && n >= l.Consecutive {
		add(ConsecutiveErrors, High, float64(l.Consecutive), float64(n), "%d calls in a row of %q failed, and %d are too many", n, s.Name, l.Consecutive)
	}
	worstFirst(all)
	return all
}

func rateSeverity(rate float64) Severity {
	switch {
	case rate >= criticalRate:
		return Critical
	case rate >= highRate:
		return High
	}
	return Medium
}

// recent is what was settled in the last while.
func recent(s core.Snapshot, over time.Duration) (calls, failures uint64) {
	from := s.At.Add(-over)
	for _, i := range s.History {
		if i.Start.Add(i.Length).After(from) {
			calls += i.Calls
			failures += i.Failures
		}
	}
	return calls, failures
}

// consecutiveFailures counts on when the breaker has opened: the failures that opened
// it, and the probes that failed since. A probe that succeeded ends the row.
func consecutiveFailures(s core.Snapshot) int {
	switch {
	case s.State == core.Closed:
		return s.Window.Consecutive
	case s.State == core.HalfOpen && s.Window.Consecutive > 0:
		return 0
	}
	for _, t := range slices.Backward(s.Transitions) {
		since := s.Opens - t.Opens // openings since, each by a probe; some may be in no transition yet
		switch {
		case t.From == core.Closed && t.To == core.Open:
			return t.Counts.Consecutive + since
		case t.From == core.HalfOpen && t.To == core.Open && t.Counts.Failures < t.Counts.Calls:
			return 1 + since
		}
	}
	return s.Opens // more than are remembered
}
