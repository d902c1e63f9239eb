package detect

import (
	"github.com/blackbox4/switchgear/core"
)

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

const (
	newest      = 0.3 // the weight of a new value in a moving average
	maxSamples  = 1000
	fewOutputs  = 3   // for a decline
	declined    = 0.3 // of the average
	defaultWarn = 0.8
)

func (c ConfidenceLimits) withDefaults() ConfidenceLimits {
	c.Nudge = max(or(c.Nudge, 0.5), never)
	c.Trip = max(or(c.Trip, 0.3), never)
	c.High = max(or(c.High, 0.1), never)
	c.Leave = or(c.Leave, max(0.6, c.Nudge, c.Trip))
	if c.Single {
		c.Samples = or(c.Samples, 1)
	}
	c.Samples = or(c.Samples, 3)
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
	check(c.Leave >= 0 && c.Leave <= 1 && !(or(c.Leave, 1) < max(c.Nudge, c.Trip)), "Leave", c.Leave, "at least Nudge and Trip, at most 1; 0 for 0.6")
	check(c.Samples >= 0 && c.Samples <= maxSamples, "Samples", c.Samples, "1 to 1000; 0 for 3")
	return faults
}
