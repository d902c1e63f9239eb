package presets_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/presets"
)

// retrying is a policy whose breaker never opens, without jitter.
func retrying(retry presets.Retry) presets.Policy {
	if retry.JitterFactor == 0 {
		retry.JitterFactor = -1
	}
	p := noRetry(core.Config{FailureThreshold: -1, FailureRateThreshold: -1})
	p.Retry = retry
	return p
}

// S7: the original's retry was configured and never executed.
func TestRetryIsExecuted(t *testing.T) {
	inBubble(t, "until it succeeds", func(t *testing.T) {
		p := retrying(presets.Retry{Enabled: true, Strategy: presets.StrategyExponential})
		f := failsWith(errDown, errDown)
		if n, err := presets.MustProtect("x", p, f.call)(t.Context(), ""); n != 3 || err != nil {
			t.Errorf("the call = %d, %v, want the third attempt's result", n, err)
		}
		f.waitsAre(t, time.Second, 2*time.Second)
		totalsAre(t, breakerOf(t, p.Registry, "x"), core.Totals{Calls: 3, Successes: 1, Failures: 2})
	})
	inBubble(t, "until there have been enough", func(t *testing.T) {
		for _, attempts := range []int{1, 2, 5, 100} {
			p := retrying(presets.Retry{Enabled: true, Strategy: presets.StrategyFixed, Attempts: attempts})
			f := failsAlways()
			if n, err := presets.MustProtect("x", p, f.call)(t.Context(), ""); n != attempts || err != errDown {
				t.Errorf("the call = %d, %v, want the result of attempt %d", n, err, attempts)
			}
			f.waitsAre(t, slices.Repeat([]time.Duration{time.Second}, attempts-1)...)
			totalsAre(t, breakerOf(t, p.Registry, "x"), core.Totals{Calls: uint64(attempts), Failures: uint64(attempts)})
		}
	})
	inBubble(t, "with jitter, within its bounds", func(t *testing.T) {
		p := retrying(presets.Retry{Enabled: true, Strategy: presets.StrategyFixed, InitialDelay: time.Second, JitterFactor: 0.5, Attempts: 100})
		f := failsAlways()
		for range 3 {
			_, _ = presets.MustProtect("x", p, f.call)(t.Context(), "")
		}
		spread(t, f.waits(), 500*time.Millisecond, 1500*time.Millisecond)
	})
	inBubble(t, "with full jitter", func(t *testing.T) {
		p := retrying(presets.Retry{Enabled: true, Strategy: presets.StrategyFixed, InitialDelay: time.Second, JitterFactor: 1, Attempts: 100})
		f := failsAlways()
		for range 3 {
			_, _ = presets.MustProtect("x", p, f.call)(t.Context(), "")
		}
		spread(t, f.waits(), 0, 2*time.Second)
	})
	inBubble(t, "never after more than the cap, jitter included", func(t *testing.T) {
		p := retrying(presets.Retry{Enabled: true, Strategy: presets.StrategyExponential, InitialDelay: time.Second, MaxDelay: 5 * time.Second, JitterFactor: 0.5, Attempts: 100})
		f := failsAlways()
		for range 3 {
			_, _ = presets.MustProtect("x", p, f.call)(t.Context(), "")
		}
		capped := slices.DeleteFunc(f.waits(), func(d time.Duration) bool { return d < 2500*time.Millisecond })
		if most := slices.Max(capped); most > 5*time.Second || most < 4900*time.Millisecond {
			t.Errorf("the longest of %d waits is %v, want all but 5s", len(capped), most)
		}
		// Those that would exceed it must not come back at one time.
		slices.Sort(capped)
		if distinct := len(slices.Compact(slices.Clone(capped))); distinct < len(capped)-2 {
			t.Errorf("%d waits of %d differ, want nearly all", distinct, len(capped))
		}
	})
	inBubble(t, "not after a success", func(t *testing.T) {
		f := failsWith()
		if n, err := presets.MustProtect("x", retrying(presets.Retry{Enabled: true, Strategy: presets.StrategyFixed}), f.call)(t.Context(), ""); n != 1 || err != nil {
			t.Errorf("the call = %d, %v, want the first result", n, err)
		}
	})
	inBubble(t, "not without a strategy", func(t *testing.T) {
		f := failsAlways()
		if n, err := presets.MustProtect("x", noRetry(core.Config{}), f.call)(t.Context(), ""); n != 1 || err != errDown || f.calls() != 1 {
			t.Errorf("the call = %d, %v in %d attempts, want one", n, err, f.calls())
		}
	})
}

