package ralph

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/core/failsafe"
	"github.com/blackbox4/switchgear/ralph/detect"
)

var (
	errNilFunc = errors.New("ralph: nil function")
	errNoAgent = errors.New("ralph: the Agent is nil, or was not made by Supervisor.Monitor")
)

// made reports whether a is of Supervisor.Monitor's making.
func (a *Agent) made() bool { return a != nil && a.sup != nil }

// Allow implements [core.Gate]: it is [Agent.AllowIteration].
func (a *Agent) Allow(ctx context.Context) (core.Permit, error) { return a.AllowIteration(ctx) }

// AllowIteration admits an iteration, one pass of the loop that drives the agent,
// with a permit that must be settled on every way out of it, or refuses it: with a
// [*PausedError] for the agent, the host or a budget, or with the [*core.OpenError]
// of the agent's circuit breaker, which pauses the agent if the breaker is open. It returns ctx.Err() if ctx is already done, and
// [ErrClosed] or [ErrUnknownAgent] for what they say. A nil ctx is
// [context.Background].
//
// What is settled counts for the breaker, which classifies it, see Config.Breaker, and
// for the rules; for those, what the caller cancelled counts nothing. A permit may be
// kept for as long as the iteration takes: one that was given to try whether the agent
// works again, and is late to tell, still closes its breaker.
func (a *Agent) AllowIteration(ctx context.Context) (core.Permit, error) {
	if !a.made() {
		return core.Permit{}, errNoAgent
	}
	return (&iteration{agent: a}).Allow(ctx)
}

// AllowModelCall admits a call of a model, or refuses it with a [*PausedError]; see
// [Agent.AllowIteration]. It is the gate that must not be left out: an agent whose
// tools are refused goes on calling its model. There is nothing to settle, what
// the call has used is told by [Agent.Observe]. It costs a few atomic loads.
func (a *Agent) AllowModelCall(ctx context.Context) error {
	if !a.made() {
		return errNoAgent
	}
	if ctx == nil {
		ctx = context.Background()
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := a.refusalNow(); err != nil {
		return err
	}
	if spent := a.spentBudget(); spent != nil {
		if err := a.tripFor(func(time.Time) Cause { return causeOf(spent.Finding) }, nil); err != nil {
			return err
		}
	}
	if vitals := a.sup.cfg.Vitals; vitals != nil {
		p, err := vitals.Allow(ctx)
		if err != nil {
			return a.refuseForHost(ctx, err)
		}
		p.Settle(ctx, core.Ignored)
	}
	return nil
}

// AllowTool admits a call of a tool, or refuses it with a [*PausedError], which can
// be rendered as the tool's result. A refusal is observed as a step that got
// nowhere: an agent that makes the same call again and again while it is paused is
// escalated. A tool gate alone stops nothing, see [Agent.AllowModelCall].
func (a *Agent) AllowTool(ctx context.Context, tool, args string) error {
	err := a.AllowModelCall(ctx)
	if refusal, ok := errors.AsType[*PausedError](err); ok {
		a.observeRefusal(tool, args)
		if latest := a.refusal.Load(); latest != nil {
			return latest
		}
		return refusal
	}
	return err
}

// observeRefusal takes in a call that was refused.
func (a *Agent) observeRefusal(tool, args string) {
	_, _ = a.do(operation{do: func(at time.Time, _ time.Duration) effect {
		step := detect.Step{At: at, Tool: tool, Args: args, Refused: true}
		findings, _ := a.runAt(at).Observe(step) // it has no numbers
		a.countStep(&step, 0, true)
		return effect{findings: findings, active: true}
	}})
}

// refusalNow is the refusal that holds, nil in shadow. A stay that is over by the
// clock is left to the schedule.
func (a *Agent) refusalNow() error {
	r := a.refusal.Load()
	if r == nil || a.sup.cfg.Shadow {
		return nil
	}
	return r
}

// tripFor pauses or escalates the agent for a cause outside of its rules, and refuses;
// err is what the host's gate said, or nil.
func (a *Agent) tripFor(cause func(at time.Time) Cause, err error) error {
	_, gone := a.do(operation{do: func(at time.Time, now time.Duration) effect {
		a.trip(cause(at), err, now)
		return effect{}
	}})
	return cmp.Or(gone, a.refusalNow())
}

// refuseForHost pauses the agent for what the host's gate said, and refuses.
func (a *Agent) refuseForHost(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return a.tripFor(func(at time.Time) Cause { return hostCause(err, at) }, err)
}

// hostCause is the worst of what the host's gate said.
func hostCause(err error, at time.Time) Cause {
	c := Cause{Rule: RuleHost, Reason: detect.ReasonTransient, Severity: failsafe.Medium, Message: err.Error(), At: at}
	if f, ok := errors.AsType[*failsafe.Error](err); ok && len(f.Conditions) > 0 {
		worst := f.Conditions[0]
		c.Rule, c.Severity, c.Count, c.Threshold, c.Message = string(worst.Type), worst.Severity, worst.Value, worst.Threshold, worst.Message
	}
	return c
}
