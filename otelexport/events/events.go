// Package events tells OpenTelemetry of the transitions of circuit breakers as
// events, which are log records with a name. It is a module of its own: the logs
// of OpenTelemetry are stable from v1.47 on, and metrics and spans, which package
// otelexport has, need no version that new.
package events

import (
	"context"
	"strings"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/log"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/otelexport"
	"github.com/blackbox4/switchgear/otelexport/internal/contract"
)

// Name is the name of the event that [Hooks] emits.
const Name = "circuit_breaker.transition"

// maxErrorText bounds what an event tells of the error that opened a breaker, in
// bytes.
const maxErrorText = 256

// Hooks returns next with a hook that emits each transition as an event of
// OpenTelemetry, a log record with the name [Name]: of severity WARN if the
// breaker opens, INFO otherwise, with the trace of the call that caused it. What
// next has is called as well. A nil logger means one of the global provider, also
// of one that is set later.
//
// The attributes are circuit_breaker.name, .state, .state.previous,
// .transition.reason and .transition.seq; of the phase that ended
// circuit_breaker.window.calls, .window.failures, .window.slow_calls and
// .window.consecutive; and, of a breaker that opens, circuit_breaker.open.duration in
// seconds, and exception.message with what the last call returned, of which 256
// bytes are kept. Transitions are rare; calls cost what they did.
func Hooks(logger log.Logger, next core.Hooks) core.Hooks {
	if logger == nil {
		logger = otel.Logger(otelexport.ScopeName, log.WithInstrumentationVersion(otelexport.Version()))
	}
	transition := next.Transition
	next.Transition = func(ctx context.Context, t core.Transition) {
		if transition != nil {
			defer transition(ctx, t)
		}
		severity := log.SeverityInfo
		if t.To == core.Open {
			severity = log.SeverityWarn
		}
		if logger.Enabled(ctx, log.EnabledParameters{Severity: severity, EventName: Name}) {
			logger.Emit(ctx, event(severity, t))
		}
	}
	return next
}

func event(severity log.Severity, t core.Transition) (r log.Record) {
	r.SetEventName(Name)
	r.SetTimestamp(t.At)
	r.SetSeverity(severity)
	r.SetSeverityText(severity.String())
	r.SetBody(attribute.StringValue("circuit breaker " + t.Name + " is " + t.To.String() + ": " + t.Reason()))
	r.AddAttributes(
		contract.Name.String(t.Name),
		contract.State.String(contract.OfState(t.To)),
		contract.Previous.String(contract.OfState(t.From)),
		contract.Reason.String(contract.OfCause(t.Cause)),
		attribute.Int64("circuit_breaker.transition.seq", int64(t.Seq)),
		attribute.Int("circuit_breaker.window.calls", t.Counts.Calls),
		attribute.Int("circuit_breaker.window.failures", t.Counts.Failures),
		attribute.Int("circuit_breaker.window.slow_calls", t.Counts.Slow),
		attribute.Int("circuit_breaker.window.consecutive", t.Counts.Consecutive))
	if t.To == core.Open {
		r.AddAttributes(attribute.Float64("circuit_breaker.open.duration", t.RetryAt.Sub(t.At).Seconds()))
	}
	if t.Err != nil {
		r.AddAttributes(attribute.String("exception.message", bounded(t.Err.Error())))
	}
	return r
}

// bounded returns at most maxErrorText bytes of s, as UTF-8.
func bounded(s string) string {
	if len(s) > maxErrorText {
		s = s[:maxErrorText]
	}
	return strings.ToValidUTF8(s, "")
}
