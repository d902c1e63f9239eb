package presets_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/presets"
)

func TestFallback(t *testing.T) {
	type key struct{}
	const fromFunc, fromFallback = "fresh", "cached"
	returning := func(out string, err error) func(context.Context, int) (string, error) {
		return func(context.Context, int) (string, error) { return out, err }
	}
	never := func(context.Context, int, error) (string, error) {
		t.Error("the fallback is called")
		return "", nil
	}
	t.Run("success needs none", func(t *testing.T) {
		if out, err := presets.Fallback(returning(fromFunc, nil), never)(t.Context(), 1); out != fromFunc || err != nil {
			t.Errorf("the call = %q, %v, want %q", out, err, fromFunc)
		}
	})
	t.Run("an error is mended", func(t *testing.T) {
		call := presets.Fallback(returning("partial", errDown), func(ctx context.Context, in int, err error) (string, error) {
			if ctx.Value(key{}) != "value" || in != 7 || err != errDown {
				t.Errorf("the fallback is given %v, %d and %v, want the caller's context, 7 and %v", ctx.Value(key{}), in, err, errDown)
			}
			return fromFallback, nil
		})
		if out, err := call(context.WithValue(t.Context(), key{}, "value"), 7); out != fromFallback || err != nil {
			t.Errorf("the call = %q, %v, want %q", out, err, fromFallback)
		}
	})
	t.Run("what it cannot mend", func(t *testing.T) {
		errCache := errors.New("the cache is empty")
		call := presets.Fallback(returning(fromFunc, errDown), func(_ context.Context, _ int, err error) (string, error) {
			return "nothing", errors.Join(errCache, err)
		})
		if out, err := call(t.Context(), 7); out != "nothing" || !errors.Is(err, errCache) || !errors.Is(err, errDown) {
			t.Errorf("the call = %q, %v, want what the fallback returned", out, err)
		}
	})
	t.Run("no fallback", func(t *testing.T) {
		if out, err := presets.Fallback(returning("partial", errDown), nil)(t.Context(), 7); out != "partial" || err != errDown {
			t.Errorf("the call = %q, %v, want what the function returned", out, err)
		}
	})
	t.Run("no function", func(t *testing.T) {
		if out, err := presets.Fallback(nil, never)(t.Context(), 7); out != "" || err == nil {
			t.Errorf("the call = %q, %v, want an error", out, err)
		}
	})
	t.Run("an ended context", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		call := presets.Fallback(presets.MustProtect("x", noRetry(core.Config{}), returning(fromFunc, nil)), func(_ context.Context, _ int, err error) (string, error) {
			if err != context.Canceled {
				t.Errorf("the fallback is given %v, want %v", err, context.Canceled)
			}
			return fromFallback, nil
		})
		if out, err := call(ctx, 7); out != fromFallback || err != nil {
			t.Errorf("the call = %q, %v, want %q", out, err, fromFallback)
		}
	})
	t.Run("panics pass through", func(t *testing.T) {
		for want, call := range map[string]func(context.Context, int) (string, error){
			"of the function": presets.Fallback(func(context.Context, int) (string, error) { panic("of the function") }, never),
			"of the fallback": presets.Fallback(returning("", errDown), func(context.Context, int, error) (string, error) { panic("of the fallback") }),
		} {
			func() {
				defer func() {
					if v := recover(); v != want {
						t.Errorf("recovered %v, want %s", v, want)
					}
				}()
				_, _ = call(t.Context(), 7)
				t.Errorf("the call returned, want a panic %s", want)
			}()
		}
	})
	inBubble(t, "after all retries, and for a refusal", func(t *testing.T) {
		p := noRetry(core.Config{FailureThreshold: 2, Timeout: time.Hour})
		p.Retry = presets.Retry{Enabled: true, Strategy: presets.StrategyFixed, Attempts: 2}
		f := failsAlways()
		var seen []error
		call := presets.Fallback(presets.MustProtect("x", p, f.call), func(_ context.Context, _ string, err error) (int, error) {
			seen = append(seen, err)
			return -1, nil
		})
		for range 2 {
			if out, err := call(t.Context(), ""); out != -1 || err != nil {
				t.Errorf("the call = %d, %v, want what the fallback returned", out, err)
			}
		}
		if f.calls() != 2 || len(seen) != 2 || seen[0] != errDown || !errors.Is(seen[1], core.ErrOpen) {
			t.Errorf("%d attempts, and the fallback was given %v; want 2, and the last error, then the refusal", f.calls(), seen)
		}
	})
}

// A fallback that is protected itself has a breaker of its own.
func TestFallbackInRow(t *testing.T) {
	inBubble(t, "three in a row", func(t *testing.T) {
		p := noRetry(core.Config{FailureThreshold: 1})
		first, second := failsAlways(), failsAlways()
		backup := presets.MustProtect("second", p, second.call)
		call := presets.Fallback(
			presets.Fallback(presets.MustProtect("first", p, first.call), func(ctx context.Context, in string, _ error) (int, error) { return backup(ctx, in) }),
			func(context.Context, string, error) (int, error) { return -1, nil },
		)
		for range 3 {
			if out, err := call(t.Context(), ""); out != -1 || err != nil {
				t.Errorf("the call = %d, %v, want the last resort", out, err)
			}
		}
		if first.calls() != 1 || second.calls() != 1 {
			t.Errorf("%d and %d calls, want one each: then both breakers refuse", first.calls(), second.calls())
		}
	})
}
