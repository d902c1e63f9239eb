package detect

import (
	"time"

	"github.com/blackbox4/switchgear/core/failsafe/condition"
)

// Passing errors alone are that, and not a failing agent: RuleErrors and RuleFailures
// leave them to this rule.

//nolint:gochecknoglobals // a constant
var transient = definition{
	rule: RuleTransient, name: "transient", reason: ReasonTransient, severity: condition.Medium,
	message:  "What you call was not available {n} times in a row. Wait before you try again, or do something that does not need it.",
	evidence: failedCalls,
	limits:   []limit{{field: "Transient", of: func(r *Rules) *Limits { return &r.Transient }, nudge: 3, trip: 5, least: 1, most: maxCount, unattended: Limits{Trip: 20}}},
	step: func(r *Run, e *event) {
		s := &r.s.Transient
		switch {
		case !e.counts:
			return
		case e.failed && e.Kind == ErrorKindTransient:
			s.Steps++
		case e.failed, e.class != ClassUnjudged: // thinking aloud always goes well
			s.Steps = 0
		}
		r.count(RuleTransient, max(s.Steps, s.Iterations))
	},
	iteration: func(r *Run, it *Iteration) {
		s := &r.s.Transient
		if !it.failed() || it.Kind != ErrorKindTransient {
			s.Iterations = 0
			return
		}
		s.Iterations++
		if r.onlyTransient() {
			r.count(RuleTransient, max(s.Steps, s.Iterations))
		}
	},
	clear: func(r *Run, _ time.Duration) { r.s.Transient = transientState{} },
}

// transientState counts, of the last errors, how many were passing.
type transientState struct {
	Steps      uint32
	Iterations uint32
}

// onlyTransient reports whether all iterations that failed in a row, the last of them
// included, failed for passing errors.
func (r *Run) onlyTransient() bool { return r.s.Transient.Iterations == r.s.Failures.InARow+1 }
