package core_test

import (
	"errors"
	"fmt"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/blackbox4/switchgear/core"
)

// A breaker that is reconfigured in any state goes on by the new
// limits and keeps its state, its break, its totals and its permits.
func TestUpdate(t *testing.T) {
	bubble(t, "closed: new thresholds, old streak", func(t *testing.T) {
		b := newBreaker(t, core.Config{FailureThreshold: 10})
		play(t, b, "SFFF")
		update(t, b, core.Config{FailureThreshold: 3})
		wantState(t, b, core.Closed) // nothing is evaluated at once
		wantWindow(t, b, core.Counts{Calls: 4, Failures: 3, Consecutive: 3})
		wantTotals(t, b, core.Totals{Calls: 4, Successes: 1, Failures: 3})
		fail(t, b, 1)
		wantState(t, b, core.Open)
	})
	bubble(t, "closed: a rate switched on looks at the window as it is", func(t *testing.T) {
		b := newBreaker(t, core.Config{FailureThreshold: -1})
		play(t, b, "SFSFSFSF")
		update(t, b, core.Config{FailureThreshold: -1, FailureRateThreshold: 0.5, MinimumCalls: 5})
		wantState(t, b, core.Closed)
		succeed(t, b, 1)
		wantState(t, b, core.Closed)
		fail(t, b, 1)
		wantState(t, b, core.Open)
	})
	bubble(t, "open: the break keeps its end, the next one is new", func(t *testing.T) {
		b := opened(t, core.Config{Timeout: time.Minute})
		time.Sleep(10 * time.Second)
		update(t, b, core.Config{Timeout: time.Second, SuccessThreshold: 1})
		if got := breakOf(t, b); got != 50*time.Second {
			t.Errorf("the break lasts another %v, want 50s", got)
		}
		time.Sleep(50 * time.Second)
		fail(t, b, 1)
		if got := breakOf(t, b); got != time.Second {
			t.Errorf("the next break lasts %v, want 1s", got)
		}
		if got := b.Snapshot().Opens; got != 2 {
			t.Errorf("%d opens in a row, want 2", got)
		}
		time.Sleep(time.Second)
		succeed(t, b, 1)
		wantState(t, b, core.Closed)
	})
	bubble(t, "half-open: probes and successes are kept, limits are new", func(t *testing.T) {
		b := halfOpened(t, core.Config{HalfOpenMaxCalls: 2, SuccessThreshold: 10})
		succeed(t, b, 1)
		out := []*core.Permit{take(t, b), take(t, b)}
		refusal(t, b)
		update(t, b, core.Config{HalfOpenMaxCalls: 3, SuccessThreshold: 3})
		wantWindow(t, b, core.Counts{Calls: 1, Consecutive: 1})
		out = append(out, take(t, b))
		refusal(t, b)
		update(t, b, core.Config{HalfOpenMaxCalls: 1, SuccessThreshold: 3})
		out[0].Settle(bg, core.Success)
		refusal(t, b) // two are out, one may be
		out[1].Settle(bg, core.Success)
		wantState(t, b, core.Closed)
		out[2].Settle(bg, core.Failure)
		wantState(t, b, core.Closed)
	})
	bubble(t, "half-open: a shorter ProbeTimeout holds for probes that are out", func(t *testing.T) {
		b := halfOpened(t, core.Config{HalfOpenMaxCalls: 1, ProbeTimeout: time.Hour})
		take(t, b)
		time.Sleep(time.Minute)
		update(t, b, core.Config{HalfOpenMaxCalls: 1, ProbeTimeout: 2 * time.Minute, Timeout: 10 * time.Second})
		refusal(t, b)
		time.Sleep(time.Minute)
		if got := refusal(t, b).Cause; got != core.CauseProbeLost {
			t.Errorf("refused because of %v, want %v", got, core.CauseProbeLost)
		}
	})
	for _, state := range everyState {
		bubble(t, "permits out survive: "+state.String(), func(t *testing.T) {
			b := inState(t, state, core.Config{FailureThreshold: 1})
			update(t, b, core.Config{FailureThreshold: 1, SuccessThreshold: 1, Timeout: time.Second, Window: core.Window{Calls: 3}})
			if state == core.Open {
				time.Sleep(time.Second)
			}
			p := take(t, b)
			for _, w := range []core.Window{{Calls: 50}, {For: time.Second}, {For: time.Minute}, {Calls: 1}} {
				update(t, b, core.Config{FailureThreshold: 1, SuccessThreshold: 1, Timeout: time.Second, Window: w})
			}
			p.Settle(bg, core.Failure)
			wantState(t, b, core.Open)
			if got := b.Snapshot().Totals; got.Late != 0 || got.InFlight != 0 {
				t.Errorf("totals %+v, want none late and none in flight", got)
			}
		})
	}
	bubble(t, "the openings in a row are kept", func(t *testing.T) {
		b := halfOpened(t, core.Config{})
		update(t, b, core.Config{Timeout: time.Second, TimeoutFactor: 10, SuccessThreshold: 1})
		fail(t, b, 1)
		if got := breakOf(t, b); got != 10*time.Second {
			t.Errorf("the second break lasts %v, want 10s", got)
		}
	})
	bubble(t, "transitions and history are kept", func(t *testing.T) {
		b := halfOpened(t, core.Config{History: time.Hour, SuccessThreshold: 1})
		succeed(t, b, 1)
		before := b.Snapshot()
		update(t, b, core.Config{History: time.Hour, FailureThreshold: 7})
		after := b.Snapshot()
		if fmt.Sprint(after.Transitions) != fmt.Sprint(before.Transitions) || fmt.Sprint(after.History) != fmt.Sprint(before.History) {
			t.Errorf("Update changed transitions or history:\n %v\n %v", before, after)
		}
	})
	bubble(t, "no transition is told", func(t *testing.T) {
		var told diary
		b := newBreaker(t, core.Config{Hooks: told.hooks()})
		for _, w := range []core.Window{{Calls: 1}, {For: time.Minute}, {}} {
			update(t, b, core.Config{Window: w, Hooks: told.hooks()})
		}
		wantPath(t, told.transitions, "")
	})
}

