package detect

import (
	"time"
)

// Event is one event that a [Finding] is founded on. It holds no text of the
// agent's, which may be secret; Index leads to it.
type Event struct {
	Index   uint64    `json:"index"`            // which of the run's steps, or of the graph's hand-offs, from 1
	At      time.Time `json:"at,omitzero"`      // when
	Tool    string    `json:"tool,omitzero"`    // of a step, at most 64 bytes of it; "" if no longer known
	Call    uint64    `json:"call,omitzero"`    // a hash of tool and arguments
	Outcome uint64    `json:"outcome,omitzero"` // a hash of the outcome
	Failed  bool      `json:"failed,omitzero"`  // whether it failed
	From    string    `json:"from,omitzero"`    // of a hand-off, at most 64 bytes of each
	To      string    `json:"to,omitzero"`      //
	Payload uint64    `json:"payload,omitzero"` // a hash of the words that were handed over
}
