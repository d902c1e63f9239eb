package core

import (
	"math/bits"
	"runtime"
	"sync/atomic"
)

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
	Lost      uint64 // of Failures: probes not settled within ProbeTimeout
	Spared    uint64 // of Calls: would have been refused but for Shadow
	InFlight  int64  // permits that are out; one that is forgotten stays, unless it was lost as a probe
}

// lose counts probes that are lost and that nobody has met yet.
func (t *Totals) lose(n int) {
	t.Lost += uint64(n)
	t.Failures += uint64(n)
	t.InFlight -= int64(n)
}

// counters is one shard of a breaker's totals: a cache line. The two counters
// of a healthy call stand first.
type counters struct {
	admitted  atomic.Uint64
	successes atomic.Uint64
	failures  atomic.Uint64
	ignored   atomic.Uint64
	refused   atomic.Uint64
	slow      atomic.Uint64
	timeouts  atomic.Uint64
	late      atomic.Uint64
}

// stats is what a breaker counts outside its phases, made at its first call.
type stats struct {
	shards  []counters
	lost    atomic.Uint64
	spared  atomic.Uint64
	history atomic.Pointer[history]    // nil unless History
	lengths atomic.Pointer[histograms] // nil unless Durations
}

func (s *stats) shard(i uint8) *counters { return &s.shards[int(i)&(len(s.shards)-1)] }

func (s *stats) totals() Totals {
	var t Totals
	// Settlements before admissions: a call that ends meanwhile must not show
	// up as ended and never begun.
	for i := range s.shards {
		c := &s.shards[i]
		t.Successes += c.successes.Load()
		t.Failures += c.failures.Load()
		t.Ignored += c.ignored.Load()
		t.Slow += c.slow.Load()
		t.Timeouts += c.timeouts.Load()
		t.Late += c.late.Load()
	}
	t.Lost, t.Spared = s.lost.Load(), s.spared.Load()
	t.Failures += t.Lost
	for i := range s.shards {
		t.Calls += s.shards[i].admitted.Load()
		t.Refused += s.shards[i].refused.Load()
	}
	t.InFlight = int64(t.Calls - t.Successes - t.Failures - t.Ignored)
	return t
}

// shards is how many shards a breaker uses: a power of two, one for each
// processor, at most 32.
func shards() int {
	n := min(runtime.GOMAXPROCS(0), 32)
	return 1 << bits.Len(uint(n-1))
}
