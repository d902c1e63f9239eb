package core

import (
	"time"
)

// Window is what rates are taken over: the last Calls calls, exactly, or the
// calls that ended in the last For, to a tenth of it. The zero Window is the
// last 100 calls.
type Window struct {
	// Calls is a number of calls, 1 to 10,000.
	Calls int `json:"calls,omitzero"`
	// For is a time, 10 ms to 24 h. It cannot be set together with Calls.
	For time.Duration `json:"for,omitzero"`
}
