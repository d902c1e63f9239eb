package core_test

import (
	"context"
	"errors"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/blackbox4/switchgear/core"
)

func TestOpen(t *testing.T) {
	bubble(t, "to the instant", func(t *testing.T) {
		b := opened(t, core.Config{Timeout: 5 * time.Second})
		time.Sleep(5*time.Second - 1)
		wantState(t, b, core.Open)
		refusal(t, b)
		time.Sleep(time.Nanosecond)
		wantState(t, b, core.HalfOpen)
		take(t, b).Settle(bg, core.Success)
	})
	bubble(t, "the dependency is not called", func(t *testing.T) {
		b := opened(t, core.Config{})
		called := false
		err := b.Do(bg, func(context.Context) error { called = true; return nil })
		if called || !errors.Is(err, core.ErrOpen) {
			t.Errorf("called %t, error %v; want no call and ErrOpen", called, err)
		}
	})
	bubble(t, "the refusal says when to come back", func(t *testing.T) {
		b := opened(t, core.Config{Timeout: 5 * time.Second})
		time.Sleep(time.Millisecond)
		if got, want := time.Until(refusal(t, b).RetryAt), 5*time.Second-time.Millisecond; got != want {
			t.Errorf("RetryAt is in %v, want %v", got, want)
		}
	})
	bubble(t, "a hundred refusals are one error", func(t *testing.T) {
		b := opened(t, core.Config{})
		first := refusal(t, b)
		for range 99 {
			if again := refusal(t, b); again != first {
				t.Fatalf("refusal %p, want the same as the first, %p", again, first)
			}
		}
		if first.Name != "test" || first.State != core.Open || first.Cause != core.CauseConsecutiveFailures {
			t.Errorf("refusal = %+v, want test, open, consecutive failures", *first)
		}
	})
	bubble(t, "a second break is longer", func(t *testing.T) {
		b := opened(t, core.Config{Timeout: 5 * time.Second, TimeoutFactor: 2})
		time.Sleep(5 * time.Second)
		fail(t, b, 1)
		time.Sleep(6 * time.Second)
		wantState(t, b, core.Open)
		time.Sleep(4 * time.Second)
		wantState(t, b, core.HalfOpen)
	})
	bubble(t, "openings are counted until a close", func(t *testing.T) {
		b := opened(t, core.Config{Timeout: time.Second, TimeoutFactor: 2, SuccessThreshold: 1, MaxTimeout: time.Hour})
		want := func(opens int, length time.Duration) {
			t.Helper()
			if got := b.Snapshot().Opens; got != opens || breakOf(t, b) != length {
				t.Fatalf("opening %d for %v, want %d for %v", got, breakOf(t, b), opens, length)
			}
		}
		for i := range 5 {
			want(i+1, time.Second<<i)
			time.Sleep(time.Second << i)
			fail(t, b, 1)
		}
		want(6, 32*time.Second)
		time.Sleep(32 * time.Second)
		succeed(t, b, 1)
		wantState(t, b, core.Closed)
		if got := b.Snapshot().Opens; got != 0 {
			t.Fatalf("openings after a close: %d, want 0", got)
		}
		fail(t, b, 1)
		want(1, time.Second)
		time.Sleep(time.Second)
		fail(t, b, 1)
		want(2, 2*time.Second)
	})
	bubble(t, "a failure's own not-before is honoured over the break", func(t *testing.T) {
		b := newBreaker(t, core.Config{FailureThreshold: 1, Timeout: time.Second, MaxTimeout: 3 * time.Hour})
		take(t, b).Done(bg, core.RetryAfter(errSick, 2*time.Hour))
		time.Sleep(2*time.Hour - 1)
		wantState(t, b, core.Open)
		time.Sleep(time.Nanosecond)
		wantState(t, b, core.HalfOpen)
	})
	bubble(t, "a late failure neither opens again nor lengthens the break", func(t *testing.T) {
		var told diary
		b := newBreaker(t, core.Config{FailureThreshold: 1, Timeout: 5 * time.Second, Hooks: told.hooks()})
		late := []*core.Permit{take(t, b), take(t, b), take(t, b)}
		fail(t, b, 1)
		time.Sleep(time.Second)
		late[0].Settle(bg, core.Failure)
		late[1].Done(bg, errSick)
		late[2].Report(bg, core.Failure, core.RetryAfter(errSick, time.Hour))
		if got := breakOf(t, b); got != 4*time.Second {
			t.Errorf("the break lasts another %v, want 4s", got)
		}
		wantPath(t, told.transitions, "closed open")
	})
	bubble(t, "a refusal is counted, and nothing else is", func(t *testing.T) {
		b := opened(t, core.Config{})
		before := b.Snapshot()
		refusal(t, b)
		after := b.Snapshot()
		want := before.Totals
		want.Refused = 1
		if after.Totals != want {
			t.Errorf("totals\n %+v, want\n %+v", after.Totals, want)
		}
		if after.Window != before.Window || len(after.Transitions) != len(before.Transitions) {
			t.Errorf("a refusal changed the window %+v or the transitions %v", after.Window, after.Transitions)
		}
	})
	bubble(t, "retries outside the breaker", func(t *testing.T) {
		b := newBreaker(t, core.Config{FailureThreshold: 3})
		calls, refused := 0, 0
		var err error
		for range 7 {
			err = b.Do(bg, func(context.Context) error { calls++; return errSick })
			if errors.Is(err, core.ErrOpen) {
				refused++
			}
		}
		if calls != 3 || refused != 4 || !errors.Is(err, core.ErrOpen) {
			t.Errorf("%d calls, %d refused, last error %v; want 3, 4, ErrOpen", calls, refused, err)
		}
	})
}

