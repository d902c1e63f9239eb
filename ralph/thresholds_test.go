package ralph_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/ralph"
	"github.com/blackbox4/switchgear/ralph/detect"
)

// TestThresholdsSayWhatIsAllowed: at their borders, and as what they are mistaken for.
func TestThresholdsSayWhatIsAllowed(t *testing.T) {
	yes, no := true, false
	for _, c := range []ralph.Config{
		{AgentFailureThreshold: 1000, Breaker: core.Config{FailureThreshold: -1}, Rules: detect.Rules{Budgets: detect.Budgets{Iterations: 1000}}},
		{AgentFailureThreshold: 100, StuckTaskThreshold: 100},
		{HandoffThreshold: 1_000_000},
		{StuckTaskThreshold: 1_000_000, Rules: detect.Rules{Budgets: detect.Budgets{Iterations: -1}}},
		{AgentFailureThreshold: -1, HandoffThreshold: -1, StuckTaskThreshold: -1, LowConfidenceThreshold: -1},
		{LowConfidenceThreshold: 1},
		{CPUThreshold: 1, MemoryThreshold: 100, DiskThreshold: -1},
		{AutoResumeEnabled: &yes},
		{AutoResumeEnabled: &no, AutoResumeAfter: -1},
		{AutoResumeEnabled: &no, AutoResumeAfter: 3 * time.Minute}, // which is off
		{AutoResumeEnabled: &no, MaxResumeAfter: 1},
		{AutoResumeEnabled: &yes, AutoResumeAfter: 1},
		{Breaker: core.Config{FailureThreshold: 3}},
		{Breaker: core.Config{FailureThreshold: -1}},
		{AgentFailureThreshold: -1, Breaker: core.Config{FailureThreshold: 1}},
		{Rules: detect.Rules{Failures: detect.Limits{Nudge: 1, Trip: 2}}, Breaker: core.Config{FailureThreshold: 2}},
		{MaxResumeAfter: 1, AutoResumeAfter: -1},
		{MaxResumeAfter: 0, AutoResumeAfter: -1},
	} {
		if err := c.Validate(); err != nil {
			t.Error(err)
		}
	}
	share := "percent, 1 to 100; 0 for 90, negative for not read"
	sure := "in (0, 1], how sure the agent is; 0 for 0.3, negative for off"
	for want, c := range map[string]ralph.Config{
		"AgentFailureThreshold is 1001, allowed: 1 to 1000; 0 for 3, negative for off":                                                              {AgentFailureThreshold: 1001, Breaker: core.Config{FailureThreshold: -1}},
		"StuckTaskThreshold is 101, allowed: at most 100, Rules.Budgets.Iterations, which ends the task before: raise that, too; negative for off":  {Profile: detect.ProfileStrict, StuckTaskThreshold: 101},
		"AgentFailureThreshold is 51, allowed: at most 50, Rules.Budgets.Iterations, which ends the task before: raise that, too; negative for off": {AgentFailureThreshold: 51, Rules: detect.Rules{Budgets: detect.Budgets{Iterations: 50}}},
		"HandoffThreshold is 1000001, allowed: 1 to 1000000; 0 for 200, negative for off":                                                           {HandoffThreshold: 1_000_001},
		"StuckTaskThreshold is 1000001, allowed: 1 to 1000000; 0 for 10, negative for off":                                                          {StuckTaskThreshold: 1_000_001},
		"LowConfidenceThreshold is 1.5, allowed: " + sure + "; 1.5 percent is 0.015":                                                                {LowConfidenceThreshold: 1.5},
		"LowConfidenceThreshold is 100, allowed: " + sure + "; 100 percent is 1":                                                                    {LowConfidenceThreshold: 100},
		"LowConfidenceThreshold is 100.5, allowed: " + sure:                                                                                         {LowConfidenceThreshold: 100.5},
		"CPUThreshold is 0.5, allowed: " + share + "; the share 0.5 is 50 percent":                                                                  {CPUThreshold: 0.5},
		"MemoryThreshold is 100.5, allowed: " + share:                                                                                               {MemoryThreshold: 100.5},
		"DiskThreshold is 0.9, allowed: " + share + "; the share 0.9 is 90 percent":                                                                 {DiskThreshold: 0.9},
		"AutoResumeAfter is -1ns, allowed: not negative, which is off, while AutoResumeEnabled is true":                                             {AutoResumeEnabled: &yes, AutoResumeAfter: -1},
		"Breaker.FailureThreshold is 2, allowed: at least 3, as many failures as pause the agent: a breaker that opens before refuses it and tells no person; 0 for the same": {
			Breaker: core.Config{FailureThreshold: 2},
		},
		"Rules.Failures.Trip is 5, allowed: none besides AgentFailureThreshold, which sets the same":                    {AgentFailureThreshold: 5, Rules: detect.Rules{Failures: detect.Limits{Trip: 5}}},
		"Rules.Budgets.Hops is 5, allowed: none besides HandoffThreshold, which sets the same":                          {HandoffThreshold: 5, Rules: detect.Rules{Budgets: detect.Budgets{Hops: 5}}},
		"Rules.NoProgress.Trip is 5, allowed: none besides StuckTaskThreshold, which sets the same":                     {StuckTaskThreshold: 5, Rules: detect.Rules{NoProgress: detect.Limits{Trip: 5}}},
		`Vitals is "given", allowed: none besides CPUThreshold, MemoryThreshold and DiskThreshold, which sets the same`: {DiskThreshold: 90, Vitals: new(host)},
	} {
		var texts []string
		if joined, ok := c.Validate().(interface{ Unwrap() []error }); ok {
			for _, one := range joined.Unwrap() {
				texts = append(texts, strings.TrimPrefix(one.Error(), "switchgear: "))
			}
		}
		if len(texts) != 1 || texts[0] != want {
			t.Errorf("%q, want %q", texts, want)
		}
	}
}

