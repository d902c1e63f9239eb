package core

import "strconv"

// State is where a [Breaker] stands. The zero State is [Closed].
type State uint8

// The states of a breaker.
const (
	Closed   State = iota // calls are admitted and counted
	Open                  // calls are refused until the break is over
	HalfOpen              // a few probes are admitted; they decide
)

// String returns "closed", "open" or "half-open".
func (s State) String() string {
	switch s {
	case Closed:
		return "closed"
	case Open:
		return "open"
	case HalfOpen:
		return "half-open"
	}
	return "State(" + strconv.Itoa(int(s)) + ")"
}

// MarshalText makes a State readable in JSON and YAML. It never fails.
func (s State) MarshalText() ([]byte, error) { return []byte(s.String()), nil }
