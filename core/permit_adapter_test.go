package core_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/blackbox4/switchgear/core"
)

func TestMove(t *testing.T) {
	bubble(t, "the one taken settles, the other does not", func(t *testing.T) {
		b := newBreaker(t, core.Config{})
		p := take(t, b)
		moved := p.Move()
		p.Settle(bg, core.Failure)
		p.Done(bg, errSick)
		p.Report(bg, core.Failure, core.RetryAfter(errSick, time.Hour))
		p.Report(bg, core.Failure, errSick)
		wantTotals(t, b, core.Totals{Calls: 1, InFlight: 1})
		moved.Settle(bg, core.Success)
		moved.Settle(bg, core.Failure)
		wantTotals(t, b, core.Totals{Calls: 1, Successes: 1})
	})
	bubble(t, "taken twice", func(t *testing.T) { // the second one has nothing to settle
		b := newBreaker(t, core.Config{})
		p := take(t, b)
		first, second := p.Move(), p.Move()
		second.Settle(bg, core.Failure)
		wantTotals(t, b, core.Totals{Calls: 1, InFlight: 1})
		again := first.Move()
		again.Settle(bg, core.Success)
		first.Settle(bg, core.Failure)
		wantTotals(t, b, core.Totals{Calls: 1, Successes: 1})
	})
	bubble(t, "after it was settled", func(t *testing.T) {
		b := newBreaker(t, core.Config{})
		p := take(t, b)
		p.Settle(bg, core.Success)
		moved := p.Move()
		moved.Settle(bg, core.Failure)
		wantTotals(t, b, core.Totals{Calls: 1, Successes: 1})
	})
	bubble(t, "a probe stays one", func(t *testing.T) {
		b := halfOpened(t, core.Config{HalfOpenMaxCalls: 1, SuccessThreshold: 1})
		p := take(t, b)
		moved := p.Move()
		if !moved.Probe() {
			t.Error("Probe of the one taken = false, want true")
		}
		refusal(t, b)
		moved.Settle(bg, core.Success)
		wantState(t, b, core.Closed)
	})
	bubble(t, "its time goes on", func(t *testing.T) {
		var told diary
		b := newBreaker(t, core.Config{SlowAfter: time.Second, Hooks: told.hooks()})
		p := take(t, b)
		time.Sleep(time.Second)
		moved := p.Move()
		time.Sleep(time.Second)
		moved.Settle(bg, core.Success)
		if got := told.settled[0]; got.Duration != 2*time.Second || !got.Slow {
			t.Errorf("told %+v, want a slow call of 2s", got)
		}
	})
	bubble(t, "of several gates", func(t *testing.T) {
		a, s := newBreaker(t, core.Config{}), &spy{}
		p := take(t, core.All(a, s))
		moved := p.Move()
		p.Settle(bg, core.Failure)
		moved.Settle(bg, core.Success)
		p.Settle(bg, core.Failure)
		wantTotals(t, a, core.Totals{Calls: 1, Successes: 1})
		if !slices.Equal(s.outcomes, []core.Outcome{core.Success}) {
			t.Errorf("the gate that is no breaker was settled with %v, want success once", s.outcomes)
		}
	})
	t.Run("the zero permit", func(*testing.T) {
		var p core.Permit
		moved := p.Move()
		moved.Settle(bg, core.Failure)
	})
	t.Run("settled by another goroutine", func(t *testing.T) { // the race detector tells
		b := newBreaker(t, core.Config{})
		type holder struct{ permit core.Permit }
		const n = 100
		holders := make(chan *holder, n)
		var settling sync.WaitGroup
		settling.Go(func() {
			for h := range holders {
				h.permit.Settle(bg, core.Success)
			}
		})
		for range n {
			func() {
				p := take(t, b)
				defer p.Settle(bg, core.Failure) // no effect
				holders <- &holder{p.Move()}
			}()
		}
		close(holders)
		settling.Wait()
		wantTotals(t, b, core.Totals{Calls: n, Successes: n})
	})
}

