package ralph_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/core/failsafe"
	"github.com/blackbox4/switchgear/ralph"
	"github.com/blackbox4/switchgear/ralph/detect"
)

// counting is a host's gate that counts its permits.
type counting struct {
	mu       sync.Mutex
	out      int
	given    int
	outcomes []core.Outcome
	err      error
}

func (g *counting) Allow(context.Context) (core.Permit, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.err != nil {
		return core.Permit{}, g.err
	}
	g.out++
	g.given++
	return core.NewPermit(func(_ context.Context, o core.Outcome) {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.out--
		g.outcomes = append(g.outcomes, o)
	}), nil
}

// TestPermitsOfTheHost are kept for as long as an iteration, given back for a call of a
// model, and given back where something else refuses.
func TestPermitsOfTheHost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, cfg := new(counting), unruled()
		cfg.Vitals = g
		cfg.Budget.Iterations = 6
		s, _ := supervise(t, cfg)
		defer closeNow(t, s)
		a := monitor(t, s, "a", ralph.Options{})
		check := func(what string, out, given int, outcomes ...core.Outcome) {
			t.Helper()
			if g.out != out || g.given != given || fmt.Sprint(string(g.outcomes)) != fmt.Sprint(string(outcomes)) {
				t.Errorf("%s: %d out of %d, settled %v; want %d, %d, %v", what, g.out, g.given, g.outcomes, out, given, outcomes)
			}
			g.given, g.outcomes = 0, nil
		}
		p, err := a.AllowIteration(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		check("during an iteration", 1, 1)
		p.Settle(t.Context(), core.Success)
		check("after it", 0, 0, core.Success)
		if err := a.AllowModelCall(t.Context()); err != nil {
			t.Fatal(err)
		}
		check("a call of a model", 0, 1, core.Ignored)
		for range 3 {
			_ = iterate(a, errWork)
		}
		check("iterations that failed", 0, 3, core.Failure, core.Failure, core.Failure)
		if err := iterate(a, nil); !errors.Is(err, core.ErrOpen) {
			t.Fatal(err)
		}
		check("refused by the breaker", 0, 1, core.Ignored)
		time.Sleep(time.Hour)
		p1, err1 := a.AllowIteration(t.Context())
		p2, err2 := a.AllowIteration(t.Context())
		if err := errors.Join(err1, err2); err != nil {
			t.Fatal(err)
		}
		check("as probes", 2, 2)
		if _, err := a.AllowIteration(t.Context()); !refusedByAgent(err) && !errors.Is(err, core.ErrOpen) {
			t.Fatal(err)
		}
		if g.out != 2 {
			t.Errorf("refused for a budget: %d out", g.out)
		}
		p1.Settle(t.Context(), core.Ignored)
		p2.Settle(t.Context(), core.Ignored)
		if g.out != 0 {
			t.Errorf("%d out in the end", g.out)
		}
	})
}

// TestErrorsOfTheHost that are its own pause an agent for the rule host; in shadow, it
// is admitted; and one that comes of the caller's context is that alone.
func TestErrorsOfTheHost(t *testing.T) {
	for _, shadow := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			g, cfg := &counting{err: errors.New("the host is on fire")}, plain()
			cfg.Vitals, cfg.Shadow = g, shadow
			s, d := supervise(t, cfg)
			defer closeNow(t, s)
			for i, ask := range []func(a *ralph.Agent) error{
				func(a *ralph.Agent) error { return a.AllowModelCall(t.Context()) },
				func(a *ralph.Agent) error { return a.AllowTool(t.Context(), "x", "") },
				func(a *ralph.Agent) error { return iterate(a, nil) },
				func(a *ralph.Agent) error { return a.Execute(t.Context(), func(context.Context) error { return nil }) },
			} {
				id := fmt.Sprint("a", i)
				a := monitor(t, s, id, ralph.Options{})
				err := ask(a)
				if shadow && err != nil || !shadow && (!refusedByAgent(err) || !errors.Is(err, g.err)) {
					t.Errorf("%d, in shadow %v: %v", i, shadow, err)
				}
				wantState(t, s, id, ralph.Paused)
				if c := status(t, s, id).Cause; c.Rule != ralph.RuleHost || c.Reason != detect.ReasonTransient || c.Severity != failsafe.Medium || c.Message != "the host is on fire" || !c.At.Equal(time.Now()) {
					t.Errorf("%d: paused for %+v", i, c)
				}
				if shadow && i == 2 {
					if st := status(t, s, id); st.Totals.Iterations != 1 {
						t.Errorf("the iteration was not counted: %+v", st.Totals)
					}
				}
			}
			if n := len(d.of(ralph.EventPaused)); n != 4 {
				t.Errorf("%d were paused", n)
			}
			done, cancel := context.WithCancel(t.Context())
			b := monitor(t, s, "b", ralph.Options{})
			g.err = context.Canceled
			cancel()
			if err := b.AllowModelCall(done); !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
			wantState(t, s, "b", ralph.Running)
		})
	}
}

