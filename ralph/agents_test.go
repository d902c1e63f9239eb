package ralph_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/ralph"
	"github.com/blackbox4/switchgear/ralph/detect"
)

// What was measured on the systems that agents run in today, one test for each
// finding. The first, that protections are dead code, is
// TestEveryRuleFires.

func init() { //nolint:gochecknoinits // see TestMain
	jobs["fail"] = func() int { fmt.Println("API error"); return 1 }
}

// A program that exits with 1 was called 55 times in a row, and one that says that
// it failed 42 times, without any counter moving. Here every way out of an iteration
// is counted, and each stops the loop at the third.
func TestFailuresReachTheBreaker(t *testing.T) {
	ways := map[string]func(t *testing.T, a *ralph.Agent) error{ // one pass of a loop; the refusal
		"a program exits with 1": func(t *testing.T, a *ralph.Agent) error {
			err := a.Execute(t.Context(), func(ctx context.Context) error {
				cmd := exec.CommandContext(ctx, os.Args[0])
				cmd.Env = append(os.Environ(), "RALPH_TEST_JOB=fail")
				return cmd.Run()
			})
			if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.ExitCode() == 1 {
				return nil
			}
			return err
		},
		"is_error": func(_ *testing.T, a *ralph.Agent) error {
			return iterate(a, errors.New(`{"type":"result","is_error":true}`))
		},
		"settled as a failure": func(t *testing.T, a *ralph.Agent) error {
			p, err := a.AllowIteration(t.Context())
			p.Settle(t.Context(), core.Failure)
			return err
		},
		"the caller's deadline": func(t *testing.T, a *ralph.Agent) error {
			p, err := a.AllowIteration(t.Context())
			ctx, cancel := context.WithTimeout(t.Context(), 0)
			defer cancel()
			p.Done(ctx, errWork)
			return err
		},
		"panic": func(t *testing.T, a *ralph.Agent) (err error) {
			defer func() {
				if p := recover(); p != nil && p != "boom" {
					panic(p)
				}
			}()
			return a.Execute(t.Context(), func(context.Context) error { panic("boom") })
		},
		"Goexit": func(t *testing.T, a *ralph.Agent) error {
			refused := make(chan error, 1)
			go func() {
				defer func() { // of a goroutine that ends
					select {
					case refused <- nil:
					default:
					}
				}()
				refused <- a.Execute(context.Background(), func(context.Context) error { runtime.Goexit(); return nil })
			}()
			return <-refused
		},
		"core.Do": func(t *testing.T, a *ralph.Agent) error {
			_, err := core.Do(t.Context(), a, func(context.Context) (int, error) { return 0, errWork })
			if errors.Is(err, errWork) {
				return nil
			}
			return err
		},
	}
	for name, pass := range ways {
		t.Run(name, func(t *testing.T) {
			s, d := supervise(t, ralph.Config{})
			a := monitor(t, s, "a", ralph.Options{})
			n := 0
			for ; n < 55; n++ {
				if err := pass(t, a); err != nil {
					if !refusedByAgent(err) {
						t.Fatal(err)
					}
					break
				}
			}
			if n != 3 {
				t.Errorf("%d passes before the first refusal, want 3", n)
			}
			st := status(t, s, "a")
			if st.Totals.Failures != 3 || st.Breaker != core.Open || len(d.of(ralph.EventPaused)) != 1 {
				t.Errorf("%+v", st)
			}
		})
	}
}

// A refusal of a gate further in is the same hole in another shape: it says nothing
// about the agent, but a loop that goes on in it spins.
func TestASpinOnRefusals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := supervise(t, plain())
		defer closeNow(t, s)
		a := monitor(t, s, "a", ralph.Options{})
		provider := core.MustNew("provider", core.Config{})
		_ = provider.Force(core.ForcedOpen)
		n := 0
		for ; n < 100; n++ {
			err := a.Execute(t.Context(), func(ctx context.Context) error { return provider.Do(ctx, func(context.Context) error { return nil }) })
			if refusedByAgent(err) {
				break
			}
		}
		st := status(t, s, "a")
		if n != 5 || st.State != ralph.Paused || st.Cause.Rule != "transient" || st.Cause.Reason != detect.ReasonTransient || st.Breaker != core.Closed {
			t.Errorf("%d passes; %+v", n, st)
		}
	})
}

