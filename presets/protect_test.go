package presets_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/presets"
)

// manyErrors is an error that cannot be compared: == of two of them panics.
type manyErrors []error

func (manyErrors) Error() string { return "many errors" }

// noRetry is a policy without retry, in a registry of its own.
func noRetry(cfg core.Config) presets.Policy {
	return presets.Policy{Config: cfg, Registry: new(presets.Registry)}
}

// S4: the original's call timeout was a stub.
func TestCallTimeoutIsApplied(t *testing.T) {
	inBubble(t, "the context of the call has the deadline", func(t *testing.T) {
		var left time.Duration
		call := presets.MustProtectFunc("x", noRetry(core.Config{CallTimeout: 3 * time.Second}), func(ctx context.Context) error {
			deadline, ok := ctx.Deadline()
			if !ok {
				t.Error("the context of the call has no deadline")
			}
			left = time.Until(deadline)
			return nil
		})
		if err := call(t.Context()); err != nil || left != 3*time.Second {
			t.Errorf("the call has %v and returns %v, want 3s and no error", left, err)
		}
	})
	inBubble(t, "a call that outlives it is a failure and a timeout", func(t *testing.T) {
		p := noRetry(core.Config{CallTimeout: 3 * time.Second, FailureThreshold: 2})
		call := presets.MustProtectFunc("x", p, func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
		b := breakerOf(t, p.Registry, "x")
		began := time.Now()
		if err := call(t.Context()); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the call = %v, want %v", err, context.DeadlineExceeded)
		}
		if took := time.Since(began); took != 3*time.Second {
			t.Errorf("the call took %v, want 3s", took)
		}
		totalsAre(t, b, core.Totals{Calls: 1, Failures: 1, Timeouts: 1})
		_ = call(t.Context())
		stateIs(t, b, core.Open)
		totalsAre(t, b, core.Totals{Calls: 2, Failures: 2, Timeouts: 2})
	})
	inBubble(t, "one that outlives it without an error is one too", func(t *testing.T) {
		p := noRetry(core.Config{CallTimeout: 3 * time.Second})
		call := presets.MustProtect("x", p, func(context.Context, int) (string, error) {
			time.Sleep(4 * time.Second)
			return "late", nil
		})
		if out, err := call(t.Context(), 1); out != "late" || err != nil {
			t.Errorf("the call = %q, %v, want what the function returned", out, err)
		}
		totalsAre(t, breakerOf(t, p.Registry, "x"), core.Totals{Calls: 1, Failures: 1, Timeouts: 1})
	})
	inBubble(t, "each attempt has its own", func(t *testing.T) {
		p := noRetry(core.Config{CallTimeout: 3 * time.Second})
		p.Retry = presets.Retry{Enabled: true, Strategy: presets.StrategyFixed, InitialDelay: 10 * time.Second, JitterFactor: -1}
		var left []time.Duration
		call := presets.MustProtectFunc("x", p, func(ctx context.Context) error {
			deadline, _ := ctx.Deadline()
			left = append(left, time.Until(deadline))
			time.Sleep(2 * time.Second)
			return errDown
		})
		_ = call(t.Context())
		if len(left) != 3 || left[0] != 3*time.Second || left[1] != left[0] || left[2] != left[0] {
			t.Errorf("the attempts have %v, want 3s each", left)
		}
	})
}

