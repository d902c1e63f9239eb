package ralph_test

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/ralph"
	"github.com/blackbox4/switchgear/ralph/detect"
)

// TestTreeSharesABudget: what one uses is used for all; when it is used up, all of
// the tree are refused, and no other agent.
func TestTreeSharesABudget(t *testing.T) {
	for name, c := range map[string]struct {
		budget detect.Budgets
		use    func(s *ralph.Supervisor, a *ralph.Agent, i int) error
		rule   string
		times  int
	}{
		"iterations": {detect.Budgets{Iterations: 6}, func(_ *ralph.Supervisor, a *ralph.Agent, _ int) error { return iterate(a, nil) }, "iterations", 6},
		"tokens": {detect.Budgets{Tokens: 1000}, func(_ *ralph.Supervisor, a *ralph.Agent, i int) error {
			_, err := a.Observe(detect.Step{Tool: word(i), Tokens: 150})
			return err
		}, "tokens", 7},
		"cost": {detect.Budgets{Cost: 2}, func(_ *ralph.Supervisor, a *ralph.Agent, i int) error {
			_, err := a.Observe(detect.Step{Output: word(i) + " " + word(i*3) + " " + word(i*7), Cost: 0.25})
			return err
		}, "cost", 8},
		"tool calls": {detect.Budgets{ToolCalls: 5}, func(_ *ralph.Supervisor, a *ralph.Agent, i int) error {
			_, err := a.Observe(detect.Step{Tool: word(i)})
			return err
		}, "tool_calls", 5},
		"hops": {detect.Budgets{Hops: 4}, func(s *ralph.Supervisor, a *ralph.Agent, i int) error {
			_, err := s.Handoff(a.ID(), "boss", word(i)+" "+word(i*3))
			if refusedByAgent(err) {
				return nil
			}
			return err
		}, "hops", 4},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, _ := supervise(t, plain())
				defer closeNow(t, s)
				boss := monitor(t, s, "boss", ralph.Options{Tree: c.budget})
				workers := []*ralph.Agent{monitor(t, s, "w1", ralph.Options{Parent: "boss"}), monitor(t, s, "w2", ralph.Options{Parent: "boss"}), monitor(t, s, "w21", ralph.Options{Parent: "w2"})}
				other := monitor(t, s, "other", ralph.Options{})
				n := 0
				for ; boss.AllowModelCall(t.Context()) == nil && n < 50; n++ {
					if err := c.use(s, workers[n%3], n); err != nil {
						t.Fatal(n, err)
					}
				}
				if n != c.times {
					t.Errorf("used %d times, want %d", n, c.times)
				}
				for _, a := range append(workers, boss) {
					err := a.AllowModelCall(t.Context())
					if r, ok := errors.AsType[*ralph.PausedError](err); !ok || r.State != ralph.Escalated || r.Cause.Rule != c.rule || r.Cause.Reason != detect.ReasonExhausted {
						t.Errorf("%s: %v", a.ID(), err)
					}
				}
				late := monitor(t, s, "late", ralph.Options{Parent: "w1"}) // joins a tree that has nothing left
				if err := late.AllowModelCall(t.Context()); !refusedByAgent(err) {
					t.Errorf("late: %v", err)
				}
				if err := iterate(other, nil); err != nil {
					t.Errorf("other: %v", err)
				}
			})
		})
	}
}

// TestBudgetOfAPart: a part of a tree has less than all of it.
func TestBudgetOfAPart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := plain()
		cfg.Budget.Tokens = 1000
		s, _ := supervise(t, cfg)
		defer closeNow(t, s)
		monitor(t, s, "boss", ralph.Options{})
		a := monitor(t, s, "a", ralph.Options{Parent: "boss", Tree: detect.Budgets{Tokens: 300}})
		below := monitor(t, s, "below a", ralph.Options{Parent: "a"})
		b := monitor(t, s, "b", ralph.Options{Parent: "boss"})
		observe(t, below, detect.Step{Tool: "x", Tokens: 300})
		for id, want := range map[string]ralph.State{"boss": ralph.Running, "a": ralph.Escalated, "below a": ralph.Escalated, "b": ralph.Running} {
			wantState(t, s, id, want)
		}
		if err := a.AllowModelCall(t.Context()); err == nil {
			t.Error("admitted")
		}
		observe(t, b, detect.Step{Tool: "x", Tokens: 700})
		wantState(t, s, "boss", ralph.Escalated)
	})
}

