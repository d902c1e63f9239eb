package core_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/blackbox4/switchgear/core"
)

func healthy(context.Context) error { return nil }

// checkHealth makes a check and insists on its result.
func checkHealth(t *testing.T, b *core.Breaker, check func(context.Context) error, want error) {
	t.Helper()
	if got := b.CheckHealth(bg, check); got != want {
		t.Fatalf("CheckHealth = %v, want %v", got, want)
	}
}

func TestCheckHealth(t *testing.T) {
	bubble(t, "a success ends the break, and the probes close", func(t *testing.T) {
		var told diary
		b := opened(t, core.Config{Timeout: time.Minute, Hooks: told.hooks()})
		before := b.Snapshot().Totals
		time.Sleep(10 * time.Second)
		checkHealth(t, b, healthy, nil)
		wantState(t, b, core.HalfOpen)
		snap := b.Snapshot()
		if snap.Cause != core.CauseCheckPassed || !snap.Since.Equal(time.Now()) || snap.Opens != 1 || !snap.RetryAt.IsZero() {
			t.Errorf("snapshot: %v since %v, opening %d, RetryAt %v; want %v, now, 1 and none", snap.Cause, snap.Since, snap.Opens, snap.RetryAt, core.CauseCheckPassed)
		}
		wantTotals(t, b, before) // a check is no call
		succeed(t, b, 2)
		wantState(t, b, core.Closed)
		wantPath(t, told.transitions, "closed open half-open closed")
		if tr := told.transitions[1]; tr.Seq != 2 || tr.Cause != core.CauseCheckPassed || !tr.At.Equal(snap.Since) || tr.Err != nil || tr.Reason() != "a health check passed" {
			t.Errorf("the transition is %+v, want number 2 by %v now", tr, core.CauseCheckPassed)
		}
		if len(told.settled) != 3 {
			t.Errorf("%d settlements told, want the failure and two probes", len(told.settled))
		}
	})
	bubble(t, "half-open as ever: a probe fails, and openings are counted on", func(t *testing.T) {
		b := opened(t, core.Config{Timeout: time.Minute, TimeoutFactor: 2, HalfOpenMaxCalls: 1})
		checkHealth(t, b, healthy, nil)
		p := take(t, b)
		if got := refusal(t, b); got.Cause != core.CauseProbesOut {
			t.Errorf("refused because %v, want %v", got.Cause, core.CauseProbesOut)
		}
		p.Settle(bg, core.Failure)
		if got := breakOf(t, b); got != 2*time.Minute {
			t.Errorf("the second break lasts %v, want 2m", got)
		}
	})
	bubble(t, "a failure changes nothing", func(t *testing.T) {
		var told diary
		b := opened(t, core.Config{Timeout: time.Minute, Hooks: told.hooks()})
		first := refusal(t, b)
		before := b.Snapshot()
		time.Sleep(10 * time.Second)
		checkHealth(t, b, func(context.Context) error { return errSick }, errSick)
		if got := breakOf(t, b); got != 50*time.Second {
			t.Errorf("the break lasts another %v, want 50s", got)
		}
		if refusal(t, b) != first {
			t.Error("another refusal than before the check")
		}
		after := b.Snapshot().Totals
		if want := before.Totals.Refused + 1; after.Refused != want || after.Calls != before.Totals.Calls || after.Failures != before.Totals.Failures {
			t.Errorf("totals %+v, want as before %+v with one more refused", after, before.Totals)
		}
		wantPath(t, told.transitions, "closed open")
	})
	bubble(t, "to the instant", func(t *testing.T) {
		b := opened(t, core.Config{Timeout: time.Minute})
		time.Sleep(time.Minute - 1)
		called := 0
		check := func(context.Context) error { called++; return errSick }
		checkHealth(t, b, check, errSick)
		time.Sleep(time.Nanosecond) // the break is over, though no call has met it
		checkHealth(t, b, check, nil)
		if called != 1 {
			t.Errorf("%d checks were run, want one, before the break was over", called)
		}
	})
	for _, state := range []core.State{core.Closed, core.HalfOpen} {
		bubble(t, "not run when it is "+state.String(), func(t *testing.T) {
			b := inState(t, state, core.Config{})
			checkHealth(t, b, func(context.Context) error { t.Error("the check is run"); return errSick }, nil)
			wantState(t, b, state)
		})
	}
	bubble(t, "the context is the caller's, without a CallTimeout", func(t *testing.T) {
		type key struct{}
		b := opened(t, core.Config{Timeout: time.Hour, CallTimeout: time.Second})
		err := b.CheckHealth(context.WithValue(bg, key{}, "value"), func(ctx context.Context) error {
			if _, limited := ctx.Deadline(); limited || ctx.Value(key{}) != "value" {
				t.Error("the check is given another context")
			}
			time.Sleep(time.Minute)
			return ctx.Err()
		})
		if err != nil {
			t.Errorf("CheckHealth = %v, want nil", err)
		}
		wantState(t, b, core.HalfOpen)
	})
	bubble(t, "the hook is given that context", func(t *testing.T) {
		type key struct{}
		var given any
		b := opened(t, core.Config{Timeout: time.Hour, Hooks: core.Hooks{Transition: func(ctx context.Context, _ core.Transition) { given = ctx.Value(key{}) }}})
		if err := b.CheckHealth(context.WithValue(bg, key{}, "value"), healthy); err != nil || given != "value" {
			t.Errorf("CheckHealth = %v, and the hook was given %v, want the caller's context", err, given)
		}
	})
	bubble(t, "it is logged", func(t *testing.T) {
		var log bytes.Buffer
		b := opened(t, core.Config{Logger: slog.New(slog.NewTextHandler(&log, nil))})
		checkHealth(t, b, healthy, nil)
		if !strings.Contains(log.String(), "a health check passed") {
			t.Errorf("the log is %q, want the cause in it", log.String())
		}
	})
}

