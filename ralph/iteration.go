package ralph

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/ralph/detect"
)

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
	if s.closed.Load() {
		return core.Permit{}, ErrClosed
	}
	if err := a.refusalNow(); err != nil {
		return core.Permit{}, err
	}
	var host, own core.Permit
	if s.cfg.Vitals != nil {
		var err error
		if host, err = s.cfg.Vitals.Allow(ctx); err != nil {
			if err = a.refuseForHost(ctx, err); err != nil {
				return core.Permit{}, err
			}
		}
	}
	defer host.Settle(ctx, core.Ignored) // unless it was taken
	own, err := a.breakerOf().Allow(ctx)
	if err != nil {
		a.pauseForBreaker(err)
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

func (t taken) Allow(context.Context) (core.Permit, error) { return t.permit.Move(), nil }

// begun is a gate for an iteration that has begun.
type begun struct{ it *iteration }

func (b begun) Allow(context.Context) (core.Permit, error) { return core.NewPermit(b.it.settle), nil }

// begin counts the iteration as begun, or refuses it.
func (it *iteration) begin() error {
	var refusal error
	_, err := it.agent.do(operation{do: func(at time.Time, now time.Duration) effect {
		refusal = it.admit(at, now)
		return effect{}
	}})
	return cmp.Or(err, refusal)
}

// admit is begin under the agent's lock.
func (it *iteration) admit(at time.Time, now time.Duration) error {
	a, s := it.agent, it.agent.sup
	if p := a.probation; p != nil && !s.cfg.Shadow {
		switch {
		case p.done >= s.cfg.Probation.Iterations:
			a.failProbation(float64(p.done), float64(s.cfg.Probation.Iterations), "iterations", now)
		case p.done+p.out >= s.cfg.Probation.Iterations:
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
	a.touch()
	return nil
}

// endIdle notes that the agent is at work again: what time has passed between its
// iterations does not make it idle. It needs mu.
func (a *Agent) endIdle(at time.Time, now time.Duration) {
	if a.iterates && a.inFlight == 0 && a.run != nil && a.sup.since(a.run.Due()) <= now {
		findings, _ := a.run.Observe(detect.Step{At: at, Own: true}) // it has no numbers
		a.judge(findings, now)
	}
}

// reserveRefused acts on what a shared budget says of one more iteration. Where others have
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
	var end detect.Iteration
	told, counts := false, false // to the rules; it was not reset since
	_, err := a.do(operation{do: func(at time.Time, _ time.Duration) effect {
		end, told = it.end(ctx, at, o)
		e := effect{active: true}
		if it.reserved != nil {
			e.reserved, e.use, e.unused = it.reserved, detect.Use{Iterations: 1}, !told
		}
		if counts = a.generation == it.generation; !counts {
			return e
		}
		a.inFlight--
		if p := it.probation; p != nil {
			p.out--
			p.done++
		}
		if told {
			e.findings, _ = a.runAt(at).Iteration(end) // it has no numbers
		}
		return e
	}, then: func(now time.Duration) {
		if p := it.probation; counts && told && p != nil && p == a.probation && !end.Failed {
			a.recordProbationIteration(now)
		}
	}})
	if err != nil { // it was reset and then evicted
		it.reserved.Release()
	}
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
