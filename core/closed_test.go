package core_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/blackbox4/switchgear/core"
)

// The window and the streak both decide.
func TestClosed(t *testing.T) {
	bubble(t, "the default is five consecutive failures", func(t *testing.T) {
		b := newBreaker(t, core.Config{})
		play(t, b, "FFFF"+"S"+"F")
		wantState(t, b, core.Closed)
		fail(t, b, 3)
		wantState(t, b, core.Closed)
		fail(t, b, 1)
		wantState(t, b, core.Open)
		if got := b.Snapshot().Cause; got != core.CauseConsecutiveFailures {
			t.Errorf("cause = %v, want %v", got, core.CauseConsecutiveFailures)
		}
	})
	bubble(t, "counters are zero in the new state", func(t *testing.T) {
		b := newBreaker(t, core.Config{FailureThreshold: 2, SuccessThreshold: 1, Timeout: time.Second})
		play(t, b, "SSFF")
		wantState(t, b, core.Open)
		wantWindow(t, b, core.Counts{})
		time.Sleep(time.Second)
		wantState(t, b, core.HalfOpen)
		wantWindow(t, b, core.Counts{})
		succeed(t, b, 1)
		wantState(t, b, core.Closed)
		wantWindow(t, b, core.Counts{})
	})
	bubble(t, "a rate opens exactly at the minimum", func(t *testing.T) {
		b := newBreaker(t, core.Config{FailureThreshold: -1, FailureRateThreshold: 0.6, MinimumCalls: 3})
		play(t, b, "SF")
		wantState(t, b, core.Closed)
		fail(t, b, 1)
		wantState(t, b, core.Open)
		tr := b.Snapshot().Transitions[0]
		if want := (core.Counts{Calls: 3, Failures: 2, Consecutive: 2}); tr.Cause != core.CauseFailureRate || tr.Counts != want {
			t.Errorf("opened by %v with %+v, want %v with %+v", tr.Cause, tr.Counts, core.CauseFailureRate, want)
		}
	})
	bubble(t, "count window, 2 of 3", func(t *testing.T) {
		b := newBreaker(t, core.Config{FailureThreshold: -1, FailureRateThreshold: 2.0 / 3, Window: core.Window{Calls: 3}})
		play(t, b, "FS")
		wantState(t, b, core.Closed)
		fail(t, b, 1)
		wantState(t, b, core.Open)
	})
	bubble(t, "a success breaks the streak", func(t *testing.T) {
		b := newBreaker(t, core.Config{FailureThreshold: 3})
		play(t, b, "FSFF")
		wantState(t, b, core.Closed)
		fail(t, b, 1)
		wantState(t, b, core.Open)
	})
	bubble(t, "alternating calls stay below 3 of 4", func(t *testing.T) {
		b := newBreaker(t, core.Config{FailureThreshold: -1, FailureRateThreshold: 0.75, Window: core.Window{Calls: 4}})
		play(t, b, strings.Repeat("SF", 20))
		wantState(t, b, core.Closed)
		fail(t, b, 1) // F,S,F,F
		wantState(t, b, core.Open)
	})
	bubble(t, "below the minimum no rate counts", func(t *testing.T) {
		b := newBreaker(t, core.Config{FailureThreshold: -1, FailureRateThreshold: 0.5, MinimumCalls: 5, Window: core.Window{For: 20 * time.Second}})
		fail(t, b, 4)
		wantState(t, b, core.Closed)
		if got := b.Explain(); !strings.Contains(got, "only 4 of 5 calls") {
			t.Errorf("Explain = %q, want it to say that only 4 of 5 calls are in", got)
		}
		fail(t, b, 1)
		wantState(t, b, core.Open)
	})
	bubble(t, "a success never opens", func(t *testing.T) { // decided: rule 1
		b := newBreaker(t, core.Config{FailureThreshold: -1, FailureRateThreshold: 0.5, MinimumCalls: 5})
		play(t, b, "FFFSS")
		wantState(t, b, core.Closed)
		wantWindow(t, b, core.Counts{Calls: 5, Failures: 3})
		fail(t, b, 1)
		wantState(t, b, core.Open)
	})
	bubble(t, "slow calls open by their rate", func(t *testing.T) {
		b := newBreaker(t, core.Config{FailureThreshold: -1, FailureRateThreshold: 0.5, SlowRateThreshold: 0.5, SlowAfter: 4 * time.Second, MinimumCalls: 5})
		lasting(t, b, 5*time.Second, core.Success)
		lasting(t, b, time.Second, core.Failure)
		lasting(t, b, 4*time.Second, core.Success) // not above SlowAfter
		lasting(t, b, 5*time.Second, core.Failure)
		wantState(t, b, core.Closed)
		lasting(t, b, 5*time.Second, core.Success)
		wantState(t, b, core.Open)
		tr := b.Snapshot().Transitions[0]
		if want := (core.Counts{Calls: 5, Failures: 2, Slow: 3}); tr.Cause != core.CauseSlowRate || tr.Counts != want {
			t.Errorf("opened by %v with %+v, want %v with %+v", tr.Cause, tr.Counts, core.CauseSlowRate, want)
		}
	})
	bubble(t, "fewer than the minimum, all failing, are admitted", func(t *testing.T) {
		b := newBreaker(t, core.Config{FailureThreshold: -1, FailureRateThreshold: 0.1})
		fail(t, b, 19) // the default minimum is 20
		wantState(t, b, core.Closed)
		take(t, b).Settle(bg, core.Failure)
		wantState(t, b, core.Open)
	})
}

