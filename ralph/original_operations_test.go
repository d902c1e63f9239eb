package ralph_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/core/failsafe"
	"github.com/blackbox4/switchgear/ralph"
	"github.com/blackbox4/switchgear/ralph/detect"
)

// One test for each feature of the original system that this package continues.
// Each fails on what the original did.

// The original took its readings on the caller's path, for a second, at every call.
func TestVitalsDoNotHoldTheCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		vitals, err := failsafe.New(failsafe.Config{CPU: -1, Disk: -1, Memory: 1, Margin: -1, Samples: 1}) // any machine is over that
		if err != nil {
			t.Fatal(err)
		}
		cfg := plain()
		cfg.Vitals = vitals
		s, d := supervise(t, cfg)
		defer closeNow(t, s)
		a := monitor(t, s, "a", ralph.Options{})
		begun := time.Now()
		for range 1000 {
			if err := errors.Join(iterate(a, nil), a.AllowModelCall(t.Context()), a.AllowTool(t.Context(), "search", "{}")); err != nil {
				t.Fatal(err)
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		go vitals.Run(ctx)
		synctest.Wait()
		for i := range 100 {
			for _, err := range []error{iterate(a, nil), a.AllowModelCall(t.Context()), a.AllowTool(t.Context(), "search", word(i))} {
				if !errors.Is(err, failsafe.ErrFailsafe) {
					t.Fatal(err)
				}
			}
		}
		if d := time.Since(begun); d != 0 {
			t.Errorf("3300 calls took %v", d)
		}
		c := status(t, s, "a").Cause
		if c.Rule != "memory" || c.Threshold != 1 || c.Count < 1 || c.Count > 100 || c.Severity < failsafe.Medium {
			t.Errorf("paused for %+v", c)
		}
		found, err := s.Detect("a")
		if err != nil || len(found) != 2 || found[0].Type != failsafe.Memory || found[1].Type != failsafe.Memory { // the agent's and the host's
			t.Errorf("detected %+v, %v", found, err)
		}
		if n := len(d.of(ralph.EventPaused)) + len(d.of(ralph.EventEscalated)); n == 0 {
			t.Error("no event")
		}
		cancel()
		synctest.Wait()
	})
}

func TestErrorRateSeverities(t *testing.T) {
	for name, c := range map[string]struct {
		bad, of  int // steps, failures spread evenly
		every    time.Duration
		want     ralph.State
		severity failsafe.Severity
	}{
		"40 %":             {4, 10, time.Second, ralph.Running, 0},
		"50 %":             {5, 10, time.Second, ralph.Paused, failsafe.Medium},
		"70 %":             {7, 10, time.Second, ralph.Escalated, failsafe.High},
		"90 %":             {9, 10, time.Second, ralph.Escalated, failsafe.Critical},
		"too few":          {5, 9, time.Second, ralph.Running, 0},
		"not in the 60 s":  {10, 10, 20 * time.Second, ralph.Running, 0},
		"just in the 60 s": {5, 10, 5 * time.Second, ralph.Paused, failsafe.Medium},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cfg := plain()
				off := detect.Limits{Nudge: -1, Trip: -1}
				cfg.Profile, cfg.Rules.Errors, cfg.Rules.ErrorsAlike, cfg.Rules.SameError = detect.ProfileStrict, off, off, off
				s, _ := supervise(t, cfg)
				defer closeNow(t, s)
				a := monitor(t, s, "a", ralph.Options{})
				observe(t, a, fresh(0))
				time.Sleep(time.Minute) // before that there is no rate
				for i := range c.of {   // what went well comes first, so that the share only grows to what it is in the end
					observe(t, a, detect.Step{Tool: "t" + word(i), Failed: i >= c.of-c.bad})
					time.Sleep(c.every)
				}
				st := status(t, s, "a")
				if st.State != c.want || st.Cause.Severity != c.severity || c.severity > 0 && st.Cause.Rule != "error_rate" {
					t.Errorf("%v for %v", st.State, st.Cause)
				}
			})
		})
	}
}

func TestConsecutiveErrorsPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := plain()
		cfg.Profile = detect.ProfileStrict
		s, _ := supervise(t, cfg)
		defer closeNow(t, s)
		a := monitor(t, s, "a", ralph.Options{})
		for i := range 5 {
			wantState(t, s, "a", ralph.Running)
			observe(t, a, detect.Step{Tool: "t" + word(i), Err: "cannot " + word(i*3)}) // five different ones
		}
		if st := status(t, s, "a"); st.State != ralph.Escalated || st.Cause.Rule != "errors" || st.Cause.Count != 5 || st.Cause.Severity != failsafe.High {
			t.Errorf("%v for %v", st.State, st.Cause)
		}
	})
}

// The original never read how many iterations without progress are too many, and
// had 120 s built in.
func TestLimitsOfTheOriginal(t *testing.T) {
	for name, c := range map[string]struct {
		set      func(*ralph.Config)
		progress bool                               // it tells tokens
		play     func(a *ralph.Agent, i int)        // once a second
		want     func(i int, at time.Duration) bool // when it must be found
		state    ralph.State
		rule     string
	}{
		"iterations": {
			play: func(a *ralph.Agent, _ int) { _ = iterate(a, nil) },
			want: func(i int, _ time.Duration) bool { return i == 100 }, state: ralph.Escalated, rule: "iterations",
		},
		"iterations, set": {
			set:  func(cfg *ralph.Config) { cfg.Rules.Budgets.Iterations = 7 },
			play: func(a *ralph.Agent, _ int) { _ = iterate(a, nil) },
			want: func(i int, _ time.Duration) bool { return i == 7 }, state: ralph.Escalated, rule: "iterations",
		},
		"300 s": {
			play: func(a *ralph.Agent, i int) {
				if i == 0 {
					_, _ = a.Observe(fresh(0))
				}
			},
			want: func(_ int, at time.Duration) bool { return at == 300*time.Second }, state: ralph.Escalated, rule: "wall",
		},
		"no progress for 120 s": {
			progress: true,
			play:     func(*ralph.Agent, int) {},
			want:     func(_ int, at time.Duration) bool { return at == 120*time.Second }, state: ralph.Paused, rule: "no_progress",
		},
		"no progress for 40 s": {
			set:      func(cfg *ralph.Config) { cfg.Rules.NoProgressFor.Trip = 40 * time.Second },
			progress: true,
			play:     func(*ralph.Agent, int) {},
			want:     func(_ int, at time.Duration) bool { return at == 40*time.Second }, state: ralph.Paused, rule: "no_progress",
		},
		"10 iterations without progress": {
			progress: true,
			play:     func(a *ralph.Agent, _ int) { _ = iterate(a, nil); a.Progress("same") },
			want:     func(i int, _ time.Duration) bool { return i == 10 }, state: ralph.Paused, rule: "no_progress",
		},
		"4 iterations without progress": {
			set:      func(cfg *ralph.Config) { cfg.Rules.NoProgress.Trip = 4 },
			progress: true,
			play:     func(a *ralph.Agent, _ int) { _ = iterate(a, nil); a.Progress("same") },
			want:     func(i int, _ time.Duration) bool { return i == 4 }, state: ralph.Paused, rule: "no_progress",
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cfg := ralph.Config{ResumeJitter: -1, Profile: detect.ProfileStrict} // with the rules' defaults
				if c.set != nil {
					c.set(&cfg)
				}
				s, _ := supervise(t, cfg)
				defer closeNow(t, s)
				a := monitor(t, s, "a", ralph.Options{})
				if c.progress {
					a.Progress("same")
				}
				begun := time.Now()
				for i := 0; ; i++ {
					if st := status(t, s, "a"); st.State != ralph.Running {
						if !c.want(i, time.Since(begun)) || st.State != c.state || st.Cause.Rule != c.rule {
							t.Errorf("after %d and %v it is %v for %v", i, time.Since(begun), st.State, st.Cause)
						}
						return
					}
					if i > 1000 {
						t.Fatal("it runs on and on")
					}
					c.play(a, i)
					if state(t, s, "a") == ralph.Running {
						time.Sleep(time.Second)
						synctest.Wait()
					}
				}
			})
		})
	}
}

