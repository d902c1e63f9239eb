package ralph

import (
	"context"
	"fmt"
	"time"

	"github.com/blackbox4/switchgear/core"
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

// probation is what an agent has used since it was resumed by itself.
type probation struct {
	out, done int // iterations
	steps     int
	fresh     int // steps that were progress
	tokens    int64
	cost      float64
}

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

// passProbation ends a probation well.
func (a *Agent) passProbation(now time.Duration) {
	c := *a.cause
	a.enter(Running, nil, nil, now)
	a.addEvent(Event{Kind: EventRecovered, From: Recovering, To: Running, Cause: c, Attempt: int(a.attempts)}, now)
}

// failProbation ends a probation in which the agent has got nowhere.
func (a *Agent) failProbation(count, threshold float64, unit string, now time.Duration) {
	after := a.cause.Rule
	if after == RuleRecovery {
		after = a.cause.After
	}
	c := Cause{
		Rule: RuleRecovery, Reason: a.cause.Reason, Severity: failsafe.Medium, Count: count, Threshold: threshold, At: a.wallTime(now),
		Message: fmt.Sprintf("on probation after a pause for %q, there was no progress in %s %s of %s", after, number(count), unit, number(threshold)),
		Agents:  a.cause.Agents, After: after,
	}
	if !resumable(c.Reason) {
		c.Reason = detect.ReasonStuck
	}
	a.trip(c, nil, now)
}

// recordProbationIteration takes in an iteration of a probation that ended well. A fingerprint of progress, if
// the agent has any, is still to come.
func (a *Agent) recordProbationIteration(now time.Duration) {
	if t := a.probation; !a.fingerprints && (t.fresh > 0 || t.steps == 0) {
		a.passProbation(now)
	}
}

// recordProbationStep takes in a step of a probation; fresh says that it was something new.
func (a *Agent) recordProbationStep(step *detect.Step, fresh bool, now time.Duration) {
	t, limit := a.probation, a.sup.cfg.Probation
	if step.Own {
		return
	}
	t.steps++
	t.tokens += max(step.Tokens, 0)
	if step.Cost > 0 {
		t.cost += step.Cost
	}
	if fresh {
		t.fresh++
	}
	switch {
	case !a.fingerprints && !a.iterates && t.fresh >= limit.Iterations:
		a.passProbation(now)
	case limit.Steps > 0 && t.steps >= limit.Steps:
		a.failProbation(float64(t.steps), float64(limit.Steps), "steps", now)
	case limit.Tokens > 0 && t.tokens >= int64(limit.Tokens):
		a.failProbation(float64(t.tokens), float64(limit.Tokens), "tokens", now)
	case limit.Cost > 0 && t.cost >= limit.Cost:
		a.failProbation(t.cost, limit.Cost, "of cost", now)
	}
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

// later is the time d after at, or never.
func later(at, d time.Duration) time.Duration {
	if sum := at + d; sum >= at {
		return sum
	}
	return never
}
