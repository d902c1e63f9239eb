package otelexport_test

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/otelexport"
)

// TestContract holds the names, kinds, units and attributes that dashboards and
// alerts are written against.
func TestContract(t *testing.T) {
	provider, reader := newProvider(t)
	b := core.MustNew("orders", core.Config{FailureRateThreshold: .5, MinimumCalls: -1})
	register(t, provider, otelexport.Breakers(b), nil)
	call(b, succeed, 1) // for the ratio
	registerAgents(t, provider, &staff{
		steps: steps{{"writer", "progress"}: 1}, handoffs: handoffs{{"writer", "critic", "allowed"}: 1}, confidence: confidence{"writer": .5},
	})
	var rm metricdata.ResourceMetrics
	if err := reader.Collect(t.Context(), &rm); err != nil {
		t.Fatal(err)
	}
	if n := len(rm.ScopeMetrics); n != 1 || rm.ScopeMetrics[0].Scope.Name != otelexport.ScopeName {
		t.Fatalf("%d scopes, want one, %s", n, otelexport.ScopeName)
	}
	var lines []string
	for _, m := range rm.ScopeMetrics[0].Metrics {
		kind, series := describe(m.Data)
		for _, s := range series {
			lines = append(lines, fmt.Sprintf("%s %s %s {%s}", m.Name, kind, m.Unit, s))
		}
		if m.Description == "" || !strings.HasSuffix(m.Description, ".") {
			t.Errorf("%s has the description %q", m.Name, m.Description)
		}
	}
	slices.Sort(lines)
	got := strings.Join(lines, "\n") + "\n"
	want, err := os.ReadFile("testdata/contract.txt")
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("exported:\n%s\nwant:\n%s", got, want)
	}
}

func describe(data metricdata.Aggregation) (kind string, series []string) {
	note := func(k text, _ float64) { series = append(series, string(k)) }
	sum := func(temporality metricdata.Temporality, monotonic bool, of string) string {
		if temporality != metricdata.CumulativeTemporality {
			return "not cumulative"
		}
		if monotonic {
			return of + "counter"
		}
		return of + "updowncounter"
	}
	switch data := data.(type) {
	case metricdata.Sum[int64]:
		each(data.DataPoints, note)
		return sum(data.Temporality, data.IsMonotonic, ""), series
	case metricdata.Sum[float64]:
		each(data.DataPoints, note)
		return sum(data.Temporality, data.IsMonotonic, "float-"), series
	case metricdata.Gauge[float64]:
		each(data.DataPoints, note)
		return "gauge", series
	}
	return fmt.Sprintf("%T", data), nil
}

// TestAnOutage follows a breaker through everything there is to see.
func TestAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		provider, reader := newProvider(t)
		b := core.MustNew("orders", core.Config{
			FailureThreshold: 3, Timeout: 10 * time.Second, SuccessThreshold: 2,
			FailureRateThreshold: .75, MinimumCalls: 4, SlowAfter: time.Second,
		})
		register(t, provider, otelexport.Breakers(b), nil)
		look := func() values { t.Helper(); return collect(t, reader).of("orders") }
		absent := func(v values, k string) {
			t.Helper()
			if n, there := v[k]; there {
				t.Errorf("%s is %v, want it absent", k, n)
			}
		}

		call(b, succeed, 1)
		call(b, fail, 2)
		v := look()
		v.want(t, values{
			"calls{result=success}": 1, "calls{result=failure}": 2, "calls{result=rejected}": 0,
			"window.calls{result=success}": 1, "window.calls{result=failure}": 2,
			"failure.limit{}": .75, "status{state=closed}": 1, "status{state=open}": 0,
		})
		absent(v, "window.failure_ratio{}") // of four calls at least

		_ = b.Do(t.Context(), func(context.Context) error { time.Sleep(2 * time.Second); return nil })
		look().want(t, values{"window.failure_ratio{}": .5, "slow_calls{}": 1, "state.time{state=closed}": 2})

		call(b, fail, 3)
		call(b, succeed, 7)
		time.Sleep(4 * time.Second)
		v = look()
		v.want(t, values{
			"status{state=closed}": 0, "status{state=open}": 1, "open.remaining{}": 6,
			"state.time{state=closed}": 2, "state.time{state=open}": 4,
			"state.transitions{state=open,state.previous=closed}": 1, "trips{transition.reason=consecutive_failures}": 1,
			"calls{result=rejected}": 7, "window.calls{result=success}": 0, "window.calls{result=failure}": 0,
		})
		absent(v, "window.failure_ratio{}")

		time.Sleep(7 * time.Second) // there was no call since the break was over
		look().want(t, values{
			"status{state=half_open}": 1, "open.remaining{}": 0,
			"state.time{state=open}": 10, "state.time{state=half_open}": 1,
		})

		permit, err := b.Allow(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		look().want(t, values{"active{}": 1, "state.transitions{state=half_open,state.previous=open}": 1})
		permit.Settle(t.Context(), core.Failure)
		time.Sleep(10 * time.Second)
		call(b, succeed, 1)
		v = look()
		v.want(t, values{
			"status{state=half_open}": 1, "probes{result=success}": 1,
			"window.calls{result=success}": 0, "window.calls{result=failure}": 0,
		})
		absent(v, "window.failure_ratio{}")
		call(b, succeed, 1)
		look().want(t, values{
			"active{}": 0, "probes{result=success}": 2, "probes{result=failure}": 1, "probes{result=ignored}": 0,
			"state.transitions{state=open,state.previous=half_open}":   1,
			"state.transitions{state=half_open,state.previous=open}":   2,
			"state.transitions{state=closed,state.previous=half_open}": 1,
			"state.transitions{state=closed,state.previous=open}":      0,
			"trips{transition.reason=probe_failed}":                    1, "trips{transition.reason=consecutive_failures}": 1,
			"status{state=closed}": 1, "state.time{state=open}": 20,
		})

		call(b, fail, 3)
		b.Reset()
		look().want(t, values{"state.transitions{state=closed,state.previous=open}": 1})

		if err := b.Update(core.Config{FailureRateThreshold: -1}); err != nil {
			t.Fatal(err)
		}
		absent(look(), "failure.limit{}")
	})
}