func TestConfidenceThresholds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, d := supervise(t, plain())
		defer closeNow(t, s)
		for id, c := range map[string]struct {
			value    float64
			want     ralph.State
			severity failsafe.Severity
		}{
			"sure": {0.8, ralph.Running, 0}, "0.3": {0.3, ralph.Running, 0}, "below": {0.29, ralph.Paused, failsafe.Medium}, "0.1": {0.1, ralph.Escalated, failsafe.High},
		} {
			a := monitor(t, s, id, ralph.Options{})
			for i := range 4 {
				step := fresh(i)
				step.Confidence = &c.value
				observe(t, a, step)
			}
			if st := status(t, s, id); st.State != c.want || st.Cause.Severity != c.severity || c.severity > 0 && st.Cause.Rule != "confidence" || *st.Confidence != c.value {
				t.Errorf("%s: %v for %v", id, st.State, st.Cause)
			}
		}
		if len(d.of(ralph.EventNudged)) == 0 {
			t.Error("no agent was nudged")
		}
	})
}

func TestConditionsOfAnAgent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, cfg := new(host), plain()
		cfg.Vitals = h
		s, _ := supervise(t, cfg)
		defer closeNow(t, s)
		a := monitor(t, s, "a", ralph.Options{})
		if found, err := s.Detect("a"); err != nil || len(found) != 0 {
			t.Errorf("of a new agent: %v, %v", found, err)
		}
		for range 3 {
			observe(t, a, doing("search", "{}"))
		}
		h.set(hot(failsafe.High))
		found, err := s.Detect("a")
		if err != nil || len(found) != 2 || found[0].Type != failsafe.CPU || found[1].Type != "repeat" || found[1].Message == "" {
			t.Errorf("nudged, on a hot host: %+v, %v", found, err)
		}
		h.set()
		for range 2 {
			observe(t, a, doing("search", "{}"))
		}
		found, err = s.Detect("a")
		if err != nil || len(found) != 1 {
			t.Fatalf("%+v, %v", found, err)
		}
		if c := found[0]; c.Type != "repeat" || c.Severity != failsafe.High || c.Message == "" || c.Threshold != 5 || c.Value != 5 || !c.At.Equal(time.Now()) || c.Metadata["reason"] != "stuck" {
			t.Errorf("%+v", c)
		}
	})
}

// TestOperationsOfTheOriginal calls each operation of the original by its new name.
func TestOperationsOfTheOriginal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, d := supervise(t, plain())
		defer closeNow(t, s)
		a, err := s.Monitor("a", ralph.Options{Name: "writer"}) // monitor
		if err != nil {
			t.Fatal(err)
		}
		if again, err := s.Monitor("a", ralph.Options{}); again != a || err != nil {
			t.Errorf("monitored again: %v", err)
		}
		called := 0
		work := func(context.Context) error { called++; return nil }
		if err := a.Execute(t.Context(), work); err != nil || called != 1 { // execute
			t.Error(err)
		}
		if _, err := core.Do(t.Context(), a, func(ctx context.Context) (int, error) { return 0, work(ctx) }); err != nil || called != 2 {
			t.Error(err)
		}
		if _, err := s.Detect("a"); err != nil { // detect
			t.Error(err)
		}
		if err := s.Pause("a", detect.ReasonTransient, "eve", "the network is down"); err != nil { // pause
			t.Error(err)
		}
		if err := a.Execute(t.Context(), work); !errors.Is(err, ralph.ErrAgentPaused) || called != 2 {
			t.Error(err)
		}
		time.Sleep(31 * time.Second) // auto_resume
		synctest.Wait()
		wantState(t, s, "a", ralph.Recovering)
		if err := s.Resume("a", "eve", ""); err != nil { // resume
			t.Error(err)
		}
		observe(t, a, detect.Step{Tool: "search", Tokens: 5}) // update
		a.Progress("x")
		if err := s.Update("a", ralph.Options{Name: "editor", Budget: detect.Budgets{Tokens: 100}}); err != nil {
			t.Error(err)
		}
		monitor(t, s, "b", ralph.Options{})
		st, err := s.Status("a") // status
		if err != nil || st.Name != "editor" || st.Totals.Iterations != 2 || st.Used.Tokens != 5 || st.Budget.Tokens != 100 {
			t.Errorf("%+v, %v", st, err)
		}
		if all := s.Statuses(); len(all) != 2 || all[0].ID != "a" || all[1].ID != "b" { // all statuses
			t.Errorf("%+v", all)
		}
		if err := s.Reset("a"); err != nil { // reset
			t.Error(err)
		}
		if st := status(t, s, "a"); st.Totals.Iterations != 0 || st.Used.Tokens != 0 || st.State != ralph.Running {
			t.Errorf("%+v", st)
		}
		if got := d.kinds("a"); got != "paused resumed resumed budget reset" {
			t.Error(got)
		}
	})
}