// Exactly on the threshold opens, one below does not, for every
// percentage: 57 of 100 at 0.57 and 7 of 100 at 0.07 are lost to truncation and
// to binary fractions elsewhere.
func TestClosedRateExactlyAtTheThreshold(t *testing.T) {
	for _, rule := range []struct {
		name string
		cfg  core.Config
		bad  core.Outcome
		took time.Duration
	}{
		{"failures", core.Config{}, core.Failure, 0},
		{"slow calls", core.Config{SlowAfter: time.Second}, core.Success, 2 * time.Second},
	} {
		bubble(t, rule.name, func(t *testing.T) {
			for k := 1; k <= 100; k++ {
				cfg := rule.cfg
				cfg.FailureThreshold, cfg.MinimumCalls = -1, 100
				rate := float64(k) / 100
				if cfg.SlowAfter > 0 {
					cfg.SlowRateThreshold = rate
				} else {
					cfg.FailureRateThreshold = rate
				}
				below, at := newBreaker(t, cfg), newBreaker(t, cfg)
				succeed(t, below, 101-k)
				for range k - 1 {
					lasting(t, below, rule.took, rule.bad)
				}
				if got := below.State(); got != core.Closed {
					t.Errorf("%d of 100 at %v: %v, want closed", k-1, rate, got)
				}
				succeed(t, at, 100-k)
				for range k {
					lasting(t, at, rule.took, rule.bad)
				}
				if got := at.State(); got != core.Open {
					t.Errorf("%d of 100 at %v: %v, want open", k, rate, got)
				}
			}
		})
	}
}

func TestClosedCountWindowIsExact(t *testing.T) {
	// For each size, a failure counts for exactly as many calls as the window
	// holds; sizes around the ring's word of 16 marks.
	for _, size := range []int{1, 2, 3, 15, 16, 17, 31, 32, 33, 100} {
		bubble(t, fmt.Sprint(size), func(t *testing.T) {
			b := withoutRules("exact", core.Config{Window: core.Window{Calls: size}})
			succeed(t, b, 2*size+1)
			fail(t, b, 1)
			for i := 1; i < size; i++ {
				wantWindow(t, b, core.Counts{Calls: size, Failures: 1, Consecutive: map[bool]int{true: 1}[i == 1]})
				succeed(t, b, 1)
			}
			if size > 1 {
				wantWindow(t, b, core.Counts{Calls: size, Failures: 1})
			}
			succeed(t, b, 1)
			wantWindow(t, b, core.Counts{Calls: size})
		})
	}
}