// S8: every strategy, to the nanosecond.
func TestWaitsOfTheStrategies(t *testing.T) {
	const s = time.Second
	for name, row := range map[string]struct {
		retry presets.Retry
		want  []time.Duration
	}{
		"fixed":                      {presets.Retry{Enabled: true, Strategy: presets.StrategyFixed, InitialDelay: 3 * s}, []time.Duration{3 * s, 3 * s, 3 * s, 3 * s, 3 * s}},
		"linear":                     {presets.Retry{Enabled: true, Strategy: presets.StrategyLinear, InitialDelay: 3 * s}, []time.Duration{3 * s, 6 * s, 9 * s, 10 * s, 10 * s}},
		"linear, 500 ms to 2 s":      {presets.Retry{Enabled: true, Strategy: presets.StrategyLinear, InitialDelay: s / 2, MaxDelay: 2 * s}, []time.Duration{s / 2, s, 3 * s / 2, 2 * s, 2 * s}},
		"exponential":                {presets.Retry{Enabled: true, Strategy: presets.StrategyExponential, InitialDelay: s}, []time.Duration{s, 2 * s, 4 * s, 8 * s, 10 * s}},
		"exponential by 3":           {presets.Retry{Enabled: true, Strategy: presets.StrategyExponential, Multiplier: 3, MaxDelay: time.Hour}, []time.Duration{s, 3 * s, 9 * s, 27 * s, 81 * s}},
		"exponential by 1.5":         {presets.Retry{Enabled: true, Strategy: presets.StrategyExponential, InitialDelay: 8 * s, Multiplier: 1.5, MaxDelay: time.Hour}, []time.Duration{8 * s, 12 * s, 18 * s, 27 * s, 40*s + s/2}},
		"exponential by 1":           {presets.Retry{Enabled: true, Strategy: presets.StrategyExponential, Multiplier: 1}, []time.Duration{s, s, s, s, s}},
		"one nanosecond":             {presets.Retry{Enabled: true, Strategy: presets.StrategyExponential, InitialDelay: 1}, []time.Duration{1, 2, 4, 8, 16}},
		"a cap between":              {presets.Retry{Enabled: true, Strategy: presets.StrategyExponential, MaxDelay: 3 * s}, []time.Duration{s, 2 * s, 3 * s, 3 * s, 3 * s}},
		"a cap at the first":         {presets.Retry{Enabled: true, Strategy: presets.StrategyLinear, MaxDelay: s}, []time.Duration{s, s, s, s, s}},
		"the multiplier is not used": {presets.Retry{Enabled: true, Strategy: presets.StrategyLinear, Multiplier: 50, InitialDelay: s}, []time.Duration{s, 2 * s, 3 * s, 4 * s, 5 * s}},
	} {
		inBubble(t, name, func(t *testing.T) {
			row.retry.Attempts = len(row.want) + 1
			f := failsAlways()
			_, _ = presets.MustProtect("x", retrying(row.retry), f.call)(t.Context(), "")
			f.waitsAre(t, row.want...)
		})
	}
	inBubble(t, "random, between zero and the exponential wait", func(t *testing.T) {
		var first, second, third []time.Duration
		p := retrying(presets.Retry{Enabled: true, Strategy: presets.StrategyRandom, InitialDelay: 2 * s, MaxDelay: 7 * s, Attempts: 4})
		for range 300 {
			f := failsAlways()
			_, _ = presets.MustProtect("x", p, f.call)(t.Context(), "")
			w := f.waits()
			first, second, third = append(first, w[0]), append(second, w[1]), append(third, w[2])
		}
		spread(t, first, 0, 2*s)
		spread(t, second, 0, 4*s)
		spread(t, third, 0, 7*s)
	})
	inBubble(t, "two callers do not come back together", func(t *testing.T) {
		for _, strategy := range []presets.Strategy{presets.StrategyFixed, presets.StrategyLinear, presets.StrategyExponential, presets.StrategyRandom} {
			p := noRetry(core.Config{FailureThreshold: -1, FailureRateThreshold: -1})
			p.Retry = presets.Retry{Enabled: true, Strategy: strategy, Attempts: 2}
			seen := make(map[time.Duration]bool)
			for range 20 {
				f := failsAlways()
				_, _ = presets.MustProtect("x", p, f.call)(t.Context(), "")
				seen[f.waits()[0]] = true
			}
			if len(seen) < 15 {
				t.Errorf("%v: 20 callers wait %d different times, want them spread", strategy, len(seen))
			}
		}
	})
}

// A wait so long that it leaves the range of a Duration is still a wait.
func TestRetryDelaysDoNotOverflow(t *testing.T) {
	const forever = time.Duration(math.MaxInt64)
	for name, retry := range map[string]presets.Retry{
		"fixed":       {Enabled: true, Strategy: presets.StrategyFixed, InitialDelay: forever},
		"linear":      {Enabled: true, Strategy: presets.StrategyLinear, InitialDelay: forever / 2, MaxDelay: forever},
		"exponential": {Enabled: true, Strategy: presets.StrategyExponential, InitialDelay: forever / 2, MaxDelay: forever},
		"jitter":      {Enabled: true, Strategy: presets.StrategyExponential, InitialDelay: forever, MaxDelay: forever, JitterFactor: 1e-9},
	} {
		inBubble(t, name, func(t *testing.T) {
			retry.Attempts = 5
			p := retrying(retry)
			if err := p.Validate(); err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(200*365*24*time.Hour, cancel)
			f := failsAlways()
			_, err := presets.MustProtect("x", p, f.call)(ctx, "")
			if !errors.Is(err, context.Canceled) || f.calls() > 2 || time.Since(began) < 100*365*24*time.Hour {
				t.Errorf("%d attempts within %v, then %v; want two at most, a lifetime apart", f.calls(), time.Since(began), err)
			}
		})
	}
}

