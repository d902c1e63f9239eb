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

// plain is a Config without chance.
func plain() ralph.Config { return ralph.Config{Rules: steady(), ResumeJitter: -1} }

// stall makes an agent pause for a medium cause that is its own.
func stall(t *testing.T, a *ralph.Agent) {
	t.Helper()
	for range 3 {
		if _, err := a.Observe(detect.Step{Output: "Let me think about this."}); err != nil {
			t.Fatal(err)
		}
	}
}

func TestPauseAndResumeOnTrial(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, d := supervise(t, plain())
		defer closeNow(t, s)
		a := monitor(t, s, "a", ralph.Options{Name: "writer"})
		begun := time.Now()
		stall(t, a)
		wantState(t, s, "a", ralph.Paused)

		refusal, ok := errors.AsType[*ralph.PausedError](a.AllowModelCall(t.Context()))
		if !ok || refusal.State != ralph.Paused || refusal.Cause.Rule != "empty" || refusal.Cause.Count != 3 || refusal.Cause.Threshold != 3 ||
			!refusal.RetryAt.Equal(begun.Add(30*time.Second)) || refusal.RetryAfter() != 30*time.Second {
			t.Errorf("refused with %+v", refusal)
		}
		time.Sleep(30*time.Second - 1)
		wantState(t, s, "a", ralph.Paused)
		time.Sleep(2 * time.Nanosecond)
		synctest.Wait()
		wantState(t, s, "a", ralph.Recovering)
		if err := iterate(a, nil); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		wantState(t, s, "a", ralph.Running) // nothing was observed, so the iteration is all there is
		if got, want := d.kinds("a"), "paused resumed recovered"; got != want {
			t.Errorf("events %q, want %q", got, want)
		}
	})
}

// TestTrialNeedsProgress: k iterations without progress pause it again, for longer,
// and the fourth pause is an escalation.
func TestTrialNeedsProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, d := supervise(t, plain())
		defer closeNow(t, s)
		a := monitor(t, s, "a", ralph.Options{})
		a.Progress("one") // it has tokens
		stall(t, a)
		for attempt, after := range []time.Duration{30 * time.Second, time.Minute, 2 * time.Minute} {
			wantState(t, s, "a", ralph.Paused)
			st := status(t, s, "a")
			if got := time.Until(st.ResumeAt); got != after {
				t.Fatalf("resumed in %v, want %v", got, after)
			}
			time.Sleep(after)
			synctest.Wait()
			wantState(t, s, "a", ralph.Recovering)
			for i := range 3 {
				if err := iterate(a, nil); err != nil {
					t.Fatalf("attempt %d, iteration %d: %v", attempt+1, i+1, err)
				}
				a.Progress("one") // nothing new
			}
			if err := iterate(a, nil); !refusedByAgent(err) {
				t.Fatalf("a fourth iteration: %v", err)
			}
		}
		wantState(t, s, "a", ralph.Escalated)
		e := d.of(ralph.EventEscalated)
		if len(e) != 1 || e[0].Attempt != 3 || e[0].Cause.Rule != ralph.RuleRecovery || e[0].Cause.Count != 3 || e[0].Cause.Threshold != 3 || !strings.Contains(e[0].Note, "3 times") {
			t.Errorf("escalated with %+v", e)
		}
		time.Sleep(24 * time.Hour)
		wantState(t, s, "a", ralph.Escalated)
		if err := s.Resume("a", "eve", "carry on"); err != nil {
			t.Fatal(err)
		}
		wantState(t, s, "a", ralph.Running)
		if got := status(t, s, "a"); got.Attempts != 0 || got.Cause.Rule != "" {
			t.Errorf("after a person resumed it: %+v", got)
		}
	})
}

func TestTrialEndsWithANewToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := supervise(t, plain())
		defer closeNow(t, s)
		a := monitor(t, s, "a", ralph.Options{})
		a.Progress("one")
		a.Progress("two")
		stall(t, a)
		time.Sleep(31 * time.Second)
		synctest.Wait()
		for i := range 3 {
			if err := iterate(a, nil); err != nil {
				t.Fatal(i, err)
			}
			wantState(t, s, "a", ralph.Recovering)
		}
		if a.Progress("one") || state(t, s, "a") != ralph.Recovering {
			t.Fatal("an old token was progress")
		}
		if !a.Progress("three") { // after the third iteration, whose fruit it is
			t.Fatal("a new token was no progress")
		}
		wantState(t, s, "a", ralph.Running)
	})
}

func TestTrialBudgets(t *testing.T) {
	for name, c := range map[string]struct {
		probe ralph.Probation
		step  detect.Step
		steps int // that are admitted
	}{
		"steps":  {ralph.Probation{Steps: 4}, doing("poll", "{}"), 4},
		"tokens": {ralph.Probation{Tokens: 1000}, detect.Step{Tool: "ask", Tokens: 400}, 3},
		"cost":   {ralph.Probation{Cost: 1}, detect.Step{Tool: "ask", Cost: 0.5}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cfg := plain()
				cfg.Probation = c.probe
				cfg.Rules.Tools = map[string]detect.Class{"poll": detect.ClassUnjudged, "ask": detect.ClassUnjudged}
				s, d := supervise(t, cfg)
				defer closeNow(t, s)
				a := monitor(t, s, "a", ralph.Options{})
				a.Progress("start")
				stall(t, a)
				time.Sleep(31 * time.Second)
				synctest.Wait()
				n := 0
				for ; a.AllowModelCall(t.Context()) == nil && n < 100; n++ {
					observe(t, a, c.step)
				}
				if n != c.steps {
					t.Errorf("%d steps were admitted, want %d", n, c.steps)
				}
				if e := d.of(ralph.EventPaused); len(e) != 2 || e[1].Cause.Rule != ralph.RuleRecovery || !strings.Contains(e[1].Cause.Message, name) {
					t.Errorf("paused for %+v", e)
				}
			})
		})
	}
}

// TestProbesAtOnce: no more than k iterations are out on probation.
func TestProbesAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := supervise(t, plain())
		defer closeNow(t, s)
		a := monitor(t, s, "a", ralph.Options{})
		stall(t, a)
		time.Sleep(31 * time.Second)
		synctest.Wait()
		var out []*core.Permit
		for range 3 {
			p, err := a.AllowIteration(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			kept := p.Move()
			out = append(out, &kept)
		}
		_, err := a.AllowIteration(t.Context())
		if r, ok := errors.AsType[*ralph.PausedError](err); !ok || r.State != ralph.Recovering || !strings.Contains(r.Error(), "on probation") {
			t.Errorf("a fourth at once: %v", err)
		}
		wantState(t, s, "a", ralph.Recovering)
		for _, p := range out {
			p.Settle(t.Context(), core.Success)
		}
		wantState(t, s, "a", ralph.Running)
	})
}

// TestEscalation: at once for what is high, and for a pause that lasts.
func TestEscalation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, d := supervise(t, plain())
		defer closeNow(t, s)
		a := monitor(t, s, "a", ralph.Options{})
		for range 5 {
			observe(t, a, doing("search", "{}"))
		}
		wantState(t, s, "a", ralph.Escalated)
		if e := d.of(ralph.EventEscalated); len(e) != 1 || e[0].Cause.Rule != "repeat" || e[0].Cause.Severity != failsafe.High || len(e[0].Cause.Evidence) == 0 {
			t.Errorf("escalated with %+v", e)
		}

		b := monitor(t, s, "b", ralph.Options{})
		if err := s.Pause("b", 0, "eve", "wait for me"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2*time.Minute - 1)
		wantState(t, s, "b", ralph.Paused)
		time.Sleep(2 * time.Nanosecond)
		synctest.Wait()
		wantState(t, s, "b", ralph.Escalated)
		if err := b.AllowModelCall(t.Context()); !refusedByAgent(err) {
			t.Error(err)
		}
	})
}

