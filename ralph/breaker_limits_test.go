package ralph_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/presets"
	"github.com/blackbox4/switchgear/ralph"
	"github.com/blackbox4/switchgear/ralph/detect"
)

// TestOpenBreakerPausesItsAgent: an agent whose iterations fail alternately never fails
// often enough in a row for the rule; its breaker opens by the rate.
func TestOpenBreakerPausesItsAgent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := supervise(t, ralph.Config{})
		defer closeNow(t, s)
		a := monitor(t, s, "a", ralph.Options{})
		var err error
		for i := 0; err == nil && i < 60; i++ {
			var fault error
			if i%2 == 1 {
				fault = errWork
			}
			if err = iterate(a, fault); errors.Is(err, errWork) {
				err = nil
			}
		}
		open, ok := errors.AsType[*core.OpenError](err)
		st := status(t, s, "a")
		if !ok || open.Name != "a" || st.State != ralph.Paused || st.Cause.Rule != ralph.RuleBreaker || st.ResumeAt.IsZero() {
			t.Errorf("%v: %+v", err, st)
		}
		if err := iterate(a, nil); !errors.Is(err, ralph.ErrAgentPaused) {
			t.Error(err)
		}
	})
}

// What Validate accepts is what the first call works with.
func TestManyFailuresAreAllowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, c := range []ralph.Config{
			{AgentFailureThreshold: 1000, Rules: detect.Rules{Budgets: detect.Budgets{Iterations: 1000}}},
			{Rules: detect.Rules{Failures: detect.Limits{Nudge: -1, Trip: 5000}}},
		} {
			s, err := ralph.New(c)
			if err != nil {
				t.Fatal(err)
			}
			a := monitor(t, s, "a", ralph.Options{})
			for range 50 {
				if err := a.Execute(t.Context(), func(context.Context) error { return errors.New("sick") }); errors.Is(err, core.ErrOpen) {
					t.Fatalf("%+v: %v", c, err)
				}
			}
			closeNow(t, s)
		}
	})
}

// A breaker that opens before the agent is paused refuses it, and no person is told.
func TestBreakersThatOpenByTheirRateFirst(t *testing.T) {
	for name, c := range map[string]ralph.Config{
		"a low rate":      {Breaker: core.Config{FailureRateThreshold: 0.1, MinimumCalls: 1}},
		"one call":        {Breaker: core.Config{Window: core.Window{Calls: 1}}},
		"a short window":  {AgentFailureThreshold: 20, Breaker: core.Config{Window: core.Window{Calls: 10}}},
		"no minimum":      {Breaker: core.Config{MinimumCalls: -1}},
		"a slow rate too": {Breaker: core.Config{SlowRateThreshold: 0.1, SlowAfter: 1, MinimumCalls: 2}},
	} {
		var fault *core.ConfigError
		if err := c.Validate(); !errors.As(err, &fault) || fault.Field != "Breaker.MinimumCalls" {
			t.Errorf("%s: %v", name, err)
		}
		c.Breaker.FailureRateThreshold = -1
		if name != "a slow rate too" {
			c.Breaker.Window, c.Breaker.MinimumCalls = core.Window{}, 0
		}
		if err := c.Validate(); err != nil {
			t.Errorf("%s, switched off: %v", name, err)
		}
	}
	for _, trip := range []int{-1, 0, 3, 10, 11, 49, 50, 51, 1000} {
		if err := (ralph.Config{AgentFailureThreshold: trip, Rules: detect.Rules{Budgets: detect.Budgets{Iterations: -1}}}).Validate(); err != nil {
			t.Errorf("%d: %v", trip, err)
		}
	}
}

// The breaker of the section takes the original's name for its window, too.
func TestTheSectionsBreakerHasAWindowSize(t *testing.T) {
	cfg, err := section(t, "ralph: {breaker: {sliding_window_size: 40}}")
	if err != nil || cfg.Breaker.Window.Calls != 40 {
		t.Errorf("%+v, %v", cfg.Breaker.Window, err)
	}
	var fault *presets.FileError
	if _, err := section(t, "ralph:\n  breaker:\n    sliding_window_size: 40\n    window: {calls: 50}"); !errors.As(err, &fault) || fault.Line != 4 {
		t.Errorf("both names: %v", err)
	}
}