// openError returns the refusal in the chain of err.
func openError(t *testing.T, err error) *core.OpenError {
	t.Helper()
	refused, ok := errors.AsType[*core.OpenError](err)
	if !ok || !errors.Is(err, core.ErrOpen) {
		t.Fatalf("%v is no refusal, want one in the chain", err)
	}
	return refused
}

// sickError is an error type of a user's.
type sickError struct{ code int }

func (e *sickError) Error() string { return fmt.Sprint("sick with code ", e.code) }

// The breaker opens while there are attempts left.
func TestRetryMeetsAnOpenBreaker(t *testing.T) {
	policy := func(cfg core.Config, retry presets.Retry) presets.Policy {
		p := noRetry(cfg)
		p.Retry = retry
		return p
	}
	every10s := presets.Retry{Enabled: true, Strategy: presets.StrategyFixed, InitialDelay: 10 * time.Second, JitterFactor: -1, Attempts: 10}
	inBubble(t, "the break outlasts the wait: it ends at once", func(t *testing.T) {
		p := policy(core.Config{FailureThreshold: 3, Timeout: time.Minute}, every10s)
		sick := []error{&sickError{1}, &sickError{2}, &sickError{3}, &sickError{4}}
		f := failsWith(sick...)
		out, err := presets.MustProtect("x", p, f.call)(t.Context(), "")
		f.waitsAre(t, 10*time.Second, 10*time.Second)
		if waited := time.Since(f.at[2]); waited != 0 {
			t.Errorf("the call went on for %v after the breaker opened, want 0", waited)
		}
		b := breakerOf(t, p.Registry, "x")
		_, refusal := b.Allow(t.Context())
		if got := openError(t, err); got != refusal {
			t.Errorf("the refusal is %p, want the breaker's own, %p", got, refusal)
		}
		if last, ok := errors.AsType[*sickError](err); !ok || last != sick[2] {
			t.Errorf("the last error in the chain is %v, want %v", last, sick[2])
		}
		if out != 0 {
			t.Errorf("the result beside the refusal is %d, want 0", out)
		}
		for _, part := range []string{refusal.Error(), "3", "sick with code 3"} {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("the error says %q, want %q in it", err, part)
			}
		}
		totalsAre(t, b, core.Totals{Calls: 3, Failures: 3, Refused: 2})
	})
	inBubble(t, "the break is shorter than the wait: it waits", func(t *testing.T) {
		p := policy(core.Config{FailureThreshold: 2, Timeout: 9 * time.Second, SuccessThreshold: 1}, every10s)
		f := failsWith(errDown, errDown)
		out, err := presets.MustProtect("x", p, f.call)(t.Context(), "")
		if out != 3 || err != nil {
			t.Errorf("the call = %d, %v, want the third attempt, a probe, to succeed", out, err)
		}
		f.waitsAre(t, 10*time.Second, 10*time.Second)
		stateIs(t, breakerOf(t, p.Registry, "x"), core.Closed)
	})
	inBubble(t, "the break ends with the wait: it waits", func(t *testing.T) {
		p := policy(core.Config{FailureThreshold: 1, Timeout: 10 * time.Second, SuccessThreshold: 1}, every10s)
		f := failsWith(errDown)
		if out, err := presets.MustProtect("x", p, f.call)(t.Context(), ""); out != 2 || err != nil {
			t.Errorf("the call = %d, %v, want the second attempt to succeed", out, err)
		}
	})
	inBubble(t, "all probes are out after the wait", func(t *testing.T) {
		p := policy(core.Config{FailureThreshold: 1, Timeout: 9 * time.Second, HalfOpenMaxCalls: 1}, every10s)
		f := failsWith(errDown)
		call := presets.MustProtect("x", p, f.call)
		b := breakerOf(t, p.Registry, "x")
		time.AfterFunc(9*time.Second, func() {
			if _, err := b.Allow(context.Background()); err != nil {
				t.Errorf("the probe of another caller: %v, want it admitted", err)
			}
		})
		_, err := call(t.Context(), "")
		if got := openError(t, err); got.Cause != core.CauseProbesOut || !errors.Is(err, errDown) || f.calls() != 1 {
			t.Errorf("the call = %v after %d attempts, want the refusal while a probe is out, and the last error", err, f.calls())
		}
	})
	inBubble(t, "opened by others meanwhile", func(t *testing.T) {
		p := policy(core.Config{FailureThreshold: 2, Timeout: time.Minute}, every10s)
		f := failsAlways()
		call := presets.MustProtect("x", p, f.call)
		b := breakerOf(t, p.Registry, "x")
		time.AfterFunc(5*time.Second, func() { _ = b.Do(context.Background(), func(context.Context) error { return errDown }) })
		began := time.Now()
		_, err := call(t.Context(), "")
		if openError(t, err); !errors.Is(err, errDown) || f.calls() != 1 || time.Since(began) != 10*time.Second {
			t.Errorf("the call = %v after %d attempts and %v, want a refusal after 1 and 10s", err, f.calls(), time.Since(began))
		}
	})
	for _, o := range []core.Override{core.Shadow, core.Disabled} {
		inBubble(t, o.String()+" waits all the same", func(t *testing.T) {
			p := policy(core.Config{FailureThreshold: 1, Timeout: time.Hour}, every10s)
			f := failsWith(errDown, errDown)
			call := presets.MustProtect("x", p, f.call)
			b := breakerOf(t, p.Registry, "x")
			failing(t, b, 1)
			stateIs(t, b, core.Open)
			if err := b.Force(o); err != nil {
				t.Fatal(err)
			}
			if out, err := call(t.Context(), ""); out != 3 || err != nil {
				t.Errorf("the call = %d, %v, want the third attempt to succeed", out, err)
			}
			f.waitsAre(t, 10*time.Second, 10*time.Second)
		})
	}
	inBubble(t, "forced open between attempts", func(t *testing.T) {
		p := policy(core.Config{FailureThreshold: -1, FailureRateThreshold: -1}, every10s)
		f := failsAlways()
		call := presets.MustProtect("x", p, f.call)
		b := breakerOf(t, p.Registry, "x")
		time.AfterFunc(15*time.Second, func() { _ = b.Force(core.ForcedOpen) })
		_, err := call(t.Context(), "")
		if got := openError(t, err); got.Cause != core.CauseForcedOpen || !errors.Is(err, errDown) || f.calls() != 2 {
			t.Errorf("the call = %v after %d attempts, want the operator's refusal after 2", err, f.calls())
		}
	})
	inBubble(t, "a breaker with a clock of its own", func(t *testing.T) {
		for name, ahead := range map[string]time.Duration{"that is behind": -24 * time.Hour, "that is ahead": 24 * time.Hour} {
			cfg := core.Config{FailureThreshold: 1, Timeout: time.Minute, Now: func() time.Time { return time.Now().Add(ahead) }}
			f := failsAlways()
			began := time.Now()
			_, err := presets.MustProtect("x", policy(cfg, every10s), f.call)(t.Context(), "")
			if openError(t, err); time.Since(began) != 0 {
				t.Errorf("%s: the call went on for %v, want it ended at once: the break outlasts the wait", name, time.Since(began))
			}
			cfg.Timeout, cfg.SuccessThreshold = 5*time.Second, 1
			f = failsWith(errDown)
			if n, err := presets.MustProtect("x", policy(cfg, every10s), f.call)(t.Context(), ""); n != 2 || err != nil {
				t.Errorf("%s: the call = %d, %v, want the second attempt: the break is shorter than the wait", name, n, err)
			}
		}
	})
}

