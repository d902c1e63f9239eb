package otelexport_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/otelexport"
)

// traced makes calls, each in a span of its own.
type traced struct {
	recorder *tracetest.SpanRecorder
	tracer   trace.Tracer
}

func newTraced() *traced {
	recorder := tracetest.NewSpanRecorder()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(recorder))
	return &traced{recorder, provider.Tracer("application")}
}

func (tr *traced) call(b *core.Breaker, f func(context.Context) error) (attribute.Set, error) {
	ctx, span := tr.tracer.Start(context.Background(), "call")
	err := b.Do(ctx, f)
	span.End()
	ended := tr.recorder.Ended()
	return attribute.NewSet(ended[len(ended)-1].Attributes()...), err
}

func wantAttributes(t *testing.T, got attribute.Set, want ...attribute.KeyValue) {
	t.Helper()
	if set := attribute.NewSet(want...); !set.Equals(&got) {
		t.Errorf("the span has %s, want %s", attributes(got), attributes(set))
	}
}

func TestSpans(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := newTraced()
		b := core.MustNew("orders", core.Config{
			FailureThreshold: 2, Timeout: time.Second, SuccessThreshold: 3, Hooks: otelexport.SpanHooks(core.Hooks{}),
		})
		name := attribute.String("circuit_breaker.name", "orders")
		state := func(s string) attribute.KeyValue { return attribute.String("circuit_breaker.state", s) }
		refused := func(s, reason string) []attribute.KeyValue {
			return []attribute.KeyValue{
				name, state(s), attribute.String("circuit_breaker.result", "rejected"),
				attribute.String("circuit_breaker.transition.reason", reason), attribute.String("error.type", "circuit_breaker_open"),
			}
		}
		for _, f := range []func(context.Context) error{succeed, fail, fail} {
			got, _ := tr.call(b, f)
			wantAttributes(t, got)
		}
		got, err := tr.call(b, succeed)
		if !errors.Is(err, core.ErrOpen) {
			t.Fatal(err)
		}
		wantAttributes(t, got, refused("open", "consecutive_failures")...)

		time.Sleep(time.Second)
		for range 3 {
			got, _ := tr.call(b, succeed)
			wantAttributes(t, got, name, state("half_open"))
		}
		got, _ = tr.call(b, succeed)
		wantAttributes(t, got)

		if err := b.Force(core.ForcedOpen); err != nil {
			t.Fatal(err)
		}
		got, _ = tr.call(b, succeed)
		wantAttributes(t, got, refused("forced_open", "forced_open")...)

		if err := b.Force(core.Shadow); err != nil {
			t.Fatal(err)
		}
		for range 4 {
			got, _ = tr.call(b, fail)
			wantAttributes(t, got)
		}
		for _, span := range tr.recorder.Ended() {
			if span.Status().Code != codes.Unset || len(span.Events()) > 0 || span.Name() != "call" {
				t.Errorf("the span %q has the status %v and %d events", span.Name(), span.Status(), len(span.Events()))
			}
		}
	})
}

// TestHooksGoOn has what was there before be told as well.
func TestHooksGoOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told []string
		next := core.Hooks{
			Transition: func(_ context.Context, tr core.Transition) { told = append(told, tr.To.String()) },
			Refused:    func(context.Context, *core.OpenError) { told = append(told, "refused") },
			Probe:      func(_ context.Context, name string) { told = append(told, "probe of "+name) },
			Settled:    func(_ context.Context, s core.Settlement) { told = append(told, s.Outcome.String()) },
		}
		b := core.MustNew("orders", core.Config{
			FailureThreshold: 1, SuccessThreshold: 1, Timeout: time.Second,
			Hooks: otelexport.SpanHooks(next),
		})
		call(b, fail, 2)
		time.Sleep(time.Second)
		call(b, succeed, 1)
		want := []string{"open", "failure", "refused", "half-open", "probe of orders", "closed", "success"}
		for i := range max(len(told), len(want)) {
			if i >= len(told) || i >= len(want) || told[i] != want[i] {
				t.Fatalf("told %q, want %q", told, want)
			}
		}
		if n := b.Snapshot().HookPanics; n > 0 {
			t.Errorf("%d panics", n)
		}
	})
}

func BenchmarkRefused(b *testing.B) {
	tr := newTraced()
	for _, c := range []struct {
		name  string
		hooks core.Hooks
		ctx   context.Context
	}{
		{"no_hook", core.Hooks{}, context.Background()},
		{"no_span", otelexport.SpanHooks(core.Hooks{}), context.Background()},
		{"span", otelexport.SpanHooks(core.Hooks{}), func() context.Context { ctx, _ := tr.tracer.Start(context.Background(), "call"); return ctx }()},
	} {
		b.Run(c.name, func(b *testing.B) {
			breaker := core.MustNew("orders", core.Config{FailureThreshold: 1, Hooks: c.hooks})
			call(breaker, fail, 1)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := breaker.Allow(c.ctx); err == nil {
					b.Fatal("admitted")
				}
			}
		})
	}
}
