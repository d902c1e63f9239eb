package core

import (
	"sync/atomic"
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
	shards  []counters
	lost    atomic.Uint64
	astray  atomic.Int64 // lost probes that are not settled yet
	spared  atomic.Uint64
	history atomic.Pointer[history]    // nil unless History
	lengths atomic.Pointer[histograms] // nil unless Durations
	recent  atomic.Pointer[recent]     // nil unless RecentCalls
	past    *past                      // what it continues, see Registry; set before it is shared
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
	t.Lost, t.ShadowAdmitted = s.lost.Load(), s.spared.Load()
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
