package core_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/blackbox4/switchgear/core"
)

// A service that hears of its calls afterwards has a breaker all the same.
func TestRecordedCallsOpenAndClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(t, core.Config{Durations: true, SlowAfter: time.Second})
		for range 5 {
			wantState(t, b, core.Closed)
			b.Record(bg, core.Failure, errSick, 2*time.Second)
		}
		wantState(t, b, core.Open)
		if got := refusal(t, b).Reason; got != errSick.Error() {
			t.Errorf("opened on %q", got)
		}
		b.Record(bg, core.Success, nil, 0)
		wantState(t, b, core.Open) // it changes nothing
		time.Sleep(time.Minute)
		b.Record(bg, core.Success, nil, 2*time.Minute) // it began before the break
		b.Record(bg, core.Success, nil, 0)
		wantState(t, b, core.HalfOpen)
		b.Record(bg, core.Ignored, nil, 0)
		b.Record(bg, core.Success, nil, 0)
		wantState(t, b, core.Closed)
		wantTotals(t, b, core.Totals{Calls: 10, Successes: 4, Failures: 5, Ignored: 1, Slow: 6, Late: 2, Refused: 1})
		if got := b.Snapshot().Durations; got.Count != 5+4 {
			t.Errorf("durations %+v", got)
		}
	})
}

// What began before the last break says nothing of a dependency that has been let back.
func TestRecordedCallsOfLongAgo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := halfOpened(t, core.Config{})
		succeed(t, b, 2)
		for range 30 {
			b.Record(bg, core.Failure, errSick, time.Hour)
		}
		wantState(t, b, core.Closed)
		if got := b.Snapshot().Totals.Late; got != 30 {
			t.Errorf("%d late", got)
		}
		young := newBreaker(t, core.Config{})
		for range 5 {
			young.Record(bg, core.Failure, errSick, time.Hour) // longer than the breaker is there
		}
		wantState(t, young, core.Open)
	})
}

func TestRecordedFailureReopens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := halfOpened(t, core.Config{})
		b.Record(bg, core.Failure, core.RetryAfter(errSick, time.Hour), 0)
		wantState(t, b, core.Open)
		if got := b.Snapshot(); got.RetryAt.Sub(got.At) != 10*time.Minute {
			t.Errorf("open for %v, want what the failure asked for, capped", got.RetryAt.Sub(got.At))
		}
	})
}

// While all places are taken, the probes that are out decide.
func TestRecordTakesNoPlaceThatIsNotFree(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := halfOpened(t, core.Config{HalfOpenMaxCalls: 1})
		p := take(t, b)
		b.Record(bg, core.Failure, errSick, 0)
		wantState(t, b, core.HalfOpen)
		p.Settle(bg, core.Success)
		wantState(t, b, core.HalfOpen)
		succeed(t, b, 1)
		wantState(t, b, core.Closed)
	})
}

func TestRecordUnderAnOverride(t *testing.T) {
	b := newBreaker(t, core.Config{FailureThreshold: 2})
	force(t, b, core.Disabled)
	b.Record(bg, core.Failure, errSick, 0)
	wantTotals(t, b, core.Totals{})
	force(t, b, core.ForcedOpen)
	b.Record(nil, core.Failure, nil, 0) //nolint:staticcheck // a nil ctx is allowed
	b.Record(bg, 0, nil, 0)             // a failure, too
	b.Release()
	wantState(t, b, core.Open)
}

func TestRecordAtOnce(t *testing.T) {
	for range scaled(100) {
		var clock handClock
		var settled atomic.Int64
		b := core.MustNew("recorded", core.Config{
			FailureThreshold: 3, Timeout: time.Millisecond, SuccessThreshold: 1, Now: clock.now,
			Hooks: core.Hooks{Settled: func(context.Context, core.Settlement) { settled.Add(1) }},
		})
		const goroutines, each = 4, 50
		hammer(goroutines, each, func(g, i int) {
			if i%10 == 0 {
				clock.advance(time.Millisecond)
			}
			b.Record(bg, [...]core.Outcome{core.Success, core.Failure, core.Failure}[(g+i)%3], nil, 0)
		})
		b.WaitForHooks()
		got := b.Snapshot()
		if got.Totals.Calls != goroutines*each || got.Totals.InFlight != 0 || got.ProbesOut != 0 {
			t.Fatalf("%+v, %d probes out", got.Totals, got.ProbesOut)
		}
		if n := uint64(settled.Load()) + got.EventsDropped; n != goroutines*each {
			t.Fatalf("told of %d", n)
		}
	}
}

func TestRecentCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(t, core.Config{FailureThreshold: 3, RecentCalls: 4, SlowAfter: time.Minute})
		if got := b.Snapshot().RecentCalls; len(got) != 0 {
			t.Errorf("before the first: %+v", got)
		}
		begun := time.Now()
		for i := range 6 {
			time.Sleep(time.Second)
			b.Record(bg, core.Success, nil, time.Duration(i))
		}
		_ = b.Do(bg, func(context.Context) error { time.Sleep(2 * time.Second); return errSick })
		p := take(t, b)
		p.Settle(bg, core.Ignored)
		want := []core.Call{
			{At: begun.Add(5 * time.Second), Outcome: core.Success, Duration: 4},
			{At: begun.Add(6 * time.Second), Outcome: core.Success, Duration: 5},
			{At: begun.Add(8 * time.Second), Outcome: core.Failure, Duration: 2 * time.Second, Err: errSick.Error()},
			{At: begun.Add(8 * time.Second), Outcome: core.Ignored},
		}
		if got := b.Snapshot().RecentCalls; fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%v, want %v", got, want)
		}
		update(t, b, core.Config{RecentCalls: -1})
		succeed(t, b, 1)
		if got := b.Snapshot().RecentCalls; got != nil {
			t.Errorf("switched off: %v", got)
		}
		update(t, b, core.Config{RecentCalls: 2})
		succeed(t, b, 3)
		if got := b.Snapshot().RecentCalls; len(got) != 2 {
			t.Errorf("switched on: %v", got)
		}
	})
}

// Each of the calls that ended at once is in the list, once, and none is torn.
func TestRecentCallsAtOnce(t *testing.T) {
	const goroutines, each = 4, 300
	cfg := neverOpens(core.Config{RecentCalls: 100})
	b := core.MustNew("recent", cfg)
	hammer(goroutines, each, func(g, i int) {
		n := g*each + i + 1
		b.Record(bg, core.Failure, fmt.Errorf("call %d", n), time.Duration(n))
		if i%10 == 0 {
			for _, c := range b.Snapshot().RecentCalls {
				if c.Err != fmt.Sprintf("call %d", c.Duration) {
					t.Errorf("torn: %+v", c)
				}
			}
		}
	})
	seen := map[string]bool{}
	calls := b.Snapshot().RecentCalls
	for _, c := range calls {
		seen[c.Err] = true
	}
	if len(calls) != 100 || len(seen) != 100 {
		t.Errorf("%d calls, %d different", len(calls), len(seen))
	}
	last := map[int]bool{}
	for _, c := range calls {
		last[int(c.Duration-1)/each] = last[int(c.Duration-1)/each] || int(c.Duration-1)%each == each-1
	}
	for g, found := range last {
		if !found {
			t.Errorf("goroutine %d: an older call is listed, its last is not", g)
		}
	}
}

// The text of an error is the user's code, and is cut.
func TestRecentCallsKeepAText(t *testing.T) {
	b := newBreaker(t, core.Config{FailureThreshold: -1, RecentCalls: 2})
	b.Record(bg, core.Failure, errors.New(string(make([]byte, 10_000))), 0)
	b.Record(bg, core.Failure, panicsAsError{}, 0)
	calls := b.Snapshot().RecentCalls
	if len(calls) != 2 || len(calls[0].Err) > 256 || calls[1].Err == "" {
		t.Errorf("%+v", calls)
	}
}

type panicsAsError struct{}

func (panicsAsError) Error() string { panic("no text") }
