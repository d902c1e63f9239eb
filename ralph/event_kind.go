package ralph

import (
	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/internal/enum"
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
)

var eventKindNames = enum.Names[EventKind]{Type: "EventKind", Of: []string{ //nolint:gochecknoglobals // a table
	EventNudged: "nudged", EventPaused: "paused", EventResumed: "resumed", EventRecovered: "recovered", EventEscalated: "escalated", EventStopped: "stopped", EventReset: "reset", EventBudget: "budget", EventStore: "store",
}}

// String returns the kind in a word.
func (k EventKind) String() string { return eventKindNames.String(k) }

// MarshalText makes a Kind readable in JSON and YAML. It never fails.
func (k EventKind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText reads what MarshalText has written. The error, a *core.ConfigError,
// names what is allowed.
func (k *EventKind) UnmarshalText(text []byte) error {
	if allowed := eventKindNames.Parse(text, k); allowed != "" {
		return &core.ConfigError{Field: eventKindNames.Type, Value: string(text), Allowed: allowed}
	}
	return nil
}
