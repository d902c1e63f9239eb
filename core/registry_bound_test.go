package core

import (
	"context"
	"fmt"
	"strings"
	"testing"
)

// Whatever names come, what a registry keeps is bounded by Max, counted name by name,
// and its lists hold each breaker that may go once.
func TestRegistryMemoryIsBounded(t *testing.T) {
	const limit = 100
	r := Registry{Max: limit, Config: func(string) Config { return Config{Durations: true} }}
	for i := range 100 * limit {
		name := fmt.Sprint(i, strings.Repeat("x", i%300))
		p, err := r.Gate(name).Allow(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		if o := Outcome(1 + i%3); i%500 > 0 { // a few are never settled
			p.Settle(context.Background(), o)
		}
		if i%99 == 0 || i == 100*limit-1 {
			checkBounds(t, &r)
		}
	}
	if r.evicted < 50*limit {
		t.Errorf("%d evictions, want a flood of them", r.evicted)
	}
}

func checkBounds(t *testing.T, r *Registry) {
	t.Helper()
	kept, bytes, listed, pinned := 0, 0, 0, 0
	for i := range r.shards {
		past := r.shards[i].past
		if len(past) > maxPastNames || cap(past) > 4*maxPastNames {
			t.Fatalf("a shard keeps %d names, with room for %d", len(past), cap(past))
		}
		kept += len(past)
		for _, old := range past {
			bytes += len(old.packed)
		}
		for _, e := range r.shards[i].all() {
			if e.listed && e.pinned {
				t.Fatalf("%q is in a list, and pinned", e.breaker.name)
			}
			if e.listed {
				listed++
			}
			if e.pinned {
				pinned++
			}
		}
	}
	if most := 2 * r.limit; kept > most || bytes > 40*most {
		t.Fatalf("%d names are kept in %d B, want at most %d and 40 B each", kept, bytes, most)
	}
	if n := r.Len(); n > r.limit {
		t.Fatalf("%d breakers, at most %d", n, r.limit)
	}
	if r.ages == nil {
		return
	}
	if pinned != r.ages.pins {
		t.Fatalf("%d entries are pinned, counted as %d", pinned, r.ages.pins)
	}
	for _, l := range append(r.ages.recent[:], r.ages.ancient) {
		for e := l.first; e != nil; e = e.next {
			listed--
			if r.shardOf(e.breaker.name).find(e.breaker.name) != e {
				t.Fatalf("%q is in a list and not in the map", e.breaker.name)
			}
		}
	}
	if listed != 0 {
		t.Fatalf("the lists hold %d entries fewer than say so", listed)
	}
}
