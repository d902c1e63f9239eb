package core_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/blackbox4/switchgear/core"
)

func TestLate(t *testing.T) {
	bubble(t, "a call that outlives the window counts", func(t *testing.T) { // decided: rule 2
		b := newBreaker(t, core.Config{FailureThreshold: -1, FailureRateThreshold: 1, MinimumCalls: 1, Window: core.Window{For: time.Second}})
		lasting(t, b, time.Minute, core.Failure)
		wantState(t, b, core.Open)
		if got := b.Snapshot().Totals.Late; got != 0 {
			t.Errorf("%d late, want none: its phase had not ended", got)
		}
	})
	bubble(t, "a success from before the opening does not close", func(t *testing.T) {
		b := newBreaker(t, core.Config{FailureThreshold: 1, SuccessThreshold: 1, Timeout: 5 * time.Second})
		early := []*core.Permit{take(t, b), take(t, b)}
		fail(t, b, 1)
		early[0].Settle(bg, core.Success)
		wantState(t, b, core.Open)
		if got := breakOf(t, b); got != 5*time.Second {
			t.Errorf("the break lasts %v, want 5s", got)
		}
		time.Sleep(5 * time.Second)
		early[1].Done(bg, nil)
		wantState(t, b, core.HalfOpen)
		wantTotals(t, b, core.Totals{Calls: 3, Successes: 2, Failures: 1, Late: 2})
	})
	bubble(t, "nor while a probe is out", func(t *testing.T) {
		b := newBreaker(t, core.Config{FailureThreshold: 1, SuccessThreshold: 1, HalfOpenMaxCalls: 1, Timeout: time.Second})
		early := take(t, b)
		fail(t, b, 1)
		time.Sleep(time.Second)
		take(t, b)
		early.Settle(bg, core.Success)
		wantState(t, b, core.HalfOpen)
		wantWindow(t, b, core.Counts{})
		refusal(t, b) // the late success has freed no place
	})
	bubble(t, "a stale failure does not spoil the probes", func(t *testing.T) {
		b := newBreaker(t, core.Config{FailureThreshold: 1, SuccessThreshold: 2, Timeout: time.Second})
		early := take(t, b)
		fail(t, b, 1)
		time.Sleep(time.Second)
		succeed(t, b, 1)
		early.Done(bg, core.RetryAfter(errSick, time.Hour))
		wantState(t, b, core.HalfOpen)
		succeed(t, b, 1)
		wantState(t, b, core.Closed)
	})
	bubble(t, "no probe before the break is over", func(t *testing.T) {
		b := newBreaker(t, core.Config{FailureThreshold: 1, Timeout: time.Second})
		fail(t, b, 1)
		for range 999 {
			time.Sleep(time.Millisecond)
			refusal(t, b)
		}
		time.Sleep(time.Millisecond)
		take(t, b)
	})
	bubble(t, "a probe of an earlier half-open phase is no probe of this one", func(t *testing.T) {
		b := halfOpened(t, core.Config{HalfOpenMaxCalls: 3, SuccessThreshold: 1})
		old := []*core.Permit{take(t, b), take(t, b)}
		fail(t, b, 1)
		time.Sleep(time.Second)
		take(t, b)
		old[0].Settle(bg, core.Success)
		old[1].Settle(bg, core.Failure)
		wantState(t, b, core.HalfOpen)
		if got := b.Snapshot().ProbesOut; got != 1 {
			t.Errorf("%d probes are out, want 1: late ones give no place back", got)
		}
		wantTotals(t, b, core.Totals{Calls: 5, Successes: 1, Failures: 3, Late: 2, InFlight: 1})
	})
	bubble(t, "a permit of an earlier closed phase is not in this one's window", func(t *testing.T) {
		b := newBreaker(t, core.Config{FailureThreshold: 1, SuccessThreshold: 1, Timeout: time.Second})
		early := []*core.Permit{take(t, b), take(t, b)}
		fail(t, b, 1)
		time.Sleep(time.Second)
		succeed(t, b, 1)
		early[0].Settle(bg, core.Failure)
		early[1].Settle(bg, core.Success)
		wantState(t, b, core.Closed)
		wantWindow(t, b, core.Counts{})
	})
	bubble(t, "a probe settled after the close is late", func(t *testing.T) {
		b := halfOpened(t, core.Config{HalfOpenMaxCalls: 2, SuccessThreshold: 1})
		slowOne := take(t, b)
		succeed(t, b, 1)
		slowOne.Settle(bg, core.Failure)
		wantState(t, b, core.Closed)
		wantWindow(t, b, core.Counts{})
		wantTotals(t, b, core.Totals{Calls: 3, Successes: 1, Failures: 2, Late: 1})
	})
}

// A late permit changes nothing but the totals, whatever it says and whatever
// the breaker has become: rule 6.
func TestLateInEveryState(t *testing.T) {
	for _, window := range []core.Window{{Calls: 10}, {For: time.Minute}} {
		for _, state := range []core.State{core.Open, core.HalfOpen, core.Closed} {
			for _, o := range []core.Outcome{core.Success, core.Failure, core.Ignored} {
				bubble(t, fmt.Sprintf("%v %v %v", window, state, o), func(t *testing.T) {
					var told diary
					b := newBreaker(t, core.Config{FailureThreshold: 1, SuccessThreshold: 1, Timeout: time.Second, Window: window, Hooks: told.hooks()})
					p := take(t, b)
					fail(t, b, 1)
					if state != core.Open {
						time.Sleep(time.Second)
						play(t, b, "I")
					}
					if state == core.Closed {
						succeed(t, b, 1)
					}
					wantState(t, b, state)
					before := b.Snapshot()
					p.Settle(bg, o)
					after := b.Snapshot()
					if after.State != before.State || after.Window != before.Window || !after.RetryAt.Equal(before.RetryAt) || after.ProbesOut != before.ProbesOut || after.Opens != before.Opens {
						t.Errorf("a late %v changed\n %+v to\n %+v", o, before, after)
					}
					if got := after.Totals.Late; got != 1 {
						t.Errorf("%d late, want 1", got)
					}
					if last := told.settled[len(told.settled)-1]; !last.Late || last.Outcome != o || last.Probe {
						t.Errorf("told %+v, want a late %v that was no probe", last, o)
					}
				})
			}
		}
	}
}

// What was decided before the breaker flapped decides nothing
// after it.
func TestLateStaleDecisions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told diary
		b := newBreaker(t, core.Config{FailureThreshold: 2, SuccessThreshold: 1, Timeout: time.Second, Hooks: told.hooks()})
		var early []*core.Permit
		for range 10 {
			early = append(early, take(t, b))
		}
		fail(t, b, 1) // one short of opening, when they began
		fail(t, b, 1)
		time.Sleep(time.Second)
		succeed(t, b, 1)
		fail(t, b, 1) // one short again
		for _, p := range early {
			p.Settle(bg, core.Failure)
		}
		wantPath(t, told.transitions, "closed open half-open closed")
		wantWindow(t, b, core.Counts{Calls: 1, Failures: 1, Consecutive: 1})
	})
}
