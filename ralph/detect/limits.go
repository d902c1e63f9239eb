package detect

import (
	"cmp"
	"fmt"

	"github.com/blackbox4/switchgear/core"
)

// Limits are the counts from which on a rule nudges and trips. In each, zero means
// the default of the rule, which stands with its field in [Rules], and negative
// means that the rule does not go that far; with both negative it is off.
type Limits struct {
	Nudge int `json:"nudge,omitzero"`
	Trip  int `json:"trip,omitzero"`
}

const never = -1

// or returns l with its defaults filled in, and -1 for never. A nudge by default
// that would not come before a trip does not come.
func (l Limits) or(nudge, trip int) Limits {
	given := l.Nudge != 0
	l.Nudge = max(cmp.Or(l.Nudge, nudge), never)
	l.Trip = max(cmp.Or(l.Trip, trip), never)
	if !given && l.Trip != never && l.Nudge >= l.Trip {
		l.Nudge = never
	}
	return l
}

// level is what a count has reached, and the limit that it was. It needs the defaults
// filled in, as all that follows.
func (l Limits) level(count int) (level Level, limit int) {
	switch {
	case l.Trip != never && count >= l.Trip:
		return LevelTrip, l.Trip
	case l.Nudge != never && count >= l.Nudge:
		return LevelNudge, l.Nudge
	}
	return 0, 0
}

// after is level for a count whose last report was had. A count that jumps past both
// limits, because what it is of was taken for something else before, is a nudge first:
// no agent is stopped for what its model was not told.
func (l Limits) after(had Level, count int) (level Level, limit int) {
	level, limit = l.level(count)
	if level == LevelTrip && had == 0 && l.Nudge != never && l.Nudge < l.Trip {
		return LevelNudge, l.Nudge
	}
	return level, limit
}

// fresh is what is left to a trip for an agent that was nudged.
func (l Limits) fresh() int {
	if l.Trip == never {
		return never
	}
	return l.Trip - max(l.Nudge, 0)
}

// faults are those of the limits.
func (l Limits) faults(field string, least, most int) []error {
	var faults []error
	allowed := fmt.Sprintf("%d to %d; 0 for the default, negative for never", least, most)
	for _, one := range []struct {
		name  string
		value int
	}{{"Nudge", l.Nudge}, {"Trip", l.Trip}} {
		if one.value != never && (one.value < least || one.value > most) {
			faults = append(faults, &core.ConfigError{Field: field + "." + one.name, Value: one.value, Allowed: allowed})
		}
	}
	if l.Trip != never && l.Nudge >= l.Trip {
		faults = append(faults, &core.ConfigError{
			Field: field + ".Nudge", Value: l.Nudge, Allowed: fmt.Sprintf("less than Trip (%d); negative for never", l.Trip),
		})
	}
	return faults
}