// The original overwrote ESCALATED by PAUSED, never counted an attempt and never
// set RECOVERING.
func TestStates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, d := supervise(t, plain())
		defer closeNow(t, s)
		a := monitor(t, s, "a", ralph.Options{})
		stall(t, a)
		paused := time.Now()
		st := status(t, s, "a")
		if st.State != ralph.Paused || !st.Since.Equal(paused) || st.Cause.Reason != detect.ReasonStuck {
			t.Errorf("%+v", st)
		}
		time.Sleep(31 * time.Second)
		synctest.Wait()
		if st := status(t, s, "a"); st.State != ralph.Recovering || st.Attempts != 1 {
			t.Errorf("%+v", st)
		}
		for range 6 { // something high
			observe(t, a, doing("search", "{}"))
		}
		wantState(t, s, "a", ralph.Escalated)
		stall(t, a) // something medium after it
		if err := s.Pause("a", detect.ReasonStuck, "eve", "pause it, too"); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Hour)
		wantState(t, s, "a", ralph.Escalated)
		if got := d.kinds("a"); got != "paused resumed escalated" {
			t.Error(got)
		}
		// What is worse gets through to an agent that is merely paused.
		b := monitor(t, s, "b", ralph.Options{})
		stall(t, b)
		for range 5 {
			observe(t, b, doing("search", "{}"))
		}
		wantState(t, s, "b", ralph.Escalated)
	})
}

// The original's scheduling of a resume was a stub.
func TestAutoResume(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, cfg := new(host), plain()
		cfg.Vitals = h
		s, _ := supervise(t, cfg)
		defer closeNow(t, s)
		// On its own, after 30 s.
		stall(t, monitor(t, s, "plain", ralph.Options{}))
		time.Sleep(30*time.Second + 1)
		synctest.Wait()
		wantState(t, s, "plain", ralph.Recovering)
		// Not where it is not safe, and as soon as it is again.
		stall(t, monitor(t, s, "hot", ralph.Options{}))
		h.set(hot(failsafe.High))
		time.Sleep(30*time.Second + 1)
		synctest.Wait()
		wantState(t, s, "hot", ralph.Paused)
		h.set()
		time.Sleep(30*time.Second + 1)
		synctest.Wait()
		wantState(t, s, "hot", ralph.Recovering)
		// Not while the circuit is open: TestWaitsForTheCircuit. At most three
		// times: TestTrialNeedsProgress. Not if it is off:
		cfg.AutoResumeAfter = -1
		off, _ := supervise(t, cfg)
		defer closeNow(t, off)
		stall(t, monitor(t, off, "a", ralph.Options{}))
		time.Sleep(119 * time.Second)
		wantState(t, off, "a", ralph.Paused)
	})
}

