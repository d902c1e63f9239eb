package ralph

import (
	"fmt"
	"time"

	"github.com/blackbox4/switchgear/core/failsafe"
	"github.com/blackbox4/switchgear/ralph/detect"
)

// The state machine. Everything here needs Agent.mu, but where it says otherwise.
//
//	Running ── medium ──→ Paused ── resume ──→ Recovering ── progress ──→ Running
//	   │                   │   ↑                    │
//	   │                   │   └──── none, trip ────┘
//	   └── high ──→ Escalated ←── timeout, attempts used up, high ──┘
//
// Only a person leads out of Escalated and Stopped.

// judge acts on findings, worst first.
func (a *Agent) judge(findings []detect.Finding, now time.Duration) {
	for i := range findings {
		f := &findings[i]
		switch f.Level {
		case detect.LevelNudge:
			if a.state != Running && a.state != Recovering {
				continue
			}
			if st := a.ensureJournal(); len(st.nudges) < maxNudges {
				st.nudges = append(st.nudges, nudge{rule: f.Rule, text: f.Message})
			}
			a.addEvent(Event{Kind: EventNudged, From: a.state, To: a.state, Cause: causeOf(*f)}, now)
		case detect.LevelTrip:
			a.trip(causeOf(*f), nil, now)
		}
	}
}

// trip pauses or escalates for c; err is what the host's gate said. Whatever is
// worse already stays.
func (a *Agent) trip(c Cause, err error, now time.Duration) {
	most := a.sup.cfg.MaxRecoveryAttempts
	switch a.state {
	case Running:
		if a.attempts > 0 && now-a.since >= a.sup.cfg.MaxResumeAfter {
			a.attempts = 0
		}
	case Recovering:
	case Paused:
		if c.Severity >= failsafe.High {
			a.escalate(c, err, "", now)
		}
		return
	case Escalated, Stopped:
		return
	}
	switch {
	case c.Severity >= failsafe.High:
		a.escalate(c, err, "", now)
	case resumable(c.Reason) && most > 0 && int(a.attempts) >= most:
		a.escalate(c, err, fmt.Sprintf("resumed %d times by itself, and none of it lasted", a.attempts), now)
	default:
		a.pause(c, err, "", "", now)
	}
}

// resumable reports whether an agent that is paused for that reason may go on by
// itself; one that has used up a budget only after a raise, see Update.
func resumable(r detect.Reason) bool {
	return r == detect.ReasonStuck || r == detect.ReasonFailing || r == detect.ReasonTransient
}

func (a *Agent) pause(c Cause, err error, by, note string, now time.Duration) {
	from := a.state
	a.resumeAt, a.escalateAt = never, later(now, a.sup.cfg.EscalationTimeout)
	if resumable(c.Reason) && a.sup.cfg.MaxRecoveryAttempts > 0 {
		a.resumeAt = now + a.sup.cfg.pauseFor(int(a.attempts))
		if until, refuses := a.breakerRefuses(now); refuses { // then not before its circuit breaker admits it
			a.resumeAt = max(a.resumeAt, min(until, a.escalateAt))
		}
	}
	a.enter(Paused, &c, err, now)
	a.addEvent(Event{Kind: EventPaused, From: from, To: Paused, Cause: c, By: by, Note: note, Attempt: int(a.attempts), ResumeAt: a.wallTime(a.resumeAt)}, now)
	a.schedule()
}

func (a *Agent) escalate(c Cause, err error, note string, now time.Duration) {
	from := a.state
	a.resumeAt, a.escalateAt = never, never
	a.enter(Escalated, &c, err, now)
	a.role.escalations[min(int(c.Reason), numReasons-1)].Add(1)
	a.addEvent(Event{Kind: EventEscalated, From: from, To: Escalated, Cause: c, Note: note, Attempt: int(a.attempts)}, now)
	a.schedule()
}

// enter changes the state.
func (a *Agent) enter(to State, c *Cause, err error, now time.Duration) {
	if !a.evicted.Load() {
		a.sup.states[a.state].Add(-1)
		a.sup.states[to].Add(1)
	}
	a.state, a.cause, a.since = to, c, now
	a.transitions++
	if to != Recovering {
		a.probation = nil
	}
	if to == Running || to == Recovering {
		a.resumeAt, a.escalateAt = never, never
		a.refusal.Store(nil)
	} else {
		a.clearNudges()
		a.refusal.Store(a.newRefusal(err))
	}
	a.save(true)
}

// newRefusal is the refusal of the state; err is what the host's gate said, if that
// is the cause.
func (a *Agent) newRefusal(err error) *PausedError {
	e := &PausedError{Agent: a.id, State: a.state, Since: a.wallTime(a.since), Attempt: int(a.attempts), RetryAt: a.wallTime(a.resumeAt), err: err}
	if a.cause != nil {
		e.Cause = *a.cause
	}
	return e
}

// renewRefusal is a new refusal for a pause whose end has changed.
func (a *Agent) renewRefusal() {
	a.refusal.Store(a.newRefusal(a.hostErr()))
}

// hostErr is what the host's gate said, if that is why the agent is paused.
func (a *Agent) hostErr() error { return a.refusal.Load().err }

// addEvent completes an event, keeps it and leaves it to be told.
func (a *Agent) addEvent(e Event, now time.Duration) {
	cfg := &a.sup.cfg
	st := a.ensureJournal()
	st.seq++
	e.Seq, e.At, e.Agent, e.Name, e.Shadow = st.seq, a.wallTime(now), a.id, a.role.name, cfg.Shadow
	e.Session, e.Task = a.identity().session, a.identity().task
	switch {
	case cfg.Events == 0:
	case len(st.events) < cfg.Events:
		st.events = append(st.events, e)
	default:
		copy(st.events, st.events[1:])
		st.events[len(st.events)-1] = e
	}
	a.sup.delivery.add(e)
	a.save(true)
}

// wallTime is a time of the epoch's as others read it; never is the zero time.
func (a *Agent) wallTime(d time.Duration) time.Time {
	if d == never {
		return time.Time{}
	}
	return a.sup.epoch.Add(d)
}
