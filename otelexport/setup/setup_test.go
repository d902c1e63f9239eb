package setup_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.opentelemetry.io/otel"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	logs "go.opentelemetry.io/proto/otlp/logs/v1"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/otelexport"
	"github.com/blackbox4/switchgear/otelexport/events"
	"github.com/blackbox4/switchgear/otelexport/sdkproducer"
	"github.com/blackbox4/switchgear/otelexport/setup"
)

var errDown = errors.New("connection refused")

func environment(t *testing.T, variables ...string) {
	t.Helper()
	for _, v := range variables {
		name, value, _ := strings.Cut(v, "=")
		t.Setenv(name, value)
	}
}

func start(t *testing.T, source otelexport.Source, o *setup.Options) func(context.Context) error {
	t.Helper()
	shutdown, err := setup.OpenTelemetry(t.Context(), source, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = shutdown(context.Background()) })
	return shutdown
}

// handled collects what OpenTelemetry's error handler is told.
type handled struct {
	mu   sync.Mutex
	errs []error
}

func handle(t *testing.T) *handled {
	h := new(handled)
	old := otel.GetErrorHandler()
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.errs = append(h.errs, err)
	}))
	t.Cleanup(func() { otel.SetErrorHandler(old) })
	return h
}

func (h *handled) all() []error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.errs)
}

func names() []string {
	return []string{`"quoted"`, `back\slash`, "new{line=\"", "привет, 世界 🚦", strings.Repeat("x", 256), strings.Repeat("é", 128), " "}
}

// TestAgainstSnapshot makes 100,000 calls and compares what Prometheus and a
// collector get, to the unit, with each other and with Snapshot.
func TestAgainstSnapshot(t *testing.T) {
	for _, protocol := range []string{"http/protobuf", "grpc"} {
		t.Run(protocol, func(t *testing.T) {
			r, port := newReceiver(t, protocol), freePort(t)
			environment(t, "OTEL_METRICS_EXPORTER=otlp, prometheus", "OTEL_EXPORTER_OTLP_PROTOCOL="+protocol,
				"OTEL_EXPORTER_OTLP_ENDPOINT="+r.endpoint, "OTEL_EXPORTER_PROMETHEUS_PORT="+port, "OTEL_METRIC_EXPORT_INTERVAL=20")
			var stopped atomic.Pointer[time.Time] // so that times can be compared, too
			registry := &core.Registry{Config: func(string) core.Config {
				return core.Config{
					FailureThreshold: 4, FailureRateThreshold: .5, MinimumCalls: 10, Timeout: time.Millisecond, SuccessThreshold: 1,
					SlowAfter: time.Millisecond, Durations: true,
					Now: func() time.Time {
						if at := stopped.Load(); at != nil {
							return *at
						}
						return time.Now()
					},
				}
			}}
			shutdown := start(t, registry, nil)
			var wg sync.WaitGroup
			for g := range 10 {
				wg.Go(func() {
					for i := range 10_000 {
						b, err := registry.Get(names()[i%len(names())])
						if err != nil {
							t.Error(err)
							return
						}
						_ = b.Do(context.Background(), func(context.Context) error {
							if (i/50+g)%4 == 0 {
								return errDown
							}
							return nil
						})
					}
				})
			}
			wg.Wait()
			now := time.Now()
			stopped.Store(&now)

			scraped := parse(t, scrape(t, port, "text/plain"))
			if err := shutdown(t.Context()); err != nil {
				t.Fatal(err)
			}
			exported := renamed(t, r.points(t))
			if !maps.Equal(scraped, exported) {
				for k, v := range scraped {
					if exported[k] != v {
						t.Errorf("%s: %v scraped, %v exported", k, v, exported[k])
					}
				}
				t.Errorf("%d series scraped, %d exported", len(scraped), len(exported))
			}
			against(t, registry, scraped)
		})
	}
}