// The original never read the escalation timeout.
func TestEscalationForAPerson(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, cfg := new(host), plain()
		cfg.Vitals, cfg.EscalationTimeout = h, 100*time.Second
		var told []string
		cfg.OnEvent = func(e ralph.Event) {
			if e.Kind == ralph.EventEscalated {
				told = append(told, e.Agent+" "+e.Cause.Rule)
			}
		}
		s, _ := supervise(t, cfg)
		defer closeNow(t, s)
		a := monitor(t, s, "hot", ralph.Options{})
		h.set(hot(failsafe.Medium))
		if err := iterate(a, nil); err == nil {
			t.Fatal("admitted")
		}
		for range 100 {
			synctest.Wait()
			wantState(t, s, "hot", ralph.Paused)
			time.Sleep(time.Second)
		}
		synctest.Wait()
		wantState(t, s, "hot", ralph.Escalated)
		// At once for what is high.
		h.set(hot(failsafe.High))
		if err := iterate(monitor(t, s, "hotter", ralph.Options{}), nil); err == nil {
			t.Fatal("admitted")
		}
		wantState(t, s, "hotter", ralph.Escalated)
		h.set()
		time.Sleep(time.Hour)
		wantState(t, s, "hot", ralph.Escalated)
		if got := strings.Join(told, ", "); got != "hot cpu, hotter cpu" {
			t.Errorf("told %q", got)
		}
	})
}

func TestRefusalErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, cfg := new(host), plain()
		cfg.Vitals = h
		s, _ := supervise(t, cfg)
		defer closeNow(t, s)
		ctx := t.Context()

		// AgentPausedError and FailsafeTriggeredError
		a := monitor(t, s, "a", ralph.Options{})
		stall(t, a)
		for _, err := range []error{iterate(a, nil), a.AllowModelCall(ctx), a.AllowTool(ctx, "x", ""), a.Execute(ctx, func(context.Context) error { return nil })} {
			err = fmt.Errorf("wrapped: %w", err)
			if !errors.Is(err, ralph.ErrAgentPaused) || !errors.Is(err, failsafe.ErrFailsafe) || !errors.Is(err, core.ErrOpen) || core.DefaultClassify(ctx, err) != core.Ignored {
				t.Errorf("%v", err)
			}
			if f, ok := errors.AsType[*failsafe.Error](err); !ok || f.Conditions[0].Type != "empty" {
				t.Errorf("%+v", f)
			}
			if o, ok := errors.AsType[*core.OpenError](err); !ok || o.Name != "a" || o.RetryAt.IsZero() { // for the adapters' Retry-After
				t.Errorf("%+v", o)
			}
		}
		// by hand it is no failsafe
		b := monitor(t, s, "b", ralph.Options{})
		_ = s.Pause("b", 0, "eve", "")
		if err := iterate(b, nil); !errors.Is(err, ralph.ErrAgentPaused) || errors.Is(err, failsafe.ErrFailsafe) {
			t.Error(err)
		}
		// the host
		c := monitor(t, s, "c", ralph.Options{})
		h.set(hot(failsafe.Medium))
		if err := iterate(c, nil); !errors.Is(err, ralph.ErrAgentPaused) || !errors.Is(err, failsafe.ErrFailsafe) {
			t.Error(err)
		}
		h.set()
		// CircuitBreakerOpenError
		cfg.Rules.Failures = detect.Limits{Nudge: -1, Trip: -1}
		s2, _ := supervise(t, cfg)
		defer closeNow(t, s2)
		e := monitor(t, s2, "e", ralph.Options{})
		for range 3 {
			_ = iterate(e, errWork)
		}
		if err := iterate(e, nil); !errors.Is(err, core.ErrOpen) || errors.Is(err, ralph.ErrAgentPaused) {
			t.Error(err)
		}
		// an unknown agent, and a supervisor that is closed
		if _, err := s.Status("nobody"); !errors.Is(err, ralph.ErrUnknownAgent) || !strings.Contains(err.Error(), "nobody") {
			t.Error(err)
		}
	})
}
