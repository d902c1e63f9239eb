package ralph_test

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/core/failsafe"
	"github.com/blackbox4/switchgear/ralph"
	"github.com/blackbox4/switchgear/ralph/detect"
)

// forgetIdle lets so much time pass that those are forgotten that may be.
func forgetIdle(t *testing.T, s *ralph.Supervisor) {
	t.Helper()
	time.Sleep(2 * time.Hour)
	monitor(t, s, fmt.Sprint("one more at ", time.Now().Unix()), ralph.Options{})
}

// uses are all ways to use an agent; each returns its error, if it has one.
func uses(t *testing.T) map[string]func(a *ralph.Agent) error {
	return map[string]func(a *ralph.Agent) error{
		"Observe":                  func(a *ralph.Agent) error { _, err := a.Observe(fresh(1)); return err },
		"Progress":                 func(a *ralph.Agent) error { _ = a.Progress("new"); return nil },
		"Unknown":                  func(a *ralph.Agent) error { a.ProgressUnknown(); return nil },
		"Begin":                    func(a *ralph.Agent) error { a.NewTask("another task"); return nil },
		"AllowIteration":           func(a *ralph.Agent) error { return iterate(a, nil) },
		"AllowModelCall, the host": func(a *ralph.Agent) error { return a.AllowModelCall(t.Context()) },
	}
}

// TestForgottenAgentsComeBack, as they were, by whatever is asked of them.
func TestForgottenAgentsComeBack(t *testing.T) {
	for name, use := range uses(t) {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h, cfg := new(host), plain()
				cfg.Vitals = h
				s, _ := supervise(t, cfg)
				defer closeNow(t, s)
				a := monitor(t, s, "a", ralph.Options{Name: "writer"})
				observe(t, a, fresh(0))
				forgetIdle(t, s)
				if _, err := s.Agent("a"); !errors.Is(err, ralph.ErrUnknownAgent) {
					t.Fatalf("it was not forgotten: %v", err)
				}
				if strings.HasSuffix(name, "host") {
					h.set(hot(failsafe.Medium))
				}
				if err := use(a); strings.HasSuffix(name, "host") != refusedByAgent(err) {
					t.Errorf("%v", err)
				}
				if back, err := s.Agent("a"); err != nil || back != a {
					t.Fatalf("it did not come back: %v", err)
				}
				if st := status(t, s, "a"); st.Totals.Steps < 1 || st.Name != "writer" {
					t.Errorf("it is not what it was: %+v", st)
				}
				if sum := s.AgentStates(); sum["running"]+sum["paused"] != 2 || s.Stats().Agents != 2 {
					t.Errorf("%v", sum)
				}
			})
		})
	}
}

// TestForgottenAgentsAreReplaced: whatever is asked of one whose id another has by now
// changes neither of them, and is refused where it can be.
func TestForgottenAgentsAreReplaced(t *testing.T) {
	for name, use := range uses(t) {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h, cfg := new(host), plain()
				cfg.Vitals = h
				s, d := supervise(t, cfg)
				defer closeNow(t, s)
				a := monitor(t, s, "a", ralph.Options{})
				observe(t, a, fresh(0))
				forgetIdle(t, s)
				next := monitor(t, s, "a", ralph.Options{})
				if next == a {
					t.Fatal("it was not forgotten")
				}
				before, nextBefore := a.Status(), next.Status()
				time.Sleep(time.Minute)
				if strings.HasSuffix(name, "host") {
					h.set(hot(failsafe.Medium))
				}
				switch err := use(a); name {
				case "Progress", "Unknown", "Begin":
				default:
					if !errors.Is(err, ralph.ErrUnknownAgent) || !strings.Contains(err.Error(), `"a" was evicted after 1h0m0s, and another has its id now`) {
						t.Errorf("%v", err)
					}
				}
				if !reflect.DeepEqual(a.Status(), before) || !reflect.DeepEqual(next.Status(), nextBefore) || len(d.all()) != 0 {
					t.Errorf("it was changed: %+v, %+v, %v", a.Status(), next.Status(), d.all())
				}
				if a.Progress("another") {
					t.Error("its progress is counted")
				}
			})
		})
	}
}