// The caller's context ends the retries.
func TestRetryAndTheCallersContext(t *testing.T) {
	every10s := presets.Retry{Enabled: true, Strategy: presets.StrategyFixed, InitialDelay: 10 * time.Second, Attempts: 5}
	sick := &sickError{7}
	inBubble(t, "cancelled while it waits", func(t *testing.T) {
		errCause := manyErrors{errDown} // which is not comparable, as a cause may be
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(13*time.Second, func() { cancel(errCause) })
		f := failsWith(errDown, sick, errDown)
		began := time.Now()
		out, err := presets.MustProtect("x", retrying(every10s), f.call)(ctx, "")
		if took := time.Since(began); took != 13*time.Second || f.calls() != 2 {
			t.Errorf("the call took %v and %d attempts, want 13s and 2", took, f.calls())
		}
		if !errors.Is(err, context.Canceled) {
			t.Errorf("the error %v is not %v", err, context.Canceled)
		}
		if cause, ok := errors.AsType[manyErrors](err); !ok || len(cause) != 1 {
			t.Errorf("the error %v has not the cause in its chain", err)
		}
		if last, ok := errors.AsType[*sickError](err); !ok || last != sick {
			t.Errorf("the error %v has not the last attempt's, %v", err, sick)
		}
		if out != 2 {
			t.Errorf("the result is %d, want that of the last attempt", out)
		}
		if errors.Is(err, core.ErrOpen) {
			t.Errorf("the error %v is a refusal, want none", err)
		}
	})
	inBubble(t, "cancelled without a cause", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(3*time.Second, cancel)
		_, err := presets.MustProtect("x", retrying(every10s), failsWith(sick).call)(ctx, "")
		if !errors.Is(err, context.Canceled) || !errors.Is(err, sick) || strings.Count(err.Error(), context.Canceled.Error()) != 1 {
			t.Errorf("the error is %q, want %v once, and %v", err, context.Canceled, sick)
		}
	})
	inBubble(t, "cancelled just when the wait is over", func(t *testing.T) {
		for range 50 { // which of the two is seen first is chance
			errCause := errors.New("enough")
			ctx, cancel := context.WithCancelCause(t.Context())
			time.AfterFunc(10*time.Second, func() { cancel(errCause) })
			f := failsWith(sick)
			n, err := presets.MustProtect("x", retrying(every10s), f.call)(ctx, "")
			if err == nil && n == 2 {
				continue // the attempt was faster
			}
			if !errors.Is(err, context.Canceled) || !errors.Is(err, errCause) || !errors.Is(err, sick) {
				t.Fatalf("the error is %v after %d attempts, want %v, the cause and the last error", err, f.calls(), context.Canceled)
			}
		}
	})
	inBubble(t, "cancelled by the attempt that fails", func(t *testing.T) {
		errCause := errors.New("enough")
		ctx, cancel := context.WithCancelCause(t.Context())
		calls := 0
		err := presets.MustProtectFunc("x", retrying(every10s), func(context.Context) error { calls++; cancel(errCause); return sick })(ctx)
		if calls != 1 || !errors.Is(err, sick) {
			t.Errorf("the call = %v after %d attempts, want %v after one", err, calls, sick)
		}
	})
	inBubble(t, "its deadline passes while it waits", func(t *testing.T) {
		// The deadline cannot be seen, so the wait is begun.
		ctx, cancel := context.WithDeadline(t.Context(), time.Now().Add(12*time.Second))
		defer cancel()
		began := time.Now()
		f := failsWith(errDown, sick)
		_, err := presets.MustProtect("x", retrying(every10s), f.call)(hidesDeadline{ctx}, "")
		if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, sick) || time.Since(began) != 12*time.Second {
			t.Errorf("the call = %v after %v, want %v and %v after 12s", err, time.Since(began), context.DeadlineExceeded, sick)
		}
	})
	inBubble(t, "a wait that would outlast its deadline is not begun", func(t *testing.T) {
		for limit, attempts := range map[time.Duration]int{
			time.Nanosecond: 1, 10 * time.Second: 1, 10*time.Second + 1: 2, 20 * time.Second: 2, 20*time.Second + 1: 3, time.Hour: 5,
		} {
			ctx, cancel := context.WithTimeout(t.Context(), limit)
			began := time.Now()
			f := failsAlways()
			n, err := presets.MustProtect("x", retrying(every10s), f.call)(ctx, "")
			if err != errDown || n != attempts || f.calls() != attempts {
				t.Errorf("with %v: the call = %d, %v after %d attempts, want the last error itself after %d", limit, n, err, f.calls(), attempts)
			}
			if took, want := time.Since(began), time.Duration(attempts-1)*10*time.Second; took != want {
				t.Errorf("with %v: the call took %v, want %v", limit, took, want)
			}
			cancel()
		}
	})
	inBubble(t, "the last error is returned as it is, whatever the context", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		f := failsWith(errDown, errDown)
		p := retrying(presets.Retry{Enabled: true, Strategy: presets.StrategyFixed, Attempts: 3})
		calls := 0
		_, err := presets.MustProtect("x", p, func(ctx context.Context, in string) (int, error) {
			if calls++; calls == 3 {
				cancel()
				return 3, sick
			}
			return f.call(ctx, in)
		})(ctx, "")
		if err != sick {
			t.Errorf("the call = %v, want the third attempt's error itself", err)
		}
	})
}