func TestClosedTimeWindow(t *testing.T) {
	// The breaker's tenths begin with it: [0 s, 1 s), [1 s, 2 s) …
	cfg := core.Config{FailureThreshold: -1, FailureRateThreshold: 1, Window: core.Window{For: 10 * time.Second}, MinimumCalls: 1000}
	bubble(t, "one tenth on, only the oldest leaves", func(t *testing.T) {
		b := newBreaker(t, cfg)
		time.Sleep(500 * time.Millisecond)
		for i := range 10 {
			settle(t, b, core.Failure, i+1) // i+1 failures and a success in tenth i
			succeed(t, b, 1)
			if i < 9 {
				time.Sleep(time.Second)
			}
		}
		wantWindow(t, b, core.Counts{Calls: 65, Failures: 55})
		calls, failures := 65, 55
		for i := range 10 {
			time.Sleep(time.Second)
			calls, failures = calls-i-2, failures-i-1
			wantWindow(t, b, core.Counts{Calls: calls, Failures: failures})
		}
	})
	bubble(t, "a window later everything is zero", func(t *testing.T) {
		for _, later := range []time.Duration{10 * time.Second, 11 * time.Second, time.Hour} {
			b := newBreaker(t, cfg)
			play(t, b, "FFS")
			time.Sleep(later)
			wantWindow(t, b, core.Counts{})
			fail(t, b, 1)
			wantWindow(t, b, core.Counts{Calls: 1, Failures: 1, Consecutive: 1})
		}
	})
	bubble(t, "a result counts from its end", func(t *testing.T) { // decided: rule 2
		b := newBreaker(t, cfg)
		lasting(t, b, 25*time.Second, core.Failure)
		wantWindow(t, b, core.Counts{Calls: 1, Failures: 1, Consecutive: 1})
		time.Sleep(9 * time.Second)
		wantWindow(t, b, core.Counts{Calls: 1, Failures: 1, Consecutive: 1})
		time.Sleep(time.Second)
		wantWindow(t, b, core.Counts{Consecutive: 1})
	})
	bubble(t, "the streak is not the window's", func(t *testing.T) { // decided: rule 1
		c := cfg
		c.FailureThreshold = 3
		b := newBreaker(t, c)
		fail(t, b, 2)
		time.Sleep(time.Minute)
		wantWindow(t, b, core.Counts{Consecutive: 2})
		fail(t, b, 1)
		wantState(t, b, core.Open)
	})
	bubble(t, "what is older than the window does not open", func(t *testing.T) {
		b := newBreaker(t, core.Config{FailureThreshold: -1, FailureRateThreshold: 1, MinimumCalls: 2, Window: core.Window{For: 200 * time.Millisecond}})
		fail(t, b, 1)
		time.Sleep(200 * time.Millisecond)
		fail(t, b, 1)
		wantState(t, b, core.Closed)
		time.Sleep(100 * time.Millisecond)
		fail(t, b, 1)
		wantState(t, b, core.Open)
	})
	bubble(t, "the shortest window has ten tenths too", func(t *testing.T) { // decided: rule 2
		b := newBreaker(t, core.Config{FailureThreshold: -1, Window: core.Window{For: 10 * time.Millisecond}})
		fail(t, b, 1)
		time.Sleep(time.Millisecond)
		fail(t, b, 1)
		time.Sleep(9 * time.Millisecond)
		wantWindow(t, b, core.Counts{Calls: 1, Failures: 1, Consecutive: 2})
	})
	bubble(t, "no gap between two slices", func(t *testing.T) {
		b := newBreaker(t, core.Config{FailureThreshold: -1, FailureRateThreshold: 0.5, MinimumCalls: 4, Window: core.Window{For: 10 * time.Second}})
		time.Sleep(10*time.Second - time.Millisecond)
		fail(t, b, 2)
		time.Sleep(2 * time.Millisecond)
		fail(t, b, 1)
		wantState(t, b, core.Closed)
		fail(t, b, 1)
		wantState(t, b, core.Open)
	})
	bubble(t, "what leaves with its slice does not help to open", func(t *testing.T) {
		b := newBreaker(t, core.Config{FailureThreshold: -1, FailureRateThreshold: 0.5, MinimumCalls: 4, Window: core.Window{For: 10 * time.Second}})
		fail(t, b, 3)
		time.Sleep(10 * time.Second)
		fail(t, b, 3)
		wantState(t, b, core.Closed)
		fail(t, b, 1)
		wantState(t, b, core.Open)
	})
}

func TestClosedRulesSwitchOff(t *testing.T) {
	for name, cfg := range map[string]core.Config{
		"negative":      {FailureThreshold: -1, FailureRateThreshold: -1},
		"every rule":    {FailureThreshold: -1, FailureRateThreshold: -0.5, SlowRateThreshold: -1, SlowAfter: -1, MinimumCalls: -1},
		"slow, no rate": {FailureThreshold: -1, FailureRateThreshold: -1, SlowAfter: time.Millisecond},
	} {
		bubble(t, name, func(t *testing.T) {
			b := newBreaker(t, cfg)
			for range 200 {
				lasting(t, b, time.Second, core.Failure)
			}
			wantState(t, b, core.Closed)
		})
	}
}

func TestClosedNoMinimum(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(t, core.Config{FailureThreshold: -1, FailureRateThreshold: 1, MinimumCalls: -1})
		fail(t, b, 1)
		wantState(t, b, core.Open)
	})
}

