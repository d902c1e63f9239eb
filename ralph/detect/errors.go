package detect

import (
	"slices"
	"time"

	"github.com/blackbox4/switchgear/core/failsafe/condition"
)

//nolint:gochecknoglobals // a constant
var errorsInARow = definition{
	rule: RuleErrors, name: "errors", reason: ReasonFailing, severity: condition.High,
	message:  "The last {n} steps all failed. Stop and think: check your assumptions with a small step that cannot fail, then go on from there.",
	evidence: failedCalls,
	limits: []limit{
		{field: "Errors", of: func(r *Rules) *Limits { return &r.Errors }, nudge: 4, trip: 10, least: 1, most: maxCount, strict: Limits{Trip: 5}, unattended: Limits{Trip: 15}},
		{field: "ErrorsAlike", of: func(r *Rules) *Limits { return &r.ErrorsAlike }, nudge: never, trip: 5, least: 1, most: maxCount},
	},
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
		lim := r.d.limits[RuleErrors]
		if trip := r.d.rules.ErrorsAlike.Trip; trip != never && lim.Trip != never && int(n) >= trip && r.errorsAlike() {
			lim.Trip = min(trip, lim.Trip)
		}
		if r.countIn(RuleErrors, lim, n) == LevelNudge {
			r.stallSign(byErrors)
		}
	},
	clear: func(r *Run, _ time.Duration) { r.s.Errors = errorsState{} },
}

type errorsState struct {
	InARow uint32 // steps that failed
}

// errorsAlike reports whether at most 3 of the last 5 calls, which all failed, have
// failed in ways of their own.
func (r *Run) errorsAlike() bool {
	const last, most = 5, 3
	var seen [last]uint32
	different := 0
	for back := range min(last, int(r.s.Ring.Len)) {
		if out := r.s.Ring.Out[r.s.Ring.back(back)]; !slices.Contains(seen[:different], out) {
			seen[different] = out
			different++
		}
	}
	return different <= most
}
