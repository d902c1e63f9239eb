package detect

import (
	"time"

	"github.com/blackbox4/switchgear/core/failsafe/condition"
)

//nolint:gochecknoglobals // a constant
var sameCall = definition{
	rule: RuleSameCall, name: "same_call", reason: ReasonStuck, severity: condition.Low,
	message:  "You have made the same call of {tool} {n} times in a row. If you are looking for something, say what, and look for it in another way.",
	evidence: func(r *Run, back, _ int) bool { return back < int(r.s.SameCall.InARow) },
	limits:   []limit{{field: "SameCall", of: func(r *Rules) *Limits { return &r.SameCall }, nudge: 10, trip: never, least: 2, most: maxCount}},
	step: func(r *Run, e *event) {
		if e.judged && r.count(RuleSameCall, r.s.SameCall.InARow) == LevelNudge {
			r.stallSign(bySameCall)
		}
	},
	clear:    forgetSameCalls,
	progress: forgetSameCalls,
}

type sameCallState struct {
	InARow uint32 // the same call, each with a new outcome
}

func (s *sameCallState) add(e *event) {
	switch {
	case !e.sameCall || e.class != ClassOrdinary || e.flags&isPoll != 0:
		s.InARow = 1
	case !e.same:
		s.InARow++
	}
}

func forgetSameCalls(r *Run, _ time.Duration) {
	r.s.SameCall = sameCallState{}
	r.s.Marks.forget(RuleSameCall)
}
