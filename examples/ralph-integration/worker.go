package main

import (
	"context"
	"errors"
	"time"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/ralph"
	"github.com/blackbox4/switchgear/ralph/detect"
)

// worker is an agent as a program has it: a model, its tools and a conversation.
type worker struct {
	supervisor *ralph.Supervisor
	agent      *ralph.Agent
	model      func(ctx context.Context, conversation []message) (reply, error)
	tool       func(name, args string) (string, error)
	state      func() string                    // what the work looks like; nil if that is not known
	say        func(format string, args ...any) // tells what the agent does

	conversation []message
	cost         float64  // of the model, not observed yet
	handed       *handoff // the work is a colleague's now
	done         bool
}

type message struct{ from, text string }

// reply is what a model answers: calls of tools, or work for another agent.
type reply struct {
	calls   []call
	handoff *handoff
	done    bool
	cost    float64
}

type call struct{ tool, args string }

type handoff struct{ to, payload string }

// errUnavailable is what a tool returns that cannot reach its server at the moment.
var errUnavailable = errors.New("503 service unavailable")

// work has iterations until the work is done.
func (w *worker) work(ctx context.Context) error {
	for !w.done {
		if err := w.turn(ctx); err != nil {
			return err
		}
	}
	return nil
}

// turn has one iteration. It waits out a pause that ends by itself; where a person
// has to come, it returns the refusal.
func (w *worker) turn(ctx context.Context) error {
	for {
		err := w.agent.Execute(ctx, w.iterate)
		refusal, refused := errors.AsType[*core.OpenError](err) // the supervisor's, or the agent's circuit breaker's
		if !refused || refusal.RetryAt.IsZero() {
			return err
		}
		const grace = 10 * time.Millisecond // it is resumed at that time, or put off
		if err := sleep(ctx, max(time.Until(refusal.RetryAt), 0)+grace); err != nil {
			return err
		}
	}
}

// iterate asks the model once and does what it wants.
func (w *worker) iterate(ctx context.Context) error {
	if text, ok := w.agent.Nudge(); ok {
		w.hear("the supervisor", text)
		w.say("is told: %s", text)
	}
	if err := w.agent.AllowModelCall(ctx); err != nil {
		return err
	}
	reply, err := w.model(ctx, w.conversation)
	if err != nil {
		return err
	}
	w.cost += reply.cost
	for _, c := range reply.calls {
		result, err := w.use(ctx, c)
		if err != nil {
			return err
		}
		w.hear(c.tool, result)
	}
	if reply.handoff != nil {
		if err := w.handOn(reply.handoff); err != nil {
			return err
		}
	}
	if w.state != nil {
		w.agent.Progress(w.state())
	}
	w.done = reply.done
	return nil
}

// use calls a tool and returns what the model is to be told: the result, what went
// wrong, or why the call was not made.
func (w *worker) use(ctx context.Context, c call) (string, error) {
	if err := w.agent.AllowTool(ctx, c.tool, c.args); err != nil {
		return w.refusal(c.tool+" "+c.args, err)
	}
	output, err := w.tool(c.tool, c.args)
	step := detect.Step{Tool: c.tool, Args: c.args, Output: output, Cost: w.cost}
	w.cost = 0
	if err != nil {
		output = "error: " + err.Error()
		step.Err = err.Error()
		if errors.Is(err, errUnavailable) {
			step.Kind = detect.ErrorKindTransient
		}
	}
	w.say("%s %s: %s", c.tool, c.args, output)
	_, err = w.agent.Observe(step)
	return output, err
}

// handOn gives the work to a colleague, if it may.
func (w *worker) handOn(h *handoff) error {
	w.say("to %s: %s", h.to, h.payload)
	if _, err := w.supervisor.Handoff(w.agent.ID(), h.to, h.payload); err != nil {
		result, err := w.refusal("this", err)
		w.hear("handoff", result)
		return err
	}
	w.handed = h
	return nil
}

// refusal makes a result of a tool of the supervisor's refusal; other errors stay
// what they are.
func (w *worker) refusal(what string, err error) (string, error) {
	paused, ok := errors.AsType[*ralph.PausedError](err)
	if !ok {
		return "", err
	}
	w.say("%s is refused, and told: %s", what, paused.ToolResult())
	return paused.ToolResult(), nil
}

func (w *worker) hear(from, text string) {
	w.conversation = append(w.conversation, message{from, text})
}
