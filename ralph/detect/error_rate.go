package detect

import (
	"cmp"
	"slices"
	"time"

	"github.com/blackbox4/switchgear/core/failsafe/condition"
)

//nolint:gochecknoglobals // a constant
var errorRate = definition{
	rule: RuleErrorRate, name: "error_rate", reason: ReasonFailing, severity: condition.Medium,
	message: "{n} % of the latest steps failed. Stop and find out what they have in common.",
	worse: func(_ *Rules, share float64) (condition.Severity, bool) {
		if share >= 90 {
			return condition.Critical, true
		}
		return condition.High, share >= 70
	},
	evidence: failedCalls,
	limits:   []limit{{field: "ErrorRate", of: func(r *Rules) *Limits { return &r.ErrorRate }, nudge: never, trip: 80, least: 1, most: 100, strict: Limits{Trip: 50}, unattended: Limits{Trip: never}}},
	fill: func(r *Rules) {
		r.ErrorRateFor = cmp.Or(r.ErrorRateFor, 60*time.Second)
		r.ErrorRateSteps = cmp.Or(r.ErrorRateSteps, 10)
	},
	faults: func(r Rules) []error {
		return slices.Concat(
			fault(r.ErrorRateFor == 0 || r.ErrorRateFor >= time.Second && r.ErrorRateFor <= longest, "ErrorRateFor", r.ErrorRateFor, "1s to 8760h; 0 for 60s"),
			fault(r.ErrorRateSteps >= 0 && r.ErrorRateSteps <= 1000, "ErrorRateSteps", r.ErrorRateSteps, "1 to 1000; 0 for 10"))
	},
	step: func(r *Run, e *event) {
		if e.counts {
			r.observeErrorRate(e)
		}
	},
	clear: func(r *Run, _ time.Duration) { r.s.ErrorRate = errorRateState{} },
}

const (
	rateParts = 12 // of ErrorRateFor
	longest   = 365 * 24 * time.Hour
)

type errorRateState struct {
	At    int32         // the interval that is counted in
	Since time.Duration // when the first step was counted
	Any   bool
	Part  [rateParts]ratePart
}

type ratePart struct{ Steps, Errors uint16 }

// observeErrorRate counts the share of errors in the last ErrorRateFor.
func (r *Run) observeErrorRate(e *event) {
	s := &r.s.ErrorRate
	at := int32(min(e.now/(r.d.rules.ErrorRateFor/rateParts), 1<<31-1-rateParts))
	if at-s.At >= rateParts || at < s.At {
		s.Part = [rateParts]ratePart{}
		s.At = at
	}
	for ; s.At < at; s.At++ {
		s.Part[(s.At+1)%rateParts] = ratePart{}
	}
	if !s.Any {
		s.Any, s.Since = true, e.now
	}
	part := &s.Part[at%rateParts]
	if part.Steps < 1<<16-1 {
		part.Steps++
		if e.failed {
			part.Errors++
		}
	}
	steps, errs := 0, 0
	for _, p := range s.Part {
		steps += int(p.Steps)
		errs += int(p.Errors)
	}
	share := uint32(0)
	if !e.failed || e.now-s.Since < r.d.rules.ErrorRateFor {
		return // what has just succeeded is no reason to stop
	}
	if steps >= r.d.rules.ErrorRateSteps {
		share = uint32(100 * errs / steps)
	}
	if _, limit := r.d.limits[RuleErrorRate].level(100); 5*share >= 4*uint32(limit) && share < uint32(limit) {
		return // near the limit nothing begins or ends, so that it does not flap
	}
	r.count(RuleErrorRate, share)
}