// S5: a decorator, and the breaker reachable beside the function.
func TestAProtectedFunctionHasABreakerAtHand(t *testing.T) {
	inBubble(t, "in the policy's registry", func(t *testing.T) {
		r := registryFor(t, nil)
		double := func(_ context.Context, in int) (int, error) {
			if in < 0 {
				return 0, errDown
			}
			return 2 * in, nil
		}
		protected := double // the same type: it takes fn's place
		protected = presets.MustProtect("double", presets.Aggressive().With(func(p *presets.Policy) { p.Registry = r }), protected)
		if got, err := protected(t.Context(), 21); got != 42 || err != nil {
			t.Errorf("protected(21) = %d, %v, want 42", got, err)
		}
		b := breakerOf(t, r, "double")
		totalsAre(t, b, core.Totals{Calls: 1, Successes: 1})
		for range 10 {
			_, _ = protected(t.Context(), -1)
		}
		stateIs(t, b, core.Open)
		if _, err := protected(t.Context(), 21); !errors.Is(err, core.ErrOpen) {
			t.Errorf("protected(21) = %v, want a refusal", err)
		}
		b.Reset() // the very breaker of the function, not a copy
		if got, err := protected(t.Context(), 21); got != 42 || err != nil {
			t.Errorf("protected(21) after a reset = %d, %v, want 42", got, err)
		}
	})
	t.Run("in the default registry", func(t *testing.T) {
		name := fmt.Sprint("S5 at ", time.Now().UnixNano()) // that registry outlives the test
		call := presets.MustProtectFunc(name, presets.Moderate(), func(context.Context) error { return nil })
		if err := call(t.Context()); err != nil {
			t.Fatal(err)
		}
		totalsAre(t, breakerOf(t, presets.Default(), name), core.Totals{Calls: 1, Successes: 1})
		if got := presets.Default().Policy(name); got.Preset != "moderate" || got.Registry != presets.Default() {
			t.Errorf("its policy is %+v, want moderate in the default registry", got)
		}
	})
}

func TestProtectPassesThrough(t *testing.T) {
	inBubble(t, "argument, result, error and context", func(t *testing.T) {
		type key struct{}
		type reply struct{ text string }
		want := &reply{"partial"}
		call := presets.MustProtect("x", noRetry(core.Config{}), func(ctx context.Context, in []string) (*reply, error) {
			if ctx.Value(key{}) != "value" || len(in) != 2 || in[1] != "b" {
				t.Errorf("the function is given %v and %q", ctx.Value(key{}), in)
			}
			return want, errDown
		})
		got, err := call(context.WithValue(t.Context(), key{}, "value"), []string{"a", "b"})
		if got != want || err != errDown {
			t.Errorf("the call = %p, %v, want %p and the very error", got, err, want)
		}
	})
	inBubble(t, "a refusal is the very one of the breaker", func(t *testing.T) {
		for name, retry := range map[string]presets.Retry{"no retry": {}, "retry": {Enabled: true, Strategy: presets.StrategyFixed}} {
			p := noRetry(core.Config{FailureThreshold: 1})
			p.Retry = retry
			f := failsAlways()
			call := presets.MustProtect("x", p, f.call)
			b := breakerOf(t, p.Registry, "x")
			failing(t, b, 1)
			_, want := b.Allow(t.Context())
			began := time.Now()
			out, err := call(t.Context(), "")
			if err != want || !errors.Is(err, core.ErrOpen) || out != 0 {
				t.Errorf("%s: the call = %d, %T %v, want the breaker's own %p", name, out, err, err, want)
			}
			if f.calls() != 0 || time.Since(began) != 0 {
				t.Errorf("%s: %d calls and %v of waiting, want neither", name, f.calls(), time.Since(began))
			}
			totalsAre(t, b, core.Totals{Calls: 1, Failures: 1, Refused: 2})
		}
	})
	inBubble(t, "a context that is done", func(t *testing.T) {
		p := noRetry(core.Config{})
		p.Retry = presets.Retry{Enabled: true, Strategy: presets.StrategyFixed}
		f := failsAlways()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := presets.MustProtect("x", p, f.call)(ctx, ""); err != context.Canceled || f.calls() != 0 {
			t.Errorf("the call = %v, made %d times, want %v and no call", err, f.calls(), context.Canceled)
		}
		totalsAre(t, breakerOf(t, p.Registry, "x"), core.Totals{})
	})
	inBubble(t, "a nil context is Background", func(t *testing.T) {
		for name, retry := range map[string]presets.Retry{"no retry": {}, "retry": {Enabled: true, Strategy: presets.StrategyFixed}} {
			p := noRetry(core.Config{})
			p.Retry = retry
			call := presets.MustProtectFunc("x", p, func(ctx context.Context) error {
				if ctx == nil {
					t.Errorf("%s: the function is given no context", name)
				}
				return errDown
			})
			if err := call(nil); err != errDown {
				t.Errorf("%s: the call = %v, want %v", name, err, errDown)
			}
		}
	})
}