// A loop without any limit made 6,239 iterations in a night, and one call of a tool
// was repeated more than 300 times.
func TestFailuresOfANight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := supervise(t, ralph.Config{Profile: detect.ProfileStrict})
		defer closeNow(t, s)
		a := monitor(t, s, "night", ralph.Options{})
		n := 0
		for ; n < 6239 && iterate(a, nil) == nil; n++ { // each ends well
			time.Sleep(time.Second)
		}
		if n != 100 {
			t.Errorf("%d iterations", n)
		}
		b := monitor(t, s, "npm", ralph.Options{})
		for n = 0; n < 300 && b.AllowTool(t.Context(), "bash", `{"cmd":"npm install"}`) == nil; n++ {
			observe(t, b, detect.Step{Tool: "bash", Args: `{"cmd":"npm install"}`, Output: fmt.Sprintf("added 1 package in %d.%ds", n%7, n%10)})
		}
		if n != 5 {
			t.Errorf("%d calls", n)
		}
	})
}

// What users complain about most are loops that are none, of five shapes.
func TestNoFalseAlarm(t *testing.T) {
	cases := map[string]func(t *testing.T, s *ralph.Supervisor, a *ralph.Agent){
		"polling": func(t *testing.T, _ *ralph.Supervisor, a *ralph.Agent) {
			for range 15 { // once a minute for a quarter of an hour
				observe(t, a, detect.Step{Tool: "bash", Args: `{"cmd":"gh run view"}`, Output: "status: in progress"})
				time.Sleep(time.Minute)
			}
		},
		"polling in a hurry, of a class": func(t *testing.T, _ *ralph.Supervisor, a *ralph.Agent) {
			for range 60 {
				observe(t, a, detect.Step{Tool: "wait", Args: `{"job":7}`, Output: "running"})
				time.Sleep(5 * time.Second)
			}
		},
		"progress that a look at the files does not show": func(t *testing.T, _ *ralph.Supervisor, a *ralph.Agent) {
			for i := range 40 { // the caller's fingerprint has the commits in it
				_ = iterate(a, nil)
				a.Progress("clean tree at commit " + word(i))
				time.Sleep(time.Minute)
			}
		},
		"the same good news": func(t *testing.T, _ *ralph.Supervisor, a *ralph.Agent) {
			for i := range 20 {
				observe(t, a, fresh(i))
				observe(t, a, detect.Step{Tool: "task_complete", Args: fmt.Sprintf(`{"task":%d}`, i), Output: "ok"})
			}
		},
		"a tool that is meant to be repeated": func(t *testing.T, _ *ralph.Supervisor, a *ralph.Agent) {
			for i := range 30 {
				observe(t, a, detect.Step{Tool: "gdb", Args: "next", Output: fmt.Sprintf("%d: x = %s", i, word(i))})
			}
		},
		"a batch": func(t *testing.T, _ *ralph.Supervisor, a *ralph.Agent) {
			for i := range 100 {
				observe(t, a, detect.Step{Tool: "resize", Args: fmt.Sprintf(`{"image":"%d.png"}`, i), Output: "ok"})
			}
		},
		"a manager of a batch": func(t *testing.T, s *ralph.Supervisor, _ *ralph.Agent) {
			for i := range 30 {
				worker := fmt.Sprint("worker", i%3)
				monitor(t, s, worker, ralph.Options{Parent: "a"})
				for _, hop := range [][3]string{{"a", worker, fmt.Sprintf("translate chapter %d", i)}, {worker, "a", "chapter " + word(i) + " " + word(i*5) + " " + word(i*11)}} {
					if _, err := s.Handoff(hop[0], hop[1], hop[2]); err != nil {
						t.Fatal(err)
					}
				}
			}
		},
	}
	for name, play := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cfg := plain()
				cfg.Rules.Tools = map[string]detect.Class{"wait": detect.ClassPoll, "gdb": detect.ClassRepeatable}
				s, d := supervise(t, cfg)
				defer closeNow(t, s)
				a := monitor(t, s, "a", ralph.Options{})
				play(t, s, a)
				for _, e := range d.all() {
					if e.Kind != ralph.EventNudged {
						t.Errorf("%v", e)
					}
				}
				wantState(t, s, "a", ralph.Running)
			})
		})
	}
}

