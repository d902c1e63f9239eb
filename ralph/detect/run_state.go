package detect

import (
	"time"
)

// runState is what a Run knows. It has a fixed size and no pointers, so that it can be
// written as it is; its fields have capitals for encoding/binary. What one rule alone
// knows is defined with the rule.
type runState struct {
	Event        time.Duration // when the last event was
	TaskAt       time.Duration // when the task began
	Totals       Totals
	Used         usedState
	LastCall     uint64
	Decline      declineState
	Confidence   confidenceState
	Empty        emptyState
	NoProgress   noProgressState
	Marks        marks
	Fingerprints fingerprints
	Ring         ring

	Made       uint32 // calls put into the ring, ever; 4e9 are more than an agent makes
	Repeat     repeatState
	SameCall   sameCallState
	Window     windowState
	Cycle      cycleState
	SameError  sameErrorState
	ErrorKinds errorKindsState
	Transient  transientState
	Errors     errorsState
	Failures   failuresState
	Calls      callsState
	Stall      stallState
	ErrorRate  errorRateState
	Blocked    blockedState
	Compaction compactionState
	Fruitless  fruitlessState
	NoSteps    noStepsState

	Iterates bool // the task has had an iteration
}

// usedState is what the task has used of its budgets.
type usedState struct {
	Tokens     int64
	Cost       int64 // 1e-9
	Iterations uint32
	Calls      uint32
}

// bump adds n to a count that stays at its end.
func bump(count *uint16, n uint16) { *count = uint16(min(uint32(*count)+uint32(n), 1<<16-1)) }
