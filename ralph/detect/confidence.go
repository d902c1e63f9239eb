package detect

import (
	"cmp"
	"time"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/core/failsafe/condition"
)

//nolint:gochecknoglobals // a constant
var confidence = definition{
	rule: RuleConfidence, name: "confidence", reason: ReasonStuck, severity: condition.Medium,
	message: "You are not sure enough of what you do ({x}). Check what you have with a test or a source before you go on, or ask.",
	worse: func(rules *Rules, value float64) (condition.Severity, bool) {
		return condition.High, value <= rules.Confidence.High
	},
	evidence: latestThree,
	fill:     func(r *Rules) { r.Confidence = r.Confidence.withDefaults() },
	faults:   func(r Rules) []error { return r.Confidence.faults() },
	clear:    func(r *Run, _ time.Duration) { r.s.Confidence = confidenceState{} },
}

// ConfidenceLimits are the limits of [RuleConfidence]. They are for a moving average, in
// which a new value counts 30 % and an old one the less the older it is; with Single,
// each value trips by itself.
type ConfidenceLimits struct {
	// Nudge and Trip are what it nudges and trips below. Zero means 0.5 and 0.3,
	// negative never.
	Nudge float64 `json:"nudge,omitzero"`
	Trip  float64 `json:"trip,omitzero"`
	// High is from where down a trip has high severity instead of medium, and from
	// where down a single value nudges. Zero means 0.1, negative never.
	High float64 `json:"high,omitzero"`
	// Leave is what the average must get back to before the rule reports anew. Zero
	// means 0.6, or Nudge or Trip if that is more.
	Leave float64 `json:"leave,omitzero"`
	// Samples is how many values there must be for a trip. Zero means 3, or 1 with
	// Single.
	Samples int `json:"samples,omitzero"`
	// Single compares every value with Trip by itself, and not the average, which
	// then only nudges: one value below Trip is enough. It suits agents whose values
	// mean something; where they scatter, the average stops fewer that are well.
	Single bool `json:"single,omitzero"`
}

type confidenceState struct {
	Average float64 // moving
	Values  uint16
}

// observeConfidence takes in how sure the agent is. It is called for reports, too, which
// are no step.
func (r *Run) observeConfidence(v *float64) error {
	if v == nil {
		return nil
	}
	if !(*v >= 0 && *v <= 1) { // NaN too
		return &core.ConfigError{Field: "Step.Confidence", Value: *v, Allowed: "0 to 1"}
	}
	s, lim := &r.s.Confidence, r.d.rules.Confidence
	if s.Values == 0 {
		s.Average = *v
	}
	s.Average += newest * (*v - s.Average)
	s.Values = min(s.Values+1, 1000)
	judged := s.Average // what trips
	if lim.Single {
		judged = *v
	}
	level, limit, count := Level(0), 0.0, s.Average
	switch {
	case lim.Single && *v >= lim.Leave: // it is sure again, whatever the average
	case int(s.Values) >= lim.Samples && judged < lim.Trip:
		count = judged
		level, limit = LevelTrip, lim.Trip
	case s.Average < lim.Nudge:
		level, limit = LevelNudge, lim.Nudge
	case *v <= lim.High && lim.Nudge > 0:
		level, limit, count = LevelNudge, lim.High, *v
	case s.Average < lim.Leave:
		return nil // neither found anew nor over
	}
	if r.reach(RuleConfidence, level, count, limit) == LevelNudge {
		r.stallSign(byConfidence)
	}
	return nil
}

func (c ConfidenceLimits) withDefaults() ConfidenceLimits {
	c.Nudge = max(cmp.Or(c.Nudge, 0.5), never)
	c.Trip = max(cmp.Or(c.Trip, 0.3), never)
	c.High = max(cmp.Or(c.High, 0.1), never)
	c.Leave = cmp.Or(c.Leave, max(0.6, c.Nudge, c.Trip))
	if c.Single {
		c.Samples = cmp.Or(c.Samples, 1)
	}
	c.Samples = cmp.Or(c.Samples, 3)
	return c
}

func (c ConfidenceLimits) faults() []error {
	var faults []error
	check := func(ok bool, field string, value any, allowed string) {
		if !ok {
			faults = append(faults, &core.ConfigError{Field: "Confidence." + field, Value: value, Allowed: allowed})
		}
	}
	share := func(v float64) bool { return v <= 1 } // false for NaN too
	check(share(c.Nudge), "Nudge", c.Nudge, "in (0, 1]; 0 for 0.5, negative for never")
	check(share(c.Trip), "Trip", c.Trip, "in (0, 1]; 0 for 0.3, negative for never")
	check(share(c.High), "High", c.High, "in (0, 1]; 0 for 0.1, negative for never")
	check(c.Leave >= 0 && c.Leave <= 1 && !(cmp.Or(c.Leave, 1) < max(c.Nudge, c.Trip)), "Leave", c.Leave, "at least Nudge and Trip, at most 1; 0 for 0.6")
	check(c.Samples >= 0 && c.Samples <= 1000, "Samples", c.Samples, "1 to 1000; 0 for 3")
	return faults
}
