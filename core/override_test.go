package core_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/blackbox4/switchgear/core"
)

var everyState = []core.State{core.Closed, core.Open, core.HalfOpen}

// Forced open refuses in every state, for any time, and
// the dependency is never called.
func TestForcedOpen(t *testing.T) {
	for _, state := range everyState {
		bubble(t, "63 64 "+state.String(), func(t *testing.T) {
			b := inState(t, state, core.Config{})
			force(t, b, core.ForcedOpen)
			for range 50 {
				refused := refusal(t, b)
				if refused.Cause != core.CauseForcedOpen || refused.Name != "test" || !refused.RetryAt.IsZero() {
					t.Fatalf("refusal = %+v, want test, %v and no time to retry", *refused, core.CauseForcedOpen)
				}
				time.Sleep(time.Minute)
			}
			if again := refusal(t, b); again != refusal(t, b) {
				t.Error("two refusals are two errors, want one")
			}
			if got := b.Snapshot().Totals.Refused; got != 52 {
				t.Errorf("%d refused, want 52", got)
			}
			b.Release()
			if state == core.Open {
				state = core.HalfOpen // time went on below the override
			}
			wantState(t, b, state)
			take(t, b)
		})
	}
}

// The state machine goes on below an override, and shows when the
// override is taken back.
func TestOverrideKeepsTheStateBelow(t *testing.T) {
	for _, o := range []core.Override{core.ForcedOpen, core.Disabled, core.Shadow} {
		bubble(t, "a permit from before "+o.String()+" counts", func(t *testing.T) {
			b := newBreaker(t, core.Config{FailureThreshold: 1, Timeout: time.Minute})
			p := take(t, b)
			force(t, b, o)
			p.Settle(bg, core.Failure)
			wantState(t, b, core.Open)
			b.Release()
			refusal(t, b)
		})
		bubble(t, "a break ends below "+o.String(), func(t *testing.T) {
			b := opened(t, core.Config{Timeout: time.Minute, SuccessThreshold: 1})
			force(t, b, o)
			time.Sleep(time.Minute)
			b.Release()
			wantState(t, b, core.HalfOpen)
			succeed(t, b, 1)
			wantState(t, b, core.Closed)
		})
		bubble(t, "a reset below "+o.String(), func(t *testing.T) {
			b := opened(t, core.Config{Timeout: time.Minute})
			force(t, b, o)
			b.Reset()
			if got := b.Snapshot().Override; got != o {
				t.Fatalf("override after Reset = %v, want %v: Reset keeps it", got, o)
			}
			wantState(t, b, core.Closed)
			b.Release()
			take(t, b)
		})
		bubble(t, "an update below "+o.String(), func(t *testing.T) {
			b := newBreaker(t, core.Config{})
			force(t, b, o)
			if err := b.Update(core.Config{FailureThreshold: 1}); err != nil {
				t.Fatal(err)
			}
			if got := b.Snapshot().Override; got != o {
				t.Fatalf("override after Update = %v, want %v", got, o)
			}
			b.Release()
			fail(t, b, 1)
			wantState(t, b, core.Open)
		})
		bubble(t, "one override replaces another: "+o.String(), func(t *testing.T) {
			b := newBreaker(t, core.Config{})
			force(t, b, core.Disabled)
			force(t, b, core.Shadow)
			force(t, b, core.ForcedOpen)
			force(t, b, o)
			force(t, b, core.NoOverride)
			succeed(t, b, 1)
			wantTotals(t, b, core.Totals{Calls: 1, Successes: 1})
		})
	}
}

