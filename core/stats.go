package core

import (
	"math/bits"
	"runtime"
	"sync/atomic"
	"unsafe"
)

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
	shards         []counters
	lost           atomic.Uint64
	lostOut        atomic.Int64 // lost probes that are not settled yet
	shadowAdmitted atomic.Uint64
	history        atomic.Pointer[history]    // nil unless History
	durations      atomic.Pointer[histograms] // nil unless Durations
	recent         atomic.Pointer[recent]     // nil unless RecentCalls
	past           *past                      // what it continues, see Registry; set before it is shared
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
	t.Lost, t.ShadowAdmitted = s.lost.Load(), s.shadowAdmitted.Load()
	for i := range s.shards {
		t.Calls += s.shards[i].admitted.Load()
		t.Refused += s.shards[i].refused.Load()
	}
	t.InFlight = int64(t.Calls - t.Successes - t.Failures - t.Ignored)
	if s.past != nil {
		t.add(s.past.totals)
	}
	return t
}

// applyStatsOptions gives the stats what s asks for. It needs Breaker.mu.
func (b *Breaker) applyStatsOptions(st *stats, s *settings) {
	h := st.history.Load()
	switch {
	case s.History == 0:
		st.history.Store(nil)
	case h == nil || h.width != s.History/intervals:
		st.history.Store(newHistory(st, s.History, b.now()))
	}
	switch {
	case !s.Durations:
		st.durations.Store(nil)
	case st.durations.Load() == nil:
		st.durations.Store(newHistograms())
	}
	r := st.recent.Load()
	switch {
	case s.RecentCalls == 0:
		st.recent.Store(nil)
	case r == nil || len(r.slots) != s.RecentCalls:
		st.recent.Store(newRecent(s.RecentCalls))
	}
}

// shards is how many shards a breaker uses: a power of two, one for each
// processor, at most 32.
func shards() int {
	n := min(runtime.GOMAXPROCS(0), 32)
	return 1 << bits.Len(uint(n-1))
}

// shardIndex picks a shard by the address of the caller's stack. A shard must
// follow the core, or its line travels between them; the goroutine that runs on
// a core now and then is the next best thing that Go tells without a linkname,
// and reading the address costs a nanosecond. Stacks are 2 KiB at least.
func shardIndex() uint8 {
	var here byte
	const golden = 0x9E3779B97F4A7C15
	return uint8(uint64(uintptr(unsafe.Pointer(&here))>>11) * golden >> 56) //nolint:gosec // the address is only hashed
}
