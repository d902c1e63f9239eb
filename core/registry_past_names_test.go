package core_test

import (
	"fmt"
	"maps"
	"testing"
	"testing/synctest"
	"time"

	"github.com/blackbox4/switchgear/core"
)

// counted is what an exporter exports of a breaker as counters.
type counted struct {
	core.Snapshot

	buckets map[core.Outcome]map[time.Duration]uint64
}

func countedOf(b *core.Breaker) counted {
	c := counted{b.Snapshot(), map[core.Outcome]map[time.Duration]uint64{}}
	for _, o := range []core.Outcome{core.Success, core.Failure} {
		c.buckets[o] = maps.Collect(b.Buckets(o))
	}
	return c
}

// wantNoLess says which counter went down.
func (c counted) wantNoLess(t *testing.T, before counted) {
	t.Helper()
	no := func(what string, now, was uint64) {
		if now < was {
			t.Errorf("%s is %d, was %d", what, now, was)
		}
	}
	a, b := c.Totals, before.Totals
	for what, n := range map[string][2]uint64{
		"Calls": {a.Calls, b.Calls}, "Successes": {a.Successes, b.Successes}, "Failures": {a.Failures, b.Failures}, "Ignored": {a.Ignored, b.Ignored},
		"Refused": {a.Refused, b.Refused}, "Slow": {a.Slow, b.Slow}, "Timeouts": {a.Timeouts, b.Timeouts}, "Late": {a.Late, b.Late}, "Lost": {a.Lost, b.Lost}, "ShadowAdmitted": {a.ShadowAdmitted, b.ShadowAdmitted},
		"probes' Successes": {c.Probes.Successes, before.Probes.Successes}, "probes' Failures": {c.Probes.Failures, before.Probes.Failures}, "probes' Ignored": {c.Probes.Ignored, before.Probes.Ignored},
		"Closed": {uint64(c.TimeIn.Closed), uint64(before.TimeIn.Closed)}, "Open": {uint64(c.TimeIn.Open), uint64(before.TimeIn.Open)}, "HalfOpen": {uint64(c.TimeIn.HalfOpen), uint64(before.TimeIn.HalfOpen)},
		"ForcedOpen": {uint64(c.TimeIn.ForcedOpen), uint64(before.TimeIn.ForcedOpen)}, "Disabled": {uint64(c.TimeIn.Disabled), uint64(before.TimeIn.Disabled)},
	} {
		no(what, n[0], n[1])
	}
	for i, change := range before.Changes {
		no(fmt.Sprint(change.From, change.To, change.Cause), c.Changes[i].Count, change.Count)
	}
	for o, buckets := range before.buckets {
		for d, n := range buckets {
			no(fmt.Sprint("the bucket of ", o, d), c.buckets[o][d], n)
		}
	}
}

// evict has a registry with room for one breaker evict that of a name.
func evict(t *testing.T, r *core.Registry, name string) {
	t.Helper()
	get(t, r, "another")
	if names(r)[name] {
		t.Fatalf("%s was not evicted", name)
	}
}

// No counter of a name goes down when its breaker is evicted and made anew, however
// often, nor do the sums of the registry; and Started tells when they began.
func TestRegistryCountersGoOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := core.Registry{Max: 1, Config: always(core.Config{FailureThreshold: 2, SuccessThreshold: 2, Timeout: time.Second, SlowAfter: time.Second, Durations: true, History: time.Hour})}
		begun := time.Now()
		var last counted
		var sums core.Totals
		for round := range 5 {
			b := get(t, &r, "db")
			now := countedOf(b)
			now.wantNoLess(t, last)
			if !now.Started.Equal(begun) || now.Name != "db" {
				t.Fatalf("round %d: Started is %v, want %v", round, now.Started, begun)
			}
			play(t, b, "SFIS"[:2+round%3])
			b.Reset()
			trip(t, b)
			refusal(t, b)
			time.Sleep(time.Second)
			lasting(t, b, 3*time.Second, core.Success)
			play(t, b, "IS")
			wantState(t, b, core.Closed)
			force(t, b, core.Disabled)
			time.Sleep(time.Second)
			force(t, b, core.ForcedOpen)
			time.Sleep(time.Second)
			b.Release()
			last = countedOf(b)
			if last.Totals.InFlight != 0 {
				t.Fatalf("%d permits are out", last.Totals.InFlight)
			}
			for _, row := range b.Snapshot().History[:1] {
				if row.Calls > 20 {
					t.Errorf("round %d: History has %d calls in its first interval, want only its own", round, row.Calls)
				}
			}
			evict(t, &r, "db")
			stats := r.Stats()
			if stats.Totals.Calls < sums.Calls || stats.Totals.Calls != last.Totals.Calls {
				t.Errorf("round %d: the registry's %+v, want the %d calls of the evicted one", round, stats, last.Totals.Calls)
			}
			sums = stats.Totals
		}
		var times time.Duration
		for _, d := range []time.Duration{last.TimeIn.Closed, last.TimeIn.Open, last.TimeIn.HalfOpen, last.TimeIn.Disabled, last.TimeIn.ForcedOpen} {
			times += d
		}
		if age := time.Since(begun); times != age {
			t.Errorf("the times add up to %v, want %v: it was made anew as soon as it was evicted", times, age)
		}
	})
}

