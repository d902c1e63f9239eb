package core_test

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/blackbox4/switchgear/core"
)

func TestRegistry(t *testing.T) {
	bubble(t, "the zero Registry is ready", func(t *testing.T) {
		var r core.Registry
		b := get(t, &r, "db")
		if b.Name() != "db" || get(t, &r, "db") != b || r.Len() != 1 {
			t.Errorf("name %q, %d breakers; want db, and the same one again", b.Name(), r.Len())
		}
		fail(t, b, 5)
		wantState(t, b, core.Open)
	})
	bubble(t, "the Config goes by the name", func(t *testing.T) {
		r := core.Registry{Config: func(name string) core.Config { return core.Config{FailureThreshold: len(name)} }}
		for _, name := range []string{"a", "bb", "ccc"} {
			b := get(t, &r, name)
			fail(t, b, len(name)-1)
			wantState(t, b, core.Closed)
			fail(t, b, 1)
			wantState(t, b, core.Open)
		}
	})
	bubble(t, "a name that is there makes nothing", func(t *testing.T) {
		made := 0
		r := core.Registry{Config: func(string) core.Config { made++; return core.Config{} }}
		for range 10 {
			get(t, &r, "db")
		}
		if made != 1 {
			t.Errorf("Config was asked %d times for one name, want once", made)
		}
	})
	bubble(t, "past the cap the one that was not asked for the longest goes", func(t *testing.T) {
		r := core.Registry{Max: 3, Idle: -1}
		a, b, c := get(t, &r, "a"), get(t, &r, "b"), get(t, &r, "c")
		if get(t, &r, "a") != a || get(t, &r, "d").Name() != "d" {
			t.Fatal("a lost its breaker, or d has none")
		}
		if got := names(&r); r.Len() != 3 || got["b"] || !got["a"] || !got["c"] || !got["d"] {
			t.Errorf("%v, want a, c and d: b was not asked for the longest", got)
		}
		if get(t, &r, "a") != a || get(t, &r, "c") != c || get(t, &r, "b") == b {
			t.Error("a or c lost its breaker, or b has its old one")
		}
	})
	bubble(t, "All stops when told", func(t *testing.T) {
		var r core.Registry
		for i := range 50 {
			get(t, &r, fmt.Sprint(i))
		}
		n := 0
		for range r.All() {
			if n++; n == 7 {
				break
			}
		}
		if n != 7 || len(names(&r)) != 50 {
			t.Errorf("saw %d of %d, want 7 of 50", n, len(names(&r)))
		}
		for range r.All() { // and what is asked meanwhile does not hang
			get(t, &r, "more")
			r.Stats()
		}
	})
}

func TestRegistryMax(t *testing.T) {
	for _, row := range []struct{ limit, names, want int }{
		{1, 5, 1}, {0, 10_050, 10_000}, {-1, 10_050, 10_000}, {math.MinInt, 20, 20}, {math.MaxInt, 10_050, 10_050},
	} {
		bubble(t, fmt.Sprint(row.limit), func(t *testing.T) {
			r := core.Registry{Max: row.limit}
			for i := range row.names {
				get(t, &r, fmt.Sprint("host-", i))
			}
			if got := r.Len(); got != row.want {
				t.Errorf("%d breakers after %d names, want %d", got, row.names, row.want)
			}
		})
	}
}

