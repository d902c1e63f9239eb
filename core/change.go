package core

// Change is one way in which a breaker can change its state, and how often it
// has; see [Snapshot].
type Change struct {
	From  State  `json:"from"`
	To    State  `json:"to"`
	Cause Cause  `json:"cause"`
	Count uint64 `json:"count"`
}

const changeCount = 11

// changes returns every way there is. The causes tell them apart, but for a
// reset, which two states can be left by.
func changes() [changeCount]Change {
	return [...]Change{
		{From: Closed, To: Open, Cause: CauseConsecutiveFailures},
		{From: Closed, To: Open, Cause: CauseFailureRate},
		{From: Closed, To: Open, Cause: CauseSlowRate},
		{From: Closed, To: Open, Cause: CauseRestored},
		{From: Open, To: HalfOpen, Cause: CauseTimeoutElapsed},
		{From: Open, To: HalfOpen, Cause: CauseCheckPassed},
		{From: HalfOpen, To: Open, Cause: CauseProbeFailed},
		{From: HalfOpen, To: Open, Cause: CauseProbeSlow},
		{From: HalfOpen, To: Closed, Cause: CauseProbesPassed},
		{From: Open, To: Closed, Cause: CauseManualReset},
		{From: HalfOpen, To: Closed, Cause: CauseManualReset},
	}
}
