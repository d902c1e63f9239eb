package failsafe

import (
	"maps"
	"slices"

	"github.com/blackbox4/switchgear/core/failsafe/condition"
)

// What package condition describes, under the names of this package.
type (
	// Condition is one thing that is wrong.
	Condition = condition.Condition
	// Severity says how bad a [Condition] is. The zero Severity is none.
	Severity = condition.Severity
	// Type says what a [Condition] is about.
	Type = condition.Type
)

// The severities. A higher one is worse.
const (
	Low      = condition.Low      // reported; by default nothing is refused for it
	Medium   = condition.Medium   // most likely it passes by itself
	High     = condition.High     // a person should look
	Critical = condition.Critical // a person should look at once
)

// The types of this package.
const (
	CPU               Type = "cpu"                // processor time in use, percent
	Memory            Type = "memory"             // memory in use that cannot be taken back, percent
	Disk              Type = "disk"               // room or inodes in use on one file system, percent, whichever is more
	ErrorRate         Type = "error_rate"         // calls that failed, percent
	ConsecutiveErrors Type = "consecutive_errors" // consecutive calls that failed
	Confidence        Type = "confidence"         // how sure an agent says it is, from 0 to 1
	Sensor            Type = "sensor"             // something cannot be read; the age of what was read last, seconds
)

// worstFirst sorts by severity and otherwise leaves the order.
func worstFirst(conditions []Condition) {
	slices.SortStableFunc(conditions, func(a, b Condition) int { return int(b.Severity) - int(a.Severity) })
}

// copied is a copy that shares nothing with the original.
func copied(conditions []Condition) []Condition {
	out := slices.Clone(conditions)
	for i := range out {
		out[i].Metadata = maps.Clone(out[i].Metadata)
	}
	return out
}
