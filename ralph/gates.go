package ralph

import (
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
// of the agent's circuit breaker. It returns ctx.Err() if ctx is already done, and
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
	if b := a.tree.Load(); b != nil {
		if err := b.Err(); err != nil {
			if err := a.pauseForBudget(err); err != nil {
				return err
			}
		}
	}
	if vitals := a.sup.cfg.Vitals; vitals != nil {
		p, err := vitals.Allow(ctx)
		if err != nil {
			return a.pauseForHost(ctx, err)
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

// veto takes in a call that was refused.
func (a *Agent) observeRefusal(tool, args string) {
	at, now := a.sup.clock()
	step := detect.Step{At: at, Tool: tool, Args: args, Refused: true}
	a.mu.Lock()
	findings, _ := a.runAt(at).Observe(step) // it has no numbers
	a.countStep(&step, 0, true)
	a.judge(findings, now)
	a.touch(now)
	a.mu.Unlock()
	a.sup.delivery.deliver()
}

// refused is the refusal that holds, nil in shadow. A stay that is over by the
// clock is left to the schedule.
func (a *Agent) refusalNow() error {
	r := a.refusal.Load()
	if r == nil || a.sup.cfg.Shadow {
		return nil
	}
	return r
}

// unwell pauses the agent for what the host's gate said, and refuses.
func (a *Agent) pauseForHost(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	at, now := a.sup.clock()
	if gone := a.readmitEvicted(now); gone != nil {
		return gone
	}
	a.mu.Lock()
	a.trip(hostCause(err, at), err, now)
	a.mu.Unlock()
	a.sup.delivery.deliver()
	return a.refusalNow()
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

// overspent pauses the agent for a budget that it shares, and refuses.
func (a *Agent) pauseForBudget(err error) error {
	spent, _ := errors.AsType[*detect.ExhaustedError](err) // a budget that was made has no other
	_, now := a.sup.clock()
	if gone := a.readmitEvicted(now); gone != nil {
		return gone
	}
	a.mu.Lock()
	a.trip(causeOf(spent.Finding), nil, now)
	a.mu.Unlock()
	a.sup.delivery.deliver()
	return a.refusalNow()
}

// iteration is one that was asked for, and then its permit.
type iteration struct {
	agent      *Agent
	reserved   *detect.Reservation
	probation  *probation // that it is part of
	generation uint32
	err        error // that of Execute
}

// Allow implements [core.Gate]; it is asked once.
func (it *iteration) Allow(ctx context.Context) (core.Permit, error) {
	a, s := it.agent, it.agent.sup
	if ctx == nil {
		ctx = context.Background()
	}
	if err := ctx.Err(); err != nil {
		return core.Permit{}, err
	}
	_, now := s.clock()
	if s.closed.Load() {
		return core.Permit{}, ErrClosed
	}
	if err := a.readmitEvicted(now); err != nil {
		return core.Permit{}, err
	}
	if err := a.refusalNow(); err != nil {
		return core.Permit{}, err
	}
	var host, own core.Permit
	if s.cfg.Vitals != nil {
		var err error
		if host, err = s.cfg.Vitals.Allow(ctx); err != nil {
			if err = a.pauseForHost(ctx, err); err != nil {
				return core.Permit{}, err
			}
		}
	}
	defer host.Settle(ctx, core.Ignored) // unless it was taken
	own, err := a.breakerOf().Allow(ctx)
	if err != nil {
		return core.Permit{}, err
	}
	defer own.Settle(ctx, core.Ignored)
	if err := it.begin(); err != nil {
		return core.Permit{}, err
	}
	return core.All(taken{&host}, taken{&own}, begun{it}).Allow(ctx)
}

// taken is a gate that hands on a permit that was given already.
type taken struct{ permit *core.Permit }

func (t taken) Allow(context.Context) (core.Permit, error) { return t.permit.Take(), nil }

// begun is a gate for an iteration that has begun.
type begun struct{ it *iteration }

func (b begun) Allow(context.Context) (core.Permit, error) { return core.NewPermit(b.it.settle), nil }

// begin counts the iteration as begun, or refuses it.
func (it *iteration) begin() error {
	a, s := it.agent, it.agent.sup
	at, now := s.clock()
	defer s.delivery.deliver()
	a.mu.Lock()
	defer a.mu.Unlock()
	if t := a.probation; t != nil && !s.cfg.Shadow {
		switch {
		case t.done >= s.cfg.Probation.Iterations:
			a.failProbation(float64(t.done), float64(s.cfg.Probation.Iterations), "iterations", now)
		case t.done+t.out >= s.cfg.Probation.Iterations:
			return a.newRefusal(nil)
		}
	}
	a.endIdle(at, now)
	if err := a.refusalNow(); err != nil { // paused meanwhile
		return err
	}
	if b := a.tree.Load(); b != nil {
		reserved, err := b.Reserve(detect.Use{Iterations: 1}, at)
		if err := a.reserveRefused(err, now); err != nil {
			return err
		}
		it.reserved = reserved
	}
	if it.probation = a.probation; it.probation != nil {
		it.probation.out++
	}
	a.iterates = true
	a.inFlight++
	it.generation = a.generation
	a.runAt(at)
	a.touch(now)
	return nil
}

// rested notes that the agent is at work again: what time has passed between its
// iterations does not make it idle. It needs mu.
func (a *Agent) endIdle(at time.Time, now time.Duration) {
	if a.iterates && a.inFlight == 0 && a.run != nil && a.sup.since(a.run.Due()) <= now {
		findings, _ := a.run.Observe(detect.Step{At: at, Own: true}) // it has no numbers
		a.judge(findings, now)
	}
}

// short acts on what a shared budget says of one more iteration. Where others have
// set aside what is left, the agent is refused but not paused: they may give it back.
// It needs mu.
func (a *Agent) reserveRefused(err error, now time.Duration) error {
	spent, ok := errors.AsType[*detect.ExhaustedError](err)
	switch {
	case !ok:
		return err
	case a.tree.Load().Err() != nil:
		a.trip(causeOf(spent.Finding), nil, now)
		return a.refusalNow()
	case a.sup.cfg.Shadow:
		return nil
	}
	return &PausedError{Agent: a.id, State: a.state, Since: a.wallTime(a.since), Cause: causeOf(spent.Finding), RetryAt: a.wallTime(later(now, time.Second))}
}

// settle counts what became of the iteration.
func (it *iteration) settle(ctx context.Context, o core.Outcome) {
	a := it.agent
	if ctx == nil {
		ctx = context.Background()
	}
	at, now := a.sup.clock()
	end, told := it.end(ctx, at, o)
	if a.readmitEvicted(now) != nil { // it was reset and then forgotten
		if it.reserved != nil {
			it.reserved.Release()
		}
		return
	}
	a.mu.Lock()
	var findings []detect.Finding
	if a.generation == it.generation {
		a.inFlight--
		t := it.probation
		if t != nil {
			t.out--
			t.done++
		}
		if told {
			findings, _ = a.runAt(at).Iteration(end) // it has no numbers
			a.judge(findings, now)
			if t != nil && t == a.probation && !end.Failed {
				a.recordProbationIteration(now)
			}
		}
	}
	if r := it.reserved; r != nil {
		if !told {
			r.Release()
		} else if more, err := r.Settle(detect.Use{Iterations: 1}, at); err == nil && more != nil {
			a.judge(more, now)
			findings = mergeWorst(findings, more)
		}
	}
	a.touch(now)
	a.mu.Unlock()
	a.sup.exhaust(a, findings, now)
	a.sup.delivery.deliver()
}

// end is what the rules are told of the iteration, if told.
func (it *iteration) end(ctx context.Context, at time.Time, o core.Outcome) (end detect.Iteration, told bool) {
	end = detect.Iteration{At: at, Failed: o == core.Failure}
	told = o != core.Ignored
	if err := it.err; err != nil {
		end.Err = err.Error()
		switch {
		case isRefusal(err), isShortage(err): // not its fault; but it must not try again in a loop
			end.Kind, end.Failed = detect.ErrorKindTransient, true
			told = told || ctx.Err() == nil
		default:
			end.Kind = kindOf(err)
			if end.Kind == detect.ErrorKindOther && errors.Is(err, context.DeadlineExceeded) {
				end.Kind = detect.ErrorKindTransient
			}
			if needsPerson(end.Kind) && ctx.Err() == nil { // whatever the breaker makes of it
				end.Failed, told = true, true
			}
		}
		if exit, ok := errors.AsType[interface {
			error
			ExitCode() int
		}](err); ok {
			end.Exit = exit.ExitCode()
		}
	}
	return end, told
}

// guard returns the agent's circuit breaker, made at its first iteration.
func (a *Agent) breakerOf() *core.Breaker {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.breaker == nil {
		a.breaker = core.MustNew(a.id, a.sup.cfg.Breaker) // both were checked
		if a.sup.cfg.Shadow {
			_ = a.breaker.Force(core.Shadow) // a constant
		}
	}
	return a.breaker
}
