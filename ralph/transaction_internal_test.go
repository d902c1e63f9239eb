package ralph

import (
	"context"
	"reflect"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/ralph/detect"
)

// TestEveryOperationStopsTheTree goes over all exported methods of Agent and Supervisor:
// each is an operation, after which no agent goes on whose shared budget is used up, or
// only reads. A new method fails the test until it is in one of the lists.
func TestEveryOperationStopsTheTree(t *testing.T) {
	ctx := t.Context()
	operations := map[string]func(s *Supervisor, a *Agent){
		"Agent.Observe":         func(_ *Supervisor, a *Agent) { _, _ = a.Observe(detect.Step{Tool: "x"}) },
		"Agent.Progress":        func(_ *Supervisor, a *Agent) { a.Progress("p") },
		"Agent.ProgressUnknown": func(_ *Supervisor, a *Agent) { a.ProgressUnknown() },
		"Agent.Nudge":           func(_ *Supervisor, a *Agent) { a.Nudge() },
		"Agent.NewTask":         func(_ *Supervisor, a *Agent) { a.NewTask("another") },
		"Agent.Allow":           func(_ *Supervisor, a *Agent) { _, _ = a.Allow(ctx) },
		"Agent.AllowIteration":  func(_ *Supervisor, a *Agent) { _, _ = a.AllowIteration(ctx) },
		"Agent.AllowModelCall":  func(_ *Supervisor, a *Agent) { _ = a.AllowModelCall(ctx) },
		"Agent.AllowTool":       func(_ *Supervisor, a *Agent) { _ = a.AllowTool(ctx, "x", "") },
		"Agent.Execute":         func(_ *Supervisor, a *Agent) { _ = a.Execute(ctx, func(context.Context) error { return nil }) },
		"Supervisor.Monitor":    func(s *Supervisor, _ *Agent) { _, _ = s.Monitor("c", Options{Parent: "boss"}) },
		"Supervisor.Update":     func(s *Supervisor, a *Agent) { _ = s.Update(a.id, Options{Name: "n"}) },
		"Supervisor.Handoff":    func(s *Supervisor, a *Agent) { _, _ = s.Handoff(a.id, "b", "work") },
		"Supervisor.Detect":     func(s *Supervisor, a *Agent) { _, _ = s.Detect(a.id) },
		"Supervisor.Pause":      func(s *Supervisor, a *Agent) { _ = s.Pause(a.id, 0, "", "") },
		"Supervisor.Resume":     func(s *Supervisor, a *Agent) { _ = s.Resume(a.id, "", "") },
		"Supervisor.TryResume":  func(s *Supervisor, a *Agent) { s.TryResume(a.id) },
		"Supervisor.Reset":      func(s *Supervisor, a *Agent) { _ = s.Reset(a.id) },
		"Supervisor.Stop":       func(s *Supervisor, a *Agent) { _ = s.Stop(a.id, "", "") },
	}
	readers := []string{
		"Agent.ID", "Agent.Breaker", "Agent.Status", "Agent.Explain",
		"Supervisor.Agent", "Supervisor.All", "Supervisor.AgentBreakers", "Supervisor.AgentConfidence", "Supervisor.AgentEscalations",
		"Supervisor.AgentHandoffs", "Supervisor.AgentStates", "Supervisor.AgentSteps", "Supervisor.Explain", "Supervisor.Stats",
		"Supervisor.Status", "Supervisor.Statuses", "Supervisor.Close",
	}
	for _, of := range []reflect.Type{reflect.TypeFor[*Agent](), reflect.TypeFor[*Supervisor]()} {
		for method := range of.Methods() {
			name := of.Elem().Name() + "." + method.Name
			if (operations[name] != nil) == slices.Contains(readers, name) {
				t.Errorf("%s is in none of the lists, or in both", name)
			}
		}
	}
	operations["the timer"] = func(s *Supervisor, a *Agent) { s.tick(a) }
	for name, operate := range operations {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { stopsTree(t, func(s *Supervisor, a *Agent, _ *core.Permit) { operate(s, a) }) })
		})
	}
	t.Run("the end of an iteration", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			stopsTree(t, func(_ *Supervisor, _ *Agent, p *core.Permit) { p.Settle(ctx, core.Success) })
		})
	})
}

// stopsTree fails if an operation on the agent "a", which has a permit, leaves another
// at work though the budget that both share is used up.
func stopsTree(t *testing.T, operate func(*Supervisor, *Agent, *core.Permit)) {
	s, err := New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close(t.Context()) }()
	boss, err := s.Monitor("boss", Options{Tree: detect.Budgets{Tokens: 10}})
	if err != nil {
		t.Fatal(err)
	}
	a, _ := s.Monitor("a", Options{Parent: "boss"})
	b, _ := s.Monitor("b", Options{Parent: "boss"})
	permit, err := a.AllowIteration(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	at, _ := s.clock()
	if _, err := boss.tree.Load().Spend(detect.Use{Tokens: 10}, at); err != nil { // not by an operation
		t.Fatal(err)
	}
	operate(s, a, &permit)
	for _, one := range []*Agent{boss, b} {
		if st := one.Status(); st.State != Escalated {
			t.Errorf("%s is %v, want it to be escalated", one.id, st.State)
		}
	}
}
