package otelexport_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/blackbox4/switchgear/otelexport"
	"github.com/blackbox4/switchgear/ralph"
)

// TestAgentsBreakersAreExported: those of a supervisor that is registered, like any
// others and once, until it is unregistered.
func TestAgentsBreakersAreExported(t *testing.T) {
	provider, reader := newProvider(t)
	supervisor, err := ralph.New(ralph.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer supervisor.Close(context.Background())
	work := func(id string, failed error, n int) {
		t.Helper()
		a, err := supervisor.Monitor(id, ralph.Options{Name: "writer"})
		if err != nil {
			t.Fatal(err)
		}
		for range n {
			if err := a.Execute(t.Context(), func(context.Context) error { return failed }); !errors.Is(err, failed) {
				t.Fatal(err)
			}
		}
	}
	work("ticket-1", nil, 4)
	work("ticket-2", errors.New("no"), 3)
	meter := provider.Meter(otelexport.ScopeName)
	var leave []func() error
	for range 2 {
		unregister, err := otelexport.RegisterAgents(meter, supervisor)
		if err != nil {
			t.Fatal(err)
		}
		leave = append(leave, unregister)
	}
	got := collect(t, reader)
	got.want(t, values{
		"calls{name=agent/ticket-1,result=success}":                               4,
		"calls{name=agent/ticket-2,result=failure}":                               3,
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
