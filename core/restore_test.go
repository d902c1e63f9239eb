package core_test

import (
	"encoding/json"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/blackbox4/switchgear/core"
)

// saved is what a file keeps of a snapshot.
func saved(t *testing.T, b *core.Breaker) core.Snapshot {
	t.Helper()
	text, err := json.Marshal(b.Snapshot())
	if err != nil {
		t.Fatal(err)
	}
	var s core.Snapshot
	if err := json.Unmarshal(text, &s); err != nil {
		t.Fatal(err)
	}
	return s
}

func restore(t *testing.T, b *core.Breaker, s core.Snapshot) {
	t.Helper()
	if err := b.Restore(s); err != nil {
		t.Fatal(err)
	}
}

// A break goes on in the next process, for what is left of it.
func TestRestoredBreakEndsWhenItWouldHave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := core.Config{FailureThreshold: 1, Timeout: time.Minute, TimeoutFactor: 2, SuccessThreshold: 1}
		old := newBreaker(t, cfg)
		old.Record(bg, core.Failure, errSick, 0)
		time.Sleep(time.Minute)
		old.Record(bg, core.Failure, errSick, 0) // opens for 2 min
		s := saved(t, old)
		time.Sleep(30 * time.Second)

		b := newBreaker(t, cfg)
		restore(t, b, s)
		err := refusal(t, b)
		if left := time.Until(err.RetryAt); left != 90*time.Second || err.Cause != core.CauseRestored || err.Reason != errSick.Error() {
			t.Errorf("%v, left %v", err, left)
		}
		time.Sleep(90*time.Second - time.Nanosecond)
		wantState(t, b, core.Open)
		time.Sleep(time.Nanosecond)
		fail(t, b, 1)
		if got := breakOf(t, b); got != 4*time.Minute {
			t.Errorf("then open for %v, want the third break", got)
		}
		wantPath(t, b.Snapshot().Transitions, "closed open half-open open")
		if got := b.Snapshot().Transitions[0]; got.Err == nil || got.Err.Error() != errSick.Error() || got.Opens != 2 {
			t.Errorf("%+v", got)
		}
	})
}

func TestRestoreOfWhatIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		open, half := saved(t, opened(t, core.Config{Timeout: time.Second})), saved(t, halfOpened(t, core.Config{}))
		time.Sleep(time.Hour)
		for _, s := range []core.Snapshot{open, half} {
			b := newBreaker(t, core.Config{HalfOpenMaxCalls: 1, SuccessThreshold: 1})
			restore(t, b, s)
			wantState(t, b, core.HalfOpen)
			p := take(t, b)
			refusal(t, b)
			p.Settle(bg, core.Success)
			wantState(t, b, core.Closed)
		}
	})
}

// A snapshot is text that a disk has kept: it cannot close for good, nor undo what
// the breaker has found out by itself.
func TestRestoreIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		far := core.Snapshot{State: core.Open, RetryAt: time.Now().Add(100 * 365 * 24 * time.Hour), Opens: -7}
		b := newBreaker(t, core.Config{MaxTimeout: time.Hour})
		restore(t, b, far)
		if got := breakOf(t, b); got != time.Hour {
			t.Errorf("open for %v", got)
		}
		b = newBreaker(t, core.Config{})
		restore(t, b, core.Snapshot{State: core.Open}) // no time
		wantState(t, b, core.HalfOpen)

		b = opened(t, core.Config{Timeout: time.Minute})
		restore(t, b, far)
		if got := breakOf(t, b); got != time.Minute {
			t.Errorf("an open breaker: open for %v", got)
		}
		b = newBreaker(t, core.Config{})
		restore(t, b, core.Snapshot{State: core.Closed, Opens: 4})
		wantState(t, b, core.Closed)
		if len(b.Snapshot().Transitions) != 0 {
			t.Error("a closed snapshot made a transition")
		}
		var fault *core.ConfigError
		if err := b.Restore(core.Snapshot{State: 9}); !errors.As(err, &fault) || fault.Field != "State" {
			t.Errorf("a state that is none: %v", err)
		}
		p := take(t, b)
		restore(t, b, far)
		p.Settle(bg, core.Failure)
		wantTotals(t, b, core.Totals{Calls: 1, Failures: 1, Late: 1})
	})
}
