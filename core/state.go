package core

import "github.com/blackbox4/switchgear/internal/enum"

// State is where a [Breaker] stands. The zero State is [Closed].
type State uint8

// The states of a breaker.
const (
	Closed   State = iota // calls are admitted and counted
	Open                  // calls are refused until the break is over
	HalfOpen              // a few probes are admitted; they decide
)

var stateNames = enum.Names[State]{Type: "State", Of: []string{Closed: "closed", Open: "open", HalfOpen: "half-open"}} //nolint:gochecknoglobals // a table

// String returns "closed", "open" or "half-open".
func (s State) String() string { return stateNames.String(s) }

// MarshalText makes a State readable in JSON and YAML. It never fails.
func (s State) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads what MarshalText wrote. The error is a [*ConfigError].
func (s *State) UnmarshalText(text []byte) error { return readEnum(stateNames, text, s) }
