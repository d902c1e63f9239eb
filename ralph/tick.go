package ralph

import (
	"fmt"
	"time"

	"github.com/blackbox4/switchgear/ralph/detect"
)

// schedule tells the schedule when the agent has to be looked at next, if that has
// become sooner, or is no longer needed.
func (a *Agent) schedule() {
	due := never
	switch a.state { //nolint:exhaustive // the others wait for a person
	case Running, Recovering:
		due = a.dueAtWork()
		if due >= a.due { // it is found out then
			return
		}
	case Paused:
		due = min(a.resumeAt, a.escalateAt)
	}
	if due != a.due {
		a.due = due
		a.sup.schedule.put(a, due)
	}
}

// dueAtWork is when time alone may be a finding. Of an agent that asks for
// iterations the time between them is its caller's and not looked at.
func (a *Agent) dueAtWork() time.Duration {
	if a.dormant || a.evicted.Load() || a.iterates && a.inFlight == 0 {
		return never
	}
	due := never
	if a.run != nil {
		due = a.sup.since(a.run.Due())
	}
	if b := a.tree.Load(); b != nil && a.run != nil {
		due = min(due, a.sup.since(b.Due()))
	}
	return due
}

// tick looks at an agent that is due, or was.
func (s *Supervisor) tick(a *Agent) {
	_, _ = a.do(operation{timer: true, do: func(at time.Time, now time.Duration) effect {
		a.due = never    // it has no place in the schedule any more
		switch a.state { //nolint:exhaustive // the others wait for a person
		case Running, Recovering:
			if a.dueAtWork() <= now {
				return effect{findings: a.checkTime(at)}
			}
		case Paused:
			if a.resumeAt <= now {
				a.reconsider(at, now)
			}
			if a.state == Paused && a.escalateAt <= now {
				a.escalate(*a.cause, a.hostErr(), fmt.Sprintf("paused for %v", (now-a.since).Round(time.Second)), now)
			}
		}
		return effect{}
	}, then: func(now time.Duration) {
		if a.due == never {
			a.scheduleAfter(now)
		}
	}})
}

// checkTime returns what comes of time alone, for the agent and the budgets that it
// shares. It needs a run.
func (a *Agent) checkTime(at time.Time) []detect.Finding {
	findings := a.run.Check(at)
	if b := a.tree.Load(); b != nil {
		findings = mergeWorst(findings, b.Check(at))
	}
	return findings
}

// scheduleAfter is schedule for an agent that was looked at now: what is due and has led
// to nothing is not looked at again at once.
func (a *Agent) scheduleAfter(now time.Duration) {
	const rest = time.Second
	if due := a.dueAtWork(); (a.state == Running || a.state == Recovering) && due <= now {
		a.due = now + rest
		a.sup.schedule.put(a, a.due)
		return
	}
	a.schedule()
}

// later is the time d after at, or never.
func later(at, d time.Duration) time.Duration {
	if sum := at + d; sum >= at {
		return sum
	}
	return never
}
