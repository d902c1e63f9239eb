package sdkproducer_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/otelexport/sdkproducer"
)

func TestExemplars(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var producer *sdkproducer.Producer
		settled := 0
		registry := &core.Registry{Config: func(string) core.Config {
			return core.Config{Durations: true, Hooks: producer.Hooks(core.Hooks{
				Settled: func(context.Context, core.Settlement) { settled++ },
			})}
		}}
		producer = newProducer(t, registry, nil)
		b, err := registry.Get("orders")
		if err != nil {
			t.Fatal(err)
		}
		always := sdktrace.NewTracerProvider().Tracer("application")
		never := sdktrace.NewTracerProvider(sdktrace.WithSampler(sdktrace.NeverSample())).Tracer("application")
		in := func(tracer trace.Tracer, took time.Duration, err error) trace.SpanContext {
			ctx, span := tracer.Start(t.Context(), "call")
			defer span.End()
			if err == context.Canceled {
				leave(b, ctx, took)
			} else {
				call(b, ctx, took, err)
			}
			return span.SpanContext()
		}

		in(always, time.Second, nil)
		if all := explicit(t, producer); len(all[successes].Exemplars) > 0 {
			t.Error("there is an exemplar from before the first collection")
		}
		in(always, 20*time.Millisecond, nil)
		last := in(always, 21*time.Millisecond, nil)
		at := time.Now()
		long := in(always, time.Hour, nil)
		in(never, 300*time.Millisecond, nil)
		call(b, t.Context(), 60*time.Millisecond, nil)
		failed := in(always, 3*time.Millisecond, errDown)
		in(always, 2*time.Millisecond, context.Canceled)

		all := explicit(t, producer)
		got := all[successes].Exemplars
		if len(got) != 2 {
			t.Fatalf("%d exemplars, want one for each of two buckets", len(got))
		}
		for i, want := range []struct {
			span  trace.SpanContext
			value float64
		}{{last, .021}, {long, 3600}} {
			e, span, of := got[i], want.span.SpanID(), want.span.TraceID()
			if e.Value != want.value || string(e.SpanID) != string(span[:]) || string(e.TraceID) != string(of[:]) {
				t.Errorf("%+v, want %v of %v", e, want.value, want.span)
			}
		}
		if !got[0].Time.Equal(at) {
			t.Errorf("it is of %v, want %v", got[0].Time, at)
		}
		span := failed.SpanID()
		if got := all[failures].Exemplars; len(got) != 1 || string(got[0].SpanID) != string(span[:]) {
			t.Errorf("failures: %+v", got)
		}
		if settled != 8 {
			t.Errorf("the application's own hook was told of %d calls, want 8", settled)
		}
	})
}
