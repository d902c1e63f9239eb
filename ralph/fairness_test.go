package ralph_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/ralph"
	"github.com/blackbox4/switchgear/ralph/detect"
)

// A hook that never returns keeps no agent from being resumed or escalated.
func TestHookThatBlocksKeepsNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		block := make(chan struct{})
		s, _ := supervise(t, ralph.Config{ResumeJitter: -1, OnEvent: func(e ralph.Event) {
			if e.Kind == ralph.EventResumed {
				<-block
			}
		}})
		defer closeNow(t, s)
		defer close(block)
		const agents = 300 // more than one batch
		for i := range agents {
			id := fmt.Sprint("a", i)
			monitor(t, s, id, ralph.Options{})
			if err := s.Pause(id, detect.ReasonTransient, "me", ""); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(31 * time.Second)
		if n := s.AgentStates()["recovering"]; n != agents {
			t.Errorf("%d of %d agents were resumed while the hook hangs", n, agents)
		}
	})
}

// Whose worker is paused is not to blame for it.
func TestAPausedWorkerIsNotItsOrchestratorsFault(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := supervise(t, ralph.Config{})
		defer closeNow(t, s)
		boss := monitor(t, s, "boss", ralph.Options{})
		monitor(t, s, "worker", ralph.Options{Parent: "boss"})
		if err := s.Pause("worker", detect.ReasonBlocked, "me", "the database is down"); err != nil {
			t.Fatal(err)
		}
		for i := range 10 {
			if _, err := s.Handoff("boss", "worker", "look into "+word(i)); !errors.Is(err, ralph.ErrAgentPaused) {
				t.Fatalf("handed to one that is paused: %v", err)
			}
			observe(t, boss, fresh(2*i))
			observe(t, boss, fresh(2*i+1))
		}
		if got := boss.Status(); got.State != ralph.Running {
			t.Errorf("the orchestrator is %v: %v", got.State, got.Cause)
		}
		for range 5 { // but who does nothing else waits, too
			_, _ = s.Handoff("boss", "worker", "look into this")
		}
		if got := boss.Status(); got.State != ralph.Paused || got.Cause.Reason != detect.ReasonTransient {
			t.Errorf("the orchestrator is %v: %v; want it paused for something that passes", got.State, got.Cause)
		}
	})
}

// Long iterations that each get somewhere are what many agents are.
func TestLongIterationsWithProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := ralph.Config{Breaker: core.Config{CallTimeout: -1}}
		cfg.Profile, cfg.Rules.Budgets.Wall = detect.ProfileStrict, -1
		s, d := supervise(t, cfg)
		defer closeNow(t, s)
		a := monitor(t, s, "a", ralph.Options{})
		a.Progress("start")
		for i := range 40 {
			err := a.Execute(context.Background(), func(context.Context) error { time.Sleep(5 * time.Minute); return nil })
			if err != nil {
				t.Fatalf("iteration %d: %v", i, err)
			}
			if i%3 == 1 {
				a.ProgressUnknown() // looking has failed
			} else {
				a.Progress(fmt.Sprint("commit ", i))
			}
		}
		if all := d.kinds("a"); all != "" {
			t.Errorf("events: %s", all)
		}
		for range 3 { // and of those that get nowhere, two are enough
			_ = a.Execute(context.Background(), func(context.Context) error { time.Sleep(5 * time.Minute); return nil })
		}
		if got := a.Status(); got.State != ralph.Paused || got.Cause.Rule != detect.RuleNoProgress.String() {
			t.Errorf("%v, %v; want it paused for no progress", got.State, got.Cause)
		}
	})
}

// Words are no progress of who has tools.
func TestWordsDoNotEndATrial(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := supervise(t, ralph.Config{ResumeJitter: -1})
		defer closeNow(t, s)
		a := monitor(t, s, "a", ralph.Options{})
		observe(t, a, fresh(1))
		if err := s.Pause("a", detect.ReasonStuck, "me", ""); err != nil {
			t.Fatal(err)
		}
		time.Sleep(31 * time.Second)
		if got := a.Status().State; got != ralph.Recovering {
			t.Fatalf("%v, want it on probation", got)
		}
		err := a.Execute(context.Background(), func(context.Context) error {
			observe(t, a, detect.Step{Output: "I am going to try something."})
			observe(t, a, detect.Step{Tool: "make", Failed: true})
			return nil
		})
		if got := a.Status().State; err != nil || got != ralph.Recovering {
			t.Errorf("%v, %v; want it still on probation", got, err)
		}
	})
}

// What a pause was for is told after every probation.
func TestCauseOfARelapse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, d := supervise(t, ralph.Config{ResumeJitter: -1, EscalationTimeout: -1})
		defer closeNow(t, s)
		a := monitor(t, s, "a", ralph.Options{})
		a.Progress("start")
		for range 20 {
			time.Sleep(time.Second)
			_ = a.Execute(context.Background(), func(context.Context) error { return nil })
			if a.Status().State == ralph.Paused {
				time.Sleep(2*time.Minute + time.Second)
			}
		}
		n := 0
		for _, e := range d.all() {
			if e.Cause.Rule == ralph.RuleRecovery {
				n++
				if e.Cause.After != detect.RuleNoProgress.String() {
					t.Errorf("a relapse after %q, want no_progress", e.Cause.After)
				}
			}
		}
		if n < 2 {
			t.Errorf("%d relapses, want several", n)
		}
	})
}

// Whose work is over makes room at once.
func TestStoppedAgentsMakeRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := supervise(t, ralph.Config{MaxAgents: 10})
		defer closeNow(t, s)
		for i := range 10 {
			id := fmt.Sprint("a", i)
			monitor(t, s, id, ralph.Options{})
			if err := s.Stop(id, "me", "done"); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(7 * time.Minute) // sweeps are a tenth of Idle apart
		for i := range 10 {
			monitor(t, s, fmt.Sprint("b", i), ralph.Options{})
		}
		if _, err := s.Monitor("c", ralph.Options{}); !errors.Is(err, ralph.ErrTooManyAgents) {
			t.Errorf("one too many: %v", err)
		}
	})
}
