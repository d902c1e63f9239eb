// Package condition describes what is wrong with a machine, an agent or a call: what
// it is about, how bad it is, and by which numbers. It is apart from
// [github.com/blackbox4/switchgear/core/failsafe] so that a program that reads no
// sensors does not compile them.
package condition

import "time"

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
	// Metadata are further facts. Of package failsafe they are "source", "host" or
	// the directory of a control group; "path" of a disk; "sensor" of a
	// sensor that cannot be read, the Type that is not known; and "breaker". May be nil.
	Metadata map[string]string `json:"metadata,omitempty"`
}

// Type says what a [Condition] is about. Each package has types of its own.
type Type string
