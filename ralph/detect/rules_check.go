package detect

import (
	"errors"
	"maps"
	"time"

	"github.com/blackbox4/switchgear/core"
)

const (
	ringSize  = 20 // calls that a run remembers
	edgeRing  = 16 // hand-offs that a graph remembers
	edgeNear  = 8  // of which so many are compared
	maxCount  = 1_000_000
	maxTools  = 1000
	maxName   = 64 // bytes of a name that are kept
	maxPeriod = 8  // of a cycle
	rateParts = 12 // of ErrorRateFor
	longest   = 365 * 24 * time.Hour
)

// limit is one of the Limits of a Rules, with its defaults and what is allowed.
type limit struct {
	field       string
	limits      *Limits
	nudge, trip int
	least, most int
}

func limitsOf(r *Rules) []limit {
	return []limit{
		{"Repeat", &r.Repeat, 3, 5, 2, maxCount},
		{"Poll", &r.Poll, 10, 20, 2, maxCount},
		{"SameCall", &r.SameCall, 10, never, 2, maxCount},
		{"Window", &r.Window, 3, 5, 2, ringSize},
		{"Cycle", &r.Cycle, 2, 3, 2, 1000},
		{"SameError", &r.SameError, 3, 5, 1, ringSize},
		{"Permission", &r.Permission, 1, 2, 1, ringSize},
		{"UnknownTool", &r.UnknownTool, 2, 3, 1, ringSize},
		{"Auth", &r.Auth, never, 1, 1, ringSize},
		{"Quota", &r.Quota, never, 1, 1, ringSize},
		{"Transient", &r.Transient, 3, 5, 1, maxCount},
		{"Errors", &r.Errors, 4, 5, 1, maxCount},
		{"ErrorRate", &r.ErrorRate, never, 50, 1, 100},
		{"Failures", &r.Failures, 2, 3, 1, maxCount},
		{"HandoffRepeat", &r.HandoffRepeat, 2, never, 2, edgeNear + 1},
		{"HandoffStall", &r.HandoffStall, 2, 4, 1, 1000},
		{"HandoffEcho", &r.HandoffEcho, never, 2, 1, 1000},
		{"HandoffCycle", &r.HandoffCycle, 2, 3, 2, 1000},
		{"Handoffs", &r.Handoffs, 4, 5, 1, 1000},
		{"NoProgress", &r.NoProgress, 3, 10, 1, maxCount},
		{"NoProgressSteps", &r.NoProgressSteps, 10, 15, 1, maxCount},
		{"Blocked", &r.Blocked, 1, 2, 1, 1000},
		{"Empty", &r.Empty, 2, 3, 1, 1000},
		{"Decline", &r.Decline, 3, never, 1, 1000},
		{"Stall", &r.Stall, 2, 4, 1, 1000},
		{"Compaction", &r.Compaction, 3, 10, 1, 1000},
		{"Calls", &r.Calls, 160, 200, 1, maxCount},
	}
}

func (r Rules) withDefaults() Rules {
	for _, l := range limitsOf(&r) {
		*l.limits = l.limits.or(l.nudge, l.trip)
	}
	r.NoProgressFor = r.NoProgressFor.or(60*time.Second, 120*time.Second)
	r.PollEvery = max(or(r.PollEvery, 30*time.Second), never)
	r.PollFor = max(or(r.PollFor, 15*time.Minute), never)
	r.ErrorRateFor = or(r.ErrorRateFor, 60*time.Second)
	r.ErrorRateSteps = or(r.ErrorRateSteps, 10)
	r.Confidence = r.Confidence.withDefaults()
	r.Budgets = r.Budgets.task()
	r.Warn = max(or(r.Warn, defaultWarn), never)
	r.Tools = maps.Clone(r.Tools)
	return r
}

// Validate reports every fault of r at once, joined; each is a
// [*core.ConfigError]. It returns nil for Rules that [New] accepts.
func (r Rules) Validate() error {
	var faults []error
	check := func(ok bool, field string, value any, allowed string) {
		if !ok {
			faults = append(faults, &core.ConfigError{Field: field, Value: value, Allowed: allowed})
		}
	}
	full := r
	for _, l := range limitsOf(&full) {
		faults = append(faults, l.limits.or(l.nudge, l.trip).faults(l.field, l.least, l.most)...)
	}
	faults = append(faults, r.NoProgressFor.or(60*time.Second, 120*time.Second).faults("NoProgressFor")...)
	faults = append(faults, r.Confidence.faults()...)
	faults = append(faults, r.Budgets.faults("Budgets.")...)
	check(r.ErrorRateFor == 0 || r.ErrorRateFor >= time.Second && r.ErrorRateFor <= longest, "ErrorRateFor", r.ErrorRateFor, "1s to 8760h; 0 for 60s")
	check(r.ErrorRateSteps >= 0 && r.ErrorRateSteps <= maxSamples, "ErrorRateSteps", r.ErrorRateSteps, "1 to 1000; 0 for 10")
	check(r.Warn < 1, "Warn", r.Warn, "in (0, 1); 0 for 0.8, negative for never") // false for NaN too
	check(len(r.Tools) <= maxTools, "Tools", len(r.Tools), "at most 1000 tools")
	if len(r.Tools) <= maxTools {
		for tool, class := range r.Tools {
			check(class <= ClassUnjudged, "Tools["+clip(tool)+"]", class, "ordinary, poll, repeatable, unjudged")
		}
	}
	return errors.Join(faults...)
}
