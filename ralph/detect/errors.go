package detect

import (
	"time"

	"github.com/blackbox4/switchgear/core/failsafe/condition"
)

//nolint:gochecknoglobals // a constant
var errorsInARow = definition{
	rule: RuleErrors, name: "errors", reason: ReasonFailing, severity: condition.High,
	message:  "The last {n} steps all failed. Stop and think: check your assumptions with a small step that cannot fail, then go on from there.",
	evidence: failedCalls,
	limits:   []limit{{"Errors", func(r *Rules) *Limits { return &r.Errors }, 4, 5, 1, maxCount}},
	step: func(r *Run, e *event) {
		s := &r.s.Errors
		switch {
		case !e.counts:
			return
		case e.failed:
			r.s.Totals.Errors++
			s.InARow++
		case e.class != ClassUnjudged: // thinking aloud always goes well
			s.InARow = 0
		}
		n := s.InARow
		if n == r.s.Transient.Steps {
			n = 0
		}
		if r.count(RuleErrors, n) == LevelNudge {
			r.stallSign(byErrors)
		}
	},
	clear: func(r *Run, _ time.Duration) { r.s.Errors = errorsState{} },
}

type errorsState struct {
	InARow uint32 // steps that failed
}
