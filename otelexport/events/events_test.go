package events_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/log"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/otelexport/events"
)

var errDown = errors.New("down")

func succeed(context.Context) error { return nil }
func fail(context.Context) error    { return errDown }

func call(b *core.Breaker, f func(context.Context) error, times int) {
	for range times {
		_ = b.Do(context.Background(), f)
	}
}

// recorder keeps the records of a provider.
type recorder struct{ records []sdklog.Record }

func (r *recorder) OnEmit(_ context.Context, record *sdklog.Record) error {
	r.records = append(r.records, record.Clone())
	return nil
}
func (*recorder) Enabled(context.Context, sdklog.EnabledParameters) bool { return true }
func (*recorder) Shutdown(context.Context) error                         { return nil }
func (*recorder) ForceFlush(context.Context) error                       { return nil }

func (r *recorder) logger() log.Logger {
	return sdklog.NewLoggerProvider(sdklog.WithProcessor(r)).Logger("application")
}

func attributesOf(r sdklog.Record) map[string]attribute.Value {
	all := map[string]attribute.Value{}
	r.WalkAttributes(func(kv attribute.KeyValue) bool {
		all[string(kv.Key)] = kv.Value
		return true
	})
	return all
}

func TestEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tracer, rec := sdktrace.NewTracerProvider().Tracer("application"), new(recorder)
		b := core.MustNew("orders", core.Config{
			FailureThreshold: 3, Timeout: time.Second, SuccessThreshold: 1, Hooks: events.Hooks(rec.logger(), core.Hooks{}),
		})
		call(b, succeed, 2)
		call(b, fail, 2)
		if len(rec.records) != 0 {
			t.Fatalf("%d records of calls", len(rec.records))
		}
		opened := time.Now()
		ctx, span := tracer.Start(t.Context(), "call")
		_ = b.Do(ctx, fail)
		span.End()
		call(b, succeed, 10)
		time.Sleep(90 * time.Second)
		call(b, succeed, 1)
		if len(rec.records) != 3 {
			t.Fatalf("%d records, want 3", len(rec.records))
		}

		for i, want := range []struct {
			state, previous, reason, body string
			severity                      log.Severity
			at                            time.Duration
		}{
			{"open", "closed", "consecutive_failures", "circuit breaker orders is open: consecutive failures (3)", log.SeverityWarn, 0},
			{"half_open", "open", "timeout_elapsed", "circuit breaker orders is half-open: timeout elapsed", log.SeverityInfo, time.Second},
			{"closed", "half_open", "probes_passed", "circuit breaker orders is closed: the probes passed", log.SeverityInfo, 90 * time.Second},
		} {
			r := rec.records[i]
			has := attributesOf(r)
			if r.EventName() != "circuit_breaker.transition" || r.Severity() != want.severity || r.Body().AsString() != want.body {
				t.Errorf("event %q, severity %v, body %q", r.EventName(), r.Severity(), r.Body().AsString())
			}
			if at := r.Timestamp().Sub(opened); at != want.at {
				t.Errorf("it was at %v, want %v", at, want.at)
			}
			for k, v := range map[string]string{
				"circuit_breaker.name": "orders", "circuit_breaker.state": want.state,
				"circuit_breaker.state.previous": want.previous, "circuit_breaker.transition.reason": want.reason,
			} {
				if got := has[k].AsString(); got != v {
					t.Errorf("%s is %q, want %q", k, got, v)
				}
			}
			if seq := has["circuit_breaker.transition.seq"].AsInt64(); seq != int64(i+1) {
				t.Errorf("it has the number %d, want %d", seq, i+1)
			}
		}
		has := attributesOf(rec.records[0])
		if n, of := has["circuit_breaker.window.failures"].AsInt64(), has["circuit_breaker.window.calls"].AsInt64(); n != 3 || of != 5 {
			t.Errorf("%d failures of %d calls, want 3 of 5", n, of)
		}
		if row := has["circuit_breaker.window.consecutive"].AsInt64(); row != 3 {
			t.Errorf("%d in a row, want 3", row)
		}
		if d := has["circuit_breaker.open.duration"].AsFloat64(); d != 1 {
			t.Errorf("it opens for %v s, want 1", d)
		}
		if text := has["exception.message"].AsString(); text != errDown.Error() {
			t.Errorf("the error is %q", text)
		}
		if rec.records[0].TraceID() != span.SpanContext().TraceID() || rec.records[0].SpanID() != span.SpanContext().SpanID() {
			t.Error("it has not the trace of the call that caused it")
		}
		if rec.records[1].TraceID() != (trace.TraceID{}) {
			t.Error("it has the trace of another call")
		}
		if _, has := attributesOf(rec.records[2])["circuit_breaker.open.duration"]; has {
			t.Error("a breaker that closes says how long it is open")
		}
	})
}

func TestErrorTextIsBounded(t *testing.T) {
	for _, text := range []string{strings.Repeat("é", 200), strings.Repeat("x", 1<<20), "a\xffb", "x" + strings.Repeat("世", 300)} {
		rec := new(recorder)
		b := core.MustNew("orders", core.Config{FailureThreshold: 1, Hooks: events.Hooks(rec.logger(), core.Hooks{})})
		call(b, func(context.Context) error { return errors.New(text) }, 1)
		got := attributesOf(rec.records[0])["exception.message"].AsString()
		if len(got) > 256 || len(got) < min(len(text), 254)-1 || !utf8.ValidString(got) {
			t.Errorf("%d bytes, valid: %t", len(got), utf8.ValidString(got))
		}
	}
}

// TestNextIsCalled shows that the hooks that were there are called as well.
func TestNextIsCalled(t *testing.T) {
	var states []string
	next := core.Hooks{Transition: func(_ context.Context, t core.Transition) { states = append(states, t.To.String()) }}
	b := core.MustNew("orders", core.Config{FailureThreshold: 1, Hooks: events.Hooks(nil, next)})
	call(b, fail, 1)
	if len(states) != 1 || states[0] != "open" {
		t.Errorf("next has the transitions to %q, want open", states)
	}
}