// What is not a check, or not a proper one.
func TestCheckHealthBadInput(t *testing.T) {
	bubble(t, "no check", func(t *testing.T) {
		for _, state := range everyState {
			b := inState(t, state, core.Config{})
			if err := b.CheckHealth(bg, nil); err == nil {
				t.Errorf("%v: CheckHealth(nil) = nil, want an error", state)
			}
			wantState(t, b, state)
		}
	})
	bubble(t, "no context", func(t *testing.T) {
		b := opened(t, core.Config{})
		var none context.Context
		err := b.CheckHealth(none, func(ctx context.Context) error {
			if ctx == nil {
				t.Error("the check is given no context")
			}
			return nil
		})
		if err != nil {
			t.Errorf("CheckHealth = %v, want nil", err)
		}
		wantState(t, b, core.HalfOpen)
	})
	bubble(t, "a panic passes through and changes nothing", func(t *testing.T) {
		b := opened(t, core.Config{Timeout: time.Minute})
		func() {
			defer func() {
				if v := recover(); v != "sick" {
					t.Errorf("recovered %v, want sick", v)
				}
			}()
			_ = b.CheckHealth(bg, func(context.Context) error { panic("sick") })
		}()
		if got := breakOf(t, b); got != time.Minute {
			t.Errorf("the break lasts %v, want 1m", got)
		}
		checkHealth(t, b, healthy, nil) // no lock was left held
		wantState(t, b, core.HalfOpen)
	})
	bubble(t, "Goexit changes nothing", func(t *testing.T) {
		b := opened(t, core.Config{Timeout: time.Minute})
		done := make(chan struct{})
		go func() {
			defer close(done)
			_ = b.CheckHealth(bg, func(context.Context) error { runtime.Goexit(); return nil })
		}()
		<-done
		wantState(t, b, core.Open)
		checkHealth(t, b, healthy, nil)
		wantState(t, b, core.HalfOpen)
	})
	bubble(t, "the check may use the breaker", func(t *testing.T) {
		b := opened(t, core.Config{Timeout: time.Minute})
		checkHealth(t, b, func(ctx context.Context) error {
			refusal(t, b)
			_, _, _ = b.Snapshot(), b.State(), b.Explain()
			return b.CheckHealth(ctx, healthy)
		}, nil)
		wantState(t, b, core.HalfOpen)
	})
}

