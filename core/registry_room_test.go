package core_test

import (
	"context"
	"errors"
	"fmt"
	stdlog "log"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/blackbox4/switchgear/core"
)

// A full registry gives the place of the closed breaker that was not asked for the
// longest, and of no other.
func TestRegistryFullEvictsTheLongestIdleClosed(t *testing.T) {
	cfg := core.Config{FailureThreshold: 1, Timeout: time.Second, HalfOpenMaxCalls: 1}
	for _, limit := range []int{1, 2, 7, 40, 64} {
		bubble(t, fmt.Sprint("all closed, Max ", limit), func(t *testing.T) {
			r := core.Registry{Max: limit, Config: always(cfg)}
			for i := range 4 * limit {
				get(t, &r, fmt.Sprint(i))
			}
			for i := range 4 * limit {
				if got, want := names(&r)[fmt.Sprint(i)], i >= 3*limit; got != want {
					t.Fatalf("%d has a breaker: %t, want %t: the last %d have", i, got, want, limit)
				}
			}
			for i := 3 * limit; i < 4*limit-1; i++ { // all but the last are asked for again
				get(t, &r, fmt.Sprint(i))
			}
			get(t, &r, "new")
			if last := fmt.Sprint(4*limit - 1); names(&r)[last] || r.Len() != limit {
				t.Errorf("%s has a breaker, or there are %d; want that it went for the new one", last, r.Len())
			}
		})
	}
	bubble(t, "those that cannot go stay", func(t *testing.T) {
		r := core.Registry{Max: 7, Config: always(cfg)}
		kept := map[string]*core.Breaker{}
		for name, f := range map[string]func(b *core.Breaker){
			"open":       func(b *core.Breaker) { update(t, b, core.Config{FailureThreshold: 1}); fail(t, b, 1) },
			"half-open":  func(b *core.Breaker) { fail(t, b, 1); time.Sleep(time.Second) },
			"permit out": func(b *core.Breaker) { take(t, b) },
			"shadow":     func(b *core.Breaker) { force(t, b, core.Shadow) },
			"forced":     func(b *core.Breaker) { force(t, b, core.ForcedOpen) },
			"disabled":   func(b *core.Breaker) { force(t, b, core.Disabled) },
		} {
			kept[name] = get(t, &r, name)
			f(kept[name])
		}
		for i := range 50 {
			get(t, &r, fmt.Sprint("new-", i))
		}
		for name, b := range kept {
			if get(t, &r, name) != b {
				t.Errorf("%s lost its breaker", name)
			}
		}
		if got := names(&r); r.Len() != 7 || !got["new-49"] {
			t.Errorf("%v, want the six and the newest", got)
		}
		take(t, get(t, &r, "new-49"))
		if b, err := r.Get("one too many"); b != nil || !errors.Is(err, core.ErrRegistryFull) || !strings.Contains(err.Error(), "raise Max") {
			t.Errorf("Get = %v, %v; want ErrRegistryFull and the remedy", b, err)
		}
	})
	bubble(t, "a breaker that may go again does", func(t *testing.T) {
		r := core.Registry{Max: 2, Config: always(cfg)}
		a, b := take(t, get(t, &r, "a")), take(t, get(t, &r, "b"))
		if _, err := r.Get("c"); !errors.Is(err, core.ErrRegistryFull) {
			t.Fatalf("Get = %v, want ErrRegistryFull: both have permits out", err)
		}
		b.Settle(bg, core.Success)
		get(t, &r, "c")
		a.Settle(bg, core.Success)
		get(t, &r, "d")
		if got := names(&r); got["a"] || got["b"] {
			t.Errorf("%v, want c and d", got)
		}
	})
}

// In a large registry the order is kept in steps of Max/64 new names.
func TestRegistryFullKeepsTheOrderRoughly(t *testing.T) {
	const limit, step = 2048, 2048 / 64
	r := core.Registry{Max: limit}
	for i := range 3 * limit {
		get(t, &r, fmt.Sprint(i))
		if i < limit || i%97 > 0 {
			continue
		}
		gone := i - limit // of as many evictions
		for _, old := range []int{gone - 4*step, gone + 4*step} {
			if has := names(&r)[fmt.Sprint(old)]; old >= 0 && has != (old > gone) {
				t.Fatalf("after %d evictions %d has a breaker: %t", gone+1, old, has)
			}
		}
	}
}