// A break that would overflow time is clamped.
func TestOpenBreaksDoNotOverflow(t *testing.T) {
	const forever = time.Duration(math.MaxInt64)
	for _, row := range []struct {
		name   string
		cfg    core.Config
		opens  int
		after  time.Duration
		atMost time.Duration
	}{
		{"huge Timeout", core.Config{Timeout: forever}, 1, 0, forever},
		{"huge MaxTimeout, huge answer", core.Config{Timeout: time.Second, MaxTimeout: forever}, 1, forever, forever},
		{"growth", core.Config{Timeout: time.Second, TimeoutFactor: 100, MaxTimeout: time.Hour}, 20, 0, time.Hour},
		{"huge answer", core.Config{Timeout: time.Second}, 1, forever, 10 * time.Minute},
		{"huge Timeout with jitter", core.Config{Timeout: forever / 2, Jitter: 0.9, MaxTimeout: forever}, 1, 0, forever},
	} {
		bubble(t, row.name, func(t *testing.T) {
			cfg := row.cfg
			cfg.FailureThreshold = 1
			b := newBreaker(t, cfg)
			time.Sleep(time.Hour) // so that a sum with the breaker's own clock may overflow too
			for i := range row.opens {
				take(t, b).Done(bg, core.RetryAfter(errSick, row.after))
				if got := b.State(); got != core.Open {
					t.Fatalf("after failure %d: %v, want open", i+1, got)
				}
				if i < row.opens-1 {
					time.Sleep(breakOf(t, b))
				}
			}
			refusal(t, b)
			if got := breakOf(t, b); got <= 0 || got > row.atMost {
				t.Errorf("the break lasts %v, want at most %v", got, row.atMost)
			}
			if row.atMost == forever {
				time.Sleep(24 * time.Hour)
				wantState(t, b, core.Open)
			}
		})
	}
}

func TestOpenBackOff(t *testing.T) {
	bubble(t, "grows by the factor to the cap", func(t *testing.T) {
		b := opened(t, core.Config{Timeout: time.Second, TimeoutFactor: 3, MaxTimeout: 20 * time.Second})
		for i, want := range []time.Duration{1, 3, 9, 20, 20, 20} {
			if got := breakOf(t, b); got != want*time.Second {
				t.Fatalf("break %d lasts %v, want %v", i+1, got, want*time.Second)
			}
			time.Sleep(want * time.Second)
			fail(t, b, 1)
		}
	})
	for name, factor := range map[string]float64{"zero": 0, "negative": -3, "one": 1} {
		bubble(t, name+" is no growth", func(t *testing.T) {
			b := opened(t, core.Config{Timeout: time.Second, TimeoutFactor: factor})
			for range 5 {
				if got := breakOf(t, b); got != time.Second {
					t.Fatalf("break lasts %v, want 1s", got)
				}
				time.Sleep(time.Second)
				fail(t, b, 1)
			}
		})
	}
	bubble(t, "jitter keeps its bounds and spreads", func(t *testing.T) {
		b := opened(t, core.Config{Timeout: 10 * time.Second, Jitter: 0.2, TimeoutFactor: 1})
		seen := map[time.Duration]bool{}
		low, high := time.Hour, time.Duration(0)
		for range 500 {
			d := breakOf(t, b)
			low, high, seen[d] = min(low, d), max(high, d), true
			if d < 8*time.Second || d > 12*time.Second {
				t.Fatalf("break of %v, want 10s ± 20 %%", d)
			}
			time.Sleep(d)
			fail(t, b, 1)
		}
		// 500 even draws that miss a tenth of the range at one end: 1 in 10^22.
		if low > 8400*time.Millisecond || high < 11600*time.Millisecond || len(seen) < 400 {
			t.Errorf("500 breaks from %v to %v, %d different; want them spread over 8s to 12s", low, high, len(seen))
		}
	})
	bubble(t, "jitter does not break the cap", func(t *testing.T) {
		b := opened(t, core.Config{Timeout: 10 * time.Second, MaxTimeout: 10 * time.Second, Jitter: 0.5})
		for range 100 {
			d := breakOf(t, b)
			if d < 5*time.Second || d > 10*time.Second {
				t.Fatalf("break of %v, want 5s to 10s", d)
			}
			time.Sleep(d)
			fail(t, b, 1)
		}
	})
}

