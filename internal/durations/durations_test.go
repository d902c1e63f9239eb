package durations

import (
	"fmt"
	"math"
	"sync"
	"testing"
	"time"
)

func TestLongestOfTheRecentSuccesses(t *testing.T) {
	var c Calls
	if d, known := c.Longest(); d != 0 || known {
		t.Errorf("before the first success: %v, %t; want 0, false", d, known)
	}
	for _, step := range []struct{ took, want time.Duration }{
		{-time.Second, time.Millisecond},
		{0, time.Millisecond},
		{time.Nanosecond, time.Millisecond},
		{5 * time.Millisecond, 5 * time.Millisecond},
		{5*time.Millisecond + 1, 6 * time.Millisecond},
		{time.Millisecond, 6 * time.Millisecond},
		{time.Hour, time.Hour},
		{math.MaxInt64, longMask * time.Millisecond},
	} {
		c.Took(step.took)
		if d, known := c.Longest(); d != step.want || !known {
			t.Errorf("after one of %v: %v, %t; want %v", step.took, d, known, step.want)
		}
	}
}

// Each duration is remembered for 64 successes at least and 127 at most.
func TestOldSuccessesAreForgotten(t *testing.T) {
	for before := range 2 * generation {
		var c Calls
		for range before {
			c.Took(time.Millisecond)
		}
		c.Took(time.Minute)
		after := 0
		for d, _ := c.Longest(); d == time.Minute && after < 1000; d, _ = c.Longest() {
			c.Took(time.Millisecond)
			after++
		}
		if want := 2*generation - 1 - before%generation; after != want {
			t.Errorf("the minute, success number %d, was forgotten after %d further ones, want %d", before+1, after, want)
		}
		if d, known := c.Longest(); d != time.Millisecond || !known {
			t.Errorf("then the longest is %v, %t; want 1ms", d, known)
		}
	}
}

func TestUnusual(t *testing.T) {
	const s = time.Second
	for _, c := range []struct {
		longest, ran time.Duration // 0: none known
		factor       float64
		want         bool
	}{
		{0, s - 1, 0, false},
		{0, s, 0, true},
		{5 * time.Millisecond, 500 * time.Millisecond, 0, false},
		{5 * time.Millisecond, s, 0, true},
		{500 * time.Millisecond, s - 1, 0, false},
		{500 * time.Millisecond, s, 0, true},
		{3 * s, 5999 * time.Millisecond, 0, false},
		{3 * s, 6 * s, 0, true},
		{3 * s, 6 * s, 3, false},
		{3 * s, 9 * s, 3, true},
		{3 * s, 3 * s, 1, true},
		{3 * s, 2 * s, 0.5, true},
		{3 * s, s, -1, true},
		{3 * s, time.Millisecond, -1, true},
		{3 * s, 6*s - 1, math.NaN(), false},
		{3 * s, 6 * s, math.NaN(), true},
		{3 * s, math.MaxInt64, 1e300, true},
		{3 * s, 1000 * time.Hour, math.Inf(1), false},
	} {
		var calls Calls
		if c.longest > 0 {
			calls.Took(c.longest)
		}
		if got := calls.Unusual(c.ran, c.factor); got != c.want {
			t.Errorf("longest %v, factor %v: %v is unusual: %t, want %t", c.longest, c.factor, c.ran, got, c.want)
		}
	}
}

// A handler that gives up before its client's deadline may do so because of that.
func TestCutShort(t *testing.T) {
	const s, ms = time.Second, time.Millisecond
	for _, c := range []struct {
		longest, ran, limit time.Duration // 0: none known
		factor              float64
		want                bool
	}{
		{20 * ms, 15 * ms, 30 * ms, 0, true},
		{20 * ms, 39 * ms, 80 * ms, 0, true},
		{20 * ms, 40 * ms, 80 * ms, 0, false},
		{20 * ms, 40 * ms, 80 * ms, 3, true},
		{20 * ms, 60 * ms, 80 * ms, 3, false},
		{20 * ms, 500 * ms, 2 * s, 0, false},
		{300 * ms, 500 * ms, 4 * s, 0, true},
		{300 * ms, 500*ms - 1, 4 * s, 0, false}, // less than an eighth: a limit of its own
		{500 * ms, ms, 400 * ms, 0, true},
		{400 * ms, ms, 400 * ms, 0, false},
		{500 * ms, ms, 400 * ms, -1, false},
		{20 * ms, 15 * ms, 30 * ms, -1, false},
		{0, ms, 2 * ms, 0, true},
		{0, 999 * ms, s - 1, 0, true},
		{0, 500 * ms, s, 0, false},
	} {
		var calls Calls
		if c.longest > 0 {
			calls.Took(c.longest)
		}
		if got := calls.CutShort(c.ran, c.limit, c.factor); got != c.want {
			t.Errorf("longest %v, factor %v: %v of %v was cut short: %t, want %t", c.longest, c.factor, c.ran, c.limit, got, c.want)
		}
	}
}