// Exact repetition is rare in loops that were labelled as such: work is handed over
// in other words each time.
func TestParaphrases(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, d := supervise(t, plain())
		defer closeNow(t, s)
		monitor(t, s, "boss", ralph.Options{})
		web := monitor(t, s, "web", ralph.Options{Parent: "boss"})
		n := 0
		for ; n < 30; n++ {
			ask := "Please scroll down on the page of the museum and look for the opening hours of the exhibition, then report them " +
				[]string{"to me", "back to me", "in your answer", "back"}[n%4] + []string{".", " please.", " now."}[n%3]
			if _, err := s.Handoff("boss", "web", ask); err != nil {
				break
			}
			observe(t, web, detect.Step{Tool: "scroll", Args: "down", Output: "the same page"})
			if _, err := s.Handoff("web", "boss", "I have scrolled down and do not see them, "+word(n)); err != nil {
				break
			}
		}
		if n < 2 || n > 8 {
			t.Errorf("stopped after %d rounds", n)
		}
		nudged := d.of(ralph.EventNudged)
		if len(nudged) == 0 {
			t.Fatal("no agent was nudged before")
		}
		// And a run with two equal calls, as good runs have them, is left alone.
		c := monitor(t, s, "c", ralph.Options{})
		for i := range 12 {
			observe(t, c, fresh(i))
			if i == 4 {
				observe(t, c, fresh(i))
			}
		}
		if st := status(t, s, "c"); st.State != ralph.Running || len(st.Events) > 0 {
			t.Errorf("%+v", st)
		}
	})
}

// Two agents of a well-known framework passed the ball 1,056 times. Refusing the
// tool that hands over did not stop them: the framework told the model, which tried
// again. The gate of the model does stop them, at once.
func TestPingPong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, d := supervise(t, ralph.Config{})
		defer closeNow(t, s)
		agents := []*ralph.Agent{monitor(t, s, "sales", ralph.Options{}), monitor(t, s, "support", ralph.Options{})}
		// The framework: the model of whose turn it is wants to hand over, by a
		// tool whose refusal is only told to it.
		play := func(asks bool) int {
			turn := 0
			for calls := range 1056 {
				if asks && agents[turn].AllowModelCall(t.Context()) != nil {
					return calls
				}
				if _, err := s.Handoff(agents[turn].ID(), agents[1-turn].ID(), "this is for you, not for me"); err == nil {
					turn = 1 - turn
				}
			}
			return 1056
		}
		if n := play(true); n < 3 || n > 12 {
			t.Errorf("%d calls of a model", n)
		}
		for _, a := range agents {
			if st := status(t, s, a.ID()); st.State != ralph.Escalated && st.State != ralph.Paused || len(st.Cause.Agents) != 2 || len(st.Cause.Evidence) == 0 {
				t.Errorf("%+v", st)
			}
		}
		if len(d.of(ralph.EventNudged)) == 0 {
			t.Error("no agent was nudged before")
		}
		// Who does not ask the gate of the model is refused every hand-off, and
		// that is not the end of it: it is escalated.
		_ = play(false)
		for _, a := range agents {
			wantState(t, s, a.ID(), ralph.Escalated)
		}
	})
}