// Idle breakers are evicted when a name is new, those that are not closed when they
// were idle for MaxTimeout more.
func TestRegistryIdle(t *testing.T) {
	const idle = time.Hour
	// quiet lets two sweeps, Idle and a bit apart, pass without asking for old names.
	quiet := func(t *testing.T, r *core.Registry) {
		t.Helper()
		for i := range 3 {
			time.Sleep(idle + time.Minute)
			get(t, r, fmt.Sprint("new-", i))
		}
	}
	const longest = 6 * time.Hour // a breaker is open
	for _, row := range []struct {
		name   string
		before func(t *testing.T, b *core.Breaker)
		kept   bool // after Idle
		always bool // after Idle and MaxTimeout
	}{
		{"never called", func(*testing.T, *core.Breaker) {}, false, false},
		{"closed", func(t *testing.T, b *core.Breaker) { play(t, b, "SSFI") }, false, false},
		{"closed again", func(t *testing.T, b *core.Breaker) { trip(t, b); b.Reset() }, false, false},
		{"open", func(t *testing.T, b *core.Breaker) { trip(t, b) }, true, false},
		{"half-open", func(t *testing.T, b *core.Breaker) { trip(t, b); time.Sleep(24 * time.Hour) }, true, false},
		{"half-open, a probe is lost", func(t *testing.T, b *core.Breaker) { trip(t, b); time.Sleep(24 * time.Hour); take(t, b) }, true, false},
		{"a permit out", func(t *testing.T, b *core.Breaker) { take(t, b) }, true, true},
		{"forced open", func(t *testing.T, b *core.Breaker) { force(t, b, core.ForcedOpen) }, true, true},
		{"disabled", func(t *testing.T, b *core.Breaker) { force(t, b, core.Disabled) }, true, true},
		{"shadow", func(t *testing.T, b *core.Breaker) { force(t, b, core.Shadow) }, true, true},
		{"an override taken back", func(t *testing.T, b *core.Breaker) { force(t, b, core.Shadow); b.Release() }, false, false},
	} {
		bubble(t, row.name, func(t *testing.T) {
			r := core.Registry{Idle: idle, Config: always(core.Config{Timeout: longest, MaxTimeout: longest})}
			b := get(t, &r, "old")
			row.before(t, b)
			quiet(t, &r)
			if kept := names(&r)["old"]; kept != row.kept {
				t.Fatalf("kept %t after Idle, want %t", kept, row.kept)
			}
			for range longest / idle {
				time.Sleep(idle)
				get(t, &r, fmt.Sprint("newer-", time.Now().UnixNano()))
			}
			if kept := names(&r)["old"]; kept != row.always {
				t.Fatalf("kept %t after Idle and MaxTimeout, want %t", kept, row.always)
			}
			if again := get(t, &r, "old"); (again == b) != row.always {
				t.Errorf("Get gave the same breaker: %t, want %t", again == b, row.always)
			}
		})
	}
	bubble(t, "asking keeps it", func(t *testing.T) {
		r := core.Registry{Idle: idle}
		b := get(t, &r, "old")
		for i := range 100 {
			time.Sleep(idle / 2)
			get(t, &r, fmt.Sprint("new-", i))
			if get(t, &r, "old") != b {
				t.Fatalf("evicted after %d half hours, asked for in each", i+1)
			}
		}
		if got := r.Len(); got > 6 {
			t.Errorf("%d breakers, want the few of the last hours", got)
		}
	})
	bubble(t, "neither All nor Stats is asking", func(t *testing.T) {
		r := core.Registry{Idle: idle}
		get(t, &r, "old")
		for i := range 10 {
			time.Sleep(idle / 2)
			names(&r)
			r.Stats()
			get(t, &r, fmt.Sprint("new-", i))
		}
		if names(&r)["old"] {
			t.Error("a breaker that was not asked for in five hours is kept")
		}
	})
	bubble(t, "negative is never", func(t *testing.T) {
		r := core.Registry{Idle: -1}
		get(t, &r, "old")
		quiet(t, &r)
		if !names(&r)["old"] {
			t.Error("evicted, want it kept for ever")
		}
	})
	bubble(t, "zero is an hour", func(t *testing.T) {
		var r core.Registry
		get(t, &r, "old")
		time.Sleep(59 * time.Minute)
		get(t, &r, "new-1")
		time.Sleep(30 * time.Second)
		if !names(&r)["old"] {
			t.Fatal("evicted within the hour")
		}
		quiet(t, &r)
		if names(&r)["old"] {
			t.Error("kept for hours")
		}
	})
}

// A Config that is the same again keeps breakers and their state.
func TestRegistryUpdate(t *testing.T) {
	bubble(t, "breakers are kept", func(t *testing.T) {
		r := core.Registry{Config: always(core.Config{FailureThreshold: 2, Timeout: time.Minute})}
		open, half := get(t, &r, "open"), get(t, &r, "half")
		fail(t, open, 2)
		fail(t, half, 1)
		if err := r.Update(always(core.Config{FailureThreshold: 2})); err != nil {
			t.Fatal(err)
		}
		if get(t, &r, "open") != open || get(t, &r, "half") != half {
			t.Fatal("Update replaced a breaker")
		}
		wantState(t, open, core.Open)
		wantWindow(t, half, core.Counts{Calls: 1, Failures: 1, Consecutive: 1})
	})
	bubble(t, "it holds for old and new names", func(t *testing.T) {
		var r core.Registry
		old := get(t, &r, "old")
		if err := r.Update(always(core.Config{FailureThreshold: 1})); err != nil {
			t.Fatal(err)
		}
		for _, b := range []*core.Breaker{old, get(t, &r, "new")} {
			fail(t, b, 1)
			wantState(t, b, core.Open)
		}
	})
	bubble(t, "nil is the zero Config", func(t *testing.T) {
		r := core.Registry{Config: always(core.Config{FailureThreshold: 1})}
		b := get(t, &r, "db")
		if err := r.Update(nil); err != nil {
			t.Fatal(err)
		}
		fail(t, b, 4)
		wantState(t, b, core.Closed)
		fail(t, b, 1)
		wantState(t, b, core.Open)
		fail(t, get(t, &r, "new"), 4)
	})
	bubble(t, "one bad Config and nothing is changed", func(t *testing.T) {
		r := core.Registry{Config: always(core.Config{FailureThreshold: 1})}
		for _, name := range []string{"a", "b", "bad", "worse"} {
			get(t, &r, name)
		}
		err := r.Update(func(name string) core.Config {
			if strings.HasPrefix(name, "b") && name != "b" || name == "worse" {
				return core.Config{Jitter: 2}
			}
			return core.Config{FailureThreshold: 100}
		})
		if _, ok := errors.AsType[*core.ConfigError](err); !ok || !strings.Contains(err.Error(), `breaker "bad"`) || !strings.Contains(err.Error(), `breaker "worse"`) {
			t.Fatalf("Update = %v, want a ConfigError for each of bad and worse", err)
		}
		for _, name := range []string{"a", "b", "bad", "worse", "new"} {
			b := get(t, &r, name)
			fail(t, b, 1)
			wantState(t, b, core.Open)
		}
	})
	bubble(t, "before the first Get", func(t *testing.T) {
		var r core.Registry
		if err := r.Update(always(core.Config{FailureThreshold: 1})); err != nil {
			t.Fatal(err)
		}
		fail(t, get(t, &r, "db"), 1)
		wantState(t, get(t, &r, "db"), core.Open)
	})
}