// TestFaultsOfUpdate are told, and nothing is changed.
func TestFaultsOfUpdate(t *testing.T) {
	s, d := supervise(t, plain())
	monitor(t, s, "a", ralph.Options{Name: "n", Session: "s", Task: "t"})
	before := status(t, s, "a")
	for field, o := range map[string]ralph.Options{
		"Name": {Name: "\n"}, "Session": {Session: "\n"}, "Task": {Task: "\n"}, "Parent": {Parent: "a"},
		"Budget.Cost": {Name: "other", Budget: detect.Budgets{Cost: 2e9}}, "Tree.Cost": {Name: "other", Tree: detect.Budgets{Cost: 2e9}},
	} {
		err := s.Update("a", o)
		if fault, ok := errors.AsType[*core.ConfigError](err); !ok || fault.Field != field {
			t.Errorf("%s: %v", field, err)
		}
	}
	if got := status(t, s, "a"); got.Name != before.Name || got.Session != before.Session || got.Task != before.Task || len(d.all()) != 0 {
		t.Errorf("%+v", got)
	}
	if err := s.Pause("a", detect.ReasonTransient+1, "", ""); err == nil || state(t, s, "a") != ralph.Running {
		t.Errorf("a reason that there is not: %v", err)
	}
}

// TestUpdateIsActivity: one that is changed is not idle.
func TestUpdateIsActivity(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := supervise(t, plain())
		defer closeNow(t, s)
		monitor(t, s, "a", ralph.Options{})
		for name, o := range map[string]ralph.Options{"name": {Name: "n"}, "budget": {Budget: detect.Budgets{Tokens: 5}}, "tree": {Tree: detect.Budgets{Tokens: 5}}, "nothing": {}} {
			time.Sleep(time.Minute)
			if err := s.Update("a", o); err != nil || !status(t, s, "a").LastSeen.Equal(time.Now()) {
				t.Errorf("%s: %v, last seen %v", name, err, status(t, s, "a").LastSeen)
			}
			time.Sleep(time.Minute)
			if _, err := s.Monitor("a", o); err != nil || !status(t, s, "a").LastSeen.Equal(time.Now()) {
				t.Errorf("%s: %v, last seen %v", name, err, status(t, s, "a").LastSeen)
			}
		}
	})
}