func TestTimeouts(t *testing.T) {
	provider, reader := newProvider(t)
	b := core.MustNew("orders", core.Config{CallTimeout: time.Millisecond})
	register(t, provider, otelexport.Breakers(b), nil)
	_ = b.Do(t.Context(), func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
	collect(t, reader).of("orders").want(t, values{"timeouts{}": 1, "calls{result=failure}": 1})
}

func TestOverrides(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		provider, reader := newProvider(t)
		b := core.MustNew("orders", core.Config{FailureThreshold: 1})
		register(t, provider, otelexport.Breakers(b), nil)
		for _, c := range []struct {
			override core.Override
			state    string
			more     values
		}{
			{core.ForcedOpen, "forced_open", values{"calls{result=rejected}": 1}},
			{core.Disabled, "disabled", values{"calls{result=rejected}": 1, "calls{result=failure}": 0}},
			{core.Shadow, "open", values{"calls{result=rejected}": 1, "calls{result=failure}": 2, "spared_calls{}": 1}},
		} {
			if err := b.Force(c.override); err != nil {
				t.Fatal(err)
			}
			call(b, fail, 1)
			if c.override == core.Shadow {
				call(b, fail, 1)
			}
			time.Sleep(time.Second)
			v := collect(t, reader).of("orders")
			v.want(t, c.more)
			for _, state := range []string{"closed", "open", "half_open", "forced_open", "disabled"} {
				want := 0.0
				if state == c.state {
					want = 1
				}
				v.want(t, values{"status{state=" + state + "}": want})
			}
			v.want(t, values{"state.time{state=" + c.state + "}": 1})
		}
	})
}

// TestOpenBetweenTwoScrapes has a breaker open for less time than any scraper
// would notice by its state.
func TestOpenBetweenTwoScrapes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		provider, reader := newProvider(t)
		b := core.MustNew("orders", core.Config{FailureThreshold: 1, Timeout: 200 * time.Millisecond, SuccessThreshold: 1})
		register(t, provider, otelexport.Breakers(b), nil)
		call(b, succeed, 1)
		before := collect(t, reader).of("orders")
		time.Sleep(5 * time.Second)
		call(b, fail, 1)
		time.Sleep(200 * time.Millisecond)
		call(b, succeed, 1)
		time.Sleep(9800 * time.Millisecond)
		after := collect(t, reader).of("orders")
		for _, v := range []values{before, after} {
			v.want(t, values{"status{state=closed}": 1, "status{state=open}": 0})
		}
		before.want(t, values{"state.transitions{state=open,state.previous=closed}": 0, "state.time{state=open}": 0})
		after.want(t, values{
			"state.transitions{state=open,state.previous=closed}": 1, "trips{transition.reason=consecutive_failures}": 1,
			"state.time{state=open}": .2, "state.time{state=closed}": 14.8,
		})
	})
}

// TestDelta shows that a reader may have what temporality it likes.
func TestDelta(t *testing.T) {
	reader := sdkmetric.NewManualReader(sdkmetric.WithTemporalitySelector(sdkmetric.DeltaTemporalitySelector))
	provider := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
	b := core.MustNew("orders", core.Config{})
	register(t, provider, otelexport.Breakers(b), nil)
	for range 3 {
		call(b, succeed, 5)
		collect(t, reader).of("orders").want(t, values{"calls{result=success}": 5, "status{state=closed}": 1})
	}
}

// TestAView shows that views reach the instruments: this one drops the breaker's
// name, and the calls of all are added.
func TestAView(t *testing.T) {
	provider, reader := newProvider(t, sdkmetric.WithView(sdkmetric.NewView(
		sdkmetric.Instrument{Name: "circuit_breaker.calls", Scope: scope()},
		sdkmetric.Stream{AttributeFilter: onlyResult})))
	a, b := core.MustNew("a", core.Config{}), core.MustNew("b", core.Config{})
	register(t, provider, otelexport.Breakers(a, b), nil)
	call(a, succeed, 2)
	call(b, succeed, 3)
	collect(t, reader).want(t, values{"calls{result=success}": 5})
}
