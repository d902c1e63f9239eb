package otelexport_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/otelexport"
	"github.com/blackbox4/switchgear/otelexport/sdkproducer"
)

// many returns a registry of breakers that have been called.
func many(b *testing.B, n int, cfg core.Config) *core.Registry {
	registry := &core.Registry{Config: func(string) core.Config { return cfg }}
	for i := range n {
		breaker := get(b, registry, fmt.Sprintf("breaker %d", i))
		call(breaker, succeed, 10)
		call(breaker, fail, 1)
	}
	return registry
}

// captured is a meter that hands out what is registered with it.
type captured struct {
	noop.Meter

	callback metric.Callback
}

func (c *captured) RegisterCallback(f metric.Callback, _ ...metric.Observable) (metric.Registration, error) {
	c.callback = f
	return noop.Registration{}, nil
}

// BenchmarkCollect collects 1,000 breakers, 37 series of each: by Register into an
// SDK, and without the SDK's share; and by a producer, which has all the metrics
// or the durations alone.
func BenchmarkCollect(b *testing.B) {
	const breakers = 1000
	plain := core.Config{FailureRateThreshold: .5}
	timed := core.Config{FailureRateThreshold: .5, Window: core.Window{For: 10 * time.Second}, Durations: true}
	collectAll := func(b *testing.B, reader sdkmetric.Reader) {
		var rm metricdata.ResourceMetrics
		b.ReportAllocs()
		for b.Loop() {
			rm = metricdata.ResourceMetrics{}
			if err := reader.Collect(b.Context(), &rm); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/1000, "ms/collection")
	}
	for name, cfg := range map[string]core.Config{"plain": plain, "timed": timed} {
		b.Run("register/"+name, func(b *testing.B) {
			provider, reader := newProvider(b, sdkmetric.WithCardinalityLimit(6*breakers+1))
			register(b, provider, many(b, breakers, cfg), &otelexport.Options{MaxBreakers: breakers})
			collectAll(b, reader)
		})
		b.Run("register_without_sdk/"+name, func(b *testing.B) {
			meter := new(captured)
			unregister, err := otelexport.Register(meter, many(b, breakers, cfg), &otelexport.Options{MaxBreakers: breakers})
			if err != nil {
				b.Fatal(err)
			}
			defer unregister()
			b.ReportAllocs()
			for b.Loop() {
				if err := meter.callback(b.Context(), noop.Observer{}); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/1000, "ms/collection")
		})
		for _, everything := range []bool{true, false} {
			b.Run(fmt.Sprintf("producer/%s/everything=%t", name, everything), func(b *testing.B) {
				producer, err := sdkproducer.New(many(b, breakers, cfg), &sdkproducer.Options{MaxBreakers: breakers, Everything: everything})
				if err != nil {
					b.Fatal(err)
				}
				reader := sdkmetric.NewManualReader(sdkmetric.WithProducer(producer))
				sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
				collectAll(b, reader)
			})
		}
	}
}

// BenchmarkTraffic makes calls without a collection, and with one ten
// times a second, in turns, and reports the median of what these turns compare
// to: a ratio of 1 is no difference, and without/without is the noise.
func BenchmarkTraffic(b *testing.B) {
	for _, goroutines := range []int{1, 32} {
		b.Run(fmt.Sprintf("goroutines=%d", goroutines), func(b *testing.B) {
			registry := many(b, 10, core.Config{FailureRateThreshold: .5})
			provider, reader := newProvider(b)
			register(b, provider, registry, nil)
			breaker, other := get(b, registry, "breaker 0"), core.MustNew("other", core.Config{FailureRateThreshold: .5})
			const pass = 300 * time.Millisecond
			measure := func(breaker *core.Breaker) float64 { // ns a call
				var wg sync.WaitGroup
				counts := make([]int, goroutines)
				begun := time.Now()
				for g := range goroutines {
					wg.Go(func() {
						n := 0
						for time.Since(begun) < pass {
							for range 1000 {
								permit, err := breaker.Allow(context.Background())
								if err != nil {
									panic(err)
								}
								permit.Settle(context.Background(), core.Success)
							}
							n += 1000
						}
						counts[g] = n
					})
				}
				wg.Wait()
				took, calls := time.Since(begun), 0
				for _, n := range counts {
					calls += n
				}
				return float64(took.Nanoseconds()) / float64(calls)
			}
			collected := func(f func()) {
				stop, done := make(chan struct{}), make(chan struct{})
				go func() {
					defer close(done)
					for every := time.NewTicker(100 * time.Millisecond); ; {
						select {
						case <-every.C:
							collect(b, reader)
						case <-stop:
							every.Stop()
							return
						}
					}
				}()
				f()
				close(stop)
				<-done
			}
			var without, with, ratios, noise []float64
			for b.Loop() {
				before := measure(other)
				var now float64
				collected(func() { now = measure(breaker) })
				after := measure(other)
				without, with = append(without, (before+after)/2), append(with, now)
				ratios, noise = append(ratios, 2*now/(before+after)), append(noise, max(before/after, after/before))
			}
			for unit, list := range map[string][]float64{"ns/call_without": without, "ns/call_with": with, "with/without": ratios, "without/without": noise} {
				slices.Sort(list)
				b.ReportMetric(list[len(list)/2], unit)
			}
			b.ReportMetric(0, "ns/op")
		})
	}
}

// TestACallAllocatesNothing is about calls of a breaker that is exported.
func TestACallAllocatesNothing(t *testing.T) {
	provider, reader := newProvider(t)
	var registry core.Registry
	register(t, provider, &registry, nil)
	b := get(t, &registry, "orders")
	collect(t, reader)
	admitted := testing.AllocsPerRun(1000, func() {
		permit, err := b.Allow(context.Background())
		if err != nil {
			t.Error(err)
		}
		permit.Settle(context.Background(), core.Success)
	})
	call(b, fail, 5)
	collect(t, reader)
	refused := testing.AllocsPerRun(1000, func() {
		if _, err := b.Allow(context.Background()); err == nil {
			t.Error("admitted")
		}
	})
	if admitted != 0 || refused != 0 {
		t.Errorf("a call allocates %v, a refusal %v", admitted, refused)
	}
}
