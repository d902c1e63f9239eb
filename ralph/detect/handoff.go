package detect

import (
	"time"
)

// Handoff is one agent passing work, or the answer to it, to another.
type Handoff struct {
	At       time.Time // when; zero means as the event before
	From, To string    // the agents, not empty; they may be the same
	Payload  string    // what To is asked or told, as text; may be empty
}
