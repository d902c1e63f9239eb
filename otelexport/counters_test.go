package otelexport_test

import (
	"fmt"
	"iter"
	"maps"
	"testing"
	"testing/synctest"
	"time"

	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/otelexport"
)

// watch collects for a reader of each temporality and fails the test when a counter
// goes down. The sums of a series' deltas are in sums.
type watch struct {
	provider          *sdkmetric.MeterProvider
	cumulative, delta *sdkmetric.ManualReader
	last, sums        values
}

func newWatch() *watch {
	w := &watch{
		cumulative: sdkmetric.NewManualReader(),
		delta:      sdkmetric.NewManualReader(sdkmetric.WithTemporalitySelector(sdkmetric.DeltaTemporalitySelector)),
		last:       values{}, sums: values{},
	}
	w.provider = sdkmetric.NewMeterProvider(sdkmetric.WithReader(w.cumulative), sdkmetric.WithReader(w.delta))
	return w
}

func (w *watch) collect(t *testing.T) values {
	t.Helper()
	for _, reader := range []*sdkmetric.ManualReader{w.cumulative, w.delta} {
		var rm metricdata.ResourceMetrics
		if err := reader.Collect(t.Context(), &rm); err != nil {
			t.Fatal(err)
		}
		for _, scope := range rm.ScopeMetrics {
			for _, m := range scope.Metrics {
				note := func(k text, v float64) {
					k = text(key(m.Name, k))
					if reader == w.delta {
						if w.sums[string(k)] += v; v < 0 {
							t.Errorf("the delta of %s is %v", k, v)
						}
						return
					}
					if v < w.last[string(k)] {
						t.Errorf("%s went down from %v to %v", k, w.last[string(k)], v)
					}
					w.last[string(k)] = v
				}
				switch data := m.Data.(type) {
				case metricdata.Sum[int64]:
					if data.IsMonotonic {
						each(data.DataPoints, note)
					}
				case metricdata.Sum[float64]:
					if data.IsMonotonic {
						each(data.DataPoints, note)
					}
				}
			}
		}
	}
	return maps.Clone(w.last)
}

// changing is a source whose breakers a test changes.
type changing map[string]*core.Breaker

func (c changing) All() iter.Seq2[string, *core.Breaker] { return maps.All(c) }

const apiSuccess, apiFailure = "calls{name=api,result=success}", "calls{name=api,result=failure}"

// A breaker that is made anew under a name, whether its registry continues what the
// old one had counted or not, never makes a counter go down, and no call is lost from
// it or counted twice.
func TestCountersGoOnWhenABreakerIsMadeAnew(t *testing.T) {
	for name, between := range map[string]bool{"between two collections": false, "with a collection in between": true} {
		t.Run("of a source, "+name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, source := newWatch(), changing{}
				register(t, w.provider, source, nil)
				total := 0.0
				for round := range 5 {
					time.Sleep(time.Second)
					source["api"] = core.MustNew("api", core.Config{FailureThreshold: -1, FailureRateThreshold: -1})
					calls := []int{9, 1, 30, 0, 2}[round]
					call(source["api"], succeed, calls)
					call(source["api"], fail, round)
					total += float64(calls)
					time.Sleep(time.Second)
					w.collect(t).want(t, values{apiSuccess: total})
					if between {
						delete(source, "api")
						time.Sleep(time.Second)
						w.collect(t).want(t, values{apiSuccess: total})
					}
				}
				w.sums.want(t, values{apiSuccess: 42, apiFailure: 10, "all.calls{result=success}": 42, "all.calls{result=failure}": 10})
				w.last.want(t, values{"all.calls{result=success}": 42, "all.calls{result=failure}": 10})
			})
		})
		t.Run("of a registry, "+name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, registry := newWatch(), &core.Registry{Idle: time.Minute}
				register(t, w.provider, registry, nil)
				for round := range 4 {
					call(get(t, registry, "api"), succeed, 9-round)
					w.collect(t)
					old := get(t, registry, "api")
					for i := range 3 {
						time.Sleep(time.Minute)
						get(t, registry, fmt.Sprint("other", i))
					}
					if between {
						w.collect(t)
					}
					if get(t, registry, "api") == old {
						t.Fatal("it was not evicted")
					}
				}
				w.collect(t).want(t, values{apiSuccess: 30})
				w.sums.want(t, values{apiSuccess: 30})
			})
		})
	}
}

// The name of a breaker that its source lists no more goes to the other breaker of
// that name, with its own numbers, but never down.
func TestCountersOfTwoBreakersWithOneName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		handle(t)
		w, first, second := newWatch(), changing{}, changing{}
		register(t, w.provider, first, nil)
		register(t, w.provider, second, nil)
		first["api"], second["api"] = core.MustNew("api", core.Config{}), core.MustNew("api", core.Config{})
		call(first["api"], succeed, 20)
		call(second["api"], succeed, 5)
		time.Sleep(time.Second)
		w.collect(t).want(t, values{apiSuccess: 20, "all.calls{result=success}": 25})
		delete(first, "api")
		call(second["api"], succeed, 1)
		w.collect(t).want(t, values{apiSuccess: 26, "all.calls{result=success}": 26})
		call(second["api"], succeed, 1)
		w.collect(t).want(t, values{apiSuccess: 27, "all.calls{result=success}": 27})
		w.sums.want(t, values{apiSuccess: 27, "all.calls{result=success}": 27})
	})
}

