package ralph

import (
	"cmp"
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/core/failsafe"
	"github.com/blackbox4/switchgear/ralph/detect"
)

// Pause pauses an agent by hand, for a reason that decides how it goes on, as for
// any other pause: [detect.ReasonStuck], [detect.ReasonFailing] and [detect.ReasonTransient] are
// resumed by themselves, zero and [detect.ReasonBlocked] wait for a person,
// [detect.ReasonExhausted] for a budget to be raised; and a pause longer than
// EscalationTimeout is an escalation. The note says why; by is who did it. An agent
// that is paused, escalated or stopped already is left as it is. The error matches
// [ErrUnknownAgent].
func (s *Supervisor) Pause(id string, why detect.Reason, by, note string) error {
	if !s.made() {
		return errNoSupervisor
	}
	if why > detect.ReasonTransient {
		return &core.ConfigError{Field: "why", Value: why, Allowed: "a reason of package detect, or 0"}
	}
	return s.operate(id, func(a *Agent, _ time.Time, now time.Duration) error {
		if a.state == Running || a.state == Recovering {
			c := Cause{Rule: RuleManual, Reason: or(why, detect.ReasonBlocked), Severity: failsafe.Medium, Message: clipped(note), At: a.wallTime(now)}
			a.pause(c, nil, clipped(by), clipped(note), now)
		}
		return nil
	})
}

// Resume lets an agent go on that is paused, recovering, escalated or stopped: a
// person, by, says so, and may add a note. It is running then, what was counted in
// a row or in a window is forgotten, and so is how often it has been resumed;
// totals, budgets and fingerprints of progress are kept. One that has used up a budget
// is not resumed: the error matches [detect.ErrExhausted], and [Supervisor.Update]
// or [Agent.NewTask] has to come first. Of an agent that is running nothing is
// changed. The error matches [ErrUnknownAgent].
func (s *Supervisor) Resume(id, by, note string) error {
	return s.operate(id, func(a *Agent, at time.Time, now time.Duration) error {
		if a.state == Running {
			return nil
		}
		if a.exhausted() {
			return fmt.Errorf("ralph: agent %s cannot go on (%s): raise its budget by Update, or begin a new task: %w", quoted(id), a.cause, detect.ErrExhausted)
		}
		a.resume(Running, clipped(by), clipped(note), at, now)
		return nil
	})
}

// TryResume resumes a paused agent at once, on probation, if that is safe, and reports
// whether it did: the host is well, the agent's circuit breaker is not open, no budget is
// used up, and it has been resumed by itself less than Config.MaxRecoveryAttempts times,
// of which this is one. It is what happens by itself when the pause is over, see
// [Config], but sooner, and also for an agent that was paused by hand. It reports false,
// and changes nothing, for an agent that is in any other state, unknown, or escalated:
// that is for a person, see [Supervisor.Resume]; and always where nothing is resumed by
// itself.
func (s *Supervisor) TryResume(id string) (resumed bool) {
	_ = s.operate(id, func(a *Agent, at time.Time, now time.Duration) error {
		most := s.cfg.MaxRecoveryAttempts
		if a.state != Paused || int(a.attempts) >= most {
			return nil
		}
		_, resumed = a.tryResume(at, now)
		return nil
	})
	return resumed
}

// Update changes what o gives of an agent: its name, ids and budgets. A budget that is
// raised lets an agent that has used it up be resumed by itself as from any other
// pause; one that was escalated still waits for [Supervisor.Resume]. The error is a
// [*core.ConfigError] or matches [ErrUnknownAgent].
func (s *Supervisor) Update(id string, o Options) error {
	if !s.made() {
		return errNoSupervisor
	}
	if err := s.check(id, o); err != nil {
		return err
	}
	a, err := s.Agent(id)
	if err != nil {
		return err
	}
	return s.change(a, o)
}