// Names that fail, invented by the thousand, drive out no breaker that is in use and
// have no other name refused.
func TestRegistryFloodOfFailingNames(t *testing.T) {
	const limit, hot, flood = 200, 20, 10_000
	for what, row := range map[string]struct{ every, failures int }{
		"that open": {1, 5}, "that open, while others are asked for now and then": {40, 5}, "that do not open": {1, 1},
	} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				log := &logbook{}
				r := core.Registry{Max: limit, Logger: slog.New(log)}
				mine := map[string]*core.Breaker{}
				calls := uint64(0)
				for i := range hot {
					mine[fmt.Sprint("hot-", i)] = get(t, &r, fmt.Sprint("hot-", i))
				}
				for i := range flood {
					name := fmt.Sprint("invented-", i)
					for range row.failures {
						take(t, r.Gate(name)).Settle(bg, core.Failure) // the first calls of a name are never refused
						calls++
					}
					if i%row.every != 0 {
						continue
					}
					for name, b := range mine {
						if r.Gate(name) != core.Gate(b) {
							t.Fatalf("%s lost its breaker at %s", name, fmt.Sprint("invented-", i))
						}
						succeed(t, b, 1)
						calls++
					}
				}
				stats := r.Stats()
				if stats.Totals.Calls+stats.Unguarded != calls || stats.Totals.Refused != 0 || r.Len() > limit {
					t.Errorf("%+v, want %d calls in all and at most %d breakers", stats, calls, limit)
				}
				if n := log.count("registry is full"); (n == 1) != (stats.Unguarded > 0) {
					t.Errorf("%d lines in the log for %d calls without a breaker", n, stats.Unguarded)
				}
				for i := range 100 { // of hosts that are well, and new
					succeed(t, r.Gate(fmt.Sprint("well-", i)), 3)
				}
				time.Sleep(time.Hour)
				get(t, &r, "hot-1")
				_, _ = r.Get("a sweep")
				time.Sleep(time.Hour + 10*time.Minute)
				get(t, &r, "new")
				if got := r.Len(); got > hot {
					t.Errorf("%d breakers when all were idle, want the flood evicted", got)
				}
			})
		})
	}
}

// 100 dead hosts in a registry of 100.
func TestRegistryFullOfOpenBreakers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &logbook{}
		r := core.Registry{Max: 100, Logger: slog.New(log)}
		for i := range 100 {
			trip(t, get(t, &r, fmt.Sprint("dead-", i)))
		}
		for i := range 50 {
			fail(t, r.Gate(fmt.Sprint("new-", i)), 10) // nor by failures of each other
		}
		if stats := r.Stats(); stats.Unguarded != 500 || stats.Open != 100 || log.count("") != 1 {
			t.Errorf("%+v and %d lines in the log, want 500 calls without a breaker and one line", stats, log.count(""))
		}
		time.Sleep(time.Minute)
		b := get(t, &r, "dead-7")
		succeed(t, b, 2) // is well again
		if get(t, &r, "new"); names(&r)["dead-7"] {
			t.Error("dead-7, which is closed, was kept, and not one that is half-open")
		}
	})
}

func TestRegistryGateOfNamesThatAreNotValid(t *testing.T) {
	log := &logbook{}
	r := core.Registry{Logger: slog.New(log)}
	bad := []string{"", "a\x00b", strings.Repeat("x", 257), strings.Repeat("y", 1<<16), "\xff"}
	for range 10 {
		for _, name := range bad {
			fail(t, r.Gate(name), 1)
		}
	}
	if stats := r.Stats(); stats.Unguarded != 50 || stats.Breakers != 0 || stats.Totals != (core.Totals{}) {
		t.Errorf("%+v, want 50 calls without a breaker", stats)
	}
	if log.count("") != 1 || log.count("not valid") != 1 {
		t.Errorf("%d lines in the log, want one about a name that is not valid", log.count(""))
	}
	done, cancel := context.WithCancel(bg)
	cancel()
	p, err := r.Gate("").Allow(done)
	if err == nil {
		p.Settle(bg, core.Ignored)
		t.Error("a context that is done takes a permit")
	}
	//nolint:staticcheck // a nil context is allowed
	if p, err := r.Gate("").Allow(nil); err != nil {
		t.Errorf("Allow = %v", err)
	} else {
		p.Settle(bg, core.Success)
	}
}