func TestProbe(t *testing.T) {
	bubble(t, "by state", func(t *testing.T) {
		for _, state := range []core.State{core.Closed, core.HalfOpen} {
			p := take(t, inState(t, state, core.Config{}))
			if got, want := p.Probe(), state == core.HalfOpen; got != want {
				t.Errorf("%v: Probe = %v, want %v", state, got, want)
			}
			p.Settle(bg, core.Ignored)
			if got, want := p.Probe(), state == core.HalfOpen; got != want {
				t.Errorf("%v, settled: Probe = %v, want %v still", state, got, want)
			}
		}
	})
	bubble(t, "by override", func(t *testing.T) {
		for _, o := range []core.Override{core.Shadow, core.Disabled} {
			b := opened(t, core.Config{})
			if err := b.Force(o); err != nil {
				t.Fatal(err)
			}
			if take(t, b).Probe() {
				t.Errorf("%v: Probe = true, want false: it decides nothing", o)
			}
		}
	})
	bubble(t, "of several gates", func(t *testing.T) {
		closed, half := newBreaker(t, core.Config{}), halfOpened(t, core.Config{})
		for _, row := range []struct {
			gate core.Gate
			want bool
		}{
			{core.All(), false},
			{core.All(closed, closed), false},
			{core.All(half), true},
			{core.All(half, closed), true},
			{core.All(closed, &spy{}, half), true},
			{core.All(closed, core.All(closed, half)), true},
			{core.All(closed, core.All(closed, &spy{})), false},
		} {
			p := take(t, row.gate)
			if got := p.Probe(); got != row.want {
				t.Errorf("%v: Probe = %v, want %v", row.gate, got, row.want)
			}
			p.Settle(bg, core.Ignored)
		}
	})
	t.Run("the zero permit, and one of no breaker", func(t *testing.T) {
		zero, own := core.Permit{}, core.NewPermit(func(context.Context, core.Outcome) {})
		if zero.Probe() || own.Probe() {
			t.Errorf("Probe = %v and %v, want false", zero.Probe(), own.Probe())
		}
	})
}

