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
		{From: Closed, To: Open, Cause: FailuresInRow},
		{From: Closed, To: Open, Cause: FailureRate},
		{From: Closed, To: Open, Cause: SlowRate},
		{From: Closed, To: Open, Cause: Restored},
		{From: Open, To: HalfOpen, Cause: BreakOver},
		{From: Open, To: HalfOpen, Cause: CheckPassed},
		{From: HalfOpen, To: Open, Cause: ProbeFailed},
		{From: HalfOpen, To: Open, Cause: ProbeSlow},
		{From: HalfOpen, To: Closed, Cause: ProbesPassed},
		{From: Open, To: Closed, Cause: ManualReset},
		{From: HalfOpen, To: Closed, Cause: ManualReset},
	}
}
