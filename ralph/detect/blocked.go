package detect

import (
	"time"

	"github.com/blackbox4/switchgear/core/failsafe/condition"
)

//nolint:gochecknoglobals // a constant
var blocked = definition{
	rule: RuleBlocked, name: "blocked", reason: ReasonBlocked, severity: condition.High,
	message: "You are waiting for a human. If you can go on with an assumption, name it and go on; otherwise stop here.",
	limits:  []limit{{field: "Blocked", of: func(r *Rules) *Limits { return &r.Blocked }, nudge: 1, trip: 2, least: 1, most: 1000}},
	step: func(r *Run, e *event) {
		s := &r.s.Blocked
		s.Asked = s.Asked || e.Question || e.Blocked
		s.Worked = s.Worked || e.Tool != "" && !e.Question
		if e.Blocked && r.d.limits[RuleBlocked].Trip != never { // it need not wait for the end of the iteration
			r.reach(RuleBlocked, LevelTrip, 1, 1)
		}
	},
	iteration: func(r *Run, it *Iteration) {
		s := &r.s.Blocked
		if (s.Asked || it.Question) && !s.Worked {
			bump(&s.InARow, 1)
		} else {
			s.InARow = 0
		}
		r.count(RuleBlocked, uint32(s.InARow))
		s.Asked, s.Worked = false, false
	},
	clear: func(r *Run, _ time.Duration) { r.s.Blocked = blockedState{} },
}

type blockedState struct {
	InARow uint16 // iterations in which the agent did nothing but ask
	Asked  bool   // in this iteration
	Worked bool   // in this iteration: it has called a tool, but to ask
}