// A check says something only of the break that it was begun in.
func TestCheckHealthOutlastsItsBreak(t *testing.T) {
	for name, row := range map[string]struct {
		meanwhile func(t *testing.T, b *core.Breaker)
		want      core.State
		path      string
	}{
		"timeout elapsed": {
			func(*testing.T, *core.Breaker) { time.Sleep(time.Minute) },
			core.HalfOpen, "closed open half-open",
		},
		"the break is over and another has begun": {
			func(t *testing.T, b *core.Breaker) { time.Sleep(time.Minute); fail(t, b, 1) },
			core.Open, "closed open half-open open",
		},
		"it has closed": {
			func(t *testing.T, b *core.Breaker) { time.Sleep(time.Minute); succeed(t, b, 2) },
			core.Closed, "closed open half-open closed",
		},
		"it has closed and opened again": {
			func(t *testing.T, b *core.Breaker) { time.Sleep(time.Minute); succeed(t, b, 2); fail(t, b, 1) },
			core.Open, "closed open half-open closed open",
		},
		"it was reset": {
			func(_ *testing.T, b *core.Breaker) { b.Reset() },
			core.Closed, "closed open closed",
		},
		"it was reset and has opened again": {
			func(t *testing.T, b *core.Breaker) { b.Reset(); fail(t, b, 1) },
			core.Open, "closed open closed open",
		},
		"another check was faster": {
			func(t *testing.T, b *core.Breaker) { checkHealth(t, b, healthy, nil) },
			core.HalfOpen, "closed open half-open",
		},
		"another check was faster, and a probe failed": {
			func(t *testing.T, b *core.Breaker) { checkHealth(t, b, healthy, nil); fail(t, b, 1) },
			core.Open, "closed open half-open open",
		},
	} {
		bubble(t, name, func(t *testing.T) {
			var told diary
			b := opened(t, core.Config{Timeout: time.Minute, Hooks: told.hooks()})
			var left time.Duration
			checkHealth(t, b, func(context.Context) error {
				row.meanwhile(t, b)
				if b.State() == core.Open {
					left = breakOf(t, b)
				}
				return nil
			}, nil)
			wantState(t, b, row.want)
			wantPath(t, told.transitions, row.path)
			if row.want == core.Open && breakOf(t, b) != left {
				t.Errorf("the break lasts another %v, want %v as before", breakOf(t, b), left)
			}
		})
	}
	bubble(t, "an Update does not end a break", func(t *testing.T) {
		b := opened(t, core.Config{Timeout: time.Minute})
		checkHealth(t, b, func(context.Context) error { return b.Update(core.Config{FailureThreshold: 7, Timeout: time.Hour}) }, nil)
		wantState(t, b, core.HalfOpen)
	})
	bubble(t, "the break was over just then: it ended by itself", func(t *testing.T) {
		b := opened(t, core.Config{Timeout: time.Minute})
		began := time.Now()
		checkHealth(t, b, func(context.Context) error { time.Sleep(90 * time.Second); return nil }, nil)
		if snap := b.Snapshot(); snap.Cause != core.CauseTimeoutElapsed || !snap.Since.Equal(began.Add(time.Minute)) {
			t.Errorf("half-open since %v by %v, want since %v by %v", snap.Since, snap.Cause, began.Add(time.Minute), core.CauseTimeoutElapsed)
		}
	})
}

func TestCheckHealthUnderAnOverride(t *testing.T) {
	for _, o := range []core.Override{core.ForcedOpen, core.Disabled} {
		bubble(t, o.String()+" runs no check", func(t *testing.T) {
			b := opened(t, core.Config{Timeout: time.Minute})
			force(t, b, o)
			checkHealth(t, b, func(context.Context) error { t.Error("the check is run"); return errSick }, nil)
			wantState(t, b, core.Open)
			b.Release()
			checkHealth(t, b, healthy, nil)
			wantState(t, b, core.HalfOpen)
		})
	}
	bubble(t, "shadow goes on", func(t *testing.T) {
		b := opened(t, core.Config{Timeout: time.Minute})
		force(t, b, core.Shadow)
		checkHealth(t, b, healthy, nil)
		wantState(t, b, core.HalfOpen)
	})
}

