package sdkproducer_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/otelexport"
	"github.com/blackbox4/switchgear/otelexport/sdkproducer"
)

var errDown = errors.New("connection refused")

// call makes a call that takes a time and ends with err. The time passes in a
// moment, in a synctest bubble.
func call(b *core.Breaker, ctx context.Context, took time.Duration, err error) { //nolint:revive // the breaker is what it is about
	_ = b.Do(ctx, func(context.Context) error {
		time.Sleep(took)
		return err
	})
}

// leave makes a call whose caller goes away, which says nothing about it.
func leave(b *core.Breaker, ctx context.Context, took time.Duration) { //nolint:revive // the breaker is what it is about
	ctx, cancel := context.WithCancel(ctx)
	_ = b.Do(ctx, func(ctx context.Context) error {
		time.Sleep(took)
		cancel()
		return ctx.Err()
	})
}

func newProducer(t testing.TB, source otelexport.Source, o *sdkproducer.Options) *sdkproducer.Producer {
	t.Helper()
	p, err := sdkproducer.New(source, o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// produce returns the metrics of one collection by their names.
func produce(t testing.TB, p *sdkproducer.Producer) map[string]metricdata.Metrics {
	t.Helper()
	scopes, err := p.Produce(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]metricdata.Metrics{}
	for _, s := range scopes {
		if s.Scope.Name != otelexport.ScopeName {
			t.Errorf("the scope is %q", s.Scope.Name)
		}
		for _, m := range s.Metrics {
			if _, twice := all[m.Name]; twice {
				t.Errorf("%s is there twice", m.Name)
			}
			all[m.Name] = m
		}
	}
	return all
}

func attributesOf(set attribute.Set) string { return set.Encoded(attribute.DefaultEncoder()) }

const duration = "circuit_breaker.call.duration"

func explicit(t testing.TB, p *sdkproducer.Producer) map[string]metricdata.HistogramDataPoint[float64] {
	t.Helper()
	m := produce(t, p)[duration]
	all := map[string]metricdata.HistogramDataPoint[float64]{}
	data, ok := m.Data.(metricdata.Histogram[float64])
	if !ok {
		return all
	}
	if m.Unit != "s" || m.Description == "" || data.Temporality != metricdata.CumulativeTemporality {
		t.Errorf("unit %q, description %q, %v", m.Unit, m.Description, data.Temporality)
	}
	for _, point := range data.DataPoints {
		all[attributesOf(point.Attributes)] = point
	}
	return all
}

const (
	successes = "circuit_breaker.name=orders,circuit_breaker.result=success"
	failures  = "circuit_breaker.name=orders,circuit_breaker.result=failure"
)

func TestNoSource(t *testing.T) {
	_, err := sdkproducer.New(nil, nil)
	if fault, ok := errors.AsType[*core.ConfigError](err); !ok || fault.Field != "source" {
		t.Errorf("%v, want a *core.ConfigError about the source", err)
	}
}

func TestExplicitBuckets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		made := time.Now()
		b := core.MustNew("orders", core.Config{Durations: true, FailureThreshold: -1, FailureRateThreshold: -1})
		p := newProducer(t, otelexport.Breakers(b, core.MustNew("without", core.Config{})), nil)
		time.Sleep(time.Hour)

		empty := explicit(t, p)
		if len(empty) != 2 {
			t.Fatalf("%d histograms, want 2, from zero", len(empty))
		}
		for k, h := range empty {
			if h.Count != 0 || h.Sum != 0 || len(h.BucketCounts) != 17 || len(h.Bounds) != 16 {
				t.Errorf("%s: %+v", k, h)
			}
			if !h.StartTime.Equal(made) || !h.Time.Equal(time.Now()) {
				t.Errorf("%s is from %v to %v", k, h.StartTime, h.Time)
			}
		}

		for _, d := range []time.Duration{
			0, time.Millisecond, 4 * time.Millisecond, 6 * time.Millisecond, 30 * time.Millisecond, 60 * time.Millisecond,
			90 * time.Millisecond, 200 * time.Millisecond, 400 * time.Millisecond, 600 * time.Millisecond, 900 * time.Millisecond,
			2 * time.Second, 4 * time.Second, 6 * time.Second, 9 * time.Second, 20 * time.Second, 40 * time.Second, 2 * time.Minute, 3 * time.Hour,
		} {
			call(b, t.Context(), d, nil)
		}
		call(b, t.Context(), 40*time.Second, errDown)
		leave(b, t.Context(), 40*time.Second)

		all := explicit(t, p)
		h := all[successes]
		want := []uint64{3, 1, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2}
		if !slices.Equal(h.BucketCounts, want) || h.Count != 19 {
			t.Errorf("%d in %v, want 19 in %v", h.Count, h.BucketCounts, want)
		}
		const sum = 3*3600 + 120 + 40 + 20 + 9 + 6 + 4 + 2 + .9 + .6 + .4 + .2 + .09 + .06 + .03 + .006 + .004 + .001
		if math.Abs(h.Sum-sum) > sum/16 {
			t.Errorf("the sum is %v, want about %v", h.Sum, sum)
		}
		if f := all[failures]; f.Count != 1 || f.BucketCounts[15] != 1 {
			t.Errorf("failures: %+v", f)
		}
	})
}

