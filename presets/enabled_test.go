package presets_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/presets"
)

// loggedTo returns what is logged while f runs.
func loggedTo(f func(logger *slog.Logger)) string {
	var log bytes.Buffer
	f(slog.New(slog.NewTextHandler(&log, nil)))
	return log.String()
}

// As in the original, a preset says how a call is made again, and its user whether.
func TestRetriesAreEnabledNotInherited(t *testing.T) {
	for _, g := range presetRows() {
		inBubble(t, g.name+" sends each call once", func(t *testing.T) {
			p := g.policy()
			p.Registry = registryFor(t, nil)
			f := failsAlways()
			call := presets.MustProtect("x", p, f.call)
			b := breakerOf(t, p.Registry, "x")
			for n := range g.failures {
				stateIs(t, b, core.Closed)
				if _, err := call(t.Context(), ""); err != errDown || f.calls() != n+1 {
					t.Fatalf("call %d = %v, %d sent in all", n+1, err, f.calls())
				}
			}
			stateIs(t, b, core.Open)
		})
		inBubble(t, g.name+" in a file sends each call once", func(t *testing.T) {
			fleet, err := decode("{defaults: {preset: " + g.name + "}, policies: {b: {preset: " + g.name + "}}}")
			if err != nil {
				t.Fatal(err)
			}
			r := registryFor(t, fleet)
			for _, name := range []string{"a", "b"} {
				f := failsAlways()
				call := presets.MustProtect(name, in(r, fleet.Policy(name)), f.call)
				if _, err := call(t.Context(), ""); err != errDown || f.calls() != 1 {
					t.Errorf("%s: %d sent, %v", name, f.calls(), err)
				}
			}
		})
	}
	t.Run("WithRetry changes a copy", func(t *testing.T) {
		p := presets.Aggressive()
		if p.Health = new(core.HealthLimits); p.WithRetry().Health == p.Health || p.Retry.Enabled {
			t.Error("WithRetry changed what it was called on")
		}
		if got := p.WithRetry().Retry; !got.Enabled || got.Strategy != presets.StrategyExponential {
			t.Errorf("WithRetry where the preset has none: %+v", got)
		}
	})
}