// Checks and calls at once: counts add up, and transitions are in order. For the
// race detector, too.
func TestCheckHealthConcurrently(t *testing.T) {
	var seq atomic.Uint64
	var passed, checks atomic.Uint64
	state := core.Closed // of the last transition; hooks run one at a time
	b := core.MustNew("busy", core.Config{FailureThreshold: 2, SuccessThreshold: 1, Timeout: time.Millisecond, Hooks: core.Hooks{
		Transition: func(_ context.Context, tr core.Transition) {
			if seq.Add(1) != tr.Seq || tr.From != state || tr.Cause == core.CauseCheckPassed && (tr.From != core.Open || tr.To != core.HalfOpen) {
				t.Errorf("transition %+v after %v", tr, state)
			}
			if tr.Cause == core.CauseCheckPassed {
				passed.Add(1)
			}
			state = tr.To
		},
	}})
	var calls, refused atomic.Uint64
	hammer(8, 2000, func(g, i int) {
		if g < 2 {
			_ = b.CheckHealth(bg, func(context.Context) error {
				checks.Add(1)
				if rand.IntN(3) == 0 {
					return errSick
				}
				return nil
			})
			return
		}
		p, err := b.Allow(bg)
		if err != nil {
			refused.Add(1)
			return
		}
		calls.Add(1)
		p.Settle(bg, core.Outcome(1+rand.IntN(3)))
	})
	got := b.Snapshot().Totals
	if got.Calls != calls.Load() || got.Refused != refused.Load() || got.Calls != got.Successes+got.Failures+got.Ignored || got.InFlight != 0 {
		t.Errorf("totals %+v, want %d calls, all settled, and %d refused", got, calls.Load(), refused.Load())
	}
	if passed.Load() > checks.Load() {
		t.Errorf("%d breaks were ended by %d checks", passed.Load(), checks.Load())
	}
}

// unavailableError says when to come back by a method of its own.
type unavailableError struct{ after time.Duration }

func (unavailableError) Error() string               { return "unavailable" }
func (e unavailableError) RetryAfter() time.Duration { return e.after }

// manyErrors cannot be compared.
type manyErrors []error

func (manyErrors) Error() string     { return "many" }
func (m manyErrors) Unwrap() []error { return m }

// Any error that has a method RetryAfter is understood, wherever it stands in
// the chain; the first that is found holds.
func TestRetryAfterByInterface(t *testing.T) {
	for name, row := range map[string]struct {
		err  error
		want time.Duration
	}{
		"itself":                 {unavailableError{5 * time.Minute}, 5 * time.Minute},
		"a pointer":              {&unavailableError{5 * time.Minute}, 5 * time.Minute},
		"wrapped":                {fmt.Errorf("call: %w", unavailableError{5 * time.Minute}), 5 * time.Minute},
		"joined":                 {errors.Join(errSick, unavailableError{5 * time.Minute}), 5 * time.Minute},
		"in an uncomparable one": {manyErrors{errSick, unavailableError{5 * time.Minute}}, 5 * time.Minute},
		"less than the break":    {unavailableError{time.Second}, time.Minute},
		"negative":               {unavailableError{-time.Hour}, time.Minute},
		"more than the cap":      {unavailableError{24 * time.Hour}, 10 * time.Minute},
		"around core's":          {core.RetryAfter(unavailableError{5 * time.Minute}, 3*time.Minute), 3 * time.Minute},
		"core's within":          {fmt.Errorf("%w", core.RetryAfter(errSick, 5*time.Minute)), 5 * time.Minute},
		"not at all":             {manyErrors{errSick}, time.Minute},
	} {
		bubble(t, name, func(t *testing.T) {
			b := newBreaker(t, core.Config{FailureThreshold: 1, Timeout: time.Minute})
			take(t, b).Done(bg, row.err)
			if got := breakOf(t, b); got != row.want {
				t.Errorf("by Done the break lasts %v, want %v", got, row.want)
			}
			b.Reset()
			_ = b.Do(bg, func(context.Context) error { return row.err })
			if got := breakOf(t, b); got != row.want {
				t.Errorf("by Do the break lasts %v, want %v", got, row.want)
			}
		})
	}
	bubble(t, "of a call that outlived its CallTimeout", func(t *testing.T) {
		b := newBreaker(t, core.Config{FailureThreshold: 1, Timeout: time.Minute, CallTimeout: time.Second})
		_ = b.Do(bg, func(ctx context.Context) error { <-ctx.Done(); return unavailableError{5 * time.Minute} })
		if got := breakOf(t, b); got != 5*time.Minute {
			t.Errorf("the break lasts %v, want 5m", got)
		}
	})
	t.Run("core's own says it by that method too", func(t *testing.T) {
		said, ok := errors.AsType[interface {
			error
			RetryAfter() time.Duration
		}](fmt.Errorf("call: %w", core.RetryAfter(errSick, time.Hour)))
		if !ok || said.RetryAfter() != time.Hour {
			t.Errorf("the chain says %v, want a method RetryAfter that returns 1h", said)
		}
	})
}