func TestUpdateInvalidChangesNothing(t *testing.T) {
	for _, state := range everyState {
		bubble(t, state.String(), func(t *testing.T) {
			b := inState(t, state, core.Config{FailureThreshold: 2})
			if state == core.Closed {
				play(t, b, "SF")
			}
			before, text := b.Snapshot(), b.Explain()
			err := b.Update(core.Config{FailureThreshold: 1, Jitter: 7, Window: core.Window{Calls: 1}, FailureRateThreshold: math.NaN()})
			if _, ok := errors.AsType[*core.ConfigError](err); !ok {
				t.Fatalf("Update = %v, want a ConfigError", err)
			}
			if got := b.Explain(); got != text {
				t.Errorf("Explain after a refused Update:\n %s, want\n %s", got, text)
			}
			if after := b.Snapshot(); fmt.Sprint(after) != fmt.Sprint(before) {
				t.Errorf("a refused Update changed\n %v to\n %v", before, after)
			}
		})
	}
}

// A count window of another size keeps the last calls that fit, exactly: each
// then leaves when as many calls as the new window holds have followed it.
func TestUpdateCountWindowKeepsMarks(t *testing.T) {
	for _, from := range []int{1, 3, 16, 17, 40} {
		for _, to := range []int{1, 2, 15, 16, 33, 50} {
			for _, calls := range []string{"F", "SF", "FSSFFSFSSSFSFFFSSSSFSFFSSFFFFSFSFSFSFSFFS"} {
				bubble(t, fmt.Sprintf("%d to %d after %d calls", from, to, len(calls)), func(t *testing.T) {
					// A rate of slow calls, and no call is slow.
					cfg := core.Config{FailureThreshold: -1, FailureRateThreshold: -1, SlowRateThreshold: 1, SlowAfter: time.Hour, Window: core.Window{Calls: from}}
					b := newBreaker(t, cfg)
					play(t, b, calls)
					cfg.Window.Calls = to
					update(t, b, cfg)
					kept := calls[max(len(calls)-min(from, to), 0):]
					for i := range to + 1 { // successes push the marks out one by one
						marks := kept + "SSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSS"[:i]
						marks = marks[max(len(marks)-to, 0):]
						want := core.Counts{Calls: len(marks)}
						for _, m := range marks {
							if m == 'F' {
								want.Failures++
							}
						}
						got := b.Snapshot().Window
						got.Consecutive = 0
						if got != want {
							t.Fatalf("after %d successes: window %+v, want %+v of %q", i, got, want, marks)
						}
						succeed(t, b, 1)
					}
				})
			}
		}
	}
}

