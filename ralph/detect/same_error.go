package detect

import (
	"github.com/blackbox4/switchgear/core/failsafe/condition"
)

//nolint:gochecknoglobals // a constant
var sameError = definition{
	rule: RuleSameError, name: "same_error", reason: ReasonFailing, severity: condition.High,
	message: "The same error of {tool} has come {n} times. Do not try the same again: read what the error says, correct its cause, or do without the tool.",
	evidence: func(r *Run, back, i int) bool {
		return failedCalls(r, back, i) && r.s.Ring.Out[i] == r.s.Ring.Out[r.s.Ring.back(0)]
	},
	limits: []limit{{field: "SameError", of: func(r *Rules) *Limits { return &r.SameError }, nudge: 3, trip: 5, least: 1, most: recent}},
	step: func(r *Run, e *event) {
		if e.Tool == "" || !e.failed || ruleOfKind(e.Kind) != 0 {
			return
		}
		all := r.alikeAmong(recent, r.s.SameError.Since, func(i int) bool {
			// Passing errors have another kind, and are counted in a row.
			return r.s.Ring.Flags[i]&(failed|kindMask) == failed && r.s.Ring.Out[i] == uint32(e.outcome)
		})
		if r.among(r.s.SameError.Since, func(i int) bool {
			return r.s.Ring.Out[i] == uint32(e.outcome) && r.s.Ring.Call[i] != uint32(e.call)
		}) > 0 {
			all.drift = still // numbers say how one call gets on, and nothing of several
		}
		r.keyed(RuleSameError, e.outcome, all.trust(r.d.limits[RuleSameError]))
	},
	nudged: func(r *Run) { r.s.SameError.Since = r.s.Made },
}

type sameErrorState struct {
	Since uint32 // number of the call after which the rule counts
}
