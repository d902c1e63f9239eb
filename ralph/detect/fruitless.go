package detect

import (
	"time"

	"github.com/blackbox4/switchgear/core/failsafe/condition"
)

//nolint:gochecknoglobals // a constant
var fruitless = definition{
	rule: RuleFruitless, name: "fruitless", reason: ReasonStuck, severity: condition.Medium,
	message:  "The last {n} calls have all found nothing, in whatever words. What you look for may not be there: look for it elsewhere, or say that it is not there.",
	evidence: func(r *Run, back, _ int) bool { return back < int(r.s.Fruitless.InARow) },
	limits:   []limit{{field: "Fruitless", of: func(r *Rules) *Limits { return &r.Fruitless }, nudge: 6, trip: 40, least: 2, most: maxCount, strict: Limits{Trip: 20}}},
	step: func(r *Run, e *event) {
		switch {
		case e.Tool == "" || e.Refused || e.class == ClassUnjudged || e.flags&isPoll != 0:
		case e.same && r.s.Fruitless.InARow > 0, (!e.same || r.s.Repeat.Same < 2) && foundNothing(e.Step):
			r.s.Fruitless.InARow++
			r.count(RuleFruitless, r.s.Fruitless.InARow)
		default:
			forgetFruitless(r, 0)
		}
	},
	clear:    forgetFruitless,
	progress: forgetFruitless,
}

type fruitlessState struct {
	InARow uint32 // calls that have found nothing
}

func forgetFruitless(r *Run, _ time.Duration) {
	r.s.Fruitless = fruitlessState{}
	r.s.Marks.forget(RuleFruitless)
}