// Exported totals are remembered when nothing is registered for a while.
func TestCountersGoOnWhenRegisteredAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, source := newWatch(), changing{}
		var registry core.Registry
		call(get(t, &registry, "web"), succeed, 3)
		for round := range 3 {
			time.Sleep(time.Second)
			source["api"] = core.MustNew("api", core.Config{})
			call(source["api"], succeed, 9-round)
			meter := w.provider.Meter(otelexport.ScopeName)
			one, err := otelexport.Register(meter, source, nil)
			if err != nil {
				t.Fatal(err)
			}
			two, err := otelexport.Register(meter, &registry, nil)
			if err != nil {
				t.Fatal(err)
			}
			w.collect(t)
			for _, unregister := range []func() error{one, two} {
				if err := unregister(); err != nil {
					t.Error(err)
				}
			}
		}
		w.last.want(t, values{apiSuccess: 24, "calls{name=web,result=success}": 3, "all.calls{result=success}": 27})
	})
}

// A clock of the application's that is put back takes no time from a counter.
func TestCountersAndAClockThatIsPutBack(t *testing.T) {
	now := time.Unix(1e9, 0)
	w := newWatch()
	b := core.MustNew("api", core.Config{FailureThreshold: 1, Timeout: time.Minute, Now: func() time.Time { return now }})
	register(t, w.provider, otelexport.Breakers(b), nil)
	for _, step := range []time.Duration{0, time.Hour, -30 * time.Minute, time.Minute, -10 * time.Hour, time.Second, 20 * time.Hour} {
		now = now.Add(step)
		call(b, fail, 1)
		w.collect(t)
	}
}

// Where there is no room for all, those have it that are not closed, then those that
// are overridden, then those that fail and are called most; who has a place keeps it
// until it is needed; and the sums are over all.
func TestWhoHasAPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		handle(t)
		w, registry := newWatch(), &core.Registry{Config: func(string) core.Config { return core.Config{FailureThreshold: 3, Timeout: time.Hour} }}
		for i := range 20 {
			call(get(t, registry, fmt.Sprintf("%02d", i)), succeed, 1)
		}
		call(get(t, registry, "18"), fail, 3)
		if err := get(t, registry, "17").Force(core.Disabled); err != nil {
			t.Fatal(err)
		}
		call(get(t, registry, "16"), fail, 1)
		call(get(t, registry, "15"), succeed, 4)
		register(t, w.provider, registry, &otelexport.Options{MaxBreakers: 5})
		exported := func(want ...string) {
			t.Helper()
			v := collect(t, w.cumulative)
			w.collect(t)
			for i := range 20 {
				name := fmt.Sprintf("%02d", i)
				_, is := v.of(name)["status{state=closed}"]
				in := false
				for _, n := range want {
					in = in || n == name
				}
				if is != in {
					t.Errorf("%s is exported: %t, want %t", name, is, in)
				}
			}
			v.want(t, values{"export.skipped{skip.reason=limit}": 15})
		}
		exported("18", "17", "16", "15", "00")
		w.last.want(t, values{"all.calls{result=success}": 24, "all.calls{result=failure}": 4})
		call(get(t, registry, "14"), succeed, 50) // is called more than one that has a place
		call(get(t, registry, "13"), fail, 2)     // and fails more
		for range 3 {
			exported("18", "17", "16", "15", "00")
		}
		call(get(t, registry, "13"), fail, 1) // it opens
		exported("18", "17", "16", "15", "13")
		get(t, registry, "13").Reset()
		get(t, registry, "18").Reset()
		exported("18", "17", "16", "15", "13")
		for _, name := range []string{"01", "02", "03", "04", "05", "06", "07"} { // more than there is room for
			call(get(t, registry, name), fail, 3)
		}
		exported("01", "02", "03", "04", "05")
		w.last.want(t, values{
			"all.calls{result=success}": 74, "all.calls{result=failure}": 28,
		})
		for range 3 {
			exported("01", "02", "03", "04", "05")
		}
	})
}

// The sums are over all that are joined, each registry once, and stay when a registry
// is listed no more.
func TestSumsOverJoinedSources(t *testing.T) {
	w := newWatch()
	var first, second core.Registry
	call(get(t, &first, "a"), succeed, 1)
	call(get(t, &second, "b"), succeed, 10)
	call(core.MustNew("not listed", core.Config{}), succeed, 1000)
	c := core.MustNew("c", core.Config{})
	call(c, succeed, 100)
	meter := w.provider.Meter(otelexport.ScopeName)
	unregister, err := otelexport.Register(meter, otelexport.Join(&first, nil, &second, otelexport.Breakers(c, c)), nil)
	if err != nil {
		t.Fatal(err)
	}
	register(t, w.provider, &first, nil)
	w.collect(t).want(t, values{"all.calls{result=success}": 111})
	if err := unregister(); err != nil {
		t.Fatal(err)
	}
	call(get(t, &first, "a"), succeed, 1)
	w.collect(t).want(t, values{"all.calls{result=success}": 112})
	register(t, w.provider, &second, nil)
	w.collect(t).want(t, values{"all.calls{result=success}": 112})
}

// Calls that a registry admits without a breaker are counted, and only there.
func TestUnguardedCalls(t *testing.T) {
	w, registry := newWatch(), &core.Registry{}
	register(t, w.provider, registry, nil)
	for range 3 {
		p, err := registry.Gate("no\nname").Allow(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		p.Settle(t.Context(), core.Success)
	}
	w.collect(t).want(t, values{"unguarded.calls{}": 3, "all.calls{result=success}": 0})
}