// against compares what was scraped with the breakers.
func against(t *testing.T, registry *core.Registry, got map[string]float64) {
	t.Helper()
	total := uint64(0)
	for name, b := range registry.All() {
		s := b.Snapshot()
		check := func(metric string, v float64, labels ...string) {
			t.Helper()
			k := series(metric, append(labels, fmt.Sprintf("circuit_breaker_name=%q", name)))
			if have, there := got[k]; !there || have != v {
				t.Errorf("%s is %v, want %v", k, have, v)
			}
		}
		for result, n := range map[string]uint64{
			"success": s.Totals.Successes, "failure": s.Totals.Failures, "ignored": s.Totals.Ignored, "rejected": s.Totals.Refused,
		} {
			check("circuit_breaker_calls_total", float64(n), fmt.Sprintf("circuit_breaker_result=%q", result))
			total += n
		}
		check("circuit_breaker_slow_calls_total", float64(s.Totals.Slow))
		check("circuit_breaker_active", 0)
		check("circuit_breaker_failure_limit_ratio", .5)
		times := map[string]time.Duration{
			"closed": s.TimeIn.Closed, "open": s.TimeIn.Open, "half_open": s.TimeIn.HalfOpen,
			"forced_open": s.TimeIn.ForcedOpen, "disabled": s.TimeIn.Disabled,
		}
		for state, d := range times {
			here := 0.0
			if state == strings.ReplaceAll(s.State.String(), "-", "_") {
				here = 1
			}
			check("circuit_breaker_status", here, fmt.Sprintf("circuit_breaker_state=%q", state))
			check("circuit_breaker_state_time_seconds_total", d.Seconds(), fmt.Sprintf("circuit_breaker_state=%q", state))
		}
		trips, paths := map[core.Cause]uint64{}, map[[2]core.State]uint64{}
		for _, c := range s.Changes {
			paths[[2]core.State{c.From, c.To}] += c.Count
			if c.To == core.Open {
				trips[c.Cause] += c.Count
			}
		}
		for path, n := range paths {
			word := func(s core.State) string { return strings.ReplaceAll(s.String(), "-", "_") }
			check("circuit_breaker_state_transitions_total", float64(n),
				fmt.Sprintf("circuit_breaker_state=%q", word(path[1])), fmt.Sprintf("circuit_breaker_state_previous=%q", word(path[0])))
		}
		check("circuit_breaker_trips_total", float64(trips[core.CauseConsecutiveFailures]), `circuit_breaker_transition_reason="consecutive_failures"`)
		for outcome, result := range map[core.Outcome]string{core.Success: "success", core.Failure: "failure"} {
			count := uint64(0)
			for _, n := range b.Buckets(outcome) {
				count += n
			}
			label := fmt.Sprintf("circuit_breaker_result=%q", result)
			check("circuit_breaker_call_duration_seconds_count", float64(count), label)
			check("circuit_breaker_call_duration_seconds_bucket", float64(count), label, `le="+Inf"`)
		}
	}
	if registry.Len() != len(names()) || total != 100_000 {
		t.Errorf("%d breakers and %d calls, want %d and 100000", registry.Len(), total, len(names()))
	}
}

// early are hooks from before there is a global LoggerProvider.
var early = events.Hooks(nil, core.Hooks{})

// TestEvents has the events of breakers that were made before the call exported.
// It must be the first that sets a LoggerProvider; when it runs again, there is
// one.
func TestEvents(t *testing.T) {
	r := newReceiver(t, "http/protobuf")
	environment(t, "OTEL_METRICS_EXPORTER=none", "OTEL_LOGS_EXPORTER=otlp", "OTEL_EXPORTER_OTLP_ENDPOINT="+r.endpoint)
	var hooks core.Hooks
	b := core.MustNew("orders", core.Config{FailureThreshold: 1, Hooks: core.Hooks{Transition: func(ctx context.Context, tr core.Transition) {
		hooks.Transition(ctx, tr)
	}}})
	shutdown := start(t, otelexport.Breakers(b), nil)
	if hooks = early; early.Transition == nil {
		hooks = events.Hooks(nil, core.Hooks{})
	}
	early.Transition = nil
	ctx, span := sdktrace.NewTracerProvider().Tracer("application").Start(t.Context(), "call")
	_ = b.Do(ctx, func(context.Context) error { return errDown })
	if err := shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(r.records) != 1 {
		t.Fatalf("%d records, want one", len(r.records))
	}
	got, trace := r.records[0], span.SpanContext().TraceID()
	if got.GetEventName() != "circuit_breaker.transition" || got.GetSeverityNumber() != logs.SeverityNumber_SEVERITY_NUMBER_WARN || string(got.GetTraceId()) != string(trace[:]) {
		t.Errorf("%v", got)
	}
	has := map[string]string{}
	for _, kv := range got.GetAttributes() {
		has[kv.GetKey()] = kv.GetValue().GetStringValue()
	}
	if has["circuit_breaker.name"] != "orders" || has["circuit_breaker.state"] != "open" || has["exception.message"] != errDown.Error() {
		t.Errorf("%v", has)
	}
}