// TestNeverBack has counts and sums only grow, bucket by bucket.
func TestNeverBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := core.MustNew("orders", core.Config{Durations: true})
		p := newProducer(t, otelexport.Breakers(b), nil)
		var last metricdata.HistogramDataPoint[float64]
		for i := range 300 {
			call(b, t.Context(), time.Duration(i*i)*time.Microsecond, nil)
			h := explicit(t, p)[successes]
			var total uint64
			for j, n := range h.BucketCounts {
				total += n
				if last.BucketCounts != nil && n < last.BucketCounts[j] {
					t.Fatalf("bucket %d went back from %d to %d", j, last.BucketCounts[j], n)
				}
			}
			if h.Count != uint64(i+1) || total != h.Count || h.Sum < last.Sum {
				t.Fatalf("after %d calls: %d, %d in buckets, sum %v after %v", i+1, h.Count, total, h.Sum, last.Sum)
			}
			last = h
		}
	})
}

func TestExponentialBuckets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := core.MustNew("orders", core.Config{Durations: true})
		p := newProducer(t, otelexport.Breakers(b), &sdkproducer.Options{Exponential: true})
		took := []time.Duration{0, 100 * time.Nanosecond, 3 * time.Microsecond, time.Millisecond, 3 * time.Millisecond, time.Second, 70 * time.Second, 100 * time.Hour}
		for _, d := range took {
			call(b, t.Context(), d, nil)
		}
		m := produce(t, p)[duration]
		data, ok := m.Data.(metricdata.ExponentialHistogram[float64])
		if !ok || len(data.DataPoints) != 2 || data.Temporality != metricdata.CumulativeTemporality {
			t.Fatalf("%T of %v", m.Data, data.Temporality)
		}
		for _, h := range data.DataPoints {
			if attributesOf(h.Attributes) != successes {
				if h.Count != 0 || len(h.PositiveBucket.Counts) != 0 {
					t.Errorf("failures: %+v", h)
				}
				continue
			}
			if h.Scale != 3 || h.Count != uint64(len(took)) || h.ZeroCount != 0 {
				t.Errorf("scale %d, %d calls, %d of them zero", h.Scale, h.Count, h.ZeroCount)
			}
			var total uint64
			at := int(h.PositiveBucket.Offset) // the first bucket is from 2^(at/8), exclusive, to 2^((at+1)/8)
			for middle, n := range b.Buckets(core.Success) {
				i := 0
				for math.Exp2(float64(at+i+1)/8) < middle.Seconds() {
					i++
				}
				if h.PositiveBucket.Counts[i] < n {
					t.Errorf("about %v are %d calls, want %d", middle, h.PositiveBucket.Counts[i], n)
				}
				total += n
			}
			if total != h.Count {
				t.Errorf("%d calls, want %d", h.Count, total)
			}
			if n := len(h.PositiveBucket.Counts); n > 300 || h.PositiveBucket.Counts[n-1] != 1 || h.PositiveBucket.Counts[0] != 2 {
				t.Errorf("%d buckets: %v", n, h.PositiveBucket.Counts)
			}
		}
	})
}

