package ralph

import (
	"context"
	"time"

	"github.com/blackbox4/switchgear/core"
)

// resume lets the agent go on: on probation, or for good if a person says so.
func (a *Agent) resume(to State, by, note string, at time.Time, now time.Duration) {
	from, c := a.state, Cause{}
	if a.cause != nil {
		c = *a.cause
	}
	if to == Recovering {
		a.attempts++
		a.probation = new(probation)
		a.enter(to, &c, nil, now)
	} else {
		a.attempts = 0
		a.enter(to, nil, nil, now)
	}
	if a.run != nil {
		a.run.Resume(at)
	}
	if s := a.root().session.Load(); s != nil {
		s.resume(at)
	}
	a.clearNudges()
	a.addEvent(Event{Kind: EventResumed, From: from, To: to, Cause: c, By: by, Note: note, Attempt: int(a.attempts)}, now)
	a.schedule()
}

// reconsider resumes a paused agent if nothing is against it, and puts it off
// otherwise. It gives the lock back while the host's gate is asked.
func (a *Agent) reconsider(at time.Time, now time.Duration) {
	stay := a.transitions
	next, _ := a.tryResume(at, now)
	if a.transitions != stay || a.state != Paused {
		return
	}
	if next != never && a.escalateAt > now {
		next = min(next, a.escalateAt) // once more before it is given up
	}
	a.resumeAt = next
	a.renewRefusal()
	a.schedule()
}

// tryResume resumes a paused agent on probation if nothing is against it, and says otherwise
// when to try again. It gives the lock back while the host's gate is asked.
func (a *Agent) tryResume(at time.Time, now time.Duration) (next time.Duration, resumed bool) {
	stay := a.transitions
	a.mu.Unlock()
	sick := a.sup.hostRefuses()
	a.mu.Lock()
	if a.transitions != stay || a.state != Paused {
		return never, false
	}
	until, refusing := a.breakerRefuses(now)
	switch {
	case sick:
	case a.exhausted():
		return never, false
	case refusing:
		return max(until, now+time.Millisecond), false
	default:
		a.resume(Recovering, "", "", at, now)
		return never, true
	}
	return later(now, a.sup.cfg.pauseFor(int(a.attempts))), false
}

// breakerRefuses reports whether the circuit breaker refuses every iteration, and until when.
func (a *Agent) breakerRefuses(now time.Duration) (until time.Duration, refuses bool) {
	if a.breaker == nil {
		return 0, false
	}
	b := a.breaker.Snapshot()
	until = a.sup.since(b.RetryAt)
	waits := b.State == core.HalfOpen && until != never && until > now // for iterations that are out for long
	return until, b.State == core.Open || waits
}

// hostRefuses reports whether the host's gate refuses; one that panics or calls runtime.Goexit
// does. It must be called without a lock.
func (s *Supervisor) hostRefuses() bool {
	if s.cfg.Vitals == nil {
		return false
	}
	well := make(chan bool, 1)
	go func() { // the timer's goroutine has others to call on
		answer := false
		defer func() {
			_ = recover()
			well <- answer
		}()
		ctx := context.Background()
		p, err := s.cfg.Vitals.Allow(ctx)
		p.Settle(ctx, core.Ignored)
		answer = err == nil
	}()
	return !<-well
}
