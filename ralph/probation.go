package ralph

import (
	"fmt"
	"time"

	"github.com/blackbox4/switchgear/core/failsafe"
	"github.com/blackbox4/switchgear/ralph/detect"
)

// probation is what an agent has used since it was resumed by itself.
type probation struct {
	out, done int // iterations
	steps     int
	fresh     int // steps that were progress
	tokens    int64
	cost      float64
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