// TestForgottenWhileTheBudgetIsUsedUp: one that was not there when the others of its
// tree were paused is paused when it comes back; and not the one that has its id.
func TestForgottenWhileTheBudgetIsUsedUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := supervise(t, plain())
		defer closeNow(t, s)
		boss := monitor(t, s, "boss", ralph.Options{Tree: detect.Budgets{Tokens: 10}})
		a := monitor(t, s, "a", ralph.Options{Parent: "boss"})
		b := monitor(t, s, "b", ralph.Options{Parent: "boss"})
		time.Sleep(2 * time.Hour)
		observe(t, boss, fresh(1))
		monitor(t, s, "sweep", ralph.Options{})
		observe(t, boss, detect.Step{Tool: "x", Tokens: 11})
		wantState(t, s, "boss", ralph.Escalated)
		if err := a.AllowModelCall(t.Context()); !errors.Is(err, ralph.ErrFailsafeTriggered) {
			t.Errorf("%v", err)
		}
		wantState(t, s, "a", ralph.Escalated)
		if c := status(t, s, "a").Cause; c.Rule != "tokens" || c.Count != 11 || c.Threshold != 10 {
			t.Errorf("%+v", c)
		}
		monitor(t, s, "b", ralph.Options{})
		if err := b.AllowModelCall(t.Context()); !errors.Is(err, ralph.ErrUnknownAgent) {
			t.Errorf("%v", err)
		}
		wantState(t, s, "b", ralph.Running)
	})
}

// TestForgottenInAnIteration: one that was reset and forgotten gives back what it had
// set aside when its iteration ends, and is not counted.
func TestForgottenInAnIteration(t *testing.T) {
	for _, o := range []core.Outcome{core.Success, core.Failure, core.Ignored} {
		synctest.Test(t, func(t *testing.T) {
			s, _ := supervise(t, plain())
			defer closeNow(t, s)
			boss := monitor(t, s, "boss", ralph.Options{Tree: detect.Budgets{Iterations: 2}})
			a := monitor(t, s, "a", ralph.Options{Parent: "boss"})
			alone := monitor(t, s, "alone", ralph.Options{})
			p, err1 := a.AllowIteration(t.Context())
			q, err2 := alone.AllowIteration(t.Context())
			if err := errors.Join(err1, err2, s.Reset("a"), s.Reset("alone")); err != nil {
				t.Fatal(err)
			}
			time.Sleep(2 * time.Hour)
			observe(t, boss, fresh(1))
			monitor(t, s, "sweep", ralph.Options{})
			next := monitor(t, s, "a", ralph.Options{Parent: "boss"})
			monitor(t, s, "alone", ralph.Options{})
			if next == a {
				t.Fatal("it was not forgotten")
			}
			if n := status(t, s, "boss").TreeUsed.Iterations; n != 1 {
				t.Fatalf("%d are set aside", n)
			}
			p.Settle(t.Context(), o)
			q.Settle(t.Context(), o)
			if n := status(t, s, "boss").TreeUsed.Iterations; n != 0 {
				t.Errorf("%d are used", n)
			}
			if st := a.Status(); st.Totals.Iterations != 0 || st.InFlight != 0 || next.Status().Totals.Iterations != 0 {
				t.Errorf("it was counted: %+v", st)
			}
		})
	}
}

// TestForgottenAgentsFindNoRoom where there are as many as there may be.
func TestForgottenAgentsFindNoRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := plain()
		cfg.MaxAgents = 2
		s, _ := supervise(t, cfg)
		defer closeNow(t, s)
		a := monitor(t, s, "a", ralph.Options{})
		forgetIdle(t, s)
		monitor(t, s, "b", ralph.Options{})
		if _, err := a.Observe(fresh(1)); !errors.Is(err, ralph.ErrTooManyAgents) || !strings.Contains(err.Error(), `"a" was evicted after 1h0m0s, and there are MaxAgents now`) {
			t.Errorf("%v", err)
		}
		if n := s.Stats().Agents; n != 2 {
			t.Errorf("%d agents", n)
		}
	})
}

// TestForgottenAgentsAreDueAgain: one that comes back is looked at when its time is over,
// and is in the file again.
func TestForgottenAgentsAreDueAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := stored(t)
		s, d := supervise(t, cfg)
		defer closeNow(t, s)
		a := monitor(t, s, "a", ralph.Options{Task: "t", Tree: detect.Budgets{Wall: 5 * time.Hour}})
		observe(t, a, fresh(1)) // due in 4 h, for a nudge
		begun := time.Now()
		forgetIdle(t, s)
		written(s)
		a.NewTask("t") // nothing new
		written(s)
		time.Sleep(time.Until(begun.Add(4*time.Hour + 1)))
		synctest.Wait()
		if got := d.of(ralph.EventNudged); len(got) != 1 || got[0].Agent != "a" || got[0].Cause.Rule != "wall" {
			t.Errorf("%v", d.all())
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		wantState(t, s, "a", ralph.Escalated)
	})
	synctest.Test(t, func(t *testing.T) {
		cfg := stored(t)
		s := reopen(t, cfg)
		a := monitor(t, s, "a", ralph.Options{Task: "t"})
		forgetIdle(t, s)
		written(s)
		a.NewTask("t")
		closeNow(t, s)
		s = reopen(t, cfg)
		defer closeNow(t, s)
		wantState(t, s, "a", ralph.Running)
	})
}