func TestProtectFaults(t *testing.T) {
	never := func(context.Context) error { panic("called") }
	field := func(t *testing.T, err error, want string) {
		t.Helper()
		if fault, ok := errors.AsType[*core.ConfigError](err); !ok || fault.Field != want {
			t.Errorf("Protect = %v, want a *core.ConfigError about %s", err, want)
		}
	}
	t.Run("a nil function", func(t *testing.T) {
		if err := errOf(presets.ProtectFunc("x", noRetry(core.Config{}), nil)); err == nil || !strings.Contains(err.Error(), "nil function") {
			t.Errorf("a call of nothing = %v, want an error that says so", err)
		}
		var none func(context.Context, int) (int, error)
		if call, err := presets.Protect("x", noRetry(core.Config{}), none); err == nil || call != nil {
			t.Errorf("Protect of nothing = %v, want an error and no function", err)
		}
	})
	t.Run("a bad name", func(t *testing.T) {
		for _, name := range []string{"", "a\nb", "\xff", strings.Repeat("x", 257)} {
			p := noRetry(core.Config{})
			field(t, errOf(presets.ProtectFunc(name, p, never)), "name")
			if got := p.Registry.Breakers().Len(); got != 0 {
				t.Errorf("the name %q left %d breakers, want none", name, got)
			}
		}
	})
	t.Run("a bad policy", func(t *testing.T) {
		field(t, errOf(presets.ProtectFunc("x", noRetry(core.Config{Timeout: -1}), never)), "Timeout")
		p := noRetry(core.Config{})
		p.Retry.Attempts = 2
		field(t, errOf(presets.ProtectFunc("x", p, never)), "Retry.Attempts")
		p.Retry = presets.Retry{}
		if err := presets.MustProtectFunc("x", p, func(context.Context) error { return nil })(t.Context()); err != nil {
			t.Errorf("a good policy after a bad one: %v, want the bad one forgotten", err)
		}
	})
	t.Run("all faults of a bad policy", func(t *testing.T) {
		p := noRetry(core.Config{Timeout: -1, FailureThreshold: 5000})
		err := errOf(presets.ProtectFunc("x", p, never))
		for _, want := range []string{`"x"`, "Timeout", "FailureThreshold"} {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("the error is %v, want it to say %s", err, want)
			}
		}
	})
	t.Run("another policy for a name that has one", func(t *testing.T) {
		p := noRetry(core.Config{FailureThreshold: 3})
		good := presets.MustProtectFunc("x", p, func(context.Context) error { return nil })
		for name, other := range map[string]presets.Policy{
			"a number":    p.With(func(p *presets.Policy) { p.FailureThreshold = 4 }),
			"the health":  p.With(func(p *presets.Policy) { p.Health = &core.HealthLimits{} }),
			"the window":  p.With(func(p *presets.Policy) { p.Window.Calls = 50 }),
			"the checks":  p.With(func(p *presets.Policy) { p.HealthCheckInterval = time.Minute }),
			"the timeout": p.With(func(p *presets.Policy) { p.CallTimeout = time.Minute }),
		} {
			t.Log(name)
			field(t, errOf(presets.ProtectFunc("x", other, never)), "name")
		}
		if err := good(t.Context()); err != nil {
			t.Errorf("the first function: %v, want it unharmed", err)
		}
	})
}