// In shadow all is admitted and counted, and what would have been
// refused is told. The state machine runs on below, so that one sees what it
// would have done: decided, rule 12 (resilience4j never leaves its state).
func TestShadow(t *testing.T) {
	bubble(t, "closed: it opens once and admits on", func(t *testing.T) {
		var told diary
		b := newBreaker(t, core.Config{FailureThreshold: -1, FailureRateThreshold: 0.5, MinimumCalls: 5, Timeout: time.Minute, Hooks: told.hooks()})
		force(t, b, core.Shadow)
		play(t, b, "SSFFF")
		wantState(t, b, core.Open)
		play(t, b, "FFFFF")
		wantPath(t, told.transitions, "closed open")
		wantTotals(t, b, core.Totals{Calls: 10, Successes: 2, Failures: 8, ShadowAdmitted: 5})
		if len(told.refused) != 5 || told.refused[0].Cause != core.CauseFailureRate {
			t.Errorf("told of %d refusals %v, want the 5 calls that would have been refused", len(told.refused), told.refused)
		}
	})
	bubble(t, "open: the break runs", func(t *testing.T) {
		b := opened(t, core.Config{Timeout: time.Minute, SuccessThreshold: 1})
		force(t, b, core.Shadow)
		p := take(t, b)
		p.Settle(bg, core.Success)
		wantState(t, b, core.Open)
		time.Sleep(time.Minute)
		wantState(t, b, core.HalfOpen)
		succeed(t, b, 1) // a probe, as any
		wantState(t, b, core.Closed)
		wantTotals(t, b, core.Totals{Calls: 3, Successes: 2, Failures: 1, ShadowAdmitted: 1})
	})
	bubble(t, "half-open: only probes decide", func(t *testing.T) {
		b := halfOpened(t, core.Config{HalfOpenMaxCalls: 1, SuccessThreshold: 1})
		force(t, b, core.Shadow)
		probe, spared := take(t, b), take(t, b)
		spared.Settle(bg, core.Failure)
		wantState(t, b, core.HalfOpen)
		probe.Settle(bg, core.Success)
		wantState(t, b, core.Closed)
		wantTotals(t, b, core.Totals{Calls: 3, Successes: 1, Failures: 2, ShadowAdmitted: 1})
	})
	bubble(t, "a permit of shadow settled after Release", func(t *testing.T) {
		b := halfOpened(t, core.Config{HalfOpenMaxCalls: 1, SuccessThreshold: 1})
		force(t, b, core.Shadow)
		probe, spared := take(t, b), take(t, b)
		b.Release()
		spared.Settle(bg, core.Success)
		wantState(t, b, core.HalfOpen)
		refusal(t, b)
		probe.Settle(bg, core.Success)
		wantState(t, b, core.Closed)
	})
	bubble(t, "a ramp", func(t *testing.T) {
		b := halfOpened(t, core.Config{SuccessThreshold: 1, RampUp: time.Minute})
		succeed(t, b, 1)
		force(t, b, core.Shadow)
		succeed(t, b, 100) // at 10 % nine or ten of them go through by themselves
		if got := b.Snapshot().Totals; got.ShadowAdmitted < 90 || got.ShadowAdmitted > 91 || got.Refused != 0 || got.Successes != 101 {
			t.Errorf("totals %+v, want 90 or 91 spared, none refused, 101 successes", got)
		}
	})
}

// Disabled admits all, counts nothing and calls no hook.
func TestDisabled(t *testing.T) {
	for _, state := range everyState {
		bubble(t, ""+state.String(), func(t *testing.T) {
			var told diary
			b := inState(t, state, core.Config{HalfOpenMaxCalls: 1, Hooks: told.hooks()})
			force(t, b, core.Disabled)
			before, events := b.Snapshot(), len(told.transitions)+len(told.settled)+len(told.refused)
			fail(t, b, 100)
			_ = b.Do(bg, func(context.Context) error { return errSick })
			after := b.Snapshot()
			if after.State != before.State || after.Totals != before.Totals || after.Window != before.Window || after.ProbesOut != 0 {
				t.Errorf("disabled it changed\n %+v to\n %+v", before, after)
			}
			if got := len(told.transitions) + len(told.settled) + len(told.refused); got != events {
				t.Errorf("%d events, want none", got-events)
			}
			b.Release()
			wantState(t, b, state)
		})
	}
	bubble(t, "a permit of disabled settled after Release counts nothing", func(t *testing.T) {
		b := newBreaker(t, core.Config{FailureThreshold: 1})
		force(t, b, core.Disabled)
		p := take(t, b)
		b.Release()
		p.Settle(bg, core.Failure)
		wantState(t, b, core.Closed)
		wantTotals(t, b, core.Totals{})
	})
}

func TestForceRefusesWhatIsNoOverride(t *testing.T) {
	for _, o := range []core.Override{4, 255} {
		b := newBreaker(t, core.Config{})
		force(t, b, core.Shadow)
		var fault *core.ConfigError
		if err := b.Force(o); !errors.As(err, &fault) || fault.Field != "Override" || fault.Value != o {
			t.Errorf("Force(%d) = %v, want a ConfigError about Override %d", o, err, o)
		}
		if got := b.Snapshot().Override; got != core.Shadow {
			t.Errorf("override = %v after a Force that failed, want shadow as before", got)
		}
	}
}