// TestTheWorstOfTheHost is the cause, with what it has read.
func TestTheWorstOfTheHost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, cfg := new(host), plain()
		cfg.Vitals = h
		s, _ := supervise(t, cfg)
		defer closeNow(t, s)
		a := monitor(t, s, "a", ralph.Options{})
		h.set(hot(failsafe.Medium), failsafe.Condition{Type: failsafe.Disk, Severity: failsafe.Low, Message: "less important"})
		_ = a.AllowModelCall(t.Context())
		if c := a.Status().Cause; c.Rule != "cpu" || c.Severity != failsafe.Medium || c.Count != 93 || c.Threshold != 90 || c.Message != "the CPU is hot" {
			t.Errorf("%+v", c)
		}
		all, err := s.Detect("a")
		if err != nil || len(all) != 3 || all[0].Severity < all[1].Severity || all[1].Severity < all[2].Severity {
			t.Errorf("%+v, %v", all, err)
		}
	})
}

// TestATrialIsNotLengthened by numbers that cannot be.
func TestATrialIsNotLengthened(t *testing.T) {
	for name, c := range map[string]struct {
		probe ralph.Probation
		step  detect.Step // a third of what there may be
		bad   detect.Step
	}{
		"tokens":                   {ralph.Probation{Tokens: 900}, detect.Step{Tool: "ask", Tokens: 300}, detect.Step{Tool: "ask", Tokens: -1_000_000}},
		"cost":                     {ralph.Probation{Cost: 1.5}, detect.Step{Tool: "ask", Cost: 0.5}, detect.Step{Tool: "ask", Cost: -1_000_000}},
		"a cost that is no number": {ralph.Probation{Cost: 1.5}, detect.Step{Tool: "ask", Cost: 0.5}, detect.Step{Tool: "ask", Cost: math.NaN()}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cfg := plain()
				cfg.Probation = c.probe
				cfg.Rules.Tools = map[string]detect.Class{"ask": detect.ClassUnjudged}
				s, d := supervise(t, cfg)
				defer closeNow(t, s)
				a := monitor(t, s, "a", ralph.Options{})
				a.Progress("start")
				stall(t, a)
				time.Sleep(31 * time.Second)
				synctest.Wait()
				wantState(t, s, "a", ralph.Recovering)
				observe(t, a, c.step)
				if _, err := a.Observe(c.bad); err == nil {
					t.Error("it is taken")
				}
				observe(t, a, detect.Step{Own: true, Tokens: 1_000_000, Cost: 1000}) // is not the agent's
				observe(t, a, c.step)
				wantState(t, s, "a", ralph.Recovering)
				observe(t, a, c.step)
				wantState(t, s, "a", ralph.Paused)
				e := d.of(ralph.EventPaused)
				if got := e[len(e)-1].Cause; got.Rule != ralph.RuleRecovery || got.After != "empty" || math.Abs(got.Count-got.Threshold) > 1e-9 || got.Reason != detect.ReasonStuck || !strings.Contains(got.Message, `"empty"`) {
					t.Errorf("paused for %+v", got)
				}
			})
		})
	}
}

// TestSharesThatOthersHaveSetAside: an agent is refused and not paused where what is
// left is set aside, and paused where it is used up.
func TestSharesThatOthersHaveSetAside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, d := supervise(t, plain())
		defer closeNow(t, s)
		boss := monitor(t, s, "boss", ralph.Options{Tree: detect.Budgets{Iterations: 2}})
		child := monitor(t, s, "child", ralph.Options{Parent: "boss"})
		p1, err1 := boss.AllowIteration(t.Context())
		p2, err2 := child.AllowIteration(t.Context())
		if err := errors.Join(err1, err2); err != nil {
			t.Fatal(err)
		}
		_, err := child.AllowIteration(t.Context())
		refusal, ok := errors.AsType[*ralph.PausedError](err)
		if !ok || refusal.State != ralph.Running || refusal.Agent != "child" || !refusal.RetryAt.Equal(time.Now().Add(time.Second)) || refusal.Cause.Rule != "iterations" ||
			!strings.Contains(err.Error(), "what is left is set aside for others") {
			t.Errorf("refused with %v, %+v", err, refusal)
		}
		wantState(t, s, "child", ralph.Running)
		p1.Settle(t.Context(), core.Ignored) // gives it back
		p3, err := child.AllowIteration(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		p2.Settle(t.Context(), core.Success)
		p3.Settle(t.Context(), core.Failure)
		for _, id := range []string{"boss", "child"} {
			wantState(t, s, id, ralph.Escalated)
			if st := status(t, s, id); st.Cause.Rule != "iterations" || st.Cause.Count != 2 || st.Cause.Threshold != 2 || st.TreeUsed.Iterations != 2 {
				t.Errorf("%s: %+v", id, st)
			}
		}
		if err := s.Resume("child", "eve", ""); !errors.Is(err, detect.ErrExhausted) || !strings.Contains(err.Error(), `"child"`) || !strings.Contains(err.Error(), "Update") {
			t.Errorf("%v", err)
		}
		if n := len(d.of(ralph.EventEscalated)); n != 2 {
			t.Errorf("%d escalations", n)
		}
	})
}

