package core_test

import (
	"context"
	"errors"
	"math"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/blackbox4/switchgear/core"
)

// A rule trips on a rate that was true at a moment. One fast call and then slow
// and fast ones, of which at no moment all were slow, open nothing.
func TestTimeWindowTripsOnNoRateThatWasNotTrue(t *testing.T) {
	for name, cfg := range map[string]core.Config{
		"slow calls": {SlowRateThreshold: 1, SlowAfter: time.Millisecond},
		"failures":   {FailureRateThreshold: 1},
	} {
		t.Run(name, func(t *testing.T) {
			for range scaled(20) {
				var clock handClock
				cfg := neverOpens(cfg)
				cfg.MinimumCalls, cfg.Window.For, cfg.Now = 1, time.Hour, clock.now
				cfg.Hooks.Transition = func(_ context.Context, tr core.Transition) { t.Errorf("opened: %s", tr.Reason()) }
				b := core.MustNew("torn", cfg)
				succeed(t, b, 1)
				var permits [8][400]core.Permit
				for g := range permits {
					for i := range permits[g] {
						var err error
						if permits[g][i], err = b.Allow(bg); err != nil {
							t.Fatal(err)
						}
					}
				}
				clock.advance(2 * time.Millisecond)
				hammer(len(permits), len(permits[0]), func(g, i int) {
					if cfg.SlowAfter > 0 {
						permits[g][i].Settle(bg, core.Success)
					} else {
						permits[g][i].Settle(bg, core.Failure)
					}
				})
				if w := b.Snapshot().Window; w.Calls != 1+len(permits)*len(permits[0]) {
					t.Fatalf("window %+v", w)
				}
			}
		})
	}
}

// While each caller makes a good call before each bad one, there is no moment at
// which more than half of them were bad, and no rule finds more.
func TestTimeWindowFindsNoRateHigherThanEver(t *testing.T) {
	for name, cfg := range map[string]core.Config{
		"slow calls": {SlowRateThreshold: 0.51, SlowAfter: time.Millisecond},
		"failures":   {FailureRateThreshold: 0.51},
	} {
		t.Run(name, func(t *testing.T) {
			for range scaled(400) {
				var clock handClock
				cfg := neverOpens(cfg)
				cfg.MinimumCalls, cfg.Window.For, cfg.Now = 1, time.Hour, clock.now
				cfg.Hooks.Transition = func(_ context.Context, tr core.Transition) { t.Errorf("opened: %s", tr.Reason()) }
				b := core.MustNew("torn", cfg)
				var good, bad [8][20]*core.Permit
				for g := range good {
					for i := range good[g] {
						bad[g][i] = take(t, b)
					}
				}
				clock.advance(2 * time.Millisecond)
				for g := range good {
					for i := range good[g] {
						good[g][i] = take(t, b)
					}
				}
				hammer(len(good), len(good[0]), func(g, i int) {
					good[g][i].Settle(bg, core.Success)
					if cfg.SlowAfter > 0 {
						bad[g][i].Settle(bg, core.Success)
					} else {
						bad[g][i].Settle(bg, core.Failure)
					}
				})
				want := core.Counts{Calls: 2 * len(good) * len(good[0]), Slow: len(good) * len(good[0])}
				if w := b.Snapshot().Window; w.Calls != want.Calls || w.Failures+w.Slow != want.Slow {
					t.Fatalf("window %+v", w)
				}
			}
		})
	}
}

// A caller fails once and then succeeds four times, again and again. Each Snapshot
// shows calls, failures and streak as they were at one moment.
func TestTimeWindowSnapshotIsOneReading(t *testing.T) {
	for range scaled(3000) {
		b := core.MustNew("torn", neverOpens(core.Config{Window: core.Window{For: time.Hour}, FailureRateThreshold: 1}))
		succeed(t, b, 1)
		hammer(2, 1, func(g, _ int) {
			for i := range 25 { // fewer than the readings that a Snapshot makes at most
				switch {
				case g == 1:
					c := b.Snapshot().Window
					made := c.Calls - 1
					failures := (made + 4) / 5
					// A call is in the window a moment before it is in the streak.
					failedLast, failedOneBefore := made%5 == 1, made%5 == 2
					if c.Failures != failures || c.Consecutive == 1 && !failedLast && !failedOneBefore || c.Consecutive > 1 {
						t.Errorf("%+v of a failure and four successes, again and again", c)
					}
				case i%5 == 0:
					fail(t, b, 1)
				default:
					succeed(t, b, 1)
				}
			}
		})
	}
}

