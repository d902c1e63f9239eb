package failsafe

import (
	"fmt"
	"strconv"
)

// Severity says how bad a [Condition] is. A higher one is worse, so that they can
// be compared with <. The zero Severity is none.
type Severity uint8

// The severities.
const (
	Low      Severity = 1 + iota // to be told, by default nothing is refused for it
	Medium                       // passes by itself, most likely
	High                         // somebody should look
	Critical                     // at once
)

// String returns "low", "medium", "high" or "critical", and "none" for zero.
func (s Severity) String() string {
	switch s {
	case 0:
		return "none"
	case Low:
		return "low"
	case Medium:
		return "medium"
	case High:
		return "high"
	case Critical:
		return "critical"
	}
	return "Severity(" + strconv.Itoa(int(s)) + ")"
}

// MarshalText makes a Severity readable in JSON and YAML. It never fails.
func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads what MarshalText has written of a known severity.
func (s *Severity) UnmarshalText(text []byte) error {
	for known := Severity(0); known <= Critical; known++ {
		if string(text) == known.String() {
			*s = known
			return nil
		}
	}
	return fmt.Errorf("failsafe: severity is %.64q, allowed: none, low, medium, high, critical", text)
}