// hidesDeadline is a context that does not tell its deadline.
type hidesDeadline struct{ context.Context }

func (hidesDeadline) Deadline() (time.Time, bool) { return time.Time{}, false }

// busyError says when to come back, by a method of a user's own type.
type busyError struct{ after time.Duration }

func (busyError) Error() string               { return "busy" }
func (e busyError) RetryAfter() time.Duration { return e.after }

// A failure that says when to come back is heeded.
func TestRetryAfterIsHeeded(t *testing.T) {
	const s = time.Second
	for name, row := range map[string]struct {
		err  error
		want []time.Duration // after each of four attempts that all fail so; fewer if the retries end
	}{
		"longer than the schedule":    {core.RetryAfter(errDown, 3*s), []time.Duration{3 * s, 3 * s, 4 * s}},
		"shorter than the schedule":   {core.RetryAfter(errDown, s/2), []time.Duration{s, 2 * s, 4 * s}},
		"zero":                        {core.RetryAfter(errDown, 0), []time.Duration{s, 2 * s, 4 * s}},
		"negative":                    {core.RetryAfter(errDown, -time.Hour), []time.Duration{s, 2 * s, 4 * s}},
		"just the cap":                {core.RetryAfter(errDown, 10*s), []time.Duration{10 * s, 10 * s, 10 * s}},
		"more than the cap":           {core.RetryAfter(errDown, 10*s+1), nil},
		"for ever":                    {core.RetryAfter(errDown, math.MaxInt64), nil},
		"a user's own type":           {busyError{5 * s}, []time.Duration{5 * s, 5 * s, 5 * s}},
		"a user's own type, too long": {busyError{time.Hour}, nil},
		"wrapped":                     {fmt.Errorf("attempt: %w", core.RetryAfter(errDown, 5*s)), []time.Duration{5 * s, 5 * s, 5 * s}},
		"joined":                      {errors.Join(errDown, busyError{5 * s}), []time.Duration{5 * s, 5 * s, 5 * s}},
		"in what cannot be compared":  {fmt.Errorf("%w, %w", manyErrors{}, busyError{5 * s}), []time.Duration{5 * s, 5 * s, 5 * s}},
	} {
		inBubble(t, name, func(t *testing.T) {
			f := failsWith(slices.Repeat([]error{row.err}, 10)...)
			n, err := presets.MustProtect("x", retrying(presets.Retry{Enabled: true, Strategy: presets.StrategyExponential, Attempts: 4}), f.call)(t.Context(), "")
			f.waitsAre(t, row.want...)
			if n != len(row.want)+1 || fmt.Sprintf("%p %v", err, err) != fmt.Sprintf("%p %v", row.err, row.err) {
				t.Errorf("the call = %d, %v, want the last attempt's result and error itself", n, err)
			}
		})
	}
	inBubble(t, "only that of the last attempt", func(t *testing.T) {
		f := failsWith(core.RetryAfter(errDown, 5*s), errDown)
		_, err := presets.MustProtect("x", retrying(presets.Retry{Enabled: true, Strategy: presets.StrategyFixed}), f.call)(t.Context(), "")
		f.waitsAre(t, 5*s, s)
		if err != nil {
			t.Errorf("the call = %v, want the third attempt to succeed", err)
		}
	})
	inBubble(t, "and it opens the breaker for that long", func(t *testing.T) {
		p := noRetry(core.Config{FailureThreshold: 1, Timeout: s, SuccessThreshold: 1})
		p.Retry = presets.Retry{Enabled: true, Strategy: presets.StrategyFixed}
		f := failsWith(busyError{7 * s})
		if n, err := presets.MustProtect("x", p, f.call)(t.Context(), ""); n != 2 || err != nil {
			t.Errorf("the call = %d, %v, want the second attempt, when the break is over", n, err)
		}
		f.waitsAre(t, 7*s)
	})
	inBubble(t, "jitter does not come back sooner", func(t *testing.T) {
		f := failsWith(slices.Repeat([]error{core.RetryAfter(errDown, s)}, 100)...)
		p := retrying(presets.Retry{Enabled: true, Strategy: presets.StrategyFixed, JitterFactor: 0.5, Attempts: 100})
		_, _ = presets.MustProtect("x", p, f.call)(t.Context(), "")
		if least := slices.Min(f.waits()); least != s {
			t.Errorf("the shortest wait is %v, want 1s, which was asked for", least)
		}
	})
	inBubble(t, "beyond the caller's deadline", func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 5*s)
		defer cancel()
		want := busyError{6 * s}
		f := failsWith(want)
		if _, err := presets.MustProtect("x", retrying(presets.Retry{Enabled: true, Strategy: presets.StrategyFixed}), f.call)(ctx, ""); err != want || f.calls() != 1 {
			t.Errorf("the call = %v after %d attempts, want %v at once", err, f.calls(), want)
		}
	})
}