// TestRaise: an agent that has used up a budget goes on only when that is raised, by
// itself if it is paused, by a person if it was escalated.
func TestRaise(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := plain()
		cfg.EscalationTimeout = -1
		s, d := supervise(t, cfg)
		defer closeNow(t, s)
		own := monitor(t, s, "own", ralph.Options{Budget: detect.Budgets{Tokens: 100}})
		monitor(t, s, "shared", ralph.Options{Tree: detect.Budgets{Tokens: 100}})
		child := monitor(t, s, "child", ralph.Options{Parent: "shared"})
		for _, a := range []*ralph.Agent{own, child} {
			observe(t, a, detect.Step{Tool: "x", Tokens: 120})
		}
		for _, id := range []string{"own", "shared", "child"} {
			wantState(t, s, id, ralph.Escalated)
			if err := s.Resume(id, "eve", ""); !errors.Is(err, detect.ErrExhausted) {
				t.Errorf("%s: resumed with nothing left: %v", id, err)
			}
			wantState(t, s, id, ralph.Escalated)
		}
		if err := s.Update("own", ralph.Options{Budget: detect.Budgets{Tokens: 110}}); err != nil { // not enough
			t.Fatal(err)
		}
		if err := s.Resume("own", "eve", ""); !errors.Is(err, detect.ErrExhausted) {
			t.Error(err)
		}
		for id, o := range map[string]ralph.Options{"own": {Budget: detect.Budgets{Tokens: 200}}, "shared": {Tree: detect.Budgets{Tokens: 200}}} {
			if err := s.Update(id, o); err != nil {
				t.Fatal(err)
			}
		}
		for _, id := range []string{"own", "shared", "child"} {
			if err := s.Resume(id, "eve", ""); err != nil {
				t.Error(err)
			}
			wantState(t, s, id, ralph.Running)
		}
		for _, a := range []*ralph.Agent{own, child} {
			observe(t, a, detect.Step{Tool: "y", Tokens: 79})
			wantState(t, s, a.ID(), ralph.Running)
			observe(t, a, detect.Step{Tool: "z", Tokens: 1})
			wantState(t, s, a.ID(), ralph.Escalated)
		}
		if n := len(d.of(ralph.EventBudget)); n != 3 {
			t.Errorf("%d changes of budgets were told", n)
		}

		// Merely paused, it waits for nothing but the raise.
		p := monitor(t, s, "p", ralph.Options{Budget: detect.Budgets{Iterations: 5}})
		for range 3 {
			if err := iterate(p, nil); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.Pause("p", detect.ReasonExhausted, "the caller", "no money"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		wantState(t, s, "p", ralph.Paused)
		if err := s.Update("p", ralph.Options{Budget: detect.Budgets{Iterations: 50}}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Millisecond)
		synctest.Wait()
		wantState(t, s, "p", ralph.Recovering)

		// Raised and taken back, it stays where it is.
		q := monitor(t, s, "q", ralph.Options{Tree: detect.Budgets{Tokens: 100}})
		observe(t, q, detect.Step{Tool: "x", Tokens: 50})
		if err := s.Pause("q", detect.ReasonExhausted, "the caller", "no money"); err != nil {
			t.Fatal(err)
		}
		for _, tokens := range []int64{1000, 10} {
			if err := s.Update("q", ralph.Options{Tree: detect.Budgets{Tokens: tokens}}); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		wantState(t, s, "q", ralph.Paused)
	})
}

// TestBegin: a new task has a new budget, also for those below.
func TestBegin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := supervise(t, plain())
		defer closeNow(t, s)
		boss := monitor(t, s, "boss", ralph.Options{Budget: detect.Budgets{Iterations: 3}, Tree: detect.Budgets{Tokens: 1000, Wall: time.Hour}})
		child := monitor(t, s, "child", ralph.Options{Parent: "boss", Tree: detect.Budgets{Tokens: 500}})
		for i := range 5 {
			boss.NewTask(fmt.Sprint("message ", i))
			for range 2 {
				if err := iterate(boss, nil); err != nil {
					t.Fatal(i, err)
				}
			}
			boss.NewTask(fmt.Sprint("message ", i)) // the same: nothing
			observe(t, child, detect.Step{Tool: word(i), Tokens: 400})
			time.Sleep(50 * time.Minute)
			wantState(t, s, "boss", ralph.Running)
			wantState(t, s, "child", ralph.Running)
		}
		if st := status(t, s, "child"); st.Totals.Tokens != 2000 || st.TreeUsed.Tokens != 400 {
			t.Errorf("%+v, %+v", st.Totals, st.TreeUsed)
		}
		// What the child begins is its own window, and no way round the tree's
		// budget.
		child.NewTask("sub-task")
		observe(t, child, detect.Step{Tool: "x", Tokens: 100})
		wantState(t, s, "child", ralph.Escalated)
	})
}