// TestEverything compares with what otelexport.Register exports.
func TestEverything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		quiet(t)
		registry := &core.Registry{Config: func(name string) core.Config {
			return core.Config{FailureThreshold: 3, FailureRateThreshold: .5, MinimumCalls: 4, Durations: name == "a"}
		}}
		for _, name := range []string{"a", "b", "c", "d"} {
			b, _ := registry.Get(name)
			for i := range 5 {
				err := errDown
				if i%2 == 0 || name == "b" {
					err = nil
				}
				call(b, t.Context(), time.Second, err)
			}
		}
		source := otelexport.Join(registry, otelexport.Breakers(core.MustNew("a", core.Config{})))
		producer := newProducer(t, source, &sdkproducer.Options{Everything: true, MaxBreakers: 3})
		observed, produced := sdkmetric.NewManualReader(), sdkmetric.NewManualReader(sdkmetric.WithProducer(producer))
		provider := sdkmetric.NewMeterProvider(sdkmetric.WithReader(observed))
		sdkmetric.NewMeterProvider(sdkmetric.WithReader(produced))
		unregister, err := otelexport.Register(provider.Meter(otelexport.ScopeName), source, &otelexport.Options{MaxBreakers: 3})
		if err != nil {
			t.Fatal(err)
		}
		defer unregister()
		want, got := lines(t, observed), lines(t, produced)
		if len(want) < 100 || !slices.Equal(want, got) {
			t.Errorf("produced:\n%s\nobserved:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	})
}

// lines are the points of a collection but for durations.
func lines(t *testing.T, reader sdkmetric.Reader) (all []string) {
	t.Helper()
	var rm metricdata.ResourceMetrics
	if err := reader.Collect(t.Context(), &rm); err != nil {
		t.Fatal(err)
	}
	add := func(m metricdata.Metrics, what string, set attribute.Set, v any) {
		all = append(all, fmt.Sprintf("%s %q %q %s {%s} %v", m.Name, m.Unit, m.Description, what, attributesOf(set), v))
	}
	for _, scope := range rm.ScopeMetrics {
		for _, m := range scope.Metrics {
			switch data := m.Data.(type) {
			case metricdata.Sum[int64]:
				for _, p := range data.DataPoints {
					add(m, fmt.Sprint("sum ", data.IsMonotonic, data.Temporality), p.Attributes, p.Value)
				}
			case metricdata.Sum[float64]:
				for _, p := range data.DataPoints {
					add(m, fmt.Sprint("sum ", data.IsMonotonic, data.Temporality), p.Attributes, p.Value)
				}
			case metricdata.Gauge[float64]:
				for _, p := range data.DataPoints {
					add(m, "gauge", p.Attributes, p.Value)
				}
			case metricdata.Histogram[float64]:
			default:
				t.Errorf("%s is a %T", m.Name, m.Data)
			}
		}
	}
	slices.Sort(all)
	return all
}

// quiet keeps what is told to OpenTelemetry's error handler from the output.
func quiet(t *testing.T) *[]error {
	var mu sync.Mutex
	told := new([]error)
	old := otel.GetErrorHandler()
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) {
		mu.Lock()
		defer mu.Unlock()
		*told = append(*told, err)
	}))
	t.Cleanup(func() { otel.SetErrorHandler(old) })
	return told
}

func TestPanics(t *testing.T) {
	told := quiet(t)
	sick := false
	clock := core.MustNew("clock", core.Config{Durations: true, Now: func() time.Time {
		if sick {
			panic("the clock has stopped")
		}
		return time.Now()
	}})
	p := newProducer(t, otelexport.Join(otelexport.Breakers(clock, core.MustNew("orders", core.Config{Durations: true}))), nil)
	sick = true
	for range 3 {
		if all := explicit(t, p); len(all) != 2 {
			t.Errorf("%d histograms, want those of the other breaker", len(all))
		}
	}
	if len(*told) != 1 || !strings.Contains((*told)[0].Error(), "the clock has stopped") {
		t.Errorf("the error handler was told %v", *told)
	}
}

// TestSeveralReaders has two readers of one producer and calls at the same time.
func TestSeveralReaders(t *testing.T) {
	registry := &core.Registry{Max: 20, Idle: time.Millisecond, Config: func(string) core.Config { return core.Config{Durations: true} }}
	p := newProducer(t, registry, &sdkproducer.Options{MaxBreakers: 10, Everything: true})
	quiet(t)
	var busy sync.WaitGroup
	for range 2 {
		reader := sdkmetric.NewManualReader(sdkmetric.WithProducer(p))
		sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
		busy.Go(func() {
			for range 200 {
				var rm metricdata.ResourceMetrics
				if err := reader.Collect(context.Background(), &rm); err != nil {
					t.Error(err)
				}
			}
		})
		busy.Go(func() {
			for i := range 5000 {
				if b, err := registry.Get(fmt.Sprint(i % 50)); err == nil {
					call(b, context.Background(), 0, nil)
				}
			}
		})
	}
	busy.Wait()
}
