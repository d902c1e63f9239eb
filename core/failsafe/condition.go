package failsafe

import (
	"maps"
	"slices"
	"time"
)

// Condition is one thing that is wrong.
type Condition struct {
	Type     Type     `json:"type"`
	Severity Severity `json:"severity"`
	Message  string   `json:"message"` // for a person: what, how much, and the limit
	// Threshold is what Value has reached; it may be a little below again. The
	// unit of both is that of the Type.
	Threshold float64 `json:"threshold"`
	Value     float64 `json:"value"`
	// At is when Value was measured.
	At time.Time `json:"at"`
	// Metadata are further facts. Of this package they are "source", "host" or
	// the directory of a control group; "path" of a [Disk]; "sensor" of a
	// [Sensor], the Type that is not known; and "breaker". May be nil.
	Metadata map[string]string `json:"metadata,omitempty"`
}

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