// Of calls that half fail or are half slow, no reading ever shows more than was
// credited: in snapshots, in transitions and in decisions, while tenths pass.
func TestTimeWindowIsNeverTorn(t *testing.T) {
	var clock handClock
	var opened atomic.Int64
	cfg := neverOpens(core.Config{
		Window: core.Window{For: 100 * time.Millisecond}, MinimumCalls: 1, SlowAfter: time.Millisecond,
		FailureRateThreshold: 0.95, SlowRateThreshold: 0.95, Timeout: time.Millisecond, SuccessThreshold: 1, Now: clock.now,
	})
	cfg.Hooks.Transition = func(_ context.Context, tr core.Transition) {
		if tr.To == core.Open {
			opened.Add(1)
		}
		if c := tr.Counts; c.Failures > c.Calls || c.Slow > c.Calls {
			t.Errorf("%v to %v on %+v", tr.From, tr.To, c)
		}
	}
	b := core.MustNew("torn", cfg)
	hammer(8, scaled(20_000), func(g, i int) {
		if g == 0 {
			if c := b.Snapshot().Window; c.Failures > c.Calls || c.Slow > c.Calls {
				t.Errorf("snapshot of %+v", c)
			}
			clock.advance(time.Millisecond)
			return
		}
		p, err := b.Allow(bg)
		if err != nil {
			return
		}
		if i%3 == 0 {
			clock.advance(2 * time.Millisecond)
		}
		p.Settle(bg, [...]core.Outcome{core.Success, core.Failure}[i%2])
	})
	b.WaitForHooks()
	t.Logf("opened %d times", opened.Load())
}

// Nothing returns into a window, however long ago it was: not when a tag of some
// bits has gone round, nor at any other time.
func TestTimeWindowForgetsForGood(t *testing.T) {
	for _, window := range []time.Duration{10 * time.Millisecond, 99 * time.Millisecond, time.Second, time.Hour} {
		tenth := window / 10
		for bits := 4; bits < 62; bits++ {
			lap := time.Duration(math.MaxInt64)
			if bits < 62-int(math.Log2(float64(tenth))) {
				lap = tenth << bits
			}
			if lap > 30*365*24*time.Hour {
				break
			}
			for _, off := range []time.Duration{-9 * tenth, -tenth, 0, tenth, 9 * tenth} {
				if lap+off < window {
					continue
				}
				var clock handClock
				b := withoutRules("lap", core.Config{Window: core.Window{For: window}, Now: clock.now})
				fail(t, b, 3)
				clock.advance(lap + off)
				if got := b.Snapshot().Window; got.Calls != 0 || got.Failures != 0 {
					t.Fatalf("window of %v, %v later (2^%d tenths): %+v", window, lap+off, bits, got)
				}
				succeed(t, b, 1)
				if got := b.Snapshot().Window; got.Calls != 1 || got.Failures != 0 {
					t.Fatalf("window of %v, %v later (2^%d tenths), and one call: %+v", window, lap+off, bits, got)
				}
			}
		}
	}
}

// A count that has no more room stays, and the rates stay rates.
func TestTimeWindowIsFull(t *testing.T) {
	var clock handClock
	b := withoutRules("full", core.Config{Window: core.Window{For: 10 * time.Millisecond}, Now: clock.now})
	const most = 1<<24 - 1
	core.FailAtOnce(b, most-10)
	for i := range 1000 {
		fail(t, b, 1)
		if got, want := b.Snapshot().Window, min(most-10+i+1, most); got.Calls != want || got.Failures != want {
			t.Fatalf("%d calls, %d failures; want %d", got.Calls, got.Failures, want)
		}
	}
	clock.advance(time.Second)
	if got := b.Snapshot().Window; got.Calls != 0 || got.Failures != 0 {
		t.Errorf("a second later: %+v", got)
	}
}

// A permit that is out keeps none of the windows alive that came and went since.
func TestAPermitKeepsNoOldWindows(t *testing.T) {
	b := core.MustNew("chain", core.Config{})
	held := take(t, b)
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	for i := range 20_000 {
		update(t, b, core.Config{Window: core.Window{For: time.Duration(1+i%2) * time.Minute}})
	}
	if after := heap(); after > before+4<<20 {
		t.Errorf("one permit keeps %d KiB alive", (after-before)>>10)
	}
	held.Done(bg, errors.New("sick"))
	wantWindow(t, b, core.Counts{Calls: 1, Failures: 1, Consecutive: 1})
	runtime.KeepAlive(b)
}

// A success that is not in the window yet, when a streak is read, ends that streak.
func TestASuccessEndsTheStreakBeforeItsCredit(t *testing.T) {
	var between int
	for range scaled(20_000) {
		b := core.MustNew("order", neverOpens(core.Config{Window: core.Window{For: time.Hour}, FailureRateThreshold: 1, MinimumCalls: 10}))
		bad, good := take(t, b), take(t, b)
		var seen core.Counts
		hammer(2, 1, func(g, _ int) {
			if g == 0 {
				good.Settle(bg, core.Success)
				return
			}
			bad.Settle(bg, core.Failure)
			seen = b.Snapshot().Window
		})
		if seen.Calls != 1 {
			continue
		}
		between++
		if got := b.Snapshot().Window; got.Consecutive != 0 {
			t.Fatalf("a success after %+v leaves %+v", seen, got)
		}
	}
	t.Logf("%d successes came after the reading", between)
}
