package main

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/blackbox4/switchgear/presets"
)

// functions are the three protected ones. To their callers they are what they
// were before.
type functions struct {
	gateway *gateway
	charge  func(ctx context.Context, cents int) (string, error)
	invoice func(ctx context.Context) error
	search  func(ctx context.Context, query string) (string, error)
}

// protect puts the functions behind breakers in registry.
func protect(registry *presets.Registry) functions {
	here := func(p *presets.Policy) { p.Registry = registry }
	pay := new(gateway)
	return functions{
		gateway: pay,

		// The file describes payments, which comes before the policy here; but a
		// health check does not fit into a file.
		charge: presets.MustProtect("payments", presets.ExternalAPI().With(here).With(func(p *presets.Policy) {
			p.HealthCheck = pay.ping
		}), pay.charge),

		// The file describes billing-*, a breaker for each region.
		invoice: presets.MustProtectFunc("billing-eu", presets.Database().With(here), func(context.Context) error { return nil }),

		// The file says nothing of search, so this holds. Without an answer
		// there is an old one.
		search: presets.Fallback(
			presets.MustProtect("search", presets.NonCriticalService().With(here).With(func(p *presets.Policy) {
				p.FailureThreshold = 2
			}), find),
			func(_ context.Context, query string, err error) (string, error) {
				return fmt.Sprintf("yesterday's %s (%v)", query, err), nil
			},
		),
	}
}

// gateway stands for a payment service that is sometimes down.
type gateway struct {
	down  atomic.Bool
	asked atomic.Int64 // to charge
}

var errDown = errors.New("the gateway does not answer")

func (g *gateway) charge(_ context.Context, cents int) (string, error) {
	g.asked.Add(1)
	if g.down.Load() {
		return "", errDown
	}
	return fmt.Sprintf("paid %d.%02d", cents/100, cents%100), nil
}

// ping asks whether the gateway is well, without a charge.
func (g *gateway) ping(context.Context) error {
	if g.down.Load() {
		return errDown
	}
	return nil
}

func find(context.Context, string) (string, error) { return "", errors.New("the index is being built") }
