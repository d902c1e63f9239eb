package main

import (
	"context"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/otelexport"
	"github.com/blackbox4/switchgear/otelexport/sdkproducer"
	"github.com/blackbox4/switchgear/otelexport/setup"
)

// export sends what is to be known of the breakers, with exemplars of "billing", and
// of the agents where OTEL_* says. Another breaker of that name is elsewhere in the
// program, by mistake.
func export(ctx context.Context, registry *core.Registry, all map[string]dependency, agents otelexport.Agents) (shutdown func(context.Context) error, err error) {
	durations, err := sdkproducer.New(registry, nil)
	if err != nil {
		return nil, err
	}
	billing := all["billing"]
	billing.config.Hooks = durations.Hooks(billing.config.Hooks)
	all["billing"] = billing

	shutdown, err = setup.OpenTelemetry(ctx, registry, &setup.Options{Durations: durations, Agents: agents})
	if err != nil {
		return nil, err
	}
	_, err = otelexport.Register(nil, otelexport.Breakers(core.MustNew("billing", core.Config{})), nil)
	return shutdown, err
}