// TestHostPauses: what the host's gate says pauses at either gate, is over when it
// is, and the resume waits for that.
func TestHostPauses(t *testing.T) {
	for _, gate := range []string{"iteration", "model"} {
		t.Run(gate, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h, cfg := new(host), plain()
				cfg.Vitals = h
				s, d := supervise(t, cfg)
				defer closeNow(t, s)
				a := monitor(t, s, "a", ralph.Options{})
				ask := func() error {
					if gate == "model" {
						return a.AllowModelCall(t.Context())
					}
					return iterate(a, nil)
				}
				if err := ask(); err != nil {
					t.Fatal(err)
				}
				h.set(hot(failsafe.Medium))
				err := ask()
				if !refusedByAgent(err) || !errors.Is(err, failsafe.ErrFailsafe) || !errors.Is(err, core.ErrOpen) {
					t.Errorf("refused with %v", err)
				}
				if f, ok := errors.AsType[*failsafe.Error](err); !ok || f.Conditions[0].Type != failsafe.CPU {
					t.Errorf("no condition in %v", err)
				}
				time.Sleep(45 * time.Second) // at 30 s it is still hot
				wantState(t, s, "a", ralph.Paused)
				h.set()
				time.Sleep(16 * time.Second)
				synctest.Wait()
				wantState(t, s, "a", ralph.Recovering)
				if e := d.of(ralph.EventPaused); len(e) != 1 || e[0].Cause.Rule != "cpu" || e[0].Cause.Reason != detect.ReasonTransient || e[0].Cause.Count != 93 || e[0].Cause.Threshold != 90 {
					t.Errorf("paused for %+v", e)
				}

				h.set(hot(failsafe.Critical))
				if err := ask(); !errors.Is(err, failsafe.ErrFailsafe) {
					t.Error(err)
				}
				wantState(t, s, "a", ralph.Escalated)
			})
		})
	}
}

// TestWaitsForTheCircuit: an agent is not resumed while its breaker is open.
func TestWaitsForTheCircuit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, d := supervise(t, plain())
		defer closeNow(t, s)
		a := monitor(t, s, "a", ralph.Options{})
		for range 3 {
			if err := iterate(a, errWork); err != nil {
				t.Fatal(err)
			}
		}
		wantState(t, s, "a", ralph.Paused)
		if st := status(t, s, "a"); st.Breaker != core.Open || st.Cause.Rule != "failures" || st.Cause.Reason != detect.ReasonFailing {
			t.Fatalf("%+v", st)
		}
		time.Sleep(59 * time.Second)
		wantState(t, s, "a", ralph.Paused)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		wantState(t, s, "a", ralph.Recovering)
		if err := iterate(a, nil); err != nil {
			t.Fatal(err)
		}
		wantState(t, s, "a", ralph.Running)
		if got := d.kinds("a"); got != "paused resumed recovered" {
			t.Error(got)
		}
	})
}

// TestBreakerRefuses: with the rule off, the breaker alone refuses.
func TestBreakerRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := plain()
		cfg.Rules.Failures = detect.Limits{Nudge: -1, Trip: -1}
		s, _ := supervise(t, cfg)
		defer closeNow(t, s)
		a := monitor(t, s, "a", ralph.Options{})
		for range 3 {
			if err := iterate(a, errWork); err != nil {
				t.Fatal(err)
			}
		}
		err := iterate(a, nil)
		if !errors.Is(err, core.ErrOpen) || refusedByAgent(err) {
			t.Errorf("refused with %v", err)
		}
		if open, ok := errors.AsType[*core.OpenError](err); !ok || open.Name != "a" || time.Until(open.RetryAt) != time.Minute {
			t.Errorf("refused with %+v", open)
		}
		wantState(t, s, "a", ralph.Running)
	})
}

// TestCallTimeout: the breaker's CallTimeout is the iteration's, 2 min by default.
func TestCallTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := supervise(t, plain())
		defer closeNow(t, s)
		a := monitor(t, s, "a", ralph.Options{})
		begun := time.Now()
		hang := func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
		if err := a.Execute(t.Context(), hang); !errors.Is(err, context.DeadlineExceeded) || time.Since(begun) != 2*time.Minute {
			t.Errorf("%v after %v", err, time.Since(begun))
		}
		_, err := core.Do(t.Context(), a, func(ctx context.Context) (int, error) { return 0, hang(ctx) })
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(begun) != 4*time.Minute {
			t.Errorf("%v after %v", err, time.Since(begun))
		}
		if got := status(t, s, "a").Totals; got.Iterations != 2 || got.Failures != 2 {
			t.Errorf("counted %+v", got)
		}
	})
}

