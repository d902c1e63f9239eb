package detect

import (
	"time"

	"github.com/blackbox4/switchgear/core/failsafe/condition"
)

//nolint:gochecknoglobals // a constant
var failures = definition{
	rule: RuleFailures, name: "failures", reason: ReasonFailing, severity: condition.Medium,
	message: "{n} iterations in a row have failed. Do not start the next one in the same way: find out why they fail.",
	limits:  []limit{{field: "Failures", of: func(r *Rules) *Limits { return &r.Failures }, nudge: 2, trip: 3, least: 1, most: maxCount}},
	iteration: func(r *Run, it *Iteration) {
		s := &r.s.Failures
		if !it.failed() {
			s.InARow = 0
			r.s.Marks.Reached[RuleFailures] = 0
			return
		}
		r.s.Totals.Failures++
		passing := r.onlyTransient()
		s.InARow++
		if !passing {
			r.count(RuleFailures, s.InARow)
		}
	},
	clear: func(r *Run, _ time.Duration) { r.s.Failures = failuresState{} },
}

type failuresState struct {
	InARow uint32 // iterations that failed
}

// failed reports whether the iteration did not end well.
func (it *Iteration) failed() bool {
	return it.Failed || it.Err != "" || it.Exit != 0 || it.Kind != ErrorKindOther
}