// TestSweepsAreApart: idle agents are looked for ten times in Idle, and no more often.
func TestSweepsAreApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := plain()
		cfg.MaxAgents, cfg.Idle = 1, time.Hour
		s, _ := supervise(t, cfg)
		defer closeNow(t, s)
		monitor(t, s, "a", ralph.Options{})
		for _, c := range []struct {
			after time.Duration
			room  bool
		}{{59 * time.Minute, false}, {6*time.Minute - 1, false}, {1, true}} {
			time.Sleep(c.after)
			if _, err := s.Monitor("b", ralph.Options{}); (err == nil) != c.room {
				t.Errorf("after %v: %v", c.after, err)
			}
		}
	})
}

// TestRangesEndEarly where the caller has enough.
func TestRangesEndEarly(t *testing.T) {
	s, _ := supervise(t, plain())
	for i := range 3 {
		_ = iterate(monitor(t, s, fmt.Sprint(i), ralph.Options{}), nil)
	}
	n := 0
	for range s.All() {
		n++
		break
	}
	for range s.AgentBreakers() {
		n++
		break
	}
	if n != 2 {
		t.Errorf("%d", n)
	}
}

// TestZeroSupervisorsHaveMaps that can be written to.
func TestZeroSupervisorsHaveMaps(t *testing.T) {
	var s *ralph.Supervisor
	s.AgentStates()["x"]++
	s.AgentSteps()[[2]string{}]++
	s.AgentEscalations()[[2]string{}]++
	s.AgentHandoffs()[[3]string{}]++
	s.AgentConfidence()["x"]++
	s.Stats().States[ralph.Running]++
	s = new(ralph.Supervisor)
	s.AgentHandoffs()[[3]string{}]++
}

// TestExplained: where an agent stands, in words.
func TestExplained(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := plain()
		cfg.Events = -1
		s, _ := supervise(t, cfg)
		defer closeNow(t, s)
		want := func(id, want string) {
			t.Helper()
			if got, err := s.Explain(id); err != nil || got != `agent "`+id+`" ("agent") is `+want {
				t.Errorf("%s\nwant\n%s", got, want)
			}
		}
		const none = "; 0 iterations (0 failed), 0 steps (0 errors, 0 refused), 0 hand-offs, 0 tokens, cost 0"
		a := monitor(t, s, "a", ralph.Options{})
		time.Sleep(1500 * time.Millisecond)
		want("a", "running, since 1.5s"+none)
		observe(t, a, detect.Step{Tool: "x", Tokens: 7, Cost: 0.5, Err: "no"})
		_ = iterate(a, errWork)
		want("a", "running, since 1.5s; 1 iterations (1 failed), 1 steps (1 errors, 0 refused), 0 hand-offs, 7 tokens, cost 0.5")

		monitor(t, s, "b", ralph.Options{})
		_ = s.Pause("b", detect.ReasonStuck, "eve", "why")
		time.Sleep(time.Second)
		want("b", `paused, since 1s; stuck, manual: why; resumed on probation in 29s, for the 1st time of 3, unless the cause is still there; escalated in 1m59s`+none)
		time.Sleep(29*time.Second + 1)
		synctest.Wait()
		want("b", `recovering, since 0s; stuck, manual: why; resumed on probation 1 of 3 times: it has to show progress within 3 iterations`+none)
		b, _ := s.Agent("b")
		_ = iterate(b, nil)
		want("b", `running, since 0s; resumed by itself 1 times; 1 iterations (0 failed), 0 steps (0 errors, 0 refused), 0 hand-offs, 0 tokens, cost 0`)

		monitor(t, s, "c", ralph.Options{})
		_ = s.Pause("c", 0, "eve", "")
		want("c", `paused, since 0s; blocked, manual; a person has to resume it; escalated in 2m0s`+none)
		time.Sleep(2*time.Minute + 1)
		synctest.Wait()
		want("c", `escalated, since 0s; blocked, manual; a person has to resume it`+none)
		monitor(t, s, "d", ralph.Options{})
		_ = s.Pause("d", detect.ReasonExhausted, "eve", "")
		want("d", `paused, since 0s; exhausted, manual; resumed when its budget is raised; escalated in 2m0s`+none)
		_ = s.Stop("d", "eve", "done")
		want("d", `stopped, since 0s; manual: done`+none)
	})
}