// TestNoOvershoot: iterations are set aside before they are made, so that those at
// once do not use more than there is; one that gives its part back is not counted.
func TestNoOvershoot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := supervise(t, plain())
		defer closeNow(t, s)
		monitor(t, s, "boss", ralph.Options{Tree: detect.Budgets{Iterations: 5}})
		var out []*core.Permit
		var refused error
		for i := range 8 {
			p, err := monitor(t, s, fmt.Sprint("w", i), ralph.Options{Parent: "boss"}).AllowIteration(t.Context())
			if err != nil {
				refused = err
				continue
			}
			kept := p.Move()
			out = append(out, &kept)
		}
		if len(out) != 5 || !refusedByAgent(refused) {
			t.Fatalf("%d are out, and then %v", len(out), refused)
		}
		wantState(t, s, "w7", ralph.Running) // it may yet come to it
		out[0].Settle(t.Context(), core.Ignored)
		last := monitor(t, s, "w7", ralph.Options{})
		p, err := last.AllowIteration(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		p.Settle(t.Context(), core.Success)
		for _, p := range out[1:] {
			p.Settle(t.Context(), core.Success)
		}
		if used := status(t, s, "boss").TreeUsed; used.Iterations != 5 {
			t.Errorf("used %+v", used)
		}
		for i := range 8 {
			wantState(t, s, fmt.Sprint("w", i), ralph.Escalated)
		}
	})
}

// TestRestIsNotIdle: between iterations an agent is at rest, in one it is not.
func TestRestIsNotIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := plain()
		cfg.Rules.Budgets.Idle = 10 * time.Minute
		s, _ := supervise(t, cfg)
		defer closeNow(t, s)
		a := monitor(t, s, "a", ralph.Options{})
		for i := range 5 {
			p, err := a.AllowIteration(t.Context())
			if err != nil {
				t.Fatal(i, err)
			}
			time.Sleep(9 * time.Minute)
			p.Done(t.Context(), nil)
			time.Sleep(3 * time.Hour)
		}
		if n := len(status(t, s, "a").Events); n != 5 { // it was nudged in each, at 8 min
			t.Errorf("%d events", n)
		}
		if _, err := a.AllowIteration(t.Context()); err != nil { // and hangs
			t.Fatal(err)
		}
		time.Sleep(10*time.Minute + time.Second)
		synctest.Wait()
		if st := status(t, s, "a"); st.State != ralph.Paused || st.Cause.Rule != "idle" {
			t.Errorf("%+v", st)
		}
	})
}