// A call longer than the window counts where it ends, by every rule (rule 2).
func TestClosedCallsLongerThanTheWindow(t *testing.T) {
	for name, cfg := range map[string]core.Config{
		"streak":            {FailureThreshold: 3},
		"failure rate":      {FailureThreshold: -1, FailureRateThreshold: 0.5, MinimumCalls: 3},
		"slow rate":         {FailureThreshold: -1, SlowRateThreshold: 0.5, SlowAfter: time.Second, MinimumCalls: 3},
		"rates and history": {FailureThreshold: -1, FailureRateThreshold: 0.5, MinimumCalls: 3, History: time.Minute, Durations: true},
	} {
		bubble(t, name, func(t *testing.T) {
			cfg.Window.For = time.Second
			b := newBreaker(t, cfg)
			var out []*core.Permit
			for range 3 {
				out = append(out, take(t, b))
			}
			time.Sleep(time.Hour)
			for _, p := range out[:2] {
				p.Settle(bg, core.Failure)
				wantState(t, b, core.Closed)
			}
			out[2].Settle(bg, core.Failure)
			wantState(t, b, core.Open)
		})
	}
}

func TestClosedIgnoredCallsCountNowhere(t *testing.T) {
	for name, w := range map[string]core.Window{"calls": {Calls: 4}, "time": {For: time.Minute}} {
		bubble(t, name, func(t *testing.T) {
			b := newBreaker(t, core.Config{FailureThreshold: 3, Window: w, SlowAfter: time.Second, Durations: true})
			play(t, b, "FF")
			for range 10 {
				lasting(t, b, 2*time.Second, core.Ignored)
			}
			wantWindow(t, b, core.Counts{Calls: 2, Failures: 2, Consecutive: 2})
			wantTotals(t, b, core.Totals{Calls: 12, Failures: 2, Ignored: 10})
			if got := b.Snapshot().Durations.Count; got != 2 {
				t.Errorf("%d durations are kept, want the 2 of calls that were not ignored", got)
			}
			fail(t, b, 1) // the ignored ones did not break the streak
			wantState(t, b, core.Open)
		})
	}
}

// A rule is broken only by a call of its kind: a slow success by none about
// failures, a fast failure by none about slow calls.
func TestClosedARuleIsBrokenByItsOwnKind(t *testing.T) {
	const slowAfter = time.Second
	for _, row := range []struct {
		name        string
		failureRate float64
		slowRate    float64
		calls, last string // in small letters they are slow
		want        core.Cause
	}{
		{"a slow success, slow calls off", 0.5, 0, "FFF", "s", core.NoCause},
		{"a failure after it", 0.5, 0, "FFFs", "F", core.CauseFailureRate},
		{"a slow failure, slow calls off", 0.5, 0, "FFF", "f", core.CauseFailureRate},
		{"a slow success, few slow calls", 0.5, 0.5, "FFF", "s", core.NoCause},
		{"a slow success, enough slow calls", 0.5, 0.5, "FFf", "s", core.CauseSlowRate},
		{"a fast failure, enough slow calls", 0.5, 0.5, "sss", "F", core.NoCause},
		{"a fast failure, failure rate off", 0, 0.5, "sss", "F", core.NoCause},
		{"a slow call after it", 0, 0.5, "sssF", "s", core.CauseSlowRate},
		{"a fast failure, enough of both", 0.5, 0.5, "fss", "F", core.CauseFailureRate},
		{"a fast success, enough of both", 0.5, 0.5, "fff", "S", core.NoCause},
		{"a slow failure, enough slow calls alone", 0.75, 0.75, "Sss", "f", core.CauseSlowRate},
	} {
		for kind, w := range map[string]core.Window{"calls": {}, "time": {For: time.Hour}} {
			bubble(t, row.name+", "+kind, func(t *testing.T) {
				b := newBreaker(t, core.Config{
					FailureThreshold: -1, FailureRateThreshold: row.failureRate, SlowRateThreshold: row.slowRate,
					SlowAfter: slowAfter, MinimumCalls: 4, Window: w,
				})
				for i, c := range row.calls + row.last {
					wantState(t, b, core.Closed)
					if c >= 'a' {
						lasting(t, b, 2*slowAfter, map[rune]core.Outcome{'s': core.Success, 'f': core.Failure}[c])
					} else {
						play(t, b, (row.calls + row.last)[i:i+1])
					}
				}
				if got := b.Snapshot().Cause; got != row.want {
					t.Errorf("opened by %v, want %v", got, row.want)
				}
			})
		}
	}
}
