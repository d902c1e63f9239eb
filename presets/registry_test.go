package presets_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/presets"
)

// limited is a policy that is known by its CallTimeout.
func limited(callTimeout time.Duration) presets.Policy {
	return presets.Policy{Config: core.Config{CallTimeout: callTimeout}}
}

// callTimeoutOf returns the CallTimeout that a breaker really has, by a call. It
// needs a bubble, in which no time passes meanwhile.
func callTimeoutOf(t *testing.T, b *core.Breaker) (left time.Duration) {
	t.Helper()
	err := b.Do(context.Background(), func(ctx context.Context) error {
		if deadline, ok := ctx.Deadline(); ok {
			left = time.Until(deadline)
		}
		return nil
	})
	if err != nil {
		t.Fatalf("a call of %q = %v, want none refused", b.Name(), err)
	}
	return left
}

// callTimeoutIs compares what Policy says of a name and what its breaker does.
func callTimeoutIs(t *testing.T, r *presets.Registry, name string, want time.Duration) {
	t.Helper()
	if got := r.Policy(name).CallTimeout; got != want {
		t.Errorf("the policy of %q has the CallTimeout %v, want %v", name, got, want)
	}
	if got := callTimeoutOf(t, breakerOf(t, r, name)); got != want {
		t.Errorf("the breaker of %q has the CallTimeout %v, want %v", name, got, want)
	}
}

// protectNothing returns a function whose calls return the error of protecting it, if
// there is one.
func protectNothing(name string, p presets.Policy) func(context.Context) error {
	protected, err := presets.ProtectFunc(name, p, func(context.Context) error { return nil })
	if err != nil {
		return func(context.Context) error { return err }
	}
	return protected
}

func in(r *presets.Registry, p presets.Policy) presets.Policy { p.Registry = r; return p }

func breakerNames(r *presets.Registry) (names []string) {
	for name := range r.Breakers().All() {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func TestRegistryWithoutAFleet(t *testing.T) {
	for name, r := range map[string]*presets.Registry{"zero": new(presets.Registry), "NewRegistry(nil)": registryFor(t, nil)} {
		want := in(r, presets.Moderate())
		if got := r.Policy("x"); !samePolicy(got, want) {
			t.Errorf("%s: the policy of a name is %+v, want moderate in this registry", name, got)
		}
		if got := breakerNames(r); len(got) != 0 {
			t.Errorf("%s: asking for a policy made the breakers %q, want none", name, got)
		}
	}
	inBubble(t, "the breakers are moderate", func(t *testing.T) {
		r := new(presets.Registry)
		callTimeoutIs(t, r, "x", 30*time.Second)
		failing(t, breakerOf(t, r, "x"), 5)
		stateIs(t, breakerOf(t, r, "x"), core.Open)
	})
	inBubble(t, "Breakers before and after the first Protect are the same", func(t *testing.T) {
		r := new(presets.Registry)
		breakers := r.Breakers()
		_ = protectNothing("x", in(r, limited(time.Second)))(t.Context())
		if r.Breakers() != breakers || breakers.Len() != 1 {
			t.Errorf("%d breakers in the registry got first, want the one of Protect", breakers.Len())
		}
	})
}

func TestNewRegistry(t *testing.T) {
	t.Run("of a fleet that is not valid", func(t *testing.T) {
		f := &presets.Fleet{
			Registry: presets.Limits{Max: -1},
			Defaults: presets.Policy{Config: core.Config{Timeout: -1}},
			Policies: map[string]presets.Policy{"x": {Retry: presets.Retry{Attempts: 1}}},
		}
		r, err := presets.NewRegistry(f)
		if r != nil || err == nil {
			t.Fatalf("NewRegistry = %v, %v, want only an error", r, err)
		}
		for _, want := range []string{"Registry.Max", "Timeout", "Retry.Attempts", `"x"`} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("the error %v does not tell %s", err, want)
			}
		}
	})
	inBubble(t, "keeps a copy of the fleet", func(t *testing.T) {
		health := &core.HealthLimits{SuccessRate: 0.5}
		f := &presets.Fleet{Policies: map[string]presets.Policy{"x": limited(time.Second)}}
		f.Defaults.Health = health
		r := registryFor(t, f)
		f.Policies["x"], f.Policies["y"], f.Defaults.CallTimeout = limited(time.Hour), limited(time.Hour), time.Hour
		health.SuccessRate = 0.1
		callTimeoutIs(t, r, "x", time.Second)
		callTimeoutIs(t, r, "y", 0)
		if got := r.Policy("y").Health.SuccessRate; got != 0.5 {
			t.Errorf("a health limit is %v after the fleet was changed, want 0.5", got)
		}
	})
	inBubble(t, "has the size that the fleet says", func(t *testing.T) {
		r := registryFor(t, &presets.Fleet{Registry: presets.Limits{Max: 2, Idle: time.Minute}})
		for _, name := range []string{"a", "b", "c"} {
			breakerOf(t, r, name)
		}
		if got := breakerNames(r); len(got) != 2 || !slices.Contains(got, "c") {
			t.Errorf("the breakers are %q, want two, the last one among them", got)
		}
	})
	t.Run("Default is one", func(t *testing.T) {
		if first, again := presets.Default(), presets.Default(); first == nil || first != again {
			t.Errorf("Default() is %p and then %p, want one registry", first, again)
		}
	})
}

