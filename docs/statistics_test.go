package docs_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/otelexport"
	"github.com/blackbox4/switchgear/presets"
	"github.com/blackbox4/switchgear/ralph"
)

// used returns a registry with a breaker that has had nine calls, three of which failed.
func used() (*presets.Registry, *core.Breaker) {
	at := time.Date(2026, time.January, 1, 12, 0, 0, 0, time.UTC)
	registry := &presets.Registry{Attach: func(_ string, p *presets.Policy) {
		p.Now = func() time.Time { return at } // so that all of them end in the same interval
	}}
	breaker, err := registry.Breakers().Get("external-api")
	good(err)
	for i := range 9 {
		if i%3 == 2 {
			breaker.Record(ctx, core.Failure, errDown, 200*time.Millisecond)
		} else {
			breaker.Record(ctx, core.Success, nil, 100*time.Millisecond)
		}
	}
	return registry, breaker
}

func Example_statistics() {
	_, breaker := used()
	supervisor, err := ralph.New(ralph.Config{})
	good(err)
	defer supervisor.Close(ctx)
	_, err = supervisor.Monitor("research-agent-1", ralph.Options{})
	good(err)
	onPage(func() error {
		stats, health := breaker.Snapshot(), breaker.Health()
		fmt.Printf("Success rate: %.1f%%\n", 100*health.SuccessRate)
		fmt.Println("Total calls:", stats.Totals.Calls)

		status, err := supervisor.Status("research-agent-1")
		if err != nil {
			return err
		}
		fmt.Println("Status:", status.State)
		fmt.Println("Circuit breaker:", status.Breaker)
		return nil
	})
	// Output:
	// Success rate: 66.7%
	// Total calls: 9
	// Status: running
	// Circuit breaker: closed
}

func Example_alert() {
	_, breaker := used()
	onPage(func() error {
		if health := breaker.Health(); health.SuccessRate < 0.8 {
			alertTeam(fmt.Sprintf("Low success rate: %.0f%%", 100*health.SuccessRate))
		}
		return nil
	})
	// Output: alert: Low success rate: 67%
}

func Example_export() {
	registry, breaker := used()
	reader := sdkmetric.NewManualReader()
	onPage(func() error {
		// Export as JSON: one breaker, or all of a registry.
		one, err := json.Marshal(breaker.Snapshot())
		if err != nil {
			return err
		}
		var all bytes.Buffer // any io.Writer
		if err := registry.WriteJSON(&all); err != nil {
			return err
		}

		// Export to Prometheus: reader is OpenTelemetry's exporter for it.
		provider := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
		unregister, err := otelexport.Register(provider.Meter(otelexport.ScopeName), registry.Breakers(), nil)
		if err != nil {
			return err
		}
		defer unregister()

		// Get health status.
		health := breaker.Health()
		fmt.Println("Healthy:", health.Healthy)
		for _, reason := range health.Reasons {
			fmt.Println("-", reason)
		}
		// Not on the page.
		var back core.Snapshot
		good(json.Unmarshal(one, &back))
		fmt.Println(len(back.RecentCalls), "calls, the last failed with:", back.RecentCalls[8].Err)
		fmt.Println(all.Len() > 500, json.Valid(all.Bytes()))
		var metrics metricdata.ResourceMetrics
		good(reader.Collect(context.Background(), &metrics))
		fmt.Println(slices.ContainsFunc(metrics.ScopeMetrics[0].Metrics, func(m metricdata.Metrics) bool { return m.Name == "circuit_breaker.calls" }))
		return nil
	})
	// Output:
	// Healthy: false
	// - 66.67 % of all calls succeeded, at least 80 % should
	// - 33.33 % of the calls failed lately, less than 20 % should
	// 9 calls, the last failed with: the service is down
	// true true
	// true
}

func Example_series() {
	_, breaker := used()
	onPage(func() error {
		for _, i := range breaker.Snapshot().History { // five minutes, in steps of five seconds
			fmt.Println(i.Start.Format(time.TimeOnly), i.Mean, i.Calls, i.Failures, i.Refused)
		}
		return nil
	})
	// Output: 12:00:00 133.333333ms 9 3 0
}
