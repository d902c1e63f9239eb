package setup_test

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/otelexport"
	"github.com/blackbox4/switchgear/otelexport/events"
	"github.com/blackbox4/switchgear/otelexport/setup"
)

// One call for a program that has no provider. The environment says where to;
// this one says nowhere.
func ExampleOpenTelemetry() {
	os.Setenv("OTEL_METRICS_EXPORTER", "none")
	defer os.Unsetenv("OTEL_METRICS_EXPORTER")

	registry := &core.Registry{Config: func(string) core.Config {
		return core.Config{Durations: true, Hooks: otelexport.SpanHooks(events.Hooks(nil, core.Hooks{}))}
	}}
	shutdown, err := setup.OpenTelemetry(context.Background(), registry, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer shutdown(context.Background())

	orders, err := registry.Get("orders")
	if err != nil {
		fmt.Println(err)
		return
	}
	for range 6 {
		err = orders.Do(context.Background(), func(context.Context) error { return errors.New("down") })
	}
	fmt.Println(errors.Is(err, core.ErrOpen))
	// Output:
	// true
}
