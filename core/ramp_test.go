package core_test

import (
	"errors"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/blackbox4/switchgear/core"
)

// ramped returns a breaker that has just closed into its ramp.
func ramped(t *testing.T, cfg core.Config) *core.Breaker {
	t.Helper()
	cfg.SuccessThreshold = 1
	b := halfOpened(t, cfg)
	succeed(t, b, 1)
	wantState(t, b, core.Closed)
	return b
}

// Ten slices of a ramp, a thousand calls each, evenly spaced: the share that is
// admitted grows in a straight line from 10 % to 100 %, the same in every run.
func TestRampAdmitsAGrowingShare(t *testing.T) {
	var runs [2][10]int
	for run := range runs {
		synctest.Test(t, func(t *testing.T) {
			b := ramped(t, core.Config{RampUp: 10 * time.Second})
			for slice := range 10 {
				for range 1000 {
					time.Sleep(time.Millisecond)
					if p, err := b.Allow(bg); err == nil {
						p.Settle(bg, core.Success)
						runs[run][slice]++
					}
				}
			}
			admitted := 0
			for slice, got := range runs[run] {
				want := 100 + 90*slice + 45 // in the middle of the slice
				if got < want-3 || got > want+3 {
					t.Errorf("slice %d: %d of 1000 admitted, want %d ± 3", slice, got, want)
				}
				admitted += got
			}
			wantTotals(t, b, core.Totals{Calls: uint64(admitted) + 2, Successes: uint64(admitted) + 1, Failures: 1, Refused: uint64(10_000 - admitted)})
			succeed(t, b, 1000) // all, from its end on
		})
	}
	if runs[0] != runs[1] {
		t.Errorf("two runs admitted %v and %v, want the same", runs[0], runs[1])
	}
}

// Ten calls that come at once when a ramp begins make one that is admitted.
func TestRampBeginsWithOneCallInTen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := ramped(t, core.Config{RampUp: time.Hour})
		for ten := range 10 {
			admitted := 0
			for range 10 {
				if p, err := b.Allow(bg); err == nil {
					p.Settle(bg, core.Success)
					admitted++
				}
			}
			if admitted != 1 {
				t.Errorf("%d of the calls from %d on were admitted, want 1 of ten", admitted, 10*ten)
			}
		}
	})
}

func TestRampSpreadsEvenly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := ramped(t, core.Config{RampUp: 24 * time.Hour})
		since := 0
		for i := range 1000 { // at 10 %, ten or eleven calls from one to the next
			since++
			if p, err := b.Allow(bg); err == nil {
				p.Settle(bg, core.Success)
				if since < 9 || since > 11 {
					t.Fatalf("call %d admitted %d after the one before, want 10 or so", i, since)
				}
				since = 0
			}
		}
		if since > 11 {
			t.Errorf("none admitted in the last %d calls", since)
		}
	})
}

func TestRampRefusal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := ramped(t, core.Config{RampUp: 10 * time.Second})
		end := time.Now().Add(10 * time.Second)
		time.Sleep(time.Second)
		first := refusal(t, b)
		if first.Cause != core.CauseRampingUp || first.State != core.Closed || !first.RetryAt.Equal(end) {
			t.Errorf("refusal = %+v, want ramping up, closed, until %v", *first, end)
		}
		if again := refusal(t, b); again != first {
			t.Error("two refusals are two errors, want one")
		}
		wantState(t, b, core.Closed)
	})
}

func TestRamp(t *testing.T) {
	bubble(t, "ends to the instant", func(t *testing.T) {
		b := ramped(t, core.Config{RampUp: 10 * time.Second})
		time.Sleep(10 * time.Second)
		succeed(t, b, 1000)
	})
	bubble(t, "a failure in it opens by the rules", func(t *testing.T) {
		b := ramped(t, core.Config{RampUp: time.Hour})
		for b.State() == core.Closed {
			if p, err := b.Allow(bg); err == nil {
				p.Settle(bg, core.Failure)
			}
		}
		if got := b.Snapshot().Opens; got != 1 {
			t.Errorf("%d opens in a row, want 1: it had closed", got)
		}
	})
	bubble(t, "off", func(t *testing.T) {
		for _, off := range []time.Duration{0, -time.Second} {
			succeed(t, ramped(t, core.Config{RampUp: off}), 100)
		}
	})
	bubble(t, "none for a new breaker", func(t *testing.T) {
		succeed(t, newBreaker(t, core.Config{RampUp: time.Hour}), 100)
	})
	bubble(t, "survives an Update of the window", func(t *testing.T) {
		b := ramped(t, core.Config{RampUp: time.Hour})
		if err := b.Update(core.Config{RampUp: time.Hour, Window: core.Window{Calls: 7}}); err != nil {
			t.Fatal(err)
		}
		admitted := 0
		for range 100 {
			p, err := b.Allow(bg)
			switch {
			case err == nil:
				admitted++
				p.Settle(bg, core.Success)
			case !errors.Is(err, core.ErrOpen):
				t.Fatalf("Allow = %v, want a permit or a refusal", err)
			}
		}
		if admitted < 9 || admitted > 10 {
			t.Errorf("%d of 100 admitted, want 9 or 10", admitted)
		}
	})
	bubble(t, "switched off by an Update it ends at once", func(t *testing.T) {
		for _, w := range []core.Window{{}, {Calls: 7}, {For: time.Minute}} {
			for _, off := range []time.Duration{0, -1} {
				b := ramped(t, core.Config{RampUp: time.Hour})
				refusal(t, b)
				update(t, b, core.Config{FailureRateThreshold: 1, MinimumCalls: -1, RampUp: off, Window: w})
				if snap := b.Snapshot(); !snap.RetryAt.IsZero() {
					t.Errorf("RetryAt = %v, want none", snap.RetryAt)
				}
				if got, want := b.Explain(), "closed: 0 of 5 consecutive failures; failure rate 0 % of 100 %, but only 0 of 1 calls"; got != want {
					t.Errorf("Explain = %q, want %q", got, want)
				}
				succeed(t, b, 100)
			}
		}
	})
	bubble(t, "its end is told", func(t *testing.T) {
		b := ramped(t, core.Config{RampUp: time.Minute})
		end := time.Now().Add(time.Minute)
		for range 2 {
			if got := b.Snapshot().RetryAt; !got.Equal(end) {
				t.Errorf("RetryAt = %v, want %v", got, end)
			}
			time.Sleep(30*time.Second - time.Nanosecond)
		}
		update(t, b, core.Config{RampUp: time.Hour}) // holds from the next ramp on
		if got := b.Snapshot().RetryAt; !got.Equal(end) {
			t.Errorf("RetryAt after an Update = %v, want %v as before", got, end)
		}
		time.Sleep(2 * time.Nanosecond)
		if got := b.Snapshot().RetryAt; !got.IsZero() {
			t.Errorf("RetryAt = %v once it has ended, want none", got)
		}
	})
	bubble(t, "the longest ramp", func(t *testing.T) {
		b := ramped(t, core.Config{RampUp: math.MaxInt64})
		for range 9 {
			refusal(t, b)
		}
	})
}