func TestResource(t *testing.T) {
	export := func(more ...string) map[string]string {
		r := newReceiver(t, "http/protobuf")
		environment(t, append(more, "OTEL_EXPORTER_OTLP_ENDPOINT="+r.endpoint)...)
		if err := start(t, new(core.Registry), nil)(t.Context()); err != nil {
			t.Fatal(err)
		}
		return r.resource()
	}
	one, two := export("OTEL_SERVICE_NAME=orders"), export()
	if one["service.name"] != "orders" || one["telemetry.sdk.language"] != "go" {
		t.Errorf("%v", one)
	}
	if id := one["service.instance.id"]; id == "" || id == two["service.instance.id"] {
		t.Errorf("replicas cannot be told apart: %q and %q", id, two["service.instance.id"])
	}
	if is := export("OTEL_RESOURCE_ATTRIBUTES=service.instance.id=pod-7"); is["service.instance.id"] != "pod-7" {
		t.Errorf("%v", is)
	}
}

// TestEndpointDown has exports fail again and again. No call waits, and the error
// handler is told once of each exporter.
func TestEndpointDown(t *testing.T) {
	for _, protocol := range []string{"http/protobuf", "grpc"} {
		for name, endpoint := range map[string]string{"refuses": "http://127.0.0.1:" + freePort(t), "is silent": black(t)} {
			t.Run(protocol+" "+name, func(t *testing.T) {
				h := handle(t)
				environment(t, "OTEL_EXPORTER_OTLP_PROTOCOL="+protocol, "OTEL_EXPORTER_OTLP_ENDPOINT="+endpoint, "OTEL_LOGS_EXPORTER=otlp",
					"OTEL_METRIC_EXPORT_INTERVAL=10", "OTEL_METRIC_EXPORT_TIMEOUT=300", "OTEL_BLRP_SCHEDULE_DELAY=10", "OTEL_BLRP_EXPORT_TIMEOUT=300") // of which the collection takes a part
				registry := &core.Registry{Config: func(string) core.Config {
					return core.Config{FailureThreshold: 1, Timeout: time.Nanosecond, Durations: true, Hooks: events.Hooks(nil, core.Hooks{})}
				}}
				shutdown := start(t, registry, nil)
				longest := time.Duration(0)
				const enough, atMost = 1500 * time.Millisecond, 20 * time.Second // exports are 310 ms apart at most
				for begun := time.Now(); time.Since(begun) < enough || len(h.all()) < 2 && time.Since(begun) < atMost; {
					b, err := registry.Get("orders")
					if err != nil {
						t.Fatal(err)
					}
					at := time.Now()
					_ = b.Do(t.Context(), func(context.Context) error { return errDown })
					longest = max(longest, time.Since(at))
				}
				if longest > time.Second {
					t.Errorf("a call took %v", longest)
				}
				told := map[string]int{}
				for _, err := range h.all() {
					switch text := err.Error(); {
					case strings.Contains(text, "metrics to otlp"):
						told["metrics"]++
					case strings.Contains(text, "logs to otlp"):
						told["logs"]++
					default:
						t.Errorf("told: %v", err)
					}
				}
				if told["metrics"] != 1 || told["logs"] != 1 {
					t.Errorf("told %v, want once each: %v", told, h.all())
				}
				ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
				defer cancel()
				if err := shutdown(ctx); err == nil || !strings.Contains(err.Error(), "metrics to otlp") {
					t.Errorf("shutdown returned %v, want that the last export failed", err)
				}
			})
		}
	}
}

func TestManyBreakers(t *testing.T) {
	port := freePort(t)
	environment(t, "OTEL_METRICS_EXPORTER=prometheus", "OTEL_EXPORTER_PROMETHEUS_PORT="+port)
	registry := new(core.Registry)
	for i := range 1000 {
		if _, err := registry.Get(fmt.Sprint(i)); err != nil {
			t.Fatal(err)
		}
	}
	start(t, registry, &setup.Options{MaxBreakers: 1000})
	all := parse(t, scrape(t, port, "text/plain"))
	trips := 0
	for k := range all {
		if strings.HasPrefix(k, "circuit_breaker_trips_total{") {
			trips++
		}
		if strings.Contains(k, "overflow") {
			t.Errorf("the SDK has lumped series together: %s", k)
		}
	}
	if trips != 5000 {
		t.Errorf("%d series of trips, want 5000", trips)
	}
}

// staff are agents.
type staff struct{}

