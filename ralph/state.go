package ralph

import (
	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/internal/enum"
)

// State is where an [Agent] stands. The zero State is [Running].
type State uint8

// The states of an agent.
const (
	Running    State = iota // its calls are admitted
	Paused                  // refused; it may be resumed by itself, see [Config]
	Recovering              // resumed on probation: a few calls, see [Probation], decide
	Escalated               // refused until a person resumes it
	Stopped                 // refused: its work is over, or a person said so

	numStates = iota
)

var stateNames = enum.Names[State]{Type: "State", Of: []string{ //nolint:gochecknoglobals // a table
	Running: "running", Paused: "paused", Recovering: "recovering", Escalated: "escalated", Stopped: "stopped",
}}

// String returns "running", "paused", "recovering", "escalated" or "stopped".
func (s State) String() string { return stateNames.String(s) }

// MarshalText makes a State readable in JSON and YAML. It never fails.
func (s State) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads what MarshalText has written. The error, a *core.ConfigError,
// names what is allowed.
func (s *State) UnmarshalText(text []byte) error {
	if allowed := stateNames.Parse(text, s); allowed != "" {
		return &core.ConfigError{Field: stateNames.Type, Value: string(text), Allowed: allowed}
	}
	return nil
}
