package otelexport_test

import (
	"context"
	"errors"
	"iter"
	"strings"
	"testing"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/otelexport"
)

// guarded is a staff whose agents have circuit breakers, as a *ralph.Supervisor has.
type guarded struct {
	staff

	breakers []*core.Breaker
}

func (g *guarded) AgentBreakers() iter.Seq2[string, *core.Breaker] {
	return func(yield func(string, *core.Breaker) bool) {
		for _, b := range g.breakers {
			if !yield("agent/"+b.Name(), b) {
				return
			}
		}
	}
}

// TestAgentsBreakersAreExported: those of agents that are registered, like any others
// and once, until they are unregistered.
func TestAgentsBreakersAreExported(t *testing.T) {
	provider, reader := newProvider(t)
	well, failing := core.MustNew("ticket-1", core.Config{}), core.MustNew("ticket-2", core.Config{FailureThreshold: 3})
	for range 4 {
		_ = well.Do(t.Context(), func(context.Context) error { return nil })
		_ = failing.Do(t.Context(), func(context.Context) error { return errDown })
	}
	agents, meter := &guarded{breakers: []*core.Breaker{well, failing}}, provider.Meter(otelexport.ScopeName)
	var leave []func() error
	for range 2 {
		unregister, err := otelexport.RegisterAgents(meter, agents)
		if err != nil {
			t.Fatal(err)
		}
		leave = append(leave, unregister)
	}
	collect(t, reader).want(t, values{
		"calls{name=agent/ticket-1,result=success}":                               4,
		"calls{name=agent/ticket-2,result=failure}":                               3,
		"calls{name=agent/ticket-2,result=rejected}":                              1,
		"status{name=agent/ticket-1,state=closed}":                                1,
		"status{name=agent/ticket-2,state=open}":                                  1,
		"state.transitions{name=agent/ticket-2,state=open,state.previous=closed}": 1,
		"all.calls{result=success}":                                               4, // registered twice, counted once
		"export.skipped{skip.reason=duplicate}":                                   0,
	})
	for _, unregister := range leave {
		if err := errors.Join(unregister(), unregister()); err != nil {
			t.Error(err)
		}
	}
	for line := range collect(t, reader) {
		if strings.HasPrefix(line, "status{name=agent/") {
			t.Errorf("%s is exported still", line)
		}
	}
}