func (*staff) AgentStates() map[string]int64 { return map[string]int64{"running": 2, "escalated": 1} }

func (*staff) AgentSteps() map[[2]string]uint64 {
	return map[[2]string]uint64{{"writer", "progress"}: 7}
}

func (*staff) AgentEscalations() map[[2]string]uint64 {
	return map[[2]string]uint64{{"writer", "stuck"}: 1}
}

func (*staff) AgentHandoffs() map[[3]string]uint64 {
	return map[[3]string]uint64{{"writer", "critic", "refused"}: 3}
}
func (*staff) AgentConfidence() map[string]float64 { return map[string]float64{"writer": .4} }

// TestAgents has them in a scrape, and in a collector, as they are.
func TestAgents(t *testing.T) {
	r, port := newReceiver(t, "http/protobuf"), freePort(t)
	environment(t, "OTEL_METRICS_EXPORTER=otlp,prometheus", "OTEL_EXPORTER_OTLP_ENDPOINT="+r.endpoint, "OTEL_EXPORTER_PROMETHEUS_PORT="+port)
	shutdown := start(t, new(core.Registry), &setup.Options{Agents: new(staff)})
	scraped := parse(t, scrape(t, port, "text/plain"))
	if err := shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if exported := renamed(t, r.points(t)); !maps.Equal(scraped, exported) {
		t.Errorf("%v scraped, %v exported", scraped, exported)
	}
	const name = `gen_ai_agent_name="writer"`
	for metric, want := range map[string]float64{
		series("circuit_breaker_agent_status", []string{`circuit_breaker_agent_state="escalated"`}):                                                                                    1,
		series("circuit_breaker_agent_status", []string{`circuit_breaker_agent_state="paused"`}):                                                                                       0,
		series("circuit_breaker_agent_steps_total", []string{name, `circuit_breaker_result="progress"`}):                                                                               7,
		series("circuit_breaker_agent_escalations_total", []string{name, `circuit_breaker_transition_reason="stuck"`}):                                                                 1,
		series("circuit_breaker_agent_escalations_total", []string{name, `circuit_breaker_transition_reason="none"`}):                                                                  0,
		series("circuit_breaker_agent_handoffs_total", []string{`circuit_breaker_agent_source="writer"`, `circuit_breaker_agent_target="critic"`, `circuit_breaker_result="refused"`}): 3,
		series("circuit_breaker_agent_handoffs_total", []string{`circuit_breaker_agent_source="writer"`, `circuit_breaker_agent_target="critic"`, `circuit_breaker_result="allowed"`}): 0,
		series("circuit_breaker_agent_confidence_ratio", []string{name}):                                                                                                               .4,
	} {
		if got, there := scraped[metric]; !there || got != want {
			t.Errorf("%s is %v (there: %t), want %v", metric, got, there, want)
		}
	}
	if n := len(scraped); n != 2+4+3+1+5+3+6+2+1 { // the first are of export.skipped, of all breakers, and of calls without one
		t.Errorf("%d series: %v", n, scraped)
	}
}

// TestExemplars has them in OpenMetrics, which is the text format that knows them.
func TestExemplars(t *testing.T) {
	port := freePort(t)
	environment(t, "OTEL_METRICS_EXPORTER=prometheus", "OTEL_EXPORTER_PROMETHEUS_PORT="+port)
	var producer *sdkproducer.Producer
	registry := &core.Registry{Config: func(string) core.Config {
		return core.Config{Durations: true, Hooks: producer.Hooks(core.Hooks{})}
	}}
	producer, err := sdkproducer.New(registry, nil)
	if err != nil {
		t.Fatal(err)
	}
	start(t, registry, &setup.Options{Durations: producer})
	b, err := registry.Get("orders")
	if err != nil {
		t.Fatal(err)
	}
	const openMetrics = "application/openmetrics-text;version=1.0.0"
	scrape(t, port, openMetrics) // it is exported from now on
	ctx, span := sdktrace.NewTracerProvider().Tracer("application").Start(t.Context(), "call")
	_ = b.Do(ctx, func(context.Context) error { return nil })
	if text := scrape(t, port, openMetrics); !strings.Contains(text, `trace_id="`+span.SpanContext().TraceID().String()+`"`) {
		t.Errorf("no exemplar in\n%s", text)
	}
}

