package ralph

import (
	"time"
)

// Event is one thing that happened to an agent, or to the store.
type Event struct {
	// Seq numbers the events of an agent from 1; a gap in what Config.OnEvent is
	// told was dropped.
	Seq   uint64    `json:"seq"`
	At    time.Time `json:"at"`
	Kind  EventKind `json:"kind"`
	Agent string    `json:"agent,omitempty"` // its id; none for those of the store
	Name  string    `json:"name,omitempty"`  // its role
	// Session and Task are the ids of what it is part of and works on, see [Options].
	Session string `json:"session,omitempty"`
	Task    string `json:"task,omitempty"`

	From  State `json:"from"` // the state before
	To    State `json:"to"`   // and after
	Cause Cause `json:"cause,omitzero"`
	// By is who did it, if it was a person; Note what they said.
	By   string `json:"by,omitempty"`
	Note string `json:"note,omitempty"`
	// Attempt is how often the agent has been resumed by itself, this one
	// included.
	Attempt int `json:"attempt,omitempty"`
	// ResumeAt is when a paused agent will be resumed, if nothing is against it;
	// the zero time if it waits for a person.
	ResumeAt time.Time `json:"resume_at,omitzero"`
	// Shadow says that it is only what would have happened: the agent goes on.
	Shadow bool `json:"shadow,omitempty"`
}

// String says it in one line.
func (e Event) String() string {
	s := e.Kind.String()
	if e.Agent != "" {
		s = "agent " + quoted(e.Agent) + " " + s
	}
	if e.Shadow {
		s += " (shadow)"
	}
	if e.Cause.Rule != "" {
		s += ": " + e.Cause.String()
	}
	if e.By != "" {
		s += " by " + quoted(e.By)
	}
	if e.Note != "" {
		s += ", " + quoted(e.Note)
	}
	return s
}