// A breaker alone makes no call again, which is told and not kept back.
func TestRetriesThatNothingMakesAreTold(t *testing.T) {
	t.Run("a breaker of a policy", func(t *testing.T) {
		if b, err := presets.Database().Breaker("x"); err != nil || b.Config().FailureThreshold != 3 || b.Name() != "x" {
			t.Errorf("a policy without retries: %v, %v", b, err)
		}
		for field, p := range map[string]presets.Policy{
			"Retry.Enabled":  presets.Database().WithRetry(),
			"Retry.Attempts": presets.Database().With(func(p *presets.Policy) { p.Retry.Attempts = 9 }),
			"Timeout":        {Config: core.Config{Timeout: -1}},
		} {
			b, err := p.Breaker("x")
			if fault, ok := errors.AsType[*core.ConfigError](err); !ok || fault.Field != field || b != nil {
				t.Errorf("%v, %v, want a *core.ConfigError about %s", b, err, field)
			}
		}
		if _, err := presets.Database().Breaker(""); err == nil {
			t.Error("a breaker without a name")
		}
	})
	t.Run("a core.Breaker of the Config, which alone makes no call again", func(t *testing.T) {
		p := presets.Database().WithRetry()
		plain := core.MustNew("x", core.Config{})
		registry := core.Registry{Config: func(string) core.Config { return p.Config }}
		_, fromNew := core.New("x", p.Config)
		_, fromGet := registry.Get("x")
		for from, err := range map[string]error{"New": fromNew, "Update": plain.Update(p.Config), "Registry.Get": fromGet} {
			if fault, ok := errors.AsType[*core.ConfigError](err); !ok || !strings.Contains(fault.Allowed, "presets.Protect") {
				t.Errorf("%s: %v, want a *core.ConfigError that names presets.Protect", from, err)
			}
		}
		fleet, err := decode("policies: {on: {preset: database, retry: true}, off: {preset: database}}")
		if err != nil {
			t.Fatal(err)
		}
		_, err = core.New("x", fleet.Policy("on").Config)
		if _, off := core.New("x", fleet.Policy("off").Config); err == nil || off != nil {
			t.Errorf("of a file: %v with retries, %v without, want an error and none", err, off)
		}
		p.Registry = registryFor(t, nil)
		f := failsAlways()
		if _, err := presets.MustProtect("x", p, f.call)(t.Context(), ""); err != errDown || f.calls() < 2 || p.Validate() != nil {
			t.Errorf("Protect: %v after %d calls; Validate: %v", err, f.calls(), p.Validate())
		}
		if _, err := p.With(func(p *presets.Policy) { p.Retry = presets.Retry{} }).Breaker("x"); err != nil {
			t.Errorf("retries that were taken back: %v", err)
		}
	})
	inBubble(t, "a breaker of a registry, once for each name", func(t *testing.T) {
		log := loggedTo(func(logger *slog.Logger) {
			r := registryFor(t, &presets.Fleet{Defaults: presets.Moderate().WithRetry()})
			r.Attach = func(_ string, p *presets.Policy) { p.Logger = logger }
			_ = protectNothing("protected", in(r, presets.Moderate().WithRetry()))
			for _, name := range []string{"a", "b", "a"} {
				breakerOf(t, r, name)
			}
			if err := r.Apply(&presets.Fleet{Defaults: presets.Moderate().WithRetry()}); err != nil { // makes every Config anew
				t.Error(err)
			}
		})
		if strings.Count(log, "roundtrip.RetryClient") != 2 || strings.Count(log, "breaker=a\n") != 1 || strings.Count(log, "breaker=b\n") != 1 {
			t.Errorf("logged:\n%s", log)
		}
	})
	inBubble(t, "retries of the code that the file does not enable, once for a file", func(t *testing.T) {
		log := loggedTo(func(logger *slog.Logger) {
			r := registryFor(t, &presets.Fleet{Policies: map[string]presets.Policy{"x": presets.Database()}})
			call := presets.MustProtectFunc("x", in(r, presets.Moderate().WithRetry().With(func(p *presets.Policy) { p.Logger = logger })), func(context.Context) error { return nil })
			for range 3 {
				_ = call(t.Context())
			}
		})
		if strings.Count(log, "the code enables") != 1 || !strings.Contains(log, "breaker=x") {
			t.Errorf("logged:\n%s", log)
		}
	})
	t.Run("a logger that panics harms no call", func(t *testing.T) {
		r := registryFor(t, &presets.Fleet{Defaults: presets.Moderate().WithRetry()})
		r.Attach = func(_ string, p *presets.Policy) { p.Logger = slog.New(panicking{}) }
		breakerOf(t, r, "a")
	})
}

// panicking is a log handler that is broken.
type panicking struct{ slog.Handler }

func (panicking) Enabled(context.Context, slog.Level) bool { panic("broken") }

// S2: the original's window was stored and decided nothing.
func TestTheWindowDecides(t *testing.T) {
	alternating := func(b *core.Breaker, n int, fails func(i int) bool) {
		for i := range n {
			_ = b.Do(context.Background(), func(context.Context) error {
				if fails(i) {
					return errDown
				}
				return nil
			})
		}
	}
	for _, g := range presetRows() {
		inBubble(t, g.name+" opens when every second call fails", func(t *testing.T) {
			b, err := g.policy().Breaker("x")
			if err != nil {
				t.Fatal(err)
			}
			alternating(b, 19, func(i int) bool { return i%2 == 0 })
			stateIs(t, b, core.Closed)
			alternating(b, 1000-19, func(i int) bool { return i%2 == 1 })
			stateIs(t, b, core.Open)
			if last := b.Snapshot().Transitions; len(last) == 0 || last[0].Cause != core.CauseFailureRate {
				t.Errorf("the transitions are %v, want an opening by the rate first", last)
			}
		})
		inBubble(t, g.name+" stays closed when one of ten fails", func(t *testing.T) {
			b, err := g.policy().Breaker("x")
			if err != nil {
				t.Fatal(err)
			}
			alternating(b, 1000, func(i int) bool { return i%10 == 9 })
			stateIs(t, b, core.Closed)
		})
	}
	inBubble(t, "a file that gives a window opens on it", func(t *testing.T) {
		for _, doc := range []string{
			"policies: {x: {sliding_window_size: 50, failure_threshold: 1000}}",
			"policies: {x: {preset: none, sliding_window_size: 50, failure_threshold: -1}}",
			"policies: {x: {preset: aggressive, window: {for: 1m}}}",
		} {
			fleet, err := decode(doc)
			if err != nil {
				t.Fatal(err)
			}
			b := breakerOf(t, registryFor(t, fleet), "x")
			alternating(b, 200, func(i int) bool { return i%5 != 0 }) // 80 %, never more than 4 in a row
			if stateIs(t, b, core.Open); b.Snapshot().Transitions[0].Cause != core.CauseFailureRate {
				t.Errorf("%s: it opened by %v, want the rate", doc, b.Snapshot().Transitions[0].Cause)
			}
		}
	})
}

