package presets_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/presets"
)

// allocs are the allocations of one call of f, once what is made at the first is
// there.
func allocs(f func()) float64 {
	f()
	return testing.AllocsPerRun(300, f)
}

// Protect adds no allocation to a breaker's own Do.
func TestProtectAllocs(t *testing.T) {
	ctx := context.Background()
	double := func(_ context.Context, in int) (int, error) { return 2 * in, nil }
	open := func(t *testing.T, name string, r *presets.Registry) {
		t.Helper()
		failing(t, breakerOf(t, r, name), 5)
	}
	for name, retry := range map[string]presets.Retry{"no retry": {}, "retry": {Enabled: true, Strategy: presets.StrategyExponential}} {
		for _, timeout := range []time.Duration{0, time.Hour} {
			p := noRetry(core.Config{Timeout: time.Hour, CallTimeout: timeout})
			p.Retry = retry
			closed := presets.MustProtect("closed", p, double)
			closedFunc := presets.MustProtectFunc("closed func", p, func(context.Context) error { return nil })
			closedCall := presets.MustProtectCall("closed call", p, func(context.Context) (int, error) { return 42, nil })
			refused := presets.MustProtect("open", p, double)
			open(t, "open", p.Registry)
			b := breakerOf(t, p.Registry, "plain")
			var want float64 // of a call without a CallTimeout: none at all
			if timeout > 0 {
				in := 21
				want = allocs(func() {
					if out, err := core.Do(ctx, b, func(ctx context.Context) (int, error) { return double(ctx, in) }); out != 42 || err != nil {
						t.Fatal(out, err)
					}
				})
			}
			for what, c := range map[string]struct {
				want float64
				call func()
			}{
				"closed": {want, func() {
					if out, err := closed(ctx, 21); out != 42 || err != nil {
						t.Fatal(out, err)
					}
				}},
				"closed, without argument and result": {want, func() {
					if err := closedFunc(ctx); err != nil {
						t.Fatal(err)
					}
				}},
				"closed, without argument": {want, func() {
					if out, err := closedCall(ctx); out != 42 || err != nil {
						t.Fatal(out, err)
					}
				}},
				"refused": {0, func() {
					if _, err := refused(ctx, 21); !errors.Is(err, core.ErrOpen) {
						t.Fatal(err)
					}
				}},
			} {
				if got := allocs(c.call); got > c.want {
					t.Errorf("%s, CallTimeout %v, %s: %v allocations, want %v", name, timeout, what, got, c.want)
				}
			}
		}
	}
}

// A failure that is not made again costs nothing either, nor does a fallback.
func TestFailureAllocs(t *testing.T) {
	ctx := context.Background()
	p := noRetry(core.Config{FailureThreshold: -1, FailureRateThreshold: -1})
	call := presets.MustProtect("x", p, func(context.Context, int) (int, error) { return 0, errDown })
	if got := allocs(func() { _, _ = call(ctx, 1) }); got != 0 {
		t.Errorf("a failure: %v allocations, want none", got)
	}
	with := presets.Fallback(call, func(_ context.Context, in int, _ error) (int, error) { return in, nil })
	if got := allocs(func() { _, _ = with(ctx, 1) }); got != 0 {
		t.Errorf("a failure with a fallback: %v allocations, want none", got)
	}
}
