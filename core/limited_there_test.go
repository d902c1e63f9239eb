package core_test

import (
	"testing"
	"time"

	"github.com/blackbox4/switchgear/core"
)

// A dependency whose limit refuses is believed while other calls succeed.
func TestARemoteLimitIsBelievedWhileCallsSucceed(t *testing.T) {
	refuse := func(t *testing.T, b *core.Breaker, want core.Outcome) {
		t.Helper()
		p := take(t, b)
		o := b.LimitedOutcome()
		p.Settle(bg, o)
		if o != want {
			t.Fatalf("outcome %v, want %v", o, want)
		}
	}
	bubble(t, "a healthy one never opens the breaker", func(t *testing.T) {
		b := newBreaker(t, core.Config{FailureThreshold: 3})
		for range 50 {
			succeed(t, b, 1)
			for range 9 {
				time.Sleep(time.Second)
				refuse(t, b, core.Ignored)
			}
		}
		wantState(t, b, core.Closed)
	})
	bubble(t, "one that refuses everything does", func(t *testing.T) {
		b := newBreaker(t, core.Config{FailureThreshold: 3})
		succeed(t, b, 5)
		time.Sleep(time.Hour)
		for range 11 {
			refuse(t, b, core.Ignored)
			time.Sleep(time.Second)
		}
		for range 3 {
			refuse(t, b, core.Failure)
		}
		wantState(t, b, core.Open)
		time.Sleep(time.Minute)
		refuse(t, b, core.Failure) // also of a probe
		wantState(t, b, core.Open)
	})
	bubble(t, "one that never worked does at once", func(t *testing.T) {
		b := newBreaker(t, core.Config{FailureThreshold: 2})
		refuse(t, b, core.Failure)
		refuse(t, b, core.Failure)
		wantState(t, b, core.Open)
	})
	for _, b := range []*core.Breaker{nil, new(core.Breaker), newBreaker(t, core.Config{})} {
		if got := b.LimitedOutcome(); got != core.Failure {
			t.Errorf("outcome %v, want a failure", got)
		}
	}
}