// Every preset keeps the statistics that the docs promise.
func TestEveryPresetKeepsStatistics(t *testing.T) {
	for _, g := range presetRows() {
		inBubble(t, g.name, func(t *testing.T) {
			p := g.policy()
			p.CallTimeout = time.Minute // calls of 6 s end by themselves
			b, err := p.Breaker("x")
			if err != nil {
				t.Fatal(err)
			}
			do := func(took time.Duration, err error) {
				_ = b.Do(t.Context(), func(context.Context) error { time.Sleep(took); return err })
			}
			for range 10 {
				do(time.Second, nil)
			}
			if h := b.Health(); !h.Healthy {
				t.Fatalf("calls of 1 s: %v", h.Reasons)
			}
			for i := range 9 { // a quarter of 12: 25 % lately, 86 % in all
				do(time.Second, nil)
				if i%3 == 0 {
					do(time.Second, errDown)
				}
			}
			snap := b.Snapshot()
			if d := snap.Durations; d.Count != 22 || d.P50 < 900*time.Millisecond || d.P99 > 1100*time.Millisecond || d.Mean < 900*time.Millisecond || d.Mean > 1100*time.Millisecond {
				t.Errorf("the durations are %+v, want 22 of about 1s", d)
			}
			var calls, failures uint64
			for _, i := range snap.History {
				calls, failures = calls+i.Calls, failures+i.Failures
			}
			if calls != 22 || failures != 3 || len(snap.RecentCalls) != 22 {
				t.Errorf("the history has %d calls of which %d failed, and %d recent ones are listed; want 22, 3 and 22", calls, failures, len(snap.RecentCalls))
			}
			if last := snap.RecentCalls[20]; last.Err != errDown.Error() && snap.RecentCalls[19].Err != errDown.Error() {
				t.Errorf("the recent calls are %+v, want the texts of errors", snap.RecentCalls)
			}
			do(0, nil) // not of the minutes that follow
			time.Sleep(6 * time.Minute)
			for i := range 12 {
				do(time.Second, nil)
				if i%3 == 2 {
					do(time.Second, errDown)
				}
			}
			if h := b.Health(); h.Healthy || h.ErrorRate < 0.2 || h.SuccessRate < 0.8 {
				t.Errorf("a quarter failed in the last five minutes: %+v", h)
			}
			time.Sleep(6 * time.Minute)
			for range 3 {
				do(6*time.Second, nil)
			}
			if h := b.Health(); h.Healthy || h.Mean < 5*time.Second || h.ErrorRate > 0 {
				t.Errorf("calls of 6 s: %+v", h)
			}
		})
	}
}

// One call gives the calls and transitions of each breaker, with the texts of errors.
func TestTheRegistryIsWrittenAsJSON(t *testing.T) {
	inBubble(t, "", func(t *testing.T) {
		r := registryFor(t, nil)
		for _, name := range []string{"a", "b"} {
			failing(t, breakerOf(t, r, name), 5)
		}
		var text bytes.Buffer
		if err := r.WriteJSON(&text); err != nil {
			t.Fatal(err)
		}
		var read struct {
			Breakers []core.Snapshot `json:"breakers"`
		}
		if err := json.Unmarshal(text.Bytes(), &read); err != nil {
			t.Fatal(err)
		}
		if len(read.Breakers) != 2 {
			t.Fatalf("%d breakers, want 2", len(read.Breakers))
		}
		for _, s := range read.Breakers {
			if len(s.RecentCalls) != 5 || s.RecentCalls[4].Err != errDown.Error() || len(s.Transitions) != 1 || len(s.History) == 0 || s.Durations.Count != 5 {
				t.Errorf("%s: %+v", s.Name, s)
			}
		}
	})
}
