package sdkproducer_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/otelexport/sdkproducer"
)

// Durations of the calls of a registry's breakers, for one reader.
func Example() {
	registry := &core.Registry{Config: func(string) core.Config { return core.Config{Durations: true} }}
	producer, err := sdkproducer.New(registry, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	reader := sdkmetric.NewManualReader(sdkmetric.WithProducer(producer)) // a program has one that exports
	provider := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
	defer provider.Shutdown(context.Background())

	orders, err := registry.Get("orders")
	if err != nil {
		fmt.Println(err)
		return
	}
	_ = orders.Do(context.Background(), func(context.Context) error {
		time.Sleep(30 * time.Millisecond)
		return nil
	})
	_ = orders.Do(context.Background(), func(context.Context) error { return errors.New("down") })

	var metrics metricdata.ResourceMetrics
	if err := reader.Collect(context.Background(), &metrics); err != nil {
		fmt.Println(err)
		return
	}
	m := metrics.ScopeMetrics[0].Metrics[0]
	for _, p := range m.Data.(metricdata.Histogram[float64]).DataPoints {
		result, _ := p.Attributes.Value("circuit_breaker.result")
		fmt.Println(m.Name, result.AsString(), p.Count, "up to 5 ms:", p.BucketCounts[0])
	}
	// Output:
	// circuit_breaker.call.duration success 1 up to 5 ms: 0
	// circuit_breaker.call.duration failure 1 up to 5 ms: 1
}