// A second Protect of a name shares the breaker.
func TestProtectTwice(t *testing.T) {
	inBubble(t, "the same policy", func(t *testing.T) {
		hooked := 0
		p := noRetry(core.Config{FailureThreshold: 2})
		p.Health = &core.HealthLimits{SuccessRate: 0.5}
		p.Retry = presets.Retry{Enabled: true, Strategy: presets.StrategyFixed, Attempts: 1}
		p.Hooks.Transition = func(context.Context, core.Transition) { hooked++ }
		again := p.With(func(p *presets.Policy) { // in equal data, and funcs that are not compared
			p.Preset = "moderate"
			p.Hooks.Transition = func(context.Context, core.Transition) { t.Error("the hook of the second policy is called") }
		})
		first := presets.MustProtectFunc("x", p, func(context.Context) error { return errDown })
		second := presets.MustProtectFunc("x", again, func(context.Context) error { return errDown })
		_, _ = first(t.Context()), second(t.Context())
		b := breakerOf(t, p.Registry, "x")
		stateIs(t, b, core.Open)
		totalsAre(t, b, core.Totals{Calls: 2, Failures: 2})
		if hooked != 1 || p.Registry.Breakers().Len() != 1 {
			t.Errorf("%d transitions told and %d breakers, want 1 and 1", hooked, p.Registry.Breakers().Len())
		}
	})
	inBubble(t, "retries are each function's own", func(t *testing.T) {
		p := noRetry(core.Config{FailureThreshold: -1, FailureRateThreshold: -1})
		calls := 0
		fail := func(context.Context) error { calls++; return errDown }
		retried := p.With(func(p *presets.Policy) {
			p.Retry = presets.Retry{Enabled: true, Strategy: presets.StrategyFixed, Attempts: 3}
		})
		for name, c := range map[string]struct {
			policy presets.Policy
			want   int
		}{
			"three attempts": {retried, 3},
			"none again":     {p, 1},
			"its own If":     {retried.With(func(p *presets.Policy) { p.Retry.If = func(error) bool { return false } }), 1},
			"three again":    {retried, 3},
		} {
			calls = 0
			if err := presets.MustProtectFunc("x", c.policy, fail)(t.Context()); err != errDown || calls != c.want {
				t.Errorf("%s: %d calls, %v, want %d", name, calls, err, c.want)
			}
		}
	})
	inBubble(t, "functions of other types", func(t *testing.T) {
		p := noRetry(core.Config{FailureThreshold: 1})
		_ = presets.MustProtectFunc("x", p, func(context.Context) error { return errDown })(t.Context())
		get := presets.MustProtect("x", p, func(context.Context, string) ([]byte, error) { return nil, nil })
		if _, err := get(t.Context(), ""); !errors.Is(err, core.ErrOpen) {
			t.Errorf("the other function = %v, want the refusal of the shared breaker", err)
		}
	})
	t.Run("at once by many", func(t *testing.T) {
		p := noRetry(core.Config{FailureThreshold: -1, FailureRateThreshold: -1})
		var wg sync.WaitGroup
		for range 16 {
			wg.Go(func() {
				if err := presets.MustProtectFunc("x", p, func(context.Context) error { return errDown })(t.Context()); err != errDown {
					t.Errorf("a call = %v, want %v", err, errDown)
				}
			})
		}
		wg.Wait()
		totalsAre(t, breakerOf(t, p.Registry, "x"), core.Totals{Calls: 16, Failures: 16})
	})
}

// A panic passes through, once, and is a failure; so is Goexit.
func TestProtectUnusualReturns(t *testing.T) {
	for name, retry := range map[string]presets.Retry{
		"no retry": {},
		"retry":    {Enabled: true, Strategy: presets.StrategyFixed, JitterFactor: -1},
	} {
		inBubble(t, "panic, "+name, func(t *testing.T) {
			p := noRetry(core.Config{})
			p.Retry = retry
			calls := 0
			call := presets.MustProtectFunc("x", p, func(context.Context) error { calls++; panic("sick") })
			func() {
				defer func() {
					if v := recover(); v != "sick" {
						t.Errorf("recovered %v, want sick", v)
					}
				}()
				_ = call(t.Context())
				t.Error("the call returned, want a panic")
			}()
			if calls != 1 {
				t.Errorf("%d calls, want one: a panic is not made again", calls)
			}
			totalsAre(t, breakerOf(t, p.Registry, "x"), core.Totals{Calls: 1, Failures: 1})
		})
		inBubble(t, "Goexit, "+name, func(t *testing.T) {
			p := noRetry(core.Config{})
			p.Retry = retry
			calls := 0
			call := presets.MustProtectFunc("x", p, func(context.Context) error { calls++; runtime.Goexit(); return nil })
			done := make(chan bool)
			go func() {
				defer close(done)
				_ = call(t.Context())
				t.Error("the call returned, want its goroutine ended")
			}()
			<-done
			if calls != 1 {
				t.Errorf("%d calls, want one", calls)
			}
			totalsAre(t, breakerOf(t, p.Registry, "x"), core.Totals{Calls: 1, Failures: 1})
		})
	}
	inBubble(t, "panic of a later attempt", func(t *testing.T) {
		p := noRetry(core.Config{})
		p.Retry = presets.Retry{Enabled: true, Strategy: presets.StrategyFixed, JitterFactor: -1}
		calls := 0
		call := presets.MustProtectFunc("x", p, func(context.Context) error {
			if calls++; calls == 2 {
				panic("sick")
			}
			return errDown
		})
		func() {
			defer func() {
				if v := recover(); v != "sick" {
					t.Errorf("recovered %v, want sick", v)
				}
			}()
			_ = call(t.Context())
		}()
		if calls != 2 {
			t.Errorf("%d calls, want two", calls)
		}
		totalsAre(t, breakerOf(t, p.Registry, "x"), core.Totals{Calls: 2, Failures: 2})
	})
}

