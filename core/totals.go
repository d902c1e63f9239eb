package core

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
