package otelexport_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.opentelemetry.io/otel"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/otelexport"
)

var errDown = errors.New("connection refused")

func succeed(context.Context) error { return nil }
func fail(context.Context) error    { return errDown }

// values are the points of a collection, by `name{key=value,...}` without the
// "circuit_breaker." that all begin with.
type values map[string]float64

func key(name string, attributes fmt.Stringer) string {
	return strings.ReplaceAll(name+"{"+attributes.String()+"}", "circuit_breaker.", "")
}

type text string

func (t text) String() string { return string(t) }

// collect makes a collection and fails the test if a series is there twice.
func collect(t testing.TB, reader sdkmetric.Reader) values {
	t.Helper()
	var rm metricdata.ResourceMetrics
	if err := reader.Collect(t.Context(), &rm); err != nil {
		t.Fatalf("collect: %v", err)
	}
	return valuesOf(t, &rm)
}

func valuesOf(t testing.TB, rm *metricdata.ResourceMetrics) values {
	t.Helper()
	all := values{}
	add := func(k string, v float64) {
		if _, twice := all[k]; twice {
			t.Errorf("%s is there twice", k)
		}
		all[k] = v
	}
	for _, scope := range rm.ScopeMetrics {
		for _, m := range scope.Metrics {
			points := func(k text, v float64) { add(key(m.Name, k), v) }
			switch data := m.Data.(type) {
			case metricdata.Sum[int64]:
				each(data.DataPoints, points)
			case metricdata.Sum[float64]:
				each(data.DataPoints, points)
			case metricdata.Gauge[float64]:
				each(data.DataPoints, points)
			case metricdata.Histogram[float64]:
				for _, p := range data.DataPoints {
					points(attributes(p.Attributes), float64(p.Count))
				}
			default:
				t.Errorf("%s is a %T", m.Name, m.Data)
			}
		}
	}
	return all
}

// of returns what there is of one breaker, without its name.
func (v values) of(name string) values {
	out := values{}
	for k, n := range v {
		for _, with := range []string{"name=" + name + ",", "name=" + name} {
			if strings.Contains(k, "{"+with) {
				out[strings.Replace(k, with, "", 1)] = n
				break
			}
		}
	}
	return out
}

func (v values) want(t testing.TB, want values) {
	t.Helper()
	for _, k := range slices.Sorted(maps.Keys(want)) {
		got, ok := v[k]
		switch {
		case !ok:
			t.Errorf("%s is not there, want %v", k, want[k])
		case got != want[k]:
			t.Errorf("%s is %v, want %v", k, got, want[k])
		}
	}
	if t.Failed() {
		t.Logf("there is:\n%s", strings.Join(v.lines(), "\n"))
	}
}

func (v values) lines() (lines []string) {
	for _, k := range slices.Sorted(maps.Keys(v)) {
		lines = append(lines, fmt.Sprintf("%s %v", k, v[k]))
	}
	return lines
}

// newProvider returns a provider and its reader.
func newProvider(t testing.TB, options ...sdkmetric.Option) (*sdkmetric.MeterProvider, *sdkmetric.ManualReader) {
	t.Helper()
	reader := sdkmetric.NewManualReader()
	provider := sdkmetric.NewMeterProvider(append(options, sdkmetric.WithReader(reader))...)
	t.Cleanup(func() { _ = provider.Shutdown(context.Background()) })
	return provider, reader
}

// register registers for as long as the test runs.
func register(t testing.TB, provider *sdkmetric.MeterProvider, source otelexport.Source, o *otelexport.Options) {
	t.Helper()
	unregister, err := otelexport.Register(provider.Meter(otelexport.ScopeName), source, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unregister(); err != nil {
			t.Error(err)
		}
	})
}

// handled collects what OpenTelemetry's error handler is told during the test.
type handled struct {
	mu   sync.Mutex
	errs []error
}

func handle(t testing.TB) *handled {
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

func (h *handled) want(t testing.TB, parts ...string) {
	t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.errs) != len(parts) {
		t.Fatalf("the error handler was told %d times, want %d: %v", len(h.errs), len(parts), h.errs)
	}
	for i, part := range parts {
		if !strings.Contains(h.errs[i].Error(), part) {
			t.Errorf("the error handler was told %q, want %q in it", h.errs[i], part)
		}
	}
}

func get(t testing.TB, r *core.Registry, name string) *core.Breaker {
	t.Helper()
	b, err := r.Get(name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func call(b *core.Breaker, f func(context.Context) error, times int) {
	for range times {
		_ = b.Do(context.Background(), f)
	}
}