// One protected function, used by many at once.
func TestProtectConcurrently(t *testing.T) {
	inBubble(t, "in a bubble", func(t *testing.T) {
		p := noRetry(core.Config{FailureThreshold: -1, FailureRateThreshold: -1})
		p.Retry = presets.Retry{Enabled: true, Strategy: presets.StrategyExponential, Attempts: 4, InitialDelay: time.Millisecond, MaxDelay: 5 * time.Millisecond}
		var called atomic.Int64
		call := presets.MustProtect("x", p, func(_ context.Context, in int) (int, error) {
			if n := called.Add(1); n%3 == 0 {
				return in, nil
			}
			return -in, errDown
		})
		var wg sync.WaitGroup
		var succeeded, failed atomic.Int64
		for g := range 16 {
			wg.Go(func() {
				for i := range 50 {
					in := 1 + g*50 + i
					switch out, err := call(t.Context(), in); {
					case err == nil && out == in:
						succeeded.Add(1)
					case err == errDown && out == -in:
						failed.Add(1)
					default:
						t.Errorf("call(%d) = %d, %v, want its own result", in, out, err)
					}
				}
			})
		}
		wg.Wait()
		got := breakerOf(t, p.Registry, "x").Snapshot().Totals
		if got.Calls != uint64(called.Load()) || got.Successes != uint64(succeeded.Load()) || got.Failures != got.Calls-got.Successes {
			t.Errorf("totals %+v, want %d calls with %d successes", got, called.Load(), succeeded.Load())
		}
		if n := succeeded.Load() + failed.Load(); n != 800 {
			t.Errorf("%d results, want 800", n)
		}
	})
}

func TestAMistakeIsToldWhenProtectIsCalled(t *testing.T) {
	registry := new(presets.Registry)
	policy := func(change func(*presets.Policy)) presets.Policy {
		return presets.ExternalAPI().With(func(p *presets.Policy) { p.Registry = registry }).With(change)
	}
	fn := func(context.Context, int) (int, error) { return 1, nil }
	presets.MustProtect("x", policy(nil), fn)
	for name, row := range map[string]struct {
		err  error
		want []string
	}{
		"two policies under one name": {
			errOf(presets.Protect("x", policy(func(p *presets.Policy) { p.Timeout, p.FailureThreshold = 7*time.Second, 4 }), fn)),
			[]string{"timeout", "failure_threshold", "protect_test.go:", "another name"},
		},
		"an unknown preset": {errOf(presets.Protect("y", policy(func(p *presets.Policy) { p.Preset = "ExternalAPI" }), fn)), []string{`did you mean "external_api"?`}},
		"no name":           {errOf(presets.Protect("", policy(nil), fn)), []string{"name"}},
		"a policy that contradicts itself": {
			errOf(presets.ProtectCall("z", policy(func(p *presets.Policy) { p.MaxTimeout = time.Second }), func(context.Context) (int, error) { return 1, nil })),
			[]string{"MaxTimeout", "at least Timeout"},
		},
	} {
		for _, want := range row.want {
			if row.err == nil || !strings.Contains(row.err.Error(), want) {
				t.Errorf("%s: %v, want an error with %q", name, row.err, want)
			}
		}
	}
	if err := errOf(presets.Protect("x", policy(func(p *presets.Policy) { p.Timeout = time.Minute * 2 }), fn)); strings.Count(err.Error(), "protect_test.go:") != 2 {
		t.Errorf("%v, want both places", err)
	}
	defer func() {
		if recover() == nil {
			t.Error("MustProtect did not panic")
		}
	}()
	presets.MustProtectFunc("x", policy(nil), nil)
}