// Reset makes an agent what it was when it was first monitored, running and with
// nothing counted, but for its events and its options. Its circuit breaker is closed.
// Iterations that are out count for nothing. What it has used of a tree's budget
// stays used. The error matches [ErrUnknownAgent].
func (s *Supervisor) Reset(id string) error {
	return s.operate(id, func(a *Agent, _ time.Time, now time.Duration) error {
		from := a.state
		a.run, a.attempts, a.inFlight, a.fingerprints, a.task, a.hops = nil, 0, 0, false, 0, 0
		a.calls, a.steps, a.handoffs = [recentCalls]uint32{}, [numResults]uint32{}, 0
		a.clearNudges()
		a.lastConfidence.Store(0)
		a.generation++
		a.stoppedFor.Store(nil)
		if a.breaker != nil {
			a.breaker.Reset()
		}
		a.enter(Running, nil, nil, now)
		a.addEvent(Event{Kind: EventReset, From: from, To: Running}, now)
		a.schedule()
		return nil
	})
}

// Stop ends an agent: its work is over. By is the person or program that says so.
// Everything is refused until the agent is resumed or reset; when it has been idle for
// Config.Idle, it may be evicted. The error matches [ErrUnknownAgent].
func (s *Supervisor) Stop(id, by, note string) error {
	return s.operate(id, func(a *Agent, _ time.Time, now time.Duration) error {
		if a.state == Stopped {
			return nil
		}
		from := a.state
		a.resumeAt, a.escalateAt = never, never
		c := Cause{Rule: RuleManual, Message: clipped(note), At: a.wallTime(now)}
		a.enter(Stopped, &c, nil, now)
		a.addEvent(Event{Kind: EventStopped, From: from, To: Stopped, By: clipped(by), Note: clipped(note)}, now)
		a.schedule()
		return nil
	})
}

// Detect looks at an agent now, also at what comes of time alone, and acts on what
// it finds. It returns all that is wrong, worst first: what the agent is paused for
// or has to be told, and the conditions of the host, if the gate Vitals says them by
// a method Conditions. The error matches [ErrUnknownAgent].
func (s *Supervisor) Detect(id string) ([]failsafe.Condition, error) {
	if !s.made() {
		return nil, errNoSupervisor
	}
	var all []failsafe.Condition
	if v, ok := s.cfg.Vitals.(interface{ Conditions() []failsafe.Condition }); ok {
		all = v.Conditions()
	}
	err := s.operate(id, func(a *Agent, at time.Time, now time.Duration) error {
		if (a.state == Running || a.state == Recovering) && a.run != nil {
			a.judge(a.checkTime(at), now)
		}
		if a.cause != nil && a.state != Stopped {
			all = append(all, a.cause.condition())
		}
		for _, n := range a.waitingNudges() {
			all = append(all, failsafe.Condition{Type: failsafe.Type(n.rule.String()), Severity: failsafe.Low, Message: n.text, At: at})
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	worstFirst(all)
	return all, nil
}

// waitingNudges are the nudges that were not told yet. It needs mu.
func (a *Agent) waitingNudges() []nudge {
	if a.journal == nil {
		return nil
	}
	return a.journal.nudges
}

// operate is [Agent.do] for an operation of a person, or of the caller, on an agent.
func (s *Supervisor) operate(id string, f func(a *Agent, at time.Time, now time.Duration) error) error {
	if !s.made() {
		return errNoSupervisor
	}
	if s.closed.Load() {
		return ErrClosed
	}
	a, err := s.Agent(id)
	if err != nil {
		return err
	}
	var fault error
	_, err = a.do(operation{do: func(at time.Time, now time.Duration) effect {
		fault = f(a, at, now)
		return effect{}
	}})
	return cmp.Or(err, fault)
}

// clipped is a text of a person's fit to be kept.
func clipped(s string) string {
	const most = 1024
	if len(s) > most {
		s = s[:most] + "…"
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}

// clippedTo is the beginning of a text, fit to be an id.
func clippedTo(s string, most int) string {
	valid := strings.ToValidUTF8(s[:min(len(s), most)], "") // first: Map makes three bytes of a wrong one
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, valid)
}