func TestUpdateTimeWindow(t *testing.T) {
	off := func(w core.Window) core.Config {
		return core.Config{FailureThreshold: -1, MinimumCalls: 1000, Window: w}
	}
	bubble(t, "longer: what is in stays for its time", func(t *testing.T) {
		b := newBreaker(t, off(core.Window{For: 10 * time.Second}))
		play(t, b, "FS")
		time.Sleep(5 * time.Second)
		play(t, b, "FFS")
		update(t, b, off(core.Window{For: 20 * time.Second}))
		wantWindow(t, b, core.Counts{Calls: 5, Failures: 3})
		time.Sleep(14 * time.Second)
		wantWindow(t, b, core.Counts{Calls: 5, Failures: 3})
		time.Sleep(2 * time.Second)
		wantWindow(t, b, core.Counts{Calls: 3, Failures: 2})
		time.Sleep(5 * time.Second)
		wantWindow(t, b, core.Counts{})
	})
	bubble(t, "shorter: what is too old goes", func(t *testing.T) {
		b := newBreaker(t, off(core.Window{For: 10 * time.Second}))
		play(t, b, "FS")
		time.Sleep(5 * time.Second)
		play(t, b, "FFS")
		update(t, b, off(core.Window{For: time.Second}))
		wantWindow(t, b, core.Counts{Calls: 3, Failures: 2})
		time.Sleep(time.Second)
		wantWindow(t, b, core.Counts{})
	})
	bubble(t, "a little longer: every tenth is kept", func(t *testing.T) {
		b := newBreaker(t, off(core.Window{For: 10 * time.Second}))
		for i := range 10 {
			settle(t, b, core.Failure, i+1)
			if i < 9 {
				time.Sleep(time.Second)
			}
		}
		update(t, b, off(core.Window{For: 11 * time.Second}))
		wantWindow(t, b, core.Counts{Calls: 55, Failures: 55, Consecutive: 55})
	})
	bubble(t, "slow calls are kept too", func(t *testing.T) {
		slowly := func(d time.Duration) core.Config {
			return core.Config{FailureThreshold: -1, SlowAfter: time.Second, Window: core.Window{For: d}}
		}
		b := newBreaker(t, slowly(time.Minute))
		lasting(t, b, 2*time.Second, core.Failure)
		update(t, b, slowly(time.Hour))
		wantWindow(t, b, core.Counts{Calls: 1, Failures: 1, Slow: 1, Consecutive: 1})
	})
	bubble(t, "the same window again keeps it all", func(t *testing.T) {
		b := newBreaker(t, off(core.Window{For: 10 * time.Second}))
		play(t, b, "FFS")
		update(t, b, core.Config{FailureThreshold: 5, Window: core.Window{For: 10 * time.Second}})
		wantWindow(t, b, core.Counts{Calls: 3, Failures: 2})
	})
}

