package detect

import (
	"time"

	"github.com/blackbox4/switchgear/core/failsafe/condition"
)

//nolint:gochecknoglobals // a constant
var noSteps = definition{
	rule: RuleNoSteps, name: "no_steps", reason: ReasonStuck, severity: condition.Medium,
	message: "{n} iterations in a row have ended without a single step. Do something in the next one, or say that the work is done.",
	limits:  []limit{{field: "NoSteps", of: func(r *Rules) *Limits { return &r.NoSteps }, nudge: 5, trip: 50, least: 1, most: maxCount, strict: Limits{Trip: 20}}},
	step:    func(r *Run, _ *event) { r.s.NoSteps.Worked, r.s.NoSteps.Tells = true, true },
	iteration: func(r *Run, it *Iteration) {
		s := &r.s.NoSteps
		if s.Worked || it.Output > 0 || it.failed() {
			s.InARow = 0
		} else if bump(&s.InARow, 1); !s.Tells {
			s.InARow = 0 // of an agent whose steps are never told nothing is known
		}
		s.Worked = false
		r.count(RuleNoSteps, uint32(s.InARow))
	},
	clear:    func(r *Run, _ time.Duration) { r.s.NoSteps.InARow = 0 },
	progress: func(r *Run, _ time.Duration) { r.s.NoSteps.InARow = 0 },
}

type noStepsState struct {
	InARow uint16 // iterations without a step
	Worked bool   // there was a step in this one
	Tells  bool   // there was a step ever
}
