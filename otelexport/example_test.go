package otelexport_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/otelexport"
)

// Metrics of every breaker of a registry, those that are made later included.
func Example() {
	reader := sdkmetric.NewManualReader() // a program has one that exports
	provider := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))

	registry := new(core.Registry)
	unregister, err := otelexport.Register(provider.Meter(otelexport.ScopeName), registry, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer unregister()

	orders, err := registry.Get("orders")
	if err != nil {
		fmt.Println(err)
		return
	}
	for range 8 { // five fail, then it is open
		_ = orders.Do(context.Background(), func(context.Context) error { return errors.New("down") })
	}

	var metrics metricdata.ResourceMetrics
	if err := reader.Collect(context.Background(), &metrics); err != nil {
		fmt.Println(err)
		return
	}
	for _, m := range metrics.ScopeMetrics[0].Metrics {
		data, ok := m.Data.(metricdata.Sum[int64])
		if !ok || m.Name != "circuit_breaker.calls" && m.Name != "circuit_breaker.status" {
			continue
		}
		var lines []string
		for _, p := range data.DataPoints {
			lines = append(lines, fmt.Sprintf("%s{%s} %d", m.Name, p.Attributes.Encoded(attribute.DefaultEncoder()), p.Value))
		}
		slices.Sort(lines)
		fmt.Println(strings.ReplaceAll(strings.Join(lines, "\n"), "circuit_breaker.", ""))
	}
	// Output:
	// calls{name=orders,result=failure} 5
	// calls{name=orders,result=ignored} 0
	// calls{name=orders,result=rejected} 3
	// calls{name=orders,result=success} 0
	// status{name=orders,state=closed} 0
	// status{name=orders,state=disabled} 0
	// status{name=orders,state=forced_open} 0
	// status{name=orders,state=half_open} 0
	// status{name=orders,state=open} 1
}

// Hooks compose: what there is already is called as well.
func ExampleSpanHooks() {
	hooks := core.Hooks{Transition: func(_ context.Context, t core.Transition) { fmt.Println(t.To, "because of", t.Reason()) }}
	b := core.MustNew("orders", core.Config{Hooks: otelexport.SpanHooks(hooks)})
	for range 8 {
		_ = b.Do(context.Background(), func(context.Context) error { return errors.New("down") })
	}
	// Output:
	// open because of consecutive failures (5)
}
