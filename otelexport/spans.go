package otelexport

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/otelexport/internal/contract"
)

// SpanHooks returns next with hooks that put attributes on the current span of a
// call: on a refusal circuit_breaker.name, circuit_breaker.state,
// circuit_breaker.result=rejected, circuit_breaker.transition.reason and
// error.type=circuit_breaker_open; on a probe the name and the state, half_open. A
// call that is neither gets nothing, there is no span of the breaker's own, and the
// status of the span is left to its owner. In [core.Shadow] there is
// nothing to put. The hooks of next are called as well.
//
// Calls that succeed cost what they did. A refusal takes a lock and allocates 64 B,
// some 300 ns in place of 40, and a microsecond more if the span is recorded. Hooks
// run one at a time, so where many goroutines are refused at once a hook may find
// its span ended, or be dropped; metrics count them all.
func SpanHooks(next core.Hooks) core.Hooks {
	refused, probe := next.Refused, next.Probe
	next.Refused = func(ctx context.Context, err *core.OpenError) {
		if refused != nil {
			defer refused(ctx, err)
		}
		span := trace.SpanFromContext(ctx)
		if err.Shadow || !span.IsRecording() {
			return
		}
		span.SetAttributes(
			contract.Name.String(err.Name), contract.State.String(refusedIn(err)), contract.Result.String(contract.Rejected),
			contract.Reason.String(contract.OfCause(err.Cause)), attribute.String("error.type", "circuit_breaker_open"))
	}
	next.Probe = func(ctx context.Context, name string) {
		if probe != nil {
			defer probe(ctx, name)
		}
		if span := trace.SpanFromContext(ctx); span.IsRecording() {
			span.SetAttributes(contract.Name.String(name), contract.State.String(contract.OfState(core.HalfOpen)))
		}
	}
	return next
}

func refusedIn(err *core.OpenError) string {
	if err.Cause == core.CauseForcedOpen {
		return contract.ForcedOpen
	}
	return contract.OfState(err.State)
}
