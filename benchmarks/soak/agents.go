package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/ralph"
	"github.com/blackbox4/switchgear/ralph/detect"
)

const agentsLayer = "agents (ralph)"

// staff are agents, and what their driver has counted.
type staff struct {
	supervisor *ralph.Supervisor
	agents     []*ralph.Agent

	iterations, failed, refused, steps, handoffs, refusedHandoffs atomic.Int64

	task atomic.Int64
}

func newStaff(w *world) (*staff, error) {
	supervisor, err := ralph.New(ralph.Config{
		Path:              filepath.Join(w.dir, "agents"),
		Breaker:           core.Config{FailureThreshold: 4, Timeout: 30 * time.Millisecond, ProbeTimeout: time.Hour, CallTimeout: time.Hour},
		AutoResumeAfter:   50 * time.Millisecond,
		EscalationTimeout: time.Second,
	})
	if err != nil {
		return nil, err
	}
	w.closers = append(w.closers, func() { _ = supervisor.Close(context.Background()) })
	s := &staff{supervisor: supervisor}
	const crew = 6
	for i := range crew {
		agent, err := supervisor.Monitor("agent-"+strconv.Itoa(i), ralph.Options{Name: []string{"writer", "reviewer"}[i%2]})
		if err != nil {
			return nil, err
		}
		s.agents = append(s.agents, agent)
	}
	return s, nil
}

func (s *staff) drive(ctx context.Context, wg *sync.WaitGroup) {
	const workers = 3
	for i := range workers {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(i), workers))
			for ctx.Err() == nil {
				s.iterate(context.WithoutCancel(ctx), s.agents[rng.IntN(len(s.agents))], rng)
				time.Sleep(2 * time.Millisecond)
			}
		})
	}
}

var errIteration = errors.New("the iteration failed")

// iterate is one pass of an agent's loop.
func (s *staff) iterate(ctx context.Context, agent *ralph.Agent, rng *rand.Rand) {
	defer func() { _ = recover() }() // a panic of an iteration passes through
	err := agent.Execute(ctx, func(ctx context.Context) error {
		s.iterations.Add(1)
		_, _ = agent.Nudge()
		if err := agent.AllowModelCall(ctx); err != nil {
			s.failed.Add(1)
			return errIteration
		}
		const kinds = 20
		switch kind := rng.IntN(kinds); {
		case kind == 0:
			s.failed.Add(1)
			panic("in an iteration")
		case kind <= 2:
			s.failed.Add(1)
			s.observe(agent, detect.Step{Tool: "fetch", Args: "x", Err: "connection refused"})
			return errIteration
		case kind <= 5:
			s.observe(agent, detect.Step{Tool: "list", Args: "the same", Output: "the same"})
		case kind == 6:
			s.handOff(agent, rng)
		default:
			n := strconv.FormatInt(s.task.Add(1), 10)
			s.observe(agent, detect.Step{Tool: "edit", Args: n, Output: "changed " + n, Tokens: 10})
			agent.Progress(n)
		}
		return nil
	})
	if errors.Is(err, core.ErrOpen) {
		s.refused.Add(1)
		if rng.IntN(10) == 0 { // else it waits to be resumed by itself
			agent.NewTask("task " + strconv.FormatInt(s.task.Add(1), 10))
			_ = s.supervisor.Resume(agent.ID(), "soak", "") // its circuit may be what refuses
		}
	}
}

func (s *staff) observe(agent *ralph.Agent, step detect.Step) {
	s.steps.Add(1)
	_, _ = agent.Observe(step) // what it finds is not what is counted
}

func (s *staff) handOff(agent *ralph.Agent, rng *rand.Rand) {
	_, err := s.supervisor.Handoff(agent.ID(), s.agents[rng.IntN(len(s.agents))].ID(), "part "+strconv.FormatInt(s.task.Add(1), 10))
	if err != nil {
		s.refusedHandoffs.Add(1)
	} else {
		s.handoffs.Add(1)
	}
}

// rows are one for the iterations and one for the steps.
func (s *staff) rows(m *metrics) []row {
	var totals detect.Totals
	iterations, steps := row{layer: agentsLayer + ", iterations"}, row{layer: agentsLayer + ", steps"}
	differs := func(r *row, what string, driver, is int64) {
		if driver != is {
			r.wrong = append(r.wrong, fmt.Sprintf("%s: counted %d, not %d", what, driver, is))
		}
	}
	for _, status := range s.supervisor.Statuses() {
		totals.Iterations += status.Totals.Iterations
		totals.Failures += status.Totals.Failures
		totals.Steps += status.Totals.Steps
		totals.Errors += status.Totals.Errors
		differs(&iterations, "iterations of "+status.ID+" in flight", 0, int64(status.InFlight))
	}
	iterations.calls, iterations.failures, iterations.refusals = totals.Iterations, totals.Failures, uint64(s.refused.Load())
	iterations.successes = totals.Iterations - totals.Failures
	differs(&iterations, "iterations", s.iterations.Load(), int64(totals.Iterations))
	differs(&iterations, "failures", s.failed.Load(), int64(totals.Failures))

	steps.calls, steps.failures = totals.Steps, totals.Errors
	steps.successes = totals.Steps - totals.Errors
	// A hand-off that is refused because one of the two is paused is a step, too,
	// and one that was one too many is not.
	if is, least := int64(totals.Steps), s.steps.Load(); is < least || is > least+s.refusedHandoffs.Load() {
		differs(&steps, "steps", least, is)
	}
	sums := make(map[string]int64)
	for of, n := range s.supervisor.AgentHandoffs() {
		sums[of[2]] += int64(n)
	}
	differs(&steps, "allowed hand-offs", s.handoffs.Load(), sums["allowed"])
	differs(&steps, "refused hand-offs", s.refusedHandoffs.Load(), sums["refused"])
	if err := m.collect(); err != nil {
		steps.wrong = append(steps.wrong, err.Error())
	}
	for _, c := range []*collected{m.cumulative, m.delta} {
		differs(&steps, "steps in the metrics", int64(totals.Steps), c.sum(agentsLayer, "circuit_breaker.agent.steps"))
		differs(&steps, "hand-offs in the metrics", s.handoffs.Load()+s.refusedHandoffs.Load(), c.sum(agentsLayer, "circuit_breaker.agent.handoffs"))
		differs(&steps, "agents in the metrics", int64(len(s.agents)), c.sum(agentsLayer, "circuit_breaker.agent.status"))
	}
	steps.wrong = append(steps.wrong, m.faults(agentsLayer)...)
	for _, r := range []*row{&iterations, &steps} {
		if r.calls == 0 {
			r.wrong = append(r.wrong, "there were none")
		}
	}
	return []row{iterations, steps}
}