func TestFaults(t *testing.T) {
	taken := port(listen(t))
	for _, c := range []struct {
		variables, fields []string
	}{
		{[]string{"OTEL_METRICS_EXPORTER=otlp,carbon", "OTEL_LOGS_EXPORTER=prometheus", "OTEL_EXPORTER_OTLP_PROTOCOL=http/json"}, []string{"OTEL_METRICS_EXPORTER", "OTEL_LOGS_EXPORTER", "OTEL_EXPORTER_OTLP_PROTOCOL"}},
		{[]string{"OTEL_EXPORTER_OTLP_METRICS_PROTOCOL=smoke"}, []string{"OTEL_EXPORTER_OTLP_METRICS_PROTOCOL"}},
		{[]string{"OTEL_EXPORTER_OTLP_ENDPOINT=collector:4317"}, []string{"OTEL_EXPORTER_OTLP_ENDPOINT"}},
		{[]string{"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT=http://", "OTEL_LOGS_EXPORTER=otlp", "OTEL_EXPORTER_OTLP_ENDPOINT=ftp://collector"}, []string{"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"}},
		{[]string{"OTEL_METRIC_EXPORT_INTERVAL=9223372036855"}, []string{"OTEL_METRIC_EXPORT_INTERVAL"}},
		{[]string{"OTEL_METRIC_EXPORT_INTERVAL=15s", "OTEL_METRIC_EXPORT_TIMEOUT=-1"}, []string{"OTEL_METRIC_EXPORT_INTERVAL", "OTEL_METRIC_EXPORT_TIMEOUT"}},
	} {
		t.Run(strings.Join(c.variables, " "), func(t *testing.T) {
			environment(t, c.variables...)
			shutdown, err := setup.OpenTelemetry(t.Context(), new(core.Registry), nil)
			if shutdown != nil {
				t.Error("something was started")
			}
			var got []string
			for _, fault := range err.(interface{ Unwrap() []error }).Unwrap() {
				if f, ok := errors.AsType[*core.ConfigError](fault); ok && f.Value != "" && f.Allowed != "" {
					got = append(got, f.Field)
				}
			}
			if !slices.Equal(got, c.fields) {
				t.Errorf("%v, want faults of %v", err, c.fields)
			}
		})
	}
	t.Run("secrets", func(t *testing.T) {
		environment(t, "OTEL_EXPORTER_OTLP_ENDPOINT=ftp://user:pass@collector\x7f")
		if _, err := setup.OpenTelemetry(t.Context(), new(core.Registry), nil); err == nil || strings.Contains(err.Error(), "pass") {
			t.Errorf("%v", err)
		}
	})
	t.Run("no source", func(t *testing.T) {
		if _, err := setup.OpenTelemetry(t.Context(), nil, nil); err == nil || !strings.Contains(err.Error(), "source") {
			t.Errorf("%v", err)
		}
	})
	t.Run("no agents", func(t *testing.T) { // in an interface that is not nil
		_, err := setup.OpenTelemetry(t.Context(), new(core.Registry), &setup.Options{Agents: (*staff)(nil)})
		if fault, ok := errors.AsType[*core.ConfigError](err); !ok || fault.Field != "Options.Agents" {
			t.Errorf("%v", err)
		}
	})
	t.Run("port taken", func(t *testing.T) {
		environment(t, "OTEL_METRICS_EXPORTER=otlp,prometheus", "OTEL_EXPORTER_PROMETHEUS_HOST=127.0.0.1", "OTEL_EXPORTER_PROMETHEUS_PORT="+taken)
		_, err := setup.OpenTelemetry(t.Context(), new(core.Registry), nil)
		if err == nil || !strings.Contains(err.Error(), "OTEL_EXPORTER_PROMETHEUS_PORT") {
			t.Errorf("%v, want one that names the variable", err)
		}
	})
	t.Run("attributes", func(t *testing.T) {
		environment(t, "OTEL_RESOURCE_ATTRIBUTES=nonsense")
		if _, err := setup.OpenTelemetry(t.Context(), new(core.Registry), nil); err == nil || !strings.Contains(err.Error(), "nonsense") {
			t.Errorf("%v", err)
		}
	})
}

func TestNothingToExport(t *testing.T) {
	for _, variable := range []string{"OTEL_SDK_DISABLED=True", "OTEL_METRICS_EXPORTER=none"} {
		t.Run(variable, func(t *testing.T) {
			environment(t, variable, "OTEL_EXPORTER_OTLP_ENDPOINT="+black(t))
			shutdown := start(t, new(core.Registry), nil)
			for range 2 {
				if err := shutdown(t.Context()); err != nil {
					t.Error(err)
				}
			}
		})
	}
}