func TestResponseStarted(t *testing.T) {
	configs := map[string]core.Config{
		"slow":      {SlowAfter: 2 * time.Second},
		"durations": {Durations: true},
		"both":      {Durations: true, SlowAfter: 2 * time.Second, Window: core.Window{For: time.Minute}},
		"history":   {Durations: true, History: time.Hour},
	}
	for name, cfg := range configs {
		for _, o := range []core.Outcome{core.Success, core.Failure, core.Ignored} {
			bubble(t, name+" "+o.String(), func(t *testing.T) {
				var told diary
				cfg.Hooks = told.hooks()
				b := newBreaker(t, cfg)
				p := take(t, b)
				time.Sleep(time.Second)
				p.ResponseStarted()
				time.Sleep(time.Second)
				p.ResponseStarted() // the first one holds
				moved := p.Move()
				time.Sleep(time.Minute)
				moved.Settle(bg, o)
				if got := told.settled[0]; got.Duration != time.Second || got.Slow || got.Outcome != o {
					t.Errorf("told %+v, want %v after 1s, and not slow", got, o)
				}
				if got := b.Snapshot().Totals.Slow; got != 0 {
					t.Errorf("%d slow calls, want none", got)
				}
				if got := b.Snapshot().Durations; cfg.Durations && o != core.Ignored && got.P99 > 2*time.Second {
					t.Errorf("durations %+v, want none that is longer than 1s", got)
				}
			})
		}
	}
	bubble(t, "on the short path", func(t *testing.T) { // no hook is set, so a success may settle at once
		b := newBreaker(t, core.Config{Durations: true, SlowAfter: 2 * time.Second, SlowRateThreshold: 0.5})
		for range 100 {
			p := take(t, b)
			time.Sleep(time.Second)
			p.ResponseStarted()
			time.Sleep(time.Minute)
			p.Settle(bg, core.Success)
		}
		wantState(t, b, core.Closed)
		wantTotals(t, b, core.Totals{Calls: 100, Successes: 100})
		if got := b.Snapshot().Durations.Mean; got < time.Second*7/8 || got > time.Second*9/8 {
			t.Errorf("mean = %v, want about 1s", got)
		}
	})
	bubble(t, "a slow answer is slow", func(t *testing.T) {
		b := newBreaker(t, core.Config{SlowAfter: 2 * time.Second})
		p := take(t, b)
		time.Sleep(3 * time.Second)
		p.ResponseStarted()
		p.Settle(bg, core.Success)
		wantTotals(t, b, core.Totals{Calls: 1, Successes: 1, Slow: 1})
	})
	bubble(t, "a probe", func(t *testing.T) {
		b := halfOpened(t, core.Config{SlowAfter: 2 * time.Second, SlowRateThreshold: 0.5, SuccessThreshold: 1})
		p := take(t, b)
		p.ResponseStarted()
		time.Sleep(10 * time.Second)
		p.Settle(bg, core.Success)
		wantState(t, b, core.Closed)
	})
	bubble(t, "a probe is lost all the same", func(t *testing.T) {
		b := halfOpened(t, core.Config{ProbeTimeout: 30 * time.Second})
		p := take(t, b)
		p.ResponseStarted()
		time.Sleep(30 * time.Second)
		if got := b.Snapshot().ProbesLost; got != 1 {
			t.Errorf("%d probes are lost, want 1", got)
		}
		p.Settle(bg, core.Success)
		if got := b.Snapshot(); got.ProbesLost != 0 || got.Window.Consecutive != 1 {
			t.Errorf("%d probes are lost and %d passed, want 0 and 1", got.ProbesLost, got.Window.Consecutive)
		}
	})
	bubble(t, "of several gates", func(t *testing.T) {
		var one, two diary
		a := newBreaker(t, core.Config{SlowAfter: 2 * time.Second, Hooks: one.hooks()})
		b := newBreaker(t, core.Config{Durations: true, Hooks: two.hooks()})
		p := take(t, core.All(a, &spy{}, core.All(b, newBreaker(t, core.Config{}))))
		time.Sleep(time.Second)
		p.ResponseStarted()
		moved := p.Move()
		time.Sleep(time.Minute)
		moved.Settle(bg, core.Success)
		for _, d := range []diary{one, two} {
			if got := d.settled[0]; got.Duration != time.Second || got.Slow {
				t.Errorf("told %+v, want a call of 1s", got)
			}
		}
	})
	bubble(t, "after it was settled, and where no time is kept", func(t *testing.T) {
		b := newBreaker(t, core.Config{})
		for _, p := range []*core.Permit{take(t, b), {}} {
			p.ResponseStarted()
			p.Settle(bg, core.Success)
			p.ResponseStarted()
		}
		wantTotals(t, b, core.Totals{Calls: 1, Successes: 1})
	})
	t.Run("a clock that goes back", func(t *testing.T) {
		clock := newFakeClock()
		var told diary
		b := newBreaker(t, core.Config{Durations: true, Now: clock.now, Hooks: told.hooks()})
		p := take(t, b)
		clock.advance(-time.Hour)
		p.ResponseStarted()
		clock.advance(2 * time.Hour)
		p.Settle(bg, core.Success)
		if got := told.settled[0].Duration; got != 0 {
			t.Errorf("it took %v, want 0", got)
		}
	})
}