func TestTookAllocatesNothing(t *testing.T) {
	var table Table
	table.Of("route")
	if n := testing.AllocsPerRun(1000, func() { table.Of("route").Took(time.Millisecond) }); n != 0 {
		t.Errorf("%v allocations, want none", n)
	}
}

// No success is lost when another is noted meanwhile.
func TestConcurrentSuccesses(t *testing.T) {
	var c Calls
	var all sync.WaitGroup
	const each, callers = 100, 8
	for i := range callers {
		all.Go(func() {
			for range each {
				c.Took(time.Duration(i+1) * time.Second)
			}
		})
	}
	all.Wait()
	if got, want := c.word.Load()&countMask, uint64(callers*each%generation); got != want {
		t.Errorf("%d successes in the last generation, want %d", got, want)
	}
	if d, known := c.Longest(); d < time.Second || d > callers*time.Second || !known {
		t.Errorf("the longest is %v, %t; want one of 1s to %ds", d, known, callers)
	}
}

func (t *Table) size() (n int) {
	for i := range t.shards {
		if g := t.shards[i].maps.Load(); g != nil {
			n += len(g.young) + len(g.old)
		}
	}
	return n
}

func TestTableKeepsWhatIsUsed(t *testing.T) {
	var table Table
	used := make(map[string]*Calls)
	for i := range 100 {
		key := fmt.Sprint("used", i)
		used[key] = table.Of(key)
	}
	for i := range 30_000 {
		table.Of(fmt.Sprint("made up ", i))
		if i%100 == 0 {
			for key, c := range used {
				if table.Of(key) != c {
					t.Fatalf("after %d other keys the calls of %s are not those of before", i, key)
				}
			}
		}
		if n := table.size(); i%1000 == 0 && n > 10_000 {
			t.Fatalf("%d keys, want no more than 10000", n)
		}
	}
	if n := table.size(); n > 2*shards*perShard || n < shards*perShard {
		t.Errorf("%d keys in the end, want %d to %d", n, shards*perShard, 2*shards*perShard)
	}
}

func TestTableDropsWhatIsNotUsed(t *testing.T) {
	var table Table
	first := table.Of("first")
	for i := range 30_000 {
		table.Of(fmt.Sprint("made up ", i))
	}
	if table.Of("first") == first {
		t.Error("a key that was not used for 30000 others is still there")
	}
}

func TestTableIsSafeForConcurrentUse(t *testing.T) {
	var table Table
	got := make([]map[string]*Calls, 8)
	var all sync.WaitGroup
	for i := range got {
		got[i] = make(map[string]*Calls)
		all.Go(func() {
			for j := range 1000 { // few enough for each shard to keep all
				key := fmt.Sprint(j)
				c := table.Of(key)
				c.Took(time.Millisecond)
				got[i][key] = c
			}
		})
	}
	all.Wait()
	for key, c := range got[0] {
		for _, other := range got[1:] {
			if other[key] != c {
				t.Fatalf("two callers got different calls for the key %s", key)
			}
		}
	}
}

func BenchmarkTook(b *testing.B) {
	var table Table
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			table.Of("GET /orders/{id}").Took(time.Millisecond)
		}
	})
}

// Where no call succeeds any more, what they took before is forgotten in time; one
// success keeps it.
func TestWhatIsKnownAges(t *testing.T) {
	var c Calls
	for range 10 {
		c.Took(1500 * time.Millisecond)
	}
	n := 0
	for ; !c.Unusual(2*time.Second, 0); n++ {
		if n > 3*generation {
			t.Fatal("a server that hangs for 2 s is never seen, since calls took 1.5 s once")
		}
	}
	if n < generation {
		t.Errorf("%d calls make forgotten what is usual, want no fewer than a generation", n)
	}
	for range 10 * generation {
		c.Took(1500 * time.Millisecond)
		if c.Unusual(2*time.Second, 0) {
			t.Fatal("2 s are unusual although calls take 1.5 s")
		}
	}
	for range 10 * generation {
		if c.Unusual(time.Second-1, 0) {
			t.Fatal("less than a second is unusual")
		}
	}
	if _, known := c.Longest(); !known {
		t.Error("calls of less than a second age what is known")
	}
}