func TestRetryIf(t *testing.T) {
	policy := func(p presets.Policy, f func(error) bool) presets.Policy { p.Retry.If = f; return p }
	fixed := presets.Retry{Enabled: true, Strategy: presets.StrategyFixed}
	inBubble(t, "says no", func(t *testing.T) {
		var asked []error
		f := failsWith(errDown, &sickError{400}, errDown)
		p := policy(retrying(fixed), func(err error) bool {
			asked = append(asked, err)
			return err == errDown
		})
		n, err := presets.MustProtect("x", p, f.call)(t.Context(), "")
		if n != 2 || err != f.errs[1] {
			t.Errorf("the call = %d, %v, want the second attempt's error itself", n, err)
		}
		if len(asked) != 2 || asked[0] != errDown || asked[1] != f.errs[1] {
			t.Errorf("If was asked about %v, want the two errors themselves", asked)
		}
	})
	inBubble(t, "says yes, of what is never made again", func(t *testing.T) {
		other := core.MustNew("inner", core.Config{FailureThreshold: 1})
		failing(t, other, 1)
		_, refusal := other.Allow(t.Context())
		for name, err := range map[string]error{
			"cancelled":                context.Canceled,
			"deadline":                 context.DeadlineExceeded,
			"wrapped":                  fmt.Errorf("query: %w", context.Canceled),
			"joined":                   errors.Join(errDown, context.DeadlineExceeded),
			"deep":                     fmt.Errorf("a: %w", errors.Join(manyErrors{}, fmt.Errorf("b: %w", context.DeadlineExceeded))),
			"with a time to come back": core.RetryAfter(context.Canceled, time.Second),
			"a refusal":                refusal,
			"a wrapped refusal":        fmt.Errorf("inner: %w", refusal),
			"ErrOpen":                  core.ErrOpen,
		} {
			f := failsWith(err, errDown)
			p := policy(retrying(fixed), func(error) bool { return true })
			if n, got := presets.MustProtect("x", p, f.call)(t.Context(), ""); n != 1 || got != err {
				t.Errorf("%s: the call = %d, %v, want the first attempt's error itself", name, n, got)
			}
		}
	})
	inBubble(t, "is not asked of a success, a refusal or the last attempt's fate", func(t *testing.T) {
		asked := 0
		p := policy(noRetry(core.Config{FailureThreshold: 1, Timeout: time.Hour}), func(error) bool { asked++; return true })
		p.Retry.Enabled, p.Retry.Strategy = true, presets.StrategyFixed
		f := failsWith(nil, errDown)
		call := presets.MustProtect("x", p, f.call)
		for range 3 {
			_, _ = call(t.Context(), "")
		}
		if asked != 1 {
			t.Errorf("If was asked %d times, want once, about the one failure", asked)
		}
	})
	inBubble(t, "that panics", func(t *testing.T) {
		p := policy(retrying(fixed), func(error) bool { panic("in If") })
		func() {
			defer func() {
				if v := recover(); v != "in If" {
					t.Errorf("recovered %v, want it to pass through", v)
				}
			}()
			_, _ = presets.MustProtect("x", p, failsAlways().call)(t.Context(), "")
		}()
		totalsAre(t, breakerOf(t, p.Registry, "x"), core.Totals{Calls: 1, Failures: 1})
	})
}