// The file by the very name, the file by a pattern, Protect, the file's defaults.
func TestRegistryPrecedence(t *testing.T) {
	inBubble(t, "settings", func(t *testing.T) {
		r := registryFor(t, &presets.Fleet{
			Defaults: limited(1 * time.Second),
			Policies: map[string]presets.Policy{"exact": limited(2 * time.Second), "exa*": limited(3 * time.Second)},
		})
		for _, name := range []string{"exact", "exactly", "other"} {
			if err := protectNothing(name, in(r, limited(9*time.Second)))(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		callTimeoutIs(t, r, "exact", 2*time.Second)
		callTimeoutIs(t, r, "exactly", 3*time.Second)
		callTimeoutIs(t, r, "other", 9*time.Second)
		callTimeoutIs(t, r, "unnamed", 1*time.Second)
		callTimeoutIs(t, r, "exa-unnamed", 3*time.Second)
	})
	inBubble(t, "retries", func(t *testing.T) {
		attempts := func(n int) presets.Policy {
			p := presets.Policy{Config: core.Config{FailureThreshold: -1, FailureRateThreshold: -1}}
			if n > 1 {
				p.Retry = presets.Retry{Enabled: true, Strategy: presets.StrategyFixed, Attempts: n}
			}
			return p
		}
		r := registryFor(t, &presets.Fleet{
			Defaults: attempts(7),
			Policies: map[string]presets.Policy{"exact": attempts(2), "exa*": attempts(3), "none": attempts(1)},
		})
		for name, want := range map[string]int{"exact": 2, "exactly": 3, "none": 1, "other": 5} {
			f := failsAlways()
			_, _ = presets.MustProtect(name, in(r, attempts(5)), f.call)(t.Context(), "")
			if f.calls() != want {
				t.Errorf("%s: %d attempts, want %d", name, f.calls(), want)
			}
		}
	})
}

// A file has no funcs: those of Protect's policy stay.
func TestRegistryKeepsFuncs(t *testing.T) {
	inBubble(t, "all of them", func(t *testing.T) {
		fromFile := presets.Policy{Config: core.Config{FailureThreshold: 2}, Retry: presets.Retry{Enabled: true, Strategy: presets.StrategyFixed, Attempts: 5}}
		r := registryFor(t, &presets.Fleet{Policies: map[string]presets.Policy{"x": fromFile}})
		var log bytes.Buffer
		told, classified, asked, clock := 0, 0, 0, 0
		p := in(r, presets.Moderate())
		p.Hooks.Transition = func(context.Context, core.Transition) { told++ }
		p.Hooks.Settled = func(context.Context, core.Settlement) { told++ }
		p.Classify = func(ctx context.Context, err error) core.Outcome { classified++; return core.DefaultClassify(ctx, err) }
		p.Logger = slog.New(slog.NewTextHandler(&log, nil))
		p.Now = func() time.Time { clock++; return time.Now() }
		p.Retry = p.WithRetry().Retry
		p.Retry.If = func(error) bool { asked++; return asked < 2 }
		p.HealthCheck = func(context.Context) error { return nil }
		f := failsAlways()
		_, _ = presets.MustProtect("x", p, f.call)(t.Context(), "")
		stateIs(t, breakerOf(t, r, "x"), core.Open)
		if f.calls() != 2 || told != 3 || classified != 2 || asked != 2 || clock == 0 || !strings.Contains(log.String(), "open") {
			t.Errorf("%d attempts, %d hooks, %d classified, %d asked, %d clock readings, log %q; want 2, 3, 2, 2, some and the opening",
				f.calls(), told, classified, asked, clock, log.String())
		}
		got := r.Policy("x")
		if got.FailureThreshold != 2 || got.Retry.Attempts != 5 || got.HealthCheck == nil || got.Retry.If == nil || got.Registry != r {
			t.Errorf("the policy is %+v, want the file's numbers and the funcs of Protect", got)
		}
	})
	inBubble(t, "but If where the file has no retry", func(t *testing.T) {
		r := registryFor(t, &presets.Fleet{Policies: map[string]presets.Policy{"x": limited(time.Second)}})
		p := in(r, presets.Moderate().WithRetry())
		p.Retry.If = func(error) bool { return true }
		if err := protectNothing("x", p)(t.Context()); err != nil {
			t.Errorf("a call = %v, want a policy that is valid", err)
		}
		if err := r.Policy("x").Validate(); err != nil {
			t.Errorf("the policy of x: %v, want it valid", err)
		}
	})
}

func TestAttach(t *testing.T) {
	inBubble(t, "has the last word", func(t *testing.T) {
		r := registryFor(t, &presets.Fleet{Defaults: limited(time.Second), Policies: map[string]presets.Policy{"file": limited(2 * time.Second)}})
		seen := make(map[string]time.Duration)
		r.Attach = func(name string, p *presets.Policy) {
			seen[name] = p.CallTimeout
			p.CallTimeout += time.Minute
			p.Retry = presets.Retry{Enabled: true, Strategy: presets.StrategyFixed, Attempts: 4}
			p.FailureThreshold = -1
		}
		for _, name := range []string{"file", "code"} {
			f := failsAlways()
			_, _ = presets.MustProtect(name, in(r, limited(3*time.Second)), f.call)(t.Context(), "")
			if f.calls() != 4 {
				t.Errorf("%s: %d attempts, want the 4 of Attach", name, f.calls())
			}
		}
		callTimeoutIs(t, r, "file", time.Minute+2*time.Second)
		callTimeoutIs(t, r, "code", time.Minute+3*time.Second)
		callTimeoutIs(t, r, "neither", time.Minute+time.Second)
		if want := map[string]time.Duration{"file": 2 * time.Second, "code": 3 * time.Second, "neither": time.Second}; !reflect.DeepEqual(seen, want) {
			t.Errorf("Attach was given %v, want %v", seen, want)
		}
		if err := r.Apply(&presets.Fleet{Defaults: limited(5 * time.Second)}); err != nil {
			t.Fatal(err)
		}
		callTimeoutIs(t, r, "neither", time.Minute+5*time.Second)
		callTimeoutIs(t, r, "file", time.Minute+3*time.Second)
	})
	inBubble(t, "cannot move a policy to another registry", func(t *testing.T) {
		r := new(presets.Registry)
		r.Attach = func(_ string, p *presets.Policy) { p.Registry = presets.Default() }
		if got := r.Policy("x").Registry; got != r {
			t.Errorf("the policy's registry is %p, want the one that was asked, %p", got, r)
		}
	})
	inBubble(t, "does not reach what it was made from", func(t *testing.T) {
		f := &presets.Fleet{Defaults: presets.Policy{Config: core.Config{Health: &core.HealthLimits{SuccessRate: 0.5}}}}
		r := registryFor(t, f)
		r.Attach = func(_ string, p *presets.Policy) { p.Health.SuccessRate /= 2 }
		for range 3 {
			if got := r.Policy("x").Health.SuccessRate; got != 0.25 {
				t.Errorf("the health limit is %v, want 0.25 each time", got)
			}
		}
		if got := f.Defaults.Health.SuccessRate; got != 0.5 {
			t.Errorf("the fleet's health limit is %v, want 0.5", got)
		}
	})
	t.Run("that spoils a policy", func(t *testing.T) {
		for field, spoil := range map[string]func(p *presets.Policy){
			"Timeout": func(p *presets.Policy) { p.Timeout = -1 },
			"Retry.Attempts": func(p *presets.Policy) {
				p.Retry = presets.Retry{Enabled: true, Strategy: presets.StrategyFixed, Attempts: -1}
			},
			"HealthCheckInterval": func(p *presets.Policy) { p.HealthCheckInterval = 1 },
		} {
			r, bad := new(presets.Registry), true
			r.Attach = func(_ string, p *presets.Policy) {
				if bad {
					spoil(p)
				}
			}
			err := protectNothing("x", in(r, presets.Moderate()))(t.Context())
			if fault, ok := errors.AsType[*core.ConfigError](err); !ok || fault.Field != field || !strings.Contains(err.Error(), `"x"`) {
				t.Errorf("%s: a call = %v, want a *core.ConfigError about it and x", field, err)
			}
			bad = false
			if err := protectNothing("x", in(r, presets.Moderate()))(t.Context()); err != nil {
				t.Errorf("%s: a call once it is good = %v, want none", field, err)
			}
		}
	})
}

func TestRegistryPolicyIsACopy(t *testing.T) {
	fleet := &presets.Fleet{Defaults: presets.Policy{Config: core.Config{Health: &core.HealthLimits{SuccessRate: 0.5}}}}
	r := registryFor(t, fleet)
	code := in(r, presets.Moderate())
	code.Health = &core.HealthLimits{SuccessRate: 0.6}
	_ = protectNothing("code", code)(t.Context())
	for name, want := range map[string]float64{"default": 0.5, "code": 0.6} {
		p := r.Policy(name)
		p.Health.SuccessRate, p.CallTimeout, p.Retry.Attempts = 0.1, time.Hour, 99
		if got := r.Policy(name); got.Health.SuccessRate != want || got.CallTimeout == time.Hour || got.Retry.Attempts == 99 {
			t.Errorf("the policy of %s is %+v after a copy was changed, want it as it was", name, got)
		}
	}
}

// Past the cap, a name that finds no place is called without a breaker, with its own
// retries; one that finds a place has the policy of a name that nothing describes.
func TestRegistryPastTheCap(t *testing.T) {
	inBubble(t, "", func(t *testing.T) {
		r := registryFor(t, &presets.Fleet{Registry: presets.Limits{Max: 2, Idle: -1}, Defaults: limited(time.Second)})
		own := func(n int) presets.Policy {
			p := in(r, limited(time.Duration(n)*time.Minute))
			p.FailureThreshold = -1
			p.Retry = presets.Retry{Enabled: true, Strategy: presets.StrategyFixed, Attempts: n}
			return p
		}
		for i, name := range []string{"a", "b"} {
			f := failsAlways()
			if _, err := presets.MustProtect(name, own(i+1), f.call)(t.Context(), ""); f.calls() != i+1 || err != errDown {
				t.Errorf("%s: %v after %d attempts, want %v after %d", name, err, f.calls(), errDown, i+1)
			}
			if err := breakerOf(t, r, name).Force(core.ForcedOpen); err != nil { // such a breaker is never evicted
				t.Fatal(err)
			}
		}
		for i, name := range []string{"c", "d"} {
			f := failsAlways()
			call := presets.MustProtect(name, own(i+3), f.call)
			for range 10 {
				if _, err := call(t.Context(), ""); err != errDown {
					t.Errorf("%s: %v, want %v and no refusal", name, err, errDown)
				}
			}
			if f.calls() != 10*(i+3) {
				t.Errorf("%s: %d attempts, want its own retry's %d for each of 10 calls", name, f.calls(), i+3)
			}
		}
		if got := r.Breakers().Stats().Unguarded; got != 70 {
			t.Errorf("%d attempts were made without a breaker, want 70", got)
		}
		if err := r.Apply(&presets.Fleet{Defaults: limited(2 * time.Second)}); err != nil {
			t.Fatal(err)
		}
		if got := r.Breakers().Len(); got != 2 {
			t.Errorf("%d breakers, want 2", got)
		}
	})
	t.Run("memory is bounded, whatever the names", func(t *testing.T) {
		r := registryFor(t, &presets.Fleet{Registry: presets.Limits{Max: 10}})
		for i := range 1000 {
			call := protectNothing(fmt.Sprint("name ", i), in(r, presets.Aggressive()))
			if err := call(t.Context()); err != nil {
				t.Fatalf("name %d: %v", i, err)
			}
		}
		if got := r.Breakers().Len(); got != 10 {
			t.Errorf("%d breakers, want 10", got)
		}
	})
}

// A breaker that was asked for before Protect gets the policy, and keeps
// what it has seen.
func TestProtectFindsABreaker(t *testing.T) {
	inBubble(t, "", func(t *testing.T) {
		r := new(presets.Registry)
		b := breakerOf(t, r, "x") // moderate: 5 failures
		failing(t, b, 3)
		p := in(r, limited(time.Second))
		p.FailureThreshold = 4
		call := presets.MustProtectFunc("x", p, func(context.Context) error { return errDown })
		if breakerOf(t, r, "x") != b {
			t.Fatal("Protect made another breaker")
		}
		_ = call(t.Context())
		stateIs(t, b, core.Open)
	})
}

// forget makes the registry forget breakers that are idle for so long: it looks
// at them when a name is new, and has to find one unused twice.
func forget(t *testing.T, r *presets.Registry, idle time.Duration) {
	t.Helper()
	for i := range 3 {
		time.Sleep(idle)
		breakerOf(t, r, fmt.Sprint("new ", time.Now().UnixNano(), i))
	}
}

func TestRegistryForgetsAndMakesAgain(t *testing.T) {
	inBubble(t, "by the same policy", func(t *testing.T) {
		const idle = 10 * time.Minute
		r := registryFor(t, &presets.Fleet{Registry: presets.Limits{Idle: idle}, Policies: map[string]presets.Policy{"file": limited(2 * time.Second)}})
		code := protectNothing("code", in(r, limited(time.Second)))
		file := protectNothing("file", in(r, limited(time.Second)))
		_, _ = code(t.Context()), file(t.Context())
		first := breakerOf(t, r, "code")
		forget(t, r, idle)
		if got := breakerNames(r); slices.Contains(got, "code") || slices.Contains(got, "file") {
			t.Fatalf("the breakers are %q, want code and file forgotten", got)
		}
		_, _ = code(t.Context()), file(t.Context())
		callTimeoutIs(t, r, "code", time.Second)
		callTimeoutIs(t, r, "file", 2*time.Second)
		if breakerOf(t, r, "code") == first {
			t.Error("the forgotten breaker is used again")
		}
	})
	inBubble(t, "by what was applied meanwhile", func(t *testing.T) {
		const idle = 10 * time.Minute
		r := registryFor(t, &presets.Fleet{Registry: presets.Limits{Idle: idle}})
		call := protectNothing("x", in(r, limited(time.Second)))
		_ = call(t.Context())
		forget(t, r, idle)
		if err := r.Apply(&presets.Fleet{Policies: map[string]presets.Policy{"x": limited(7 * time.Second)}}); err != nil {
			t.Fatal(err)
		}
		_ = call(t.Context())
		callTimeoutIs(t, r, "x", 7*time.Second)
	})
}

func TestApply(t *testing.T) {
	inBubble(t, "replaces what holds", func(t *testing.T) {
		r := registryFor(t, &presets.Fleet{Defaults: limited(time.Second)})
		call := protectNothing("code", in(r, limited(2*time.Second)))
		_ = call(t.Context())
		callTimeoutIs(t, r, "default", time.Second)
		f := &presets.Fleet{Defaults: limited(3 * time.Second), Policies: map[string]presets.Policy{"code": limited(4 * time.Second)}}
		if err := r.Apply(f); err != nil {
			t.Fatal(err)
		}
		f.Policies["code"], f.Defaults = limited(time.Hour), limited(time.Hour) // it is the caller's again
		callTimeoutIs(t, r, "code", 4*time.Second)
		callTimeoutIs(t, r, "default", 3*time.Second)
		callTimeoutIs(t, r, "new", 3*time.Second)
		if err := r.Apply(nil); err != nil {
			t.Fatal(err)
		}
		callTimeoutIs(t, r, "code", 2*time.Second)
		callTimeoutIs(t, r, "default", 30*time.Second) // moderate
		callTimeoutIs(t, r, "newer", 30*time.Second)
	})
	inBubble(t, "and the retries of functions", func(t *testing.T) {
		r := new(presets.Registry)
		p := in(r, retrying(presets.Retry{Enabled: true, Strategy: presets.StrategyFixed, Attempts: 2}))
		f := failsAlways()
		call := presets.MustProtect("x", p, f.call)
		attempts := func(want int) {
			t.Helper()
			before := f.calls()
			_, _ = call(t.Context(), "")
			if got := f.calls() - before; got != want {
				t.Errorf("%d attempts, want %d", got, want)
			}
		}
		attempts(2)
		five := retrying(presets.Retry{Enabled: true, Strategy: presets.StrategyFixed, Attempts: 5, InitialDelay: time.Minute})
		five.Registry = nil
		if err := r.Apply(&presets.Fleet{Policies: map[string]presets.Policy{"*": five}}); err != nil {
			t.Fatal(err)
		}
		attempts(5)
		time.AfterFunc(90*time.Second, func() { // a call that has begun goes on as it began
			if err := r.Apply(&presets.Fleet{Policies: map[string]presets.Policy{"*": {Config: core.Config{FailureThreshold: -1, FailureRateThreshold: -1}}}}); err != nil {
				t.Error(err)
			}
		})
		attempts(5)
		attempts(1)
		if err := r.Apply(nil); err != nil {
			t.Fatal(err)
		}
		attempts(2)
	})
	inBubble(t, "keeps states, streaks and permits", func(t *testing.T) {
		r := new(presets.Registry)
		open, streak := breakerOf(t, r, "open"), breakerOf(t, r, "streak")
		failing(t, open, 5)
		failing(t, streak, 4)
		until := open.Snapshot().RetryAt
		permit, err := streak.Allow(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for range 10 {
			if err := r.Apply(&presets.Fleet{Defaults: presets.Aggressive()}); err != nil {
				t.Fatal(err)
			}
			if err := r.Apply(&presets.Fleet{Defaults: presets.Moderate()}); err != nil {
				t.Fatal(err)
			}
		}
		if got := open.Snapshot(); got.State != core.Open || !got.RetryAt.Equal(until) {
			t.Errorf("the open breaker is %v until %v, want open until %v", got.State, got.RetryAt, until)
		}
		permit.Settle(t.Context(), core.Failure)
		stateIs(t, streak, core.Open)
		totalsAre(t, streak, core.Totals{Calls: 5, Failures: 5})
	})
	inBubble(t, "leaves the size as it is", func(t *testing.T) {
		r := registryFor(t, &presets.Fleet{Registry: presets.Limits{Max: 1}})
		if err := r.Apply(&presets.Fleet{Registry: presets.Limits{Max: 100}, Defaults: limited(time.Second)}); err != nil {
			t.Fatal(err)
		}
		callTimeoutIs(t, r, "a", time.Second)
		breakerOf(t, r, "b")
		if got := r.Breakers().Len(); got != 1 {
			t.Errorf("%d breakers, want 1, as the registry was made", got)
		}
	})
}

// Apply changes all or nothing.
func TestApplyAllOrNothing(t *testing.T) {
	setup := func(t *testing.T) (r *presets.Registry, asBefore func()) {
		t.Helper()
		r = registryFor(t, &presets.Fleet{Defaults: limited(time.Second), Policies: map[string]presets.Policy{"file": limited(2 * time.Second)}})
		p := in(r, limited(3*time.Second))
		p.Retry = presets.Retry{Enabled: true, Strategy: presets.StrategyFixed, Attempts: 2}
		f := failsAlways()
		call := presets.MustProtect("code", p, f.call)
		breakerOf(t, r, "default")
		breakerOf(t, r, "file")
		return r, func() {
			t.Helper()
			callTimeoutIs(t, r, "default", time.Second)
			callTimeoutIs(t, r, "file", 2*time.Second)
			callTimeoutIs(t, r, "code", 3*time.Second)
			callTimeoutIs(t, r, "new", time.Second)
			before := f.calls()
			_, _ = call(t.Context(), "")
			if got := f.calls() - before; got != 2 {
				t.Errorf("%d attempts, want 2 as before", got)
			}
		}
	}
	good := limited(time.Hour)
	inBubble(t, "a fleet with a fault", func(t *testing.T) {
		for name, f := range map[string]*presets.Fleet{
			"defaults": {Defaults: presets.Policy{Config: core.Config{Timeout: -1}}},
			"a policy": {Defaults: good, Policies: map[string]presets.Policy{"code": good, "file": {Retry: presets.Retry{Attempts: 2}}}},
			"a name":   {Defaults: good, Policies: map[string]presets.Policy{"\n": good, "code": good}},
			"the size": {Defaults: good, Registry: presets.Limits{Max: -1}},
		} {
			r, asBefore := setup(t)
			if err := r.Apply(f); err == nil {
				t.Errorf("%s: Apply = no error", name)
			}
			asBefore()
		}
	})
	for _, spoilt := range []string{"code", "default"} {
		inBubble(t, "what Attach makes of "+spoilt, func(t *testing.T) {
			for field, spoil := range map[string]func(p *presets.Policy){
				"Timeout":             func(p *presets.Policy) { p.Timeout = -1 },
				"Retry.Attempts":      func(p *presets.Policy) { p.Retry = presets.Retry{Attempts: 5} },
				"HealthCheckInterval": func(p *presets.Policy) { p.HealthCheckInterval = 1 },
			} {
				r, asBefore := setup(t)
				r.Attach = func(name string, p *presets.Policy) {
					if name == spoilt && p.CallTimeout == time.Hour {
						spoil(p)
					}
				}
				err := r.Apply(&presets.Fleet{Defaults: good, Policies: map[string]presets.Policy{"code": good, "file": good}})
				if fault, ok := errors.AsType[*core.ConfigError](err); !ok || fault.Field != field || !strings.Contains(err.Error(), `"`+spoilt+`"`) {
					t.Errorf("Apply = %v, want a *core.ConfigError about %s of %s", err, field, spoilt)
				}
				asBefore()
			}
		})
	}
}

// handClock is a clock that moves by hand.
type handClock struct{ at time.Time }

func (c *handClock) now() time.Time { return c.at }

// Hooks run with no lock held: a hook may use the registry, also while a function
// is protected.
func TestRegistryInAHook(t *testing.T) {
	clock := &handClock{time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	r := new(presets.Registry)
	hooked := 0
	r.Attach = func(n string, p *presets.Policy) {
		p.Now, p.FailureThreshold, p.Timeout = clock.now, 1, time.Second
		if n != "x" {
			return
		}
		p.Hooks.Transition = func(_ context.Context, tr core.Transition) {
			if tr.Cause != core.CauseTimeoutElapsed {
				return
			}
			hooked++
			if err := r.Apply(nil); err != nil {
				t.Errorf("Apply in a hook = %v", err)
			}
			if err := protectNothing("y", in(r, limited(time.Second)))(context.Background()); err != nil {
				t.Errorf("a function protected in a hook = %v", err)
			}
			r.Policy("x")
		}
	}
	b := breakerOf(t, r, "x")
	failing(t, b, 1)
	clock.at = clock.at.Add(time.Second)
	if err := protectNothing("x", in(r, limited(time.Second)))(t.Context()); err != nil { // it hangs if the hook finds the registry locked
		t.Errorf("a call = %v, want none", err)
	}
	if hooked != 1 {
		t.Errorf("the hook was told %d times that the break is over, want once", hooked)
	}
}

// The first uses of a Registry may be at once, whatever they are; for the race
// detector.
func TestRegistryFirstUse(t *testing.T) {
	for range 20 {
		r := new(presets.Registry)
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for _, use := range []func(){
			func() { _ = r.CheckHealth(ctx) },
			func() { _ = protectNothing("x", in(r, presets.Moderate()))(ctx) },
			func() { apply(t, r, oldFleet()) },
			func() { r.Breakers().Stats() },
			func() { breakerNames(r) },
			func() { r.Policy("x") },
			func() { breakerOf(t, r, "y") },
		} {
			wg.Go(use)
		}
		time.AfterFunc(time.Millisecond, cancel)
		wg.Wait()
	}
}

// The first two functions of a registry may be protected, and called, at once.
func TestRegistryFirstTwo(t *testing.T) {
	fleet := &presets.Fleet{Policies: map[string]presets.Policy{"a*": {Config: core.Config{FailureThreshold: -1, FailureRateThreshold: -1}}}}
	for i := range 500 {
		registry, err := presets.NewRegistry(fleet)
		if err != nil {
			t.Fatal(err)
		}
		p := presets.Moderate().WithRetry().With(func(p *presets.Policy) { p.Registry, p.Retry.InitialDelay = registry, 1 })
		var calls atomic.Int64
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() {
				f := presets.MustProtectFunc("a"+strconv.Itoa(i), p, func(context.Context) error { calls.Add(1); return errDown })
				_ = f(t.Context())
			})
		}
		wg.Wait()
		if calls.Load() != 2 {
			t.Fatalf("%d calls of two functions that the file says are not retried", calls.Load())
		}
	}
}

// A function past the cap has its retries by the file, and by the next one.
func TestRetriesPastTheCap(t *testing.T) {
	fleet := &presets.Fleet{Registry: presets.Limits{Max: 1}, Policies: map[string]presets.Policy{"b": {Config: core.Config{FailureThreshold: -1, FailureRateThreshold: -1}}}}
	registry, err := presets.NewRegistry(fleet)
	if err != nil {
		t.Fatal(err)
	}
	p := presets.Moderate().WithRetry().With(func(p *presets.Policy) { p.Registry, p.Retry.InitialDelay = registry, 1 })
	_ = presets.MustProtectFunc("a", p, func(context.Context) error { return nil })
	calls := 0
	b := presets.MustProtectFunc("b", p, func(context.Context) error { calls++; return errDown })
	if _ = b(t.Context()); calls != 1 {
		t.Errorf("%d calls, want 1 as the file has no retry", calls)
	}
	fleet.Policies["b"] = fleet.Policies["b"].With(func(p *presets.Policy) {
		p.Retry = presets.Retry{Enabled: true, Strategy: presets.StrategyFixed, Attempts: 2, InitialDelay: 1}
	})
	if err := registry.Apply(fleet); err != nil {
		t.Fatal(err)
	}
	calls = 0
	if _ = b(t.Context()); calls != 2 {
		t.Errorf("%d calls after the file was changed, want 2", calls)
	}
}

// The funcs of a Fleet made in Go stay beside those of Protect.
func TestRegistryKeepsTheFleetsFuncs(t *testing.T) {
	check := func(context.Context) error { return nil }
	registry, err := presets.NewRegistry(&presets.Fleet{Policies: map[string]presets.Policy{"p": {HealthCheck: check}}})
	if err != nil {
		t.Fatal(err)
	}
	_ = presets.MustProtectFunc("p", presets.Policy{Registry: registry}, check)
	if registry.Policy("p").HealthCheck == nil {
		t.Error("Protect without a health check took away the fleet's")
	}
}
