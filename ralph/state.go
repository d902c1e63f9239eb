package ralph

import (
	"strconv"

	"github.com/blackbox4/switchgear/ralph/internal/enum"
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

// String returns "running", "paused", "recovering", "escalated" or "stopped".
func (s State) String() string {
	switch s {
	case Running:
		return "running"
	case Paused:
		return "paused"
	case Recovering:
		return "recovering"
	case Escalated:
		return "escalated"
	case Stopped:
		return "stopped"
	}
	return "State(" + strconv.Itoa(int(s)) + ")"
}

// MarshalText makes a State readable in JSON and YAML. It never fails.
func (s State) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads what MarshalText has written. The error, a *core.ConfigError,
// names what is allowed.
func (s *State) UnmarshalText(text []byte) error {
	return enum.Parse(s, text, Running, numStates-1, "State")
}