func TestReset(t *testing.T) {
	for _, state := range everyState {
		bubble(t, state.String(), func(t *testing.T) {
			var told diary
			b := inState(t, state, core.Config{FailureThreshold: 3, Window: core.Window{Calls: 10}, TimeoutFactor: 2, Timeout: time.Second, SuccessThreshold: 2, Hooks: told.hooks()})
			if state == core.Closed {
				play(t, b, "SFF")
			}
			if state == core.HalfOpen {
				succeed(t, b, 1)
			}
			out := []*core.Permit{}
			if state != core.Open {
				out = append(out, take(t, b))
			}
			before := b.Snapshot().Totals
			b.Reset()
			wantState(t, b, core.Closed)
			wantWindow(t, b, core.Counts{})
			if snap := b.Snapshot(); snap.Totals != before || snap.Opens != 0 {
				t.Errorf("after Reset totals %+v, %d opens; want %+v and 0", snap.Totals, snap.Opens, before)
			}
			for _, p := range out {
				p.Settle(bg, core.Failure)
			}
			if got := b.Snapshot().Totals.Late; got != uint64(len(out)) {
				t.Errorf("%d late, want the %d that were out", got, len(out))
			}
			wantWindow(t, b, core.Counts{})
			// Closed to closed is no transition.
			if last := len(told.transitions) - 1; state == core.Closed && last >= 0 {
				t.Errorf("a closed breaker reset told %v, want no transition", told.transitions)
			} else if state != core.Closed && (told.transitions[last].Cause != core.CauseManualReset || told.transitions[last].To != core.Closed) {
				t.Errorf("told %+v, want closed by hand", told.transitions[last])
			}
			threshold := map[core.State]int{core.Closed: 3, core.Open: 1, core.HalfOpen: 1}[state]
			fail(t, b, threshold)
			if got := breakOf(t, b); got != time.Second {
				t.Errorf("the next break lasts %v, want 1s: the openings in a row are forgotten", got)
			}
		})
	}
}

func TestResetStartsNoRamp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := opened(t, core.Config{RampUp: time.Minute})
		b.Reset()
		succeed(t, b, 100)
		wantTotals(t, b, core.Totals{Calls: 101, Successes: 100, Failures: 1})
	})
}

// What would have been refused is told apart from what is.
func TestShadowMarksWhatItTells(t *testing.T) {
	for name, story := range map[string]func(t *testing.T, cfg core.Config) *core.Breaker{
		"open": opened,
		"half-open": func(t *testing.T, cfg core.Config) *core.Breaker {
			b := halfOpened(t, cfg)
			take(t, b)
			return b
		},
		"ramp": ramped,
	} {
		bubble(t, name, func(t *testing.T) {
			var told diary
			b := story(t, core.Config{HalfOpenMaxCalls: 1, RampUp: time.Hour, Hooks: told.hooks()})
			refused := *refusal(t, b)
			force(t, b, core.Shadow)
			settle(t, b, core.Ignored, 1)
			b.Release()
			after := refusal(t, b)
			if len(told.refused) != 3 {
				t.Fatalf("told of %d refusals, want 3", len(told.refused))
			}
			spared := *told.refused[1]
			if told.refused[0].Shadow || !spared.Shadow || told.refused[2].Shadow || after.Shadow || refused.Shadow {
				t.Errorf("told %+v, want Shadow set of the second alone", told.refused)
			}
			if spared.Shadow = false; spared != refused || *after != refused {
				t.Errorf("in shadow %+v, after it %+v; want what was refused before, %+v", spared, *after, refused)
			}
		})
	}
}

// The refusal by an operator says where the breaker stands, not where it was
// at the last call.
func TestForcedOpenTellsTheStateOfItsTime(t *testing.T) {
	for _, row := range []struct {
		name  string
		story func(t *testing.T) *core.Breaker
		want  core.State
	}{
		{"closed", func(t *testing.T) *core.Breaker { return newBreaker(t, core.Config{}) }, core.Closed},
		{"open", func(t *testing.T) *core.Breaker { return opened(t, core.Config{}) }, core.Open},
		{"the break is over, not yet met by a call", func(t *testing.T) *core.Breaker { return halfOpened(t, core.Config{}) }, core.HalfOpen},
		{"a probe was lost, not yet met by a call", func(t *testing.T) *core.Breaker {
			b := halfOpened(t, core.Config{Timeout: time.Minute})
			take(t, b)
			time.Sleep(30 * time.Second)
			return b
		}, core.HalfOpen},
	} {
		bubble(t, row.name, func(t *testing.T) {
			b := row.story(t)
			force(t, b, core.ForcedOpen)
			if got := refusal(t, b); got.State != row.want || got.Cause != core.CauseForcedOpen {
				t.Errorf("refusal = %v, %v; want %v, %v", got.State, got.Cause, row.want, core.CauseForcedOpen)
			}
		})
	}
}
