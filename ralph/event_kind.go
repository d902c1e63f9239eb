package ralph

import (
	"strconv"

	"github.com/blackbox4/switchgear/ralph/internal/enum"
)

// EventKind is what an [Event] tells.
type EventKind uint8

// The kinds of events.
const (
	EventNudged    EventKind = iota // there is something to tell the agent, see [Agent.Nudge]
	EventPaused                     // running or recovering to paused
	EventResumed                    // paused to recovering by itself, or to running by a person
	EventRecovered                  // recovering to running: the agent has shown progress
	EventEscalated                  // a person is needed: to escalated
	EventStopped                    // to stopped
	EventReset                      // to running, with nothing counted
	EventBudget                     // a budget was changed
	EventStore                      // the store cannot be written, or can again

	numKinds = iota
)

// String returns the kind in a word.
func (k EventKind) String() string {
	switch k {
	case EventNudged:
		return "nudged"
	case EventPaused:
		return "paused"
	case EventResumed:
		return "resumed"
	case EventRecovered:
		return "recovered"
	case EventEscalated:
		return "escalated"
	case EventStopped:
		return "stopped"
	case EventReset:
		return "reset"
	case EventBudget:
		return "budget"
	case EventStore:
		return "store"
	}
	return "EventKind(" + strconv.Itoa(int(k)) + ")"
}

// MarshalText makes a Kind readable in JSON and YAML. It never fails.
func (k EventKind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText reads what MarshalText has written. The error, a *core.ConfigError,
// names what is allowed.
func (k *EventKind) UnmarshalText(text []byte) error {
	return enum.Parse(k, text, EventNudged, numKinds-1, "EventKind")
}
