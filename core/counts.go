package core

import (
	"time"
)

// Counts is what one phase has counted: of a closed breaker its window, of a
// half-open one its probes.
type Counts struct {
	Calls       int `json:"calls"`       // in the window; of a half-open breaker, probes settled
	Failures    int `json:"failures"`    // of these
	Slow        int `json:"slow"`        // of these, whatever else they were
	Consecutive int `json:"consecutive"` // consecutive failures now; of a half-open breaker, successes
}

// FailureRate is Failures of Calls; 0 without calls.
func (c Counts) FailureRate() float64 { return share(c.Failures, c.Calls) }

// SlowRate is Slow of Calls; 0 without calls.
func (c Counts) SlowRate() float64 { return share(c.Slow, c.Calls) }

func share(part, whole int) float64 {
	if whole == 0 {
		return 0
	}
	return float64(part) / float64(whole)
}

// Totals are counted over a breaker's life; they never go back. At rest
// Calls = Successes + Failures + Ignored + InFlight; while calls run the
// counts are read one after the other.
type Totals struct {
	Calls          uint64 `json:"calls"` // admitted
	Successes      uint64 `json:"successes"`
	Failures       uint64 `json:"failures"`
	Ignored        uint64 `json:"ignored"`
	Refused        uint64 `json:"refused"`         // not admitted, by any cause
	Slow           uint64 `json:"slow"`            // of the settled: slower than SlowAfter
	Timeouts       uint64 `json:"timeouts"`        // of Failures: outlived CallTimeout, or failed by a deadline
	Late           uint64 `json:"late"`            // settled after their phase had ended; also in the counts above
	Lost           uint64 `json:"lost"`            // probes not settled within ProbeTimeout; what becomes of them later is in the counts above
	ShadowAdmitted uint64 `json:"shadow_admitted"` // of Calls: would have been refused but for Shadow
	InFlight       int64  `json:"in_flight"`       // permits that are out; one that is never settled stays
}

// Probes are counted over a breaker's life by how they were settled. One that is
// lost ([Totals]) is in none of these until it is settled after all.
type Probes struct {
	Successes uint64 `json:"successes"`
	Failures  uint64 `json:"failures"`
	Ignored   uint64 `json:"ignored"`
}

func (p *Probes) add(o Outcome) {
	switch o {
	case Success:
		p.Successes++
	case Failure:
		p.Failures++
	case Ignored:
		p.Ignored++
	}
}

// TimeIn is how long a breaker has been in each state. While it is forced open or
// disabled, the time is that of the override and not of the state below; [Shadow]
// changes nothing here. The times add up to the breaker's age, without the time
// between the eviction of a breaker and the making of the one that continues it.
type TimeIn struct {
	Closed     time.Duration `json:"closed"`
	Open       time.Duration `json:"open"`
	HalfOpen   time.Duration `json:"half_open"`
	ForcedOpen time.Duration `json:"forced_open"`
	Disabled   time.Duration `json:"disabled"`
}

func (t *TimeIn) add(s State, d time.Duration) {
	switch s {
	case Closed:
		t.Closed += d
	case Open:
		t.Open += d
	case HalfOpen:
		t.HalfOpen += d
	}
}

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