// TestAttemptsAreForgotten: after it has run well for long enough.
func TestAttemptsAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := supervise(t, plain())
		defer closeNow(t, s)
		a := monitor(t, s, "a", ralph.Options{})
		for i := range 5 {
			stall(t, a)
			if got := status(t, s, "a").Attempts; got != 0 {
				t.Fatalf("round %d: %d attempts", i, got)
			}
			time.Sleep(31 * time.Second)
			synctest.Wait()
			if err := iterate(a, nil); err != nil {
				t.Fatal(err)
			}
			wantState(t, s, "a", ralph.Running)
			time.Sleep(30 * time.Minute)
		}
	})
}

// TestResumeBeforeEscalation: a wait that grows does not outgrow the time after
// which there would be nothing left to resume.
func TestResumeBeforeEscalation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := plain()
		cfg.AutoResumeAfter, cfg.ResumeJitter = 50*time.Second, 0.5
		s, _ := supervise(t, cfg)
		defer closeNow(t, s)
		a := monitor(t, s, "a", ralph.Options{})
		for range 3 {
			stall(t, a)
			time.Sleep(120 * time.Second)
			synctest.Wait()
			wantState(t, s, "a", ralph.Recovering)
		}
	})
}

func TestJitterOnlyLengthens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := plain()
		cfg.ResumeJitter = 0 // the default
		s, _ := supervise(t, cfg)
		defer closeNow(t, s)
		seen := make(map[time.Duration]bool)
		for i := range 50 {
			id := fmt.Sprint("a", i)
			stall(t, monitor(t, s, id, ralph.Options{}))
			after := time.Until(status(t, s, id).ResumeAt)
			if after < 30*time.Second || after >= 33*time.Second {
				t.Fatalf("resumed in %v", after)
			}
			seen[after] = true
		}
		if len(seen) < 25 {
			t.Errorf("only %d different times of 50", len(seen))
		}
	})
}

func TestStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, d := supervise(t, plain())
		defer closeNow(t, s)
		a := monitor(t, s, "a", ralph.Options{})
		if err := s.Stop("a", "eve", "done"); err != nil {
			t.Fatal(err)
		}
		err := iterate(a, nil)
		r, ok := errors.AsType[*ralph.PausedError](err)
		if !ok || r.State != ralph.Stopped || errors.Is(err, failsafe.ErrFailsafe) || !strings.Contains(r.ToolResult(), "over") {
			t.Errorf("refused with %v", err)
		}
		time.Sleep(time.Hour)
		wantState(t, s, "a", ralph.Stopped)
		if e := d.of(ralph.EventStopped); len(e) != 1 || e[0].By != "eve" || e[0].Note != "done" {
			t.Errorf("%+v", e)
		}
		if err := s.Resume("a", "eve", ""); err != nil {
			t.Fatal(err)
		}
		if err := iterate(a, nil); err != nil {
			t.Error(err)
		}
	})
}

func TestReset(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := supervise(t, plain())
		defer closeNow(t, s)
		a := monitor(t, s, "a", ralph.Options{})
		for range 5 {
			observe(t, a, doing("search", "{}"))
		}
		if err := s.Reset("a"); err != nil {
			t.Fatal(err)
		}
		late, err := a.AllowIteration(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		kept := late.Move()
		if err := s.Reset("a"); err != nil {
			t.Fatal(err)
		}
		kept.Settle(t.Context(), core.Failure)
		st := status(t, s, "a")
		if st.State != ralph.Running || st.Totals != (detect.Totals{}) || st.InFlight != 0 || st.Attempts != 0 || st.Progress+st.NoProgress != 0 || len(st.Events) == 0 {
			t.Errorf("%+v", st)
		}
	})
}
