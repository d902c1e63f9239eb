package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"

	"github.com/blackbox4/switchgear/otelexport"
	"github.com/blackbox4/switchgear/ralph"
	"github.com/blackbox4/switchgear/ralph/detect"
)

var _ otelexport.Agents = (*ralph.Supervisor)(nil)

// crew are agents, one for each thing that the dashboard can show of them, by
// names that are their ids, too.
type crew struct {
	*ralph.Supervisor

	mu          sync.Mutex
	handoffs    map[[3]string]int
	escalations map[[2]string]int
	confidences map[string]float64
}

// newCrew returns agents that are well.
func newCrew() (*crew, error) {
	c := &crew{handoffs: make(map[[3]string]int), escalations: make(map[[2]string]int), confidences: make(map[string]float64)}
	never := detect.Limits{Nudge: -1, Trip: -1}
	var err error
	c.Supervisor, err = ralph.New(ralph.Config{
		Rules:           detect.Rules{Confidence: detect.ConfidenceLimits{Nudge: -1, Trip: -1, High: -1}, Calls: never, ErrorRate: never},
		AutoResumeAfter: shortBreak, EscalationTimeout: -1,
		OnEvent: c.note,
	})
	if err != nil {
		return nil, err
	}
	for _, name := range []string{"researcher", "doubter", "coder", "runner", "writer", "critic", "planner", "tester", "clerk"} {
		if _, err := c.Monitor(name, ralph.Options{Name: name}); err != nil {
			return nil, err
		}
	}
	return c, c.hand("writer", "critic", "a draft")
}

func (c *crew) note(e ralph.Event) {
	if e.Kind == ralph.EventEscalated {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.escalations[[2]string{e.Name, e.Cause.Reason.String()}]++
	}
}

// hand hands over, and counts whether it may. A refusal is no error.
func (c *crew) hand(from, to, payload string) error {
	_, err := c.Handoff(from, to, payload)
	result := "allowed"
	if err != nil {
		result = "refused"
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.handoffs[[3]string{from, to, result}]++
	if _, refused := errors.AsType[*ralph.PausedError](err); refused {
		return nil
	}
	return err
}

// work is what they do until ctx is done.
func (c *crew) work(ctx context.Context, outage func() bool) error {
	for i := 0; ctx.Err() == nil; i++ {
		err := c.does("researcher", .9, detect.Step{Tool: "read", Args: page(i), Output: page(3*i + 1)})
		if outage() {
			err = c.strays(i, err)
		}
		if err != nil {
			return err
		}
		pause(ctx, 4*pace)
	}
	return nil
}

// strays are those that something is wrong with.
func (c *crew) strays(i int, err error) error {
	for _, next := range []func() error{
		func() error {
			return c.does("doubter", .2, detect.Step{Tool: "read", Args: page(i), Output: page(5*i + 2)})
		},
		func() error {
			return c.does("coder", 0, detect.Step{Tool: "edit", Args: "main.go", Output: "no change"})
		},
		func() error {
			return c.does("runner", 0, detect.Step{Tool: "test", Args: page(i), Err: "build failed"})
		},
		func() error { return c.hand("writer", "critic", "this is for you, not for me") },
		func() error { return c.hand("critic", "writer", "this is for you, not for me") },
	} {
		if err == nil {
			err = next()
		}
	}
	return err
}

// does observes a step, of which a confidence of zero says none.
func (c *crew) does(name string, confidence float64, step detect.Step) error {
	a, err := c.Agent(name)
	if err != nil {
		return err
	}
	if confidence > 0 {
		step.Confidence = &confidence
		c.mu.Lock()
		c.confidences[name] = confidence
		c.mu.Unlock()
	}
	_, err = a.Observe(step)
	return err
}

// page is a text that differs from others in more than numbers.
func page(i int) string {
	return strings.NewReplacer("0", "north ", "1", "east ", "2", "south ", "3", "west ", "4", "home ").Replace(strconv.FormatInt(int64(i), 5))
}

// interfere is what people do in the outage.
func (c *crew) interfere() error {
	if err := c.Stop("clerk", "ann", "done"); err != nil {
		return err
	}
	if err := c.Pause("planner", detect.ReasonExhausted, "ann", "wait for the budget"); err != nil {
		return err
	}
	return c.Pause("tester", detect.ReasonTransient, "ann", "the lab is closed") // it goes on by itself, on trial
}

// report is what must have been exported, counted by the agents themselves and by
// what this program saw: values by metric and labels.
func (c *crew) report() map[string]float64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := make(map[string]float64)
	for _, s := range c.Statuses() {
		out["circuit_breaker.agent.status{circuit_breaker_agent_state,"+s.State.String()+"}"]++
		for result, n := range map[string]uint64{"progress": s.Progress, "no_progress": s.NoProgress, "error": s.Totals.Errors} {
			out[fmt.Sprintf("circuit_breaker.agent.steps{circuit_breaker_result,%s,gen_ai_agent_name,%s}", result, s.Name)] += float64(n)
		}
	}
	for k, n := range c.escalations {
		out[fmt.Sprintf("circuit_breaker.agent.escalations{circuit_breaker_transition_reason,%s,gen_ai_agent_name,%s}", k[1], k[0])] = float64(n)
	}
	for k, n := range c.handoffs {
		out[fmt.Sprintf("circuit_breaker.agent.handoffs{circuit_breaker_agent_source,%s,circuit_breaker_agent_target,%s,circuit_breaker_result,%s}", k[0], k[1], k[2])] = float64(n)
	}
	for name, v := range c.confidences {
		out["circuit_breaker.agent.confidence{gen_ai_agent_name,"+name+"}"] = v
	}
	return out
}
