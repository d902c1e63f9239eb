package ralph

import (
	"errors"
	"iter"
	"time"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/core/failsafe"
	"github.com/blackbox4/switchgear/ralph/detect"
)

// Breaker is the circuit breaker of the agent's iterations, which has the agent's id for
// a name: for its Snapshot, Health and Explain. Nil for an Agent that is nil or zero.
// It is another one after the agent was evicted or the program started anew.
func (a *Agent) Breaker() *core.Breaker {
	if !a.made() {
		return nil
	}
	return a.breakerOf()
}

// AgentBreakers ranges over the circuit breakers of the agents that have had an
// iteration, each by "agent/" and the id of its agent, in no particular order. It is for
// exporters of metrics, which have limits of their own on how many they export.
func (s *Supervisor) AgentBreakers() iter.Seq2[string, *core.Breaker] {
	return func(yield func(string, *core.Breaker) bool) {
		for _, a := range s.list() {
			a.mu.Lock()
			b := a.breaker
			a.mu.Unlock()
			if b != nil && !yield("agent/"+a.id, b) {
				return
			}
		}
	}
}

// breakerOf returns the agent's circuit breaker, made at its first iteration.
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

// pauseForBreaker pauses the agent if its circuit breaker is open, unless failures pause
// no agent by Rules.Failures: refusals alone would tell no person that the agent gets
// nowhere.
func (a *Agent) pauseForBreaker(err error) {
	open, ok := errors.AsType[*core.OpenError](err)
	if !ok || open.State != core.Open || a.sup.cfg.failuresTrip() < 0 {
		return
	}
	_ = a.tripFor(func(at time.Time) Cause {
		return Cause{Rule: RuleBreaker, Reason: detect.ReasonFailing, Severity: failsafe.Medium, Message: "too many of its iterations failed: " + open.Error(), At: at}
	}, nil)
}