// slowNetError says of itself that it is like a deadline, as net's timeouts do.
type slowNetError struct{}

func (slowNetError) Error() string        { return "i/o timeout" }
func (slowNetError) Timeout() bool        { return true }
func (slowNetError) Is(target error) bool { return target == context.DeadlineExceeded }

// A timeout of the network's own, shorter than the call's, is made again.
func TestRetryNetworkTimeouts(t *testing.T) {
	for name, err := range map[string]error{
		"like a deadline":   slowNetError{},
		"of a dial":         &net.OpError{Op: "dial", Net: "tcp", Err: slowNetError{}},
		"of a connection":   &net.OpError{Op: "read", Net: "tcp", Err: os.ErrDeadlineExceeded},
		"wrapped":           fmt.Errorf("fetch: %w", slowNetError{}),
		"joined":            errors.Join(errDown, slowNetError{}),
		"cannot be equal":   manyErrors{context.Canceled}, // it does not unwrap
		"only by its words": errors.New(context.DeadlineExceeded.Error()),
	} {
		inBubble(t, name, func(t *testing.T) {
			p := retrying(presets.Retry{Enabled: true, Strategy: presets.StrategyFixed})
			p.CallTimeout = time.Minute
			f := failsWith(err)
			if n, got := presets.MustProtect("x", p, f.call)(t.Context(), ""); n != 2 || got != nil {
				t.Errorf("the call = %d, %v, want a second attempt", n, got)
			}
		})
	}
	t.Run("a real dial", func(t *testing.T) {
		dialer := net.Dialer{Deadline: time.Now().Add(-time.Second)}
		_, err := dialer.Dial("tcp", "127.0.0.1:1")
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("a dial after its deadline = %v, want one that is like a deadline", err)
		}
		f := failsWith(err)
		p := retrying(presets.Retry{Enabled: true, Strategy: presets.StrategyFixed, InitialDelay: 1})
		if n, got := presets.MustProtect("x", p, f.call)(t.Context(), ""); n != 2 || got != nil {
			t.Errorf("the call = %d, %v, want a second attempt", n, got)
		}
	})
}

// An attempt that gave up at its CallTimeout is not made again, however its
// error says so.
func TestRetryNotAfterCallTimeout(t *testing.T) {
	for name, giveUp := range map[string]func(ctx context.Context) error{
		"the context's error":         func(ctx context.Context) error { return ctx.Err() },
		"wrapped":                     func(ctx context.Context) error { return fmt.Errorf("query: %w", ctx.Err()) },
		"the context's cause":         context.Cause,
		"the cause wrapped":           func(ctx context.Context) error { return fmt.Errorf("query: %w", context.Cause(ctx)) },
		"a timeout of the connection": func(context.Context) error { return os.ErrDeadlineExceeded },
		"a dial's":                    func(context.Context) error { return &net.OpError{Op: "dial", Err: slowNetError{}} },
		"an error of its own":         func(context.Context) error { return errDown },
	} {
		inBubble(t, name, func(t *testing.T) {
			p := retrying(presets.Retry{Enabled: true, Strategy: presets.StrategyFixed})
			p.CallTimeout = 5 * time.Second
			calls := 0
			began := time.Now()
			err := presets.MustProtectFunc("x", p, func(ctx context.Context) error {
				calls++
				<-ctx.Done()
				return giveUp(ctx)
			})(t.Context())
			if calls != 1 || time.Since(began) != 5*time.Second || err == nil {
				t.Errorf("%d attempts in %v, then %v; want one, and its error", calls, time.Since(began), err)
			}
			totalsAre(t, breakerOf(t, p.Registry, "x"), core.Totals{Calls: 1, Failures: 1, Timeouts: 1})
		})
	}
	// net/http decides what it makes of a deadline, and has changed that before.
	t.Run("of a real HTTP client", func(t *testing.T) {
		release := make(chan struct{})
		server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
		defer server.Close()
		defer close(release)
		p := retrying(presets.Retry{Enabled: true, Strategy: presets.StrategyFixed, InitialDelay: 1})
		p.CallTimeout = 50 * time.Millisecond
		calls := 0
		err := presets.MustProtectFunc("x", p, func(ctx context.Context) error {
			calls++
			request, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL, nil)
			if err != nil {
				return err
			}
			response, err := server.Client().Do(request)
			if err == nil {
				response.Body.Close()
			}
			return err
		})(t.Context())
		if calls != 1 || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%d attempts, then %v; want one, and %v", calls, err, context.DeadlineExceeded)
		}
	})
	// One that failed before its time is made again though it failed late.
	inBubble(t, "but just before it", func(t *testing.T) {
		p := retrying(presets.Retry{Enabled: true, Strategy: presets.StrategyFixed})
		p.CallTimeout = 5 * time.Second
		calls := 0
		err := presets.MustProtectFunc("x", p, func(context.Context) error {
			calls++
			time.Sleep(5*time.Second - 1)
			return errDown
		})(t.Context())
		if calls != 3 || err != errDown {
			t.Errorf("%d attempts, then %v; want 3", calls, err)
		}
	})
}