func TestUpdateKindOfWindow(t *testing.T) {
	for name, windows := range map[string][2]core.Window{
		"calls to time": {{Calls: 10}, {For: time.Minute}},
		"time to calls": {{For: time.Minute}, {Calls: 10}},
	} {
		bubble(t, name+" keeps calls and streak", func(t *testing.T) {
			b := newBreaker(t, core.Config{FailureThreshold: 4, FailureRateThreshold: 1, Window: windows[0], SlowAfter: time.Second})
			play(t, b, "SS")
			lasting(t, b, 2*time.Second, core.Failure)
			fail(t, b, 1)
			time.Sleep(time.Hour * time.Duration(windows[0].Calls) / 10)
			update(t, b, core.Config{FailureThreshold: 4, FailureRateThreshold: 1, Window: windows[1], SlowAfter: time.Second})
			wantWindow(t, b, core.Counts{Calls: 4, Failures: 2, Slow: 1, Consecutive: 2})
			fail(t, b, 1)
			wantWindow(t, b, core.Counts{Calls: 5, Failures: 3, Slow: 1, Consecutive: 3})
			fail(t, b, 1)
			wantState(t, b, core.Open)
		})
	}
	bubble(t, "calls of an unknown age leave a window of time first", func(t *testing.T) {
		b := newBreaker(t, core.Config{FailureThreshold: -1, FailureRateThreshold: 1, Window: core.Window{Calls: 10}})
		play(t, b, "SFF")
		time.Sleep(time.Hour)
		update(t, b, core.Config{FailureThreshold: -1, FailureRateThreshold: 1, Window: core.Window{For: time.Minute}})
		fail(t, b, 1)
		wantWindow(t, b, core.Counts{Calls: 4, Failures: 3, Consecutive: 3})
		time.Sleep(6 * time.Second)
		wantWindow(t, b, core.Counts{Calls: 1, Failures: 1, Consecutive: 3})
	})
	bubble(t, "of more calls than fit the newest are kept, with their share of failures", func(t *testing.T) {
		b := newBreaker(t, core.Config{FailureThreshold: -1, FailureRateThreshold: 1, MinimumCalls: 100, Window: core.Window{For: time.Minute}})
		settle(t, b, core.Failure, 50)
		settle(t, b, core.Success, 50)
		time.Sleep(10 * time.Second)
		play(t, b, "SSSF")
		update(t, b, core.Config{FailureThreshold: -1, FailureRateThreshold: 1, Window: core.Window{Calls: 20}})
		wantWindow(t, b, core.Counts{Calls: 20, Failures: 8 + 1, Consecutive: 1})
		settle(t, b, core.Success, 16) // they push the older ones out first
		wantWindow(t, b, core.Counts{Calls: 20, Failures: 1})
	})
	bubble(t, "what ended just now is kept, however coarse the tenths were", func(t *testing.T) {
		b := newBreaker(t, core.Config{FailureThreshold: -1, FailureRateThreshold: 1, Window: core.Window{For: time.Hour}})
		time.Sleep(5 * time.Minute)
		play(t, b, "SSSF")
		update(t, b, core.Config{FailureThreshold: -1, FailureRateThreshold: 1, Window: core.Window{For: 10 * time.Second}})
		wantWindow(t, b, core.Counts{Calls: 4, Failures: 1, Consecutive: 1})
	})
}

// What is set by Update holds for permits that are out as well.
func TestUpdateHolds(t *testing.T) {
	bubble(t, "a Settled hook is told of a permit from before", func(t *testing.T) {
		var told diary
		b := newBreaker(t, core.Config{Window: core.Window{Calls: 1}})
		succeed(t, b, 3)
		p := take(t, b)
		update(t, b, core.Config{Window: core.Window{Calls: 1}, Hooks: told.hooks()})
		p.Settle(bg, core.Success)
		if len(told.settled) != 1 {
			t.Errorf("told of %d settlements, want 1", len(told.settled))
		}
	})
	bubble(t, "SlowAfter", func(t *testing.T) {
		b := newBreaker(t, core.Config{FailureThreshold: -1, SlowAfter: time.Hour})
		p := take(t, b)
		update(t, b, core.Config{FailureThreshold: -1, SlowAfter: time.Second})
		time.Sleep(time.Minute)
		p.Settle(bg, core.Success)
		wantWindow(t, b, core.Counts{Calls: 1, Slow: 1})
	})
	bubble(t, "Now is not changed", func(t *testing.T) {
		clock := newFakeClock()
		b := newBreaker(t, core.Config{FailureThreshold: 1, Timeout: time.Minute, Now: clock.now})
		update(t, b, core.Config{FailureThreshold: 1, Timeout: time.Minute})
		fail(t, b, 1)
		time.Sleep(time.Hour)
		wantState(t, b, core.Open)
		clock.advance(time.Minute)
		wantState(t, b, core.HalfOpen)
	})
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(t, core.Config{RampUp: time.Hour})
		for range 10 {
			b.Reset()
			update(t, b, core.Config{Window: core.Window{For: time.Minute}})
			update(t, b, core.Config{Window: core.Window{Calls: 5}})
		}
		succeed(t, b, 100)
	})
}