func TestReport(t *testing.T) {
	for _, row := range []struct {
		name     string
		outcome  core.Outcome
		err      error
		want     core.Outcome
		timedOut bool
	}{
		{"success", core.Success, nil, core.Success, false},
		{"success with an error", core.Success, errSick, core.Success, false},
		{"failure", core.Failure, errSick, core.Failure, false},
		{"failure without an error", core.Failure, nil, core.Failure, false},
		{"failure by a refusal", core.Failure, core.ErrOpen, core.Failure, false}, // it is not classified
		{"failure by a deadline", core.Failure, fmt.Errorf("late: %w", context.DeadlineExceeded), core.Failure, true},
		{"success in spite of a deadline", core.Success, context.DeadlineExceeded, core.Success, false},
		{"ignored", core.Ignored, context.Canceled, core.Ignored, false},
		{"ignored by a deadline", core.Ignored, context.DeadlineExceeded, core.Ignored, false},
		{"garbage", 0, errSick, core.Failure, false},
		{"more garbage", 99, errSick, core.Failure, false},
	} {
		bubble(t, row.name, func(t *testing.T) {
			var told diary
			b := newBreaker(t, core.Config{Hooks: told.hooks(), Classify: func(context.Context, error) core.Outcome {
				t.Error("Classify was asked, want it not to be")
				return core.Failure
			}})
			s := &spy{}
			p := take(t, core.All(b, s))
			p.Report(bg, row.outcome, row.err)
			p.Report(bg, core.Failure, errSick) // later settlements do nothing
			p.Settle(bg, core.Failure)
			got := told.settled[0]
			if len(told.settled) != 1 || got.Outcome != row.want || !errors.Is(got.Err, row.err) || got.TimedOut != row.timedOut {
				t.Errorf("told %+v, want %v, %v, timed out: %v", told.settled, row.want, row.err, row.timedOut)
			}
			if !slices.Equal(s.outcomes, []core.Outcome{row.want}) {
				t.Errorf("the gate that is no breaker was settled with %v, want %v once", s.outcomes, row.want)
			}
		})
	}
	bubble(t, "a failure says when to come back", func(t *testing.T) {
		for _, row := range []struct {
			outcome core.Outcome
			asked   time.Duration
			want    time.Duration // 0 if it does not open
		}{
			{core.Failure, 30 * time.Second, 30 * time.Second},
			{core.Failure, 1, time.Second},
			{core.Failure, -time.Hour, time.Second},
			{core.Failure, 1<<63 - 1, time.Minute},
			{core.Success, 30 * time.Second, 0},
			{core.Ignored, 30 * time.Second, 0},
		} {
			b := newBreaker(t, core.Config{FailureThreshold: 1, Timeout: time.Second, MaxTimeout: time.Minute})
			take(t, b).Report(bg, row.outcome, core.RetryAfter(errSick, row.asked))
			if row.want == 0 {
				wantState(t, b, core.Closed)
			} else if got := breakOf(t, b); got != row.want {
				t.Errorf("%v that asks for %v: the break lasts %v, want %v", row.outcome, row.asked, got, row.want)
			}
		}
	})
	bubble(t, "of several gates", func(t *testing.T) {
		a := newBreaker(t, core.Config{FailureThreshold: 1, Timeout: time.Second})
		b := newBreaker(t, core.Config{FailureThreshold: 1, Timeout: time.Minute})
		take(t, core.All(a, b)).Report(bg, core.Failure, core.RetryAfter(errSick, 30*time.Second))
		if first, second := breakOf(t, a), breakOf(t, b); first != 30*time.Second || second != time.Minute {
			t.Errorf("the breaks last %v and %v, want 30s and 1m0s", first, second)
		}
	})
	t.Run("the zero permit", func(*testing.T) {
		var p core.Permit
		p.Report(bg, core.Failure, errSick)
	})
}

// Permits move between goroutines while breakers open, close and are updated.
func TestPermitsOnTheMove(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := core.Config{FailureThreshold: 3, SuccessThreshold: 1, Timeout: time.Millisecond, Durations: true, SlowAfter: time.Hour}
		a, b := newBreaker(t, cfg), newBreaker(t, cfg)
		gate := core.All(a, b)
		var working sync.WaitGroup
		for i := range 8 {
			working.Go(func() {
				for n := range 500 {
					p, err := gate.Allow(bg)
					if err != nil {
						time.Sleep(time.Millisecond)
						continue
					}
					p.ResponseStarted()
					moved := p.Move()
					working.Go(func() {
						moved.Probe()
						moved.Report(bg, core.Outcome((i+n)%3+1), errSick)
					})
					p.Settle(bg, core.Failure)
				}
			})
		}
		working.Wait()
		for _, breaker := range []*core.Breaker{a, b} {
			got := breaker.Snapshot().Totals
			if got.InFlight != 0 || got.Calls != got.Successes+got.Failures+got.Ignored || got.Successes == 0 || got.Failures == 0 {
				t.Errorf("totals %+v, want all calls settled, some with success and some with failure", got)
			}
		}
	})
}