// A user's error may be one of the library that makes the waits. It is an error
// like any other.
func TestRetryLibraryErrorsAreNotMistaken(t *testing.T) {
	for name, err := range map[string]error{
		"permanent":           backoff.Permanent(errDown),
		"permanent, wrapped":  fmt.Errorf("call: %w", backoff.Permanent(errDown)),
		"retry after":         backoff.RetryAfter(3600),
		"retry after, joined": errors.Join(errDown, backoff.RetryAfter(3600)),
	} {
		inBubble(t, name, func(t *testing.T) {
			f := failsWith(err, err, err)
			n, got := presets.MustProtect("x", retrying(presets.Retry{Enabled: true, Strategy: presets.StrategyFixed}), f.call)(t.Context(), "")
			if n != 3 || got != err {
				t.Errorf("the call = %d, %v, want the third attempt's error itself", n, got)
			}
			f.waitsAre(t, time.Second, time.Second)
		})
	}
}

// Error types that cannot be compared do no harm, wherever they come up.
func TestRetryUncomparableErrors(t *testing.T) {
	inBubble(t, "as the error of every attempt", func(t *testing.T) {
		f := failsWith(slices.Repeat([]error{manyErrors{errDown}}, 3)...)
		_, err := presets.MustProtect("x", retrying(presets.Retry{Enabled: true, Strategy: presets.StrategyExponential}), f.call)(t.Context(), "")
		if got, ok := err.(manyErrors); !ok || len(got) != 1 || f.calls() != 3 {
			t.Errorf("the call = %v after %d attempts, want the error itself after 3", err, f.calls())
		}
	})
	inBubble(t, "beside a refusal", func(t *testing.T) {
		p := noRetry(core.Config{FailureThreshold: 2, Timeout: time.Hour})
		p.Retry.Enabled, p.Retry.Strategy = true, presets.StrategyFixed
		_, err := presets.MustProtect("x", p, failsWith(manyErrors{}, manyErrors{errDown}).call)(t.Context(), "")
		openError(t, err)
		if last, ok := errors.AsType[manyErrors](err); !ok || len(last) != 1 {
			t.Errorf("the call = %v, want the last error in its chain", err)
		}
		if errors.Is(err, context.Canceled) || errors.Is(err, errDown) {
			t.Errorf("%v is what it is not", err)
		}
	})
	inBubble(t, "beside an ended context", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Millisecond, cancel)
		_, err := presets.MustProtect("x", retrying(presets.Retry{Enabled: true, Strategy: presets.StrategyFixed}), failsWith(manyErrors{}).call)(ctx, "")
		if !errors.Is(err, context.Canceled) {
			t.Errorf("the call = %v, want %v", err, context.Canceled)
		}
	})
}

// The retries of a call are its own: each attempt is a call of the breaker, and
// the classification of an error has no say in whether it is made again.
func TestRetryAndClassify(t *testing.T) {
	inBubble(t, "ignored failures are made again", func(t *testing.T) {
		p := retrying(presets.Retry{Enabled: true, Strategy: presets.StrategyFixed})
		p.Classify = func(context.Context, error) core.Outcome { return core.Ignored }
		f := failsAlways()
		_, _ = presets.MustProtect("x", p, f.call)(t.Context(), "")
		totalsAre(t, breakerOf(t, p.Registry, "x"), core.Totals{Calls: 3, Ignored: 3})
	})
	inBubble(t, "the refusal of a protected function inside is not", func(t *testing.T) {
		inner := noRetry(core.Config{FailureThreshold: 1, Timeout: time.Hour})
		outer := retrying(presets.Retry{Enabled: true, Strategy: presets.StrategyFixed})
		f := failsAlways()
		call := presets.MustProtect("outer", outer, presets.MustProtect("inner", inner, f.call))
		if _, err := call(t.Context(), ""); !errors.Is(err, core.ErrOpen) || f.calls() != 1 {
			t.Errorf("the call = %v after %d attempts, want the inner refusal after one", err, f.calls())
		}
		totalsAre(t, breakerOf(t, outer.Registry, "outer"), core.Totals{Calls: 2, Failures: 1, Ignored: 1})
	})
}