// What is kept is of the last Max evicted names; the sums are of all.
func TestRegistryRemembersTheLastMax(t *testing.T) {
	for _, limit := range []int{1, 3, 50, 1000} {
		synctest.Test(t, func(t *testing.T) {
			r := core.Registry{Max: limit}
			made := 4 * limit
			for i := range made {
				succeed(t, get(t, &r, fmt.Sprint(i)), 1)
				time.Sleep(time.Millisecond)
			}
			if got := r.Stats(); got.Totals.Calls != uint64(made) {
				t.Fatalf("Max %d: %+v, want all of %d calls and %d evicted", limit, got, made, 3*limit)
			}
			// Some way from the edges: asking evicts others.
			for _, row := range []struct {
				back int // evictions
				kept bool
			}{{1, true}, {limit/2 + 1, true}, {2*limit + limit/2, false}} {
				i := 3*limit - row.back
				b := get(t, &r, fmt.Sprint(i))
				snap := b.Snapshot()
				if kept := snap.Totals.Calls == 1; kept != row.kept || kept == snap.Started.Equal(snap.At) {
					t.Errorf("Max %d: the name evicted %d evictions ago has %d calls, since %v; want them kept: %t", limit, row.back, snap.Totals.Calls, snap.At.Sub(snap.Started), row.kept)
				}
			}
			if got := r.Stats().Totals.Calls; got != uint64(made) {
				t.Errorf("Max %d: %d calls, want %d as before", limit, got, made)
			}
		})
	}
}

// The last Max are exactly those.
func TestRegistryRemembersNoMoreThanTheLastMax(t *testing.T) {
	const limit = 60 // the order of evictions is exact
	for range 20 {   // where a name is kept goes by a random hash
		for back, want := range map[int]uint64{limit: 1, limit + 1: 0} {
			r := core.Registry{Max: limit}
			for i := range 4 * limit {
				succeed(t, get(t, &r, fmt.Sprint(i)), 1)
			}
			if got := get(t, &r, fmt.Sprint(3*limit-back)).Snapshot().Totals.Calls; got != want {
				t.Fatalf("the name evicted %d evictions ago has %d calls, want %d", back, got, want)
			}
		}
	}
}

// A caller that kept a breaker and takes a permit while that is evicted, at whichever
// reading of the clock, brings it back, or counts nowhere; no permit stays out for ever.
func TestRegistryEvictionMeetsACall(t *testing.T) {
	for nth := 1; nth <= 4; nth++ {
		var b *core.Breaker
		var p core.Permit
		left, taken := 0, false
		r := core.Registry{Max: 1, Config: func(string) core.Config {
			return core.Config{Now: func() time.Time {
				if left--; left == 0 && !taken {
					taken = true
					var err error
					if p, err = b.Allow(bg); err != nil {
						t.Error(err)
					}
				}
				return time.Now()
			}}
		}}
		b = get(t, &r, "kept")
		succeed(t, b, 1)
		left = nth
		_, _ = r.Get("another")
		left = 0
		if nth == 1 && (!taken || !names(&r)["kept"]) {
			t.Fatal("the breaker was evicted, though a permit of it is out")
		}
		p.Settle(bg, core.Success)
		got := r.Stats().Totals
		if got.InFlight != 0 || got.Calls != got.Successes || names(&r)["kept"] && taken && got.Calls != 2 {
			t.Errorf("a permit taken at reading %d of the clock: %+v, want none out", nth, got)
		}
	}
}