// TestEachBudgetOfItsOwn: an agent that has used one up goes on when that one is raised,
// and not before.
func TestEachBudgetOfItsOwn(t *testing.T) {
	for rule, c := range map[string]struct {
		budget, raised detect.Budgets
		use            func(a *ralph.Agent)
	}{
		"iterations": {detect.Budgets{Iterations: 2}, detect.Budgets{Iterations: 9}, func(a *ralph.Agent) { _ = iterate(a, nil) }},
		"tokens":     {detect.Budgets{Tokens: 100}, detect.Budgets{Tokens: 900}, func(a *ralph.Agent) { _, _ = a.Observe(detect.Step{Tool: "x", Tokens: 60}) }},
		"cost":       {detect.Budgets{Cost: 1}, detect.Budgets{Cost: 9}, func(a *ralph.Agent) { _, _ = a.Observe(detect.Step{Tool: "x", Cost: 0.6}) }},
		"tool_calls": {detect.Budgets{ToolCalls: 2}, detect.Budgets{ToolCalls: 9}, func(a *ralph.Agent) { _, _ = a.Observe(detect.Step{Tool: "x"}) }},
		"wall": {detect.Budgets{Wall: time.Minute}, detect.Budgets{Wall: 9 * time.Hour}, func(a *ralph.Agent) {
			time.Sleep(31 * time.Second)
			a.ProgressUnknown()
			_ = a.Status()
			_, _ = a.Observe(detect.Step{Own: true})
		}},
	} {
		t.Run(rule, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, _ := supervise(t, plain())
				defer closeNow(t, s)
				a := monitor(t, s, "a", ralph.Options{Budget: c.budget})
				for range 3 {
					c.use(a)
				}
				st := a.Status()
				if st.Cause.Rule != rule || st.Cause.Reason != detect.ReasonExhausted || st.State != ralph.Escalated {
					t.Fatalf("%v for %+v", st.State, st.Cause)
				}
				if err := s.Resume("a", "eve", ""); !errors.Is(err, detect.ErrExhausted) {
					t.Errorf("resumed with its budget used up: %v", err)
				}
				if err := s.Update("a", ralph.Options{Budget: c.raised}); err != nil {
					t.Fatal(err)
				}
				if err := s.Resume("a", "eve", ""); err != nil {
					t.Error(err)
				}
				wantState(t, s, "a", ralph.Running)
			})
		})
	}
}

// TestPausedForABudget, by hand: it is resumed by itself once a budget was raised, and a
// pause is not longer for that.
func TestPausedForABudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := plain()
		cfg.EscalationTimeout = -1
		s, d := supervise(t, cfg)
		defer closeNow(t, s)
		for _, id := range []string{"soon", "late"} {
			monitor(t, s, id, ralph.Options{})
			if err := s.Pause(id, detect.ReasonExhausted, "eve", "too much"); err != nil {
				t.Fatal(err)
			}
		}
		if text, _ := s.Explain("soon"); !strings.Contains(text, "resumed when its budget is raised") {
			t.Error(text)
		}
		raise := func(id string) {
			if err := s.Update(id, ralph.Options{Budget: detect.Budgets{Tokens: 100}}); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(10 * time.Second)
		raise("soon")
		if got := time.Until(status(t, s, "soon").ResumeAt); got != 20*time.Second {
			t.Errorf("resumed in %v, want 30 s after it was paused", got)
		}
		if r, ok := errors.AsType[*ralph.PausedError](func() error { a, _ := s.Agent("soon"); return a.AllowModelCall(t.Context()) }()); !ok || r.RetryAfter() != 20*time.Second {
			t.Errorf("refused with %+v", r)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		wantState(t, s, "soon", ralph.Recovering)
		wantState(t, s, "late", ralph.Paused)
		raise("late") // overdue
		time.Sleep(time.Millisecond)
		synctest.Wait()
		wantState(t, s, "late", ralph.Recovering)
		if got := d.kinds("late"); got != "paused budget resumed" {
			t.Error(got)
		}
	})
}