// The not-before of a failure is floored by the normal break and capped by
// MaxTimeout, from an error and from an answer, closed and half-open.
func TestOpenRetryAfter(t *testing.T) {
	const year = 365 * 24 * time.Hour
	for _, row := range []struct {
		name        string
		after, want time.Duration
	}{
		{"zero", 0, time.Minute},
		{"negative", -5 * time.Second, time.Minute},
		{"most negative", math.MinInt64, time.Minute},
		{"less than the break", 59 * time.Second, time.Minute},
		{"more than the break", 61 * time.Second, 61 * time.Second},
		{"the cap", 5 * time.Minute, 5 * time.Minute},
		{"a year", year, 5 * time.Minute},
		{"overflow", math.MaxInt64, 5 * time.Minute},
	} {
		for name, settleIt := range map[string]func(p *core.Permit){
			"error":         func(p *core.Permit) { p.Done(bg, core.RetryAfter(errSick, row.after)) },
			"wrapped error": func(p *core.Permit) { p.Done(bg, errors.Join(errSick, core.RetryAfter(errSick, row.after))) },
			"answer":        func(p *core.Permit) { p.Report(bg, core.Failure, core.RetryAfter(errSick, row.after)) },
		} {
			bubble(t, row.name+"/"+name, func(t *testing.T) {
				b := newBreaker(t, core.Config{FailureThreshold: 1, Timeout: time.Minute, MaxTimeout: 5 * time.Minute})
				settleIt(take(t, b))
				if got := breakOf(t, b); got != row.want {
					t.Errorf("closed: the break lasts %v, want %v", got, row.want)
				}
				time.Sleep(row.want)
				settleIt(take(t, b))
				if got := breakOf(t, b); got != row.want {
					t.Errorf("half-open: the break lasts %v, want %v", got, row.want)
				}
				if got, want := time.Until(refusal(t, b).RetryAt), row.want; got != want {
					t.Errorf("the refusal says in %v, want %v", got, want)
				}
			})
		}
	}
	bubble(t, "only the failure that opens is asked", func(t *testing.T) {
		b := newBreaker(t, core.Config{FailureThreshold: 2, Timeout: time.Minute})
		take(t, b).Done(bg, core.RetryAfter(errSick, 5*time.Minute))
		wantState(t, b, core.Closed)
		take(t, b).Done(bg, errSick)
		if got := breakOf(t, b); got != time.Minute {
			t.Errorf("the break lasts %v, want 1m", got)
		}
	})
	bubble(t, "not asked of what is no failure", func(t *testing.T) {
		b := newBreaker(t, core.Config{FailureThreshold: 1, Classify: func(context.Context, error) core.Outcome { return core.Ignored }})
		take(t, b).Done(bg, core.RetryAfter(errSick, time.Hour))
		wantState(t, b, core.Closed)
	})
}

func TestRetryAfterError(t *testing.T) {
	err := core.RetryAfter(errSick, time.Second)
	if !errors.Is(err, errSick) || err.Error() != errSick.Error() {
		t.Errorf("RetryAfter(errSick) = %v, want it to unwrap to errSick and keep its text", err)
	}
	if got := core.RetryAfter(nil, time.Second); got != nil {
		t.Errorf("RetryAfter(nil) = %v, want nil", got)
	}
}

// The clock is read when the breaker is read: a break that is long over reads
// half-open from its end on, and reading it fires no hook.
func TestOpenEndsWithoutACall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told diary
		b := newBreaker(t, core.Config{FailureThreshold: 1, Timeout: time.Second, Hooks: told.hooks()})
		fail(t, b, 1)
		over := time.Now().Add(time.Second)
		time.Sleep(time.Hour)
		for range 3 {
			wantState(t, b, core.HalfOpen)
			snap := b.Snapshot()
			if snap.State != core.HalfOpen || !snap.Since.Equal(over) || snap.Cause != core.CauseTimeoutElapsed || !snap.RetryAt.IsZero() {
				t.Fatalf("snapshot %v since %v by %v, RetryAt %v; want half-open since %v by %v",
					snap.State, snap.Since, snap.Cause, snap.RetryAt, over, core.CauseTimeoutElapsed)
			}
		}
		wantPath(t, told.transitions, "closed open")
		take(t, b).Settle(bg, core.Ignored)
		wantPath(t, told.transitions, "closed open half-open")
		if got := told.transitions[1].At; !got.Equal(over) {
			t.Errorf("half-open at %v, want %v, when the break ended", got, over)
		}
	})
}