// No call without a breaker costs an allocation, by whatever it has none.
func TestRegistryUnguardedAllocatesNothing(t *testing.T) {
	full := core.Registry{Max: 1, Logger: slog.New(slog.DiscardHandler)}
	take(t, get(t, &full, "a"))
	long := strings.Repeat("x", 1000)
	for _, name := range []string{"", long, "one too many"} {
		if n := testing.AllocsPerRun(100, func() {
			p, err := full.Gate(name).Allow(bg)
			if err != nil {
				t.Fatal(err)
			}
			p.Settle(bg, core.Failure)
		}); n != 0 {
			t.Errorf("a call of %.20q allocates %v times", name, n)
		}
	}
}

// Without a Logger it is slog's default that is told.
func TestRegistryLoggerIsTheDefault(t *testing.T) {
	writer, flags, before := stdlog.Writer(), stdlog.Flags(), slog.Default()
	defer func() { // SetDefault changes all three
		slog.SetDefault(before)
		stdlog.SetOutput(writer)
		stdlog.SetFlags(flags)
	}()
	log := &logbook{}
	slog.SetDefault(slog.New(log))
	var r core.Registry
	fail(t, r.Gate("\x00"), 2)
	if log.count("not valid") != 1 {
		t.Errorf("%d lines in the log, want one about a name that is not valid", log.count(""))
	}
}

// A logger that panics takes no call with it.
func TestRegistryLoggerPanics(t *testing.T) {
	r := core.Registry{Logger: slog.New(panicHandler{})}
	fail(t, r.Gate("\x00"), 2)
}

type panicHandler struct{ slog.Handler }

func (panicHandler) Enabled(context.Context, slog.Level) bool { panic("the log is gone") }

// A name that finds no place costs no call of Config.
func TestRegistryFullAsksNoConfig(t *testing.T) {
	asked := 0
	r := core.Registry{Max: 2, Config: func(string) core.Config { asked++; return core.Config{} }}
	take(t, get(t, &r, "a"))
	take(t, get(t, &r, "b"))
	for i := range 1000 {
		if _, err := r.Get(fmt.Sprint(i)); !errors.Is(err, core.ErrRegistryFull) {
			t.Fatal(err)
		}
	}
	if asked != 2 {
		t.Errorf("Config was asked %d times, want twice", asked)
	}
}

func TestNilRegistry(t *testing.T) {
	var r *core.Registry
	if b, err := r.Get("a"); b != nil || err == nil || !strings.Contains(err.Error(), "Registry") {
		t.Errorf("Get = %v, %v", b, err)
	}
	if _, err := r.Gate("a").Allow(bg); err == nil || !strings.Contains(err.Error(), "Registry") {
		t.Errorf("Gate admits or says %v", err)
	}
	if err := r.Update(nil); err == nil {
		t.Error("Update = nil")
	}
	if r.Len() != 0 || len(names(r)) != 0 || r.Stats() != (core.RegistryStats{SuccessRate: 1}) {
		t.Error("a nil registry is not empty")
	}
}

// While names are invented without end, from many goroutines, the caps hold and all
// calls are counted where no breaker goes between Get and the call.
func TestRegistryFloodUnderContention(t *testing.T) {
	const limit, each = 64, 2000
	r := core.Registry{Max: limit, Logger: slog.New(slog.DiscardHandler)}
	var last core.Totals
	var mu sync.Mutex
	hammer(8, scaled(each), func(g, i int) {
		name := fmt.Sprint(g, "-", i/3)
		if p, err := r.Gate(name).Allow(bg); err == nil {
			p.Settle(bg, core.Outcome(i%3+1))
		}
		if n := r.Len(); n > limit {
			t.Errorf("%d breakers, at most %d", n, limit)
		}
		if i%50 == 0 {
			mu.Lock()
			defer mu.Unlock()
			if now := r.Stats().Totals; now.Calls < last.Calls || now.Failures < last.Failures || now.Successes < last.Successes || now.Ignored < last.Ignored {
				t.Errorf("totals went back from %+v to %+v", last, now)
			} else {
				last = now
			}
		}
	})
	stats := r.Stats()
	if all := stats.Totals.Calls + stats.Totals.Refused + stats.Unguarded; all > uint64(8*scaled(each)) || stats.Totals.InFlight != 0 {
		t.Errorf("%+v, want at most %d calls and none in flight", stats, 8*scaled(each))
	}
}
