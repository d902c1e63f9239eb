// Package contract says what is exported: metrics, their attributes and where
// their values come from. Metrics, spans and events share it, so that they agree.
package contract

import (
	"go.opentelemetry.io/otel/attribute"

	"github.com/blackbox4/switchgear/core"
)

// The keys. They are those of no registry of conventions, which has none for
// circuit breakers.
const (
	Name     = attribute.Key("circuit_breaker.name")
	Result   = attribute.Key("circuit_breaker.result")
	State    = attribute.Key("circuit_breaker.state")
	Previous = attribute.Key("circuit_breaker.state.previous")
	Reason   = attribute.Key("circuit_breaker.transition.reason")
	Skip     = attribute.Key("circuit_breaker.skip.reason")
)

// Rejected is the [Result] of a call that was not made.
const Rejected = "rejected"

// ForcedOpen is the [State] of a breaker that is forced open.
const ForcedOpen = "forced_open"

//nolint:gochecknoglobals // tables that are never changed
var (
	results = [...]string{"success", "failure", "ignored", Rejected}
	states  = [...]string{"closed", "open", "half_open", ForcedOpen, "disabled"} // overrides hide the state below

	transitions = [...]struct{ from, to core.State }{
		{core.Closed, core.Open},
		{core.Open, core.HalfOpen},
		{core.HalfOpen, core.Open},
		{core.HalfOpen, core.Closed},
		{core.Open, core.Closed},
	}
	trips = [...]core.Cause{
		core.CauseConsecutiveFailures, core.CauseFailureRate, core.CauseSlowRate, core.CauseProbeFailed, core.CauseProbeSlow,
	}
)

// OfState returns the value of [State] for a state without an override.
func OfState(s core.State) string {
	if int(s) > int(core.HalfOpen) {
		return s.String()
	}
	return states[s]
}

// OfCause returns the value of [Reason].
func OfCause(c core.Cause) string {
	switch c {
	case core.NoCause:
		return "none"
	case core.CauseConsecutiveFailures:
		return "consecutive_failures"
	case core.CauseFailureRate:
		return "failure_rate"
	case core.CauseSlowRate:
		return "slow_rate"
	case core.CauseProbeFailed:
		return "probe_failed"
	case core.CauseProbeSlow:
		return "probe_slow"
	case core.CauseProbeLost:
		return "probe_lost"
	case core.CauseTimeoutElapsed:
		return "timeout_elapsed"
	case core.CauseProbesPassed:
		return "probes_passed"
	case core.CauseManualReset:
		return "manual_reset"
	case core.CauseProbesOut:
		return "probes_out"
	case core.CauseRampingUp:
		return "ramping_up"
	case core.CauseForcedOpen:
		return "forced_open"
	case core.CauseCheckPassed:
		return "check_passed"
	case core.CauseRestored:
		return "restored"
	case core.CauseLimitReached:
		return "limit_reached"
	}
	return c.String()
}

// By is what the series of a metric differ by, besides the breaker's name.
type By uint8

// The ways to differ.
const (
	ByName       By = iota // one series
	ByResult               // as many as there are values, in the order of success, failure, ignored, rejected
	ByState                // in the order of core's states, then forced open, disabled
	ByTransition           //
	ByReason               //
	bys
)

// Sets are the attributes of all series of one breaker.
type Sets [bys][]attribute.Set

// NewSets makes them. That costs more than any reading, and they take 5 KiB, so
// they are to be kept for as long as the breaker is exported.
func NewSets(name string) *Sets {
	var s Sets
	add := func(by By, more ...attribute.KeyValue) {
		s[by] = append(s[by], attribute.NewSet(append(more, Name.String(name))...))
	}
	add(ByName)
	for _, r := range results {
		add(ByResult, Result.String(r))
	}
	for _, st := range states {
		add(ByState, State.String(st))
	}
	for _, t := range transitions {
		add(ByTransition, State.String(OfState(t.to)), Previous.String(OfState(t.from)))
	}
	for _, cause := range trips {
		add(ByReason, Reason.String(OfCause(cause)))
	}
	return &s
}