// A breaker whose Config was asked for before an Update does not keep the old one.
func TestRegistryUpdateWhileABreakerIsMade(t *testing.T) {
	var r core.Registry
	first := true
	r.Config = func(string) core.Config {
		if first {
			first = false
			var wg sync.WaitGroup
			wg.Go(func() {
				if err := r.Update(always(core.Config{FailureThreshold: 1})); err != nil {
					t.Error(err)
				}
			})
			wg.Wait()
		}
		return core.Config{FailureThreshold: 9}
	}
	b := get(t, &r, "db")
	fail(t, b, 1)
	wantState(t, b, core.Open)
	if get(t, &r, "db") != b {
		t.Error("db has two breakers")
	}
}

// The sums over many breakers.
func TestRegistryStats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := core.Registry{Max: 5, Config: always(core.Config{FailureThreshold: 2, Timeout: time.Minute, SlowAfter: time.Second})}
		if got, want := r.Stats(), (core.RegistryStats{SuccessRate: 1}); got != want {
			t.Fatalf("stats of none = %+v, want %+v", got, want)
		}
		play(t, get(t, &r, "half-open"), "FF")
		time.Sleep(time.Minute)
		play(t, get(t, &r, "closed"), "SSSFI")
		lasting(t, get(t, &r, "closed"), 2*time.Second, core.Success)
		take(t, get(t, &r, "closed"))
		play(t, get(t, &r, "open"), "SFF")
		refusal(t, get(t, &r, "open"))
		get(t, &r, "never called")
		play(t, get(t, &r, "well"), "SS")
		want := core.RegistryStats{Breakers: 5, Closed: 3, Open: 1, HalfOpen: 1, SuccessRate: 7.0 / 12, Totals: core.Totals{
			Calls: 14, Successes: 7, Failures: 5, Ignored: 1, Refused: 1, Slow: 1, InFlight: 1,
		}}
		if got := r.Stats(); got != want {
			t.Errorf("stats\n %+v, want\n %+v", got, want)
		}
	})
}

func TestRegistryGate(t *testing.T) {
	var r core.Registry
	if b, err := r.Get("a"); err != nil || r.Gate("a") != core.Gate(b) {
		t.Errorf("the gate of a name is %v, want its breaker", r.Gate("a"))
	}
	spoilt := core.Registry{Config: always(core.Config{FailureThreshold: 1001})}
	if _, err := spoilt.Gate("a").Allow(bg); !strings.Contains(fmt.Sprint(err), "FailureThreshold") {
		t.Errorf("the gate of a name whose Config is not valid says %v; want what is wrong with it", err)
	}
	if n := testing.AllocsPerRun(100, func() { _ = r.Gate("a") }); n != 0 {
		t.Errorf("a lookup allocates %v times", n)
	}
}

func TestRegistryStatsCountLossesAsSnapshotsDo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r core.Registry
		b := get(t, &r, "a")
		update(t, b, core.Config{FailureThreshold: 1, Timeout: time.Second, History: time.Hour})
		fail(t, b, 1)
		time.Sleep(time.Second)
		take(t, b)
		time.Sleep(time.Hour / 2)
		s := b.Snapshot()
		if got := r.Stats(); got.Totals != s.Totals || got.Totals.Lost != 1 {
			t.Errorf("Stats %+v, want the totals %+v with a lost probe", got, s.Totals)
		}
	})
}
