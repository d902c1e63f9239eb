package detect

import (
	"time"

	"github.com/blackbox4/switchgear/core/failsafe/condition"
)

//nolint:gochecknoglobals // a constant
var calls = definition{
	rule: RuleCalls, name: "calls", reason: ReasonExhausted, severity: condition.High,
	message: "You have made {n} calls in this iteration. End it with what you have.",
	limits:  []limit{{field: "Calls", of: func(r *Rules) *Limits { return &r.Calls }, nudge: 500, trip: never, least: 1, most: maxCount, strict: Limits{Nudge: 160, Trip: 200}, unattended: Limits{Nudge: 2000}}},
	step: func(r *Run, e *event) {
		if e.Tool != "" {
			r.s.Calls.Here++
			r.count(RuleCalls, r.s.Calls.Here)
		}
	},
	iteration: func(r *Run, _ *Iteration) {
		r.s.Calls.Here = 0
		r.s.Marks.Reached[RuleCalls] = 0
	},
	clear: func(r *Run, _ time.Duration) { r.s.Calls = callsState{} },
}

type callsState struct {
	Here uint32 // calls in this iteration
}
