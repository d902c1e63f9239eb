package sdkproducer

import (
	"context"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/trace"

	"github.com/blackbox4/switchgear/core"
)

// Hooks returns next with a Settled hook that notes, for each bucket, the last
// call with a sampled span, for an exemplar. The hooks of next are called as well.
//
// Any Settled hook costs each call a few hundred nanoseconds, an allocation and a
// lock; without this one a producer costs calls nothing. Use it where traces are
// worth that. It is for breakers that are exported under their own names, and
// from their first collection on.
func (p *Producer) Hooks(next core.Hooks) core.Hooks {
	settled := next.Settled
	next.Settled = func(ctx context.Context, s core.Settlement) {
		if settled != nil {
			defer settled(ctx, s)
		}
		if s.Outcome != core.Success && s.Outcome != core.Failure {
			return
		}
		span := trace.SpanContextFromContext(ctx)
		if !span.IsSampled() {
			return
		}
		if m := p.roster.Find(s.Name); m != nil {
			m.Of.exemplars.note(s, span)
		}
	}
	return next
}

// exemplars are the last sampled calls of a breaker, successes and failures, one
// for each explicit bucket.
type exemplars [2]slotted

type slotted [slots]atomic.Pointer[metricdata.Exemplar[float64]]

func (e *exemplars) note(s core.Settlement, span trace.SpanContext) {
	traceID, spanID := span.TraceID(), span.SpanID()
	of := 0
	if s.Outcome == core.Failure {
		of = 1
	}
	seconds := s.Duration.Seconds()
	e[of][slot(seconds)].Store(&metricdata.Exemplar[float64]{
		Time: time.Now(), Value: seconds, TraceID: traceID[:], SpanID: spanID[:],
	})
}

func (s *slotted) read() (all []metricdata.Exemplar[float64]) {
	for i := range s {
		if e := s[i].Load(); e != nil {
			all = append(all, *e)
		}
	}
	return all
}
