package core

// Totals are counted over a breaker's life; they never go back. At rest
// Calls = Successes + Failures + Ignored + InFlight; while calls run the
// counts are read one after the other.
type Totals struct {
	Calls     uint64 // admitted
	Successes uint64
	Failures  uint64
	Ignored   uint64
	Refused   uint64 // not admitted, by any cause
	Slow      uint64 // of the settled: slower than SlowAfter
	Timeouts  uint64 // of Failures: outlived CallTimeout, or failed by a deadline
	Late      uint64 // settled after their phase had ended; also in the counts above
	Lost      uint64 // probes not settled within ProbeTimeout; what becomes of them later is in the counts above
	Spared    uint64 // of Calls: would have been refused but for Shadow
	InFlight  int64  // permits that are out; one that is never settled stays
}
