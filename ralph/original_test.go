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
	"github.com/blackbox4/switchgear/presets"
	"github.com/blackbox4/switchgear/ralph"
	"github.com/blackbox4/switchgear/ralph/detect"
)

// section reads the section "ralph" of a file.
func section(t testing.TB, text string) (cfg ralph.Config, err error) {
	t.Helper()
	fleet, err := presets.Decode(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	_, err = fleet.Section("ralph", &cfg)
	return cfg, err
}

// TestOriginalOptions: each option of the original, by its name in a file and by its
// name in Go, does what the original's README says of it.
func TestOriginalOptions(t *testing.T) {
	fails := func(t *testing.T, s *ralph.Supervisor, a *ralph.Agent, n int) {
		for range n - 1 {
			_ = iterate(a, errWork)
		}
		wantState(t, s, "a", ralph.Running)
		if a.Breaker().State() != core.Closed {
			t.Error("the breaker is open before the agent is paused")
		}
		_ = iterate(a, errWork)
		wantState(t, s, "a", ralph.Paused)
		if a.Breaker().State() != core.Open || status(t, s, "a").Cause.Rule != "failures" {
			t.Errorf("%v, %v", a.Breaker().State(), status(t, s, "a").Cause)
		}
	}
	says := func(t *testing.T, a *ralph.Agent, c float64) { observe(t, a, detect.Step{Confidence: &c}) }
	for _, c := range []struct {
		file string
		cfg  ralph.Config
		play func(t *testing.T, s *ralph.Supervisor, a *ralph.Agent)
	}{
		{"agent_failure_threshold: 5", ralph.Config{AgentFailureThreshold: 5}, func(t *testing.T, s *ralph.Supervisor, a *ralph.Agent) {
			fails(t, s, a, 5)
		}},
		{"agent_failure_threshold: 1", ralph.Config{AgentFailureThreshold: 1}, func(t *testing.T, s *ralph.Supervisor, a *ralph.Agent) {
			fails(t, s, a, 1)
		}},
		{"agent_failure_threshold: -1", ralph.Config{AgentFailureThreshold: -1}, func(t *testing.T, s *ralph.Supervisor, a *ralph.Agent) {
			for range 70 {
				_ = iterate(a, errWork)
			}
			wantState(t, s, "a", ralph.Running)
			if st := a.Breaker().State(); st != core.Closed {
				t.Error(st)
			}
		}},
		{"{}", ralph.Config{}, func(t *testing.T, s *ralph.Supervisor, a *ralph.Agent) { fails(t, s, a, 3) }},
		// Its breaker's failure rate does not open before either.
		{"{agent_failure_threshold: 15, rules: {budgets: {iterations: -1}}}", afterMany(15), func(t *testing.T, s *ralph.Supervisor, a *ralph.Agent) {
			for range 15 {
				_ = iterate(a, nil)
			}
			fails(t, s, a, 15)
		}},
		{"{agent_failure_threshold: 60, rules: {budgets: {iterations: -1}}}", afterMany(60), func(t *testing.T, s *ralph.Supervisor, a *ralph.Agent) {
			fails(t, s, a, 60)
		}},

		{"handoff_threshold: 3", ralph.Config{HandoffThreshold: 3}, func(t *testing.T, s *ralph.Supervisor, a *ralph.Agent) {
			monitor(t, s, "b", ralph.Options{})
			for i := range 2 {
				if _, err := s.Handoff("a", "b", word(i)+" "+word(i*31)+" "+word(i*41)); err != nil {
					t.Fatal(err)
				}
			}
			wantState(t, s, "a", ralph.Running)
			if _, err := s.Handoff("a", "b", "the last one, of another sort"); !errors.Is(err, ralph.ErrFailsafeTriggered) {
				t.Error(err)
			}
			st := status(t, s, "a")
			if st.State != ralph.Escalated || st.Cause.Rule != "hops" || st.Cause.Count != 3 || st.Used.Hops != 3 {
				t.Errorf("%+v", st)
			}
			wantState(t, s, "b", ralph.Running) // what it was handed is not its fault
			if err := s.Resume("a", "eve", ""); !errors.Is(err, detect.ErrExhausted) {
				t.Error(err)
			}
			a.NewTask("another task")
			if err := s.Resume("a", "eve", ""); err != nil {
				t.Error(err)
			}
		}},

		{"low_confidence_threshold: 0.4", ralph.Config{LowConfidenceThreshold: 0.4}, func(t *testing.T, s *ralph.Supervisor, a *ralph.Agent) {
			says(t, a, 0.9)
			says(t, a, 0.4)
			wantState(t, s, "a", ralph.Running)
			says(t, a, 0.39)
			if st := status(t, s, "a"); st.State != ralph.Paused || st.Cause.Rule != "confidence" || st.Cause.Count != 0.39 || st.ResumeAt.IsZero() {
				t.Errorf("%+v", st)
			}
		}},
		{"{}", ralph.Config{}, func(t *testing.T, s *ralph.Supervisor, a *ralph.Agent) {
			for range 30 {
				says(t, a, 0.9) // alone it is no empty reply
			}
			says(t, a, 0.3)
			wantState(t, s, "a", ralph.Running)
			says(t, a, 0.29)
			wantState(t, s, "a", ralph.Paused)
		}},
		{"low_confidence_threshold: -1", ralph.Config{LowConfidenceThreshold: -1}, func(t *testing.T, s *ralph.Supervisor, a *ralph.Agent) {
			for range 10 {
				says(t, a, 0)
			}
			wantState(t, s, "a", ralph.Running)
		}},
		{"rules: {confidence: {trip: 0.3}}", ralph.Config{Rules: detect.Rules{Confidence: detect.ConfidenceLimits{Trip: 0.3}}}, func(t *testing.T, s *ralph.Supervisor, a *ralph.Agent) {
			says(t, a, 0.9)
			says(t, a, 0.2) // the average is 0.69
			wantState(t, s, "a", ralph.Running)
			for range 5 {
				says(t, a, 0.2)
			}
			wantState(t, s, "a", ralph.Paused)
		}},

		{"stuck_task_threshold: 4", ralph.Config{StuckTaskThreshold: 4}, func(t *testing.T, s *ralph.Supervisor, a *ralph.Agent) {
			for range 4 {
				wantState(t, s, "a", ralph.Running)
				a.Progress("the same")
				_ = iterate(a, nil)
			}
			if st := status(t, s, "a"); st.State != ralph.Paused || st.Cause.Rule != "no_progress" || st.Cause.Count != 4 {
				t.Errorf("%+v", st)
			}
		}},

		{"auto_resume_enabled: false", ralph.Config{AutoResumeEnabled: new(false)}, func(t *testing.T, s *ralph.Supervisor, a *ralph.Agent) {
			says(t, a, 0.2)
			time.Sleep(119 * time.Second)
			wantState(t, s, "a", ralph.Paused)
			if s.TryResume("a") {
				t.Error("resumed")
			}
		}},
		{"{auto_resume_enabled: false, auto_resume_delay_ms: 30000}", ralph.Config{AutoResumeEnabled: new(false), AutoResumeAfter: 30 * time.Second}, func(t *testing.T, s *ralph.Supervisor, a *ralph.Agent) {
			says(t, a, 0.2)
			time.Sleep(119 * time.Second)
			wantState(t, s, "a", ralph.Paused)
		}},
		{"{auto_resume_enabled: true, auto_resume_delay_ms: 10000}", ralph.Config{AutoResumeEnabled: new(true), AutoResumeAfter: 10 * time.Second}, func(t *testing.T, s *ralph.Supervisor, a *ralph.Agent) {
			says(t, a, 0.2)
			time.Sleep(9 * time.Second)
			wantState(t, s, "a", ralph.Paused)
			time.Sleep(2*time.Second + 1) // and jitter
			synctest.Wait()
			wantState(t, s, "a", ralph.Recovering)
		}},
		{"auto_resume_delay: 10s", ralph.Config{AutoResumeAfter: 10 * time.Second}, func(t *testing.T, s *ralph.Supervisor, a *ralph.Agent) {
			says(t, a, 0.2)
			time.Sleep(11*time.Second + 1)
			synctest.Wait()
			wantState(t, s, "a", ralph.Recovering)
		}},
		{"{max_recovery_attempts: 1, auto_resume_delay_ms: 1000}", ralph.Config{MaxRecoveryAttempts: 1, AutoResumeAfter: time.Second}, func(t *testing.T, s *ralph.Supervisor, a *ralph.Agent) {
			says(t, a, 0.2)
			time.Sleep(2 * time.Second)
			synctest.Wait()
			wantState(t, s, "a", ralph.Recovering)
			says(t, a, 0.2)
			wantState(t, s, "a", ralph.Escalated)
		}},
		{"{escalation_timeout_ms: 50000, max_recovery_attempts: -1}", ralph.Config{EscalationTimeout: 50 * time.Second, MaxRecoveryAttempts: -1}, func(t *testing.T, s *ralph.Supervisor, a *ralph.Agent) {
			says(t, a, 0.2)
			time.Sleep(49 * time.Second)
			synctest.Wait()
			wantState(t, s, "a", ralph.Paused)
			time.Sleep(1001 * time.Millisecond)
			synctest.Wait()
			wantState(t, s, "a", ralph.Escalated)
		}},

		// Every machine uses more than a hundredth of its memory, and of its disk.
		{"{memory_threshold: 1, disk_threshold: -1, cpu_threshold: -1}", ralph.Config{MemoryThreshold: 1, DiskThreshold: -1, CPUThreshold: -1}, hostIsFull(failsafe.Memory)},
		{"{disk_threshold: 1.0, memory_threshold: -1, cpu_threshold: -1}", ralph.Config{DiskThreshold: 1, MemoryThreshold: -1, CPUThreshold: -1}, hostIsFull(failsafe.Disk)},
	} {
		for _, from := range []string{"file", "Go"} {
			t.Run(from+"/"+c.file, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					cfg := c.cfg
					if from == "file" {
						var err error
						text := c.file
						if !strings.HasPrefix(text, "{") {
							text = "{" + text + "}"
						}
						if cfg, err = section(t, "ralph: "+text); err != nil {
							t.Fatal(err)
						}
					}
					s, _ := supervise(t, cfg)
					defer closeNow(t, s)
					c.play(t, s, monitor(t, s, "a", ralph.Options{}))
				})
			})
		}
	}
}

// afterMany is a Config for many iterations.
func afterMany(failures int) ralph.Config {
	return ralph.Config{AgentFailureThreshold: failures, Rules: detect.Rules{Budgets: detect.Budgets{Iterations: -1}}}
}

// hostIsFull waits for the second reading, with which a condition begins.
func hostIsFull(of failsafe.Type) func(t *testing.T, s *ralph.Supervisor, a *ralph.Agent) {
	return func(t *testing.T, s *ralph.Supervisor, a *ralph.Agent) {
		synctest.Wait()
		time.Sleep(6 * time.Second)
		synctest.Wait()
		err := iterate(a, nil)
		if _, ok := errors.AsType[*failsafe.Error](err); !ok {
			t.Fatalf("%v, want a condition of the host", err)
		}
		if c := status(t, s, "a").Cause; c.Rule != string(of) || c.Threshold != 1 {
			t.Errorf("%+v", c)
		}
		if s.TryResume("a") {
			t.Error("resumed on a host that is full")
		}
	}
}

// TestOriginalMistakes: an error has the line, the value, what is allowed, and what was
// meant, if that can be told.
func TestOriginalMistakes(t *testing.T) {
	for _, c := range []struct {
		text, field, want string
		line              int
	}{
		{"ralph:\n  auto_resume_delay: 30000", "ralph.auto_resume_delay", "has no unit: 30000; write 30000s, or auto_resume_delay_ms: 30000 for milliseconds", 2},
		{"ralph:\n  auto_resume_delay_ms: 30s", "ralph.auto_resume_delay_ms", `must be a whole number of milliseconds, and is "30s"; for a duration with a unit write auto_resume_delay: 30s`, 2},
		{"ralph:\n  escalation_timeout: 120000", "ralph.escalation_timeout", "has no unit: 120000; write 120000s, or escalation_timeout_ms: 120000 for milliseconds", 2},
		{"ralph:\n  shadow: true\n  cpu_threshold: 0.9", "ralph.cpu_threshold", "is 0.9, allowed: percent, 1 to 100; 0 for 90, negative for not read; the share 0.9 is 90 percent", 3},
		{"ralph: {memory_threshold: 900}", "ralph.memory_threshold", "is 900, allowed: percent, 1 to 100; 0 for 90", 1},
		{"ralph: {disk_threshold: .nan}", "ralph.disk_threshold", "is NaN, allowed: percent", 1},
		{"ralph: {low_confidence_threshold: 30}", "ralph.low_confidence_threshold", "is 30, allowed: in (0, 1], how sure the agent is; 0 for 0.3, negative for off; 30 percent is 0.3", 1},
		{"ralph: {agent_failure_threshold: 3.5}", "ralph.agent_failure_threshold", "must be a whole number, and is 3.5", 1},
		{"ralph: {agent_failure_threshold: 2000000}", "ralph.agent_failure_threshold", "is 2000000, allowed: 1 to 1000; 0 for 3, negative for off", 1},
		{"ralph: {auto_resume_enabled: 1}", "ralph.auto_resume_enabled", "must be true or false, and is 1", 1},
		{"ralph: {handof_threshold: 5}", "ralph.handof_threshold", `is not a known field; did you mean "handoff_threshold"?`, 1},
		{"ralph: {auto_resume_dely_ms: 5}", "ralph.auto_resume_dely_ms", `is not a known field; did you mean "auto_resume_delay"?`, 1},
		// both names of one option
		{"ralph:\n  auto_resume_after: 30s\n  auto_resume_delay_ms: 30000", "ralph.auto_resume_delay_ms", "is given twice; the first, by another name, is in line 2", 3},
		{"ralph:\n  auto_resume_delay: 30s\n  auto_resume_delay_ms: 30000", "ralph.auto_resume_delay_ms", "is given twice; the first, by another name, is in line 2", 3},
		{"ralph:\n  agent_failure_threshold: 3\n  rules:\n    failures: {trip: 5}", "ralph.rules.failures.trip", "is 5, allowed: none besides agent_failure_threshold, which sets the same", 4},
		{"ralph:\n  handoff_threshold: 3\n  rules:\n    budgets: {hops: 5}", "ralph.rules.budgets.hops", "is 5, allowed: none besides handoff_threshold", 4},
		{"ralph:\n  stuck_task_threshold: 3\n  rules:\n    no_progress: {trip: 5}", "ralph.rules.no_progress.trip", "is 5, allowed: none besides stuck_task_threshold", 4},
		{"ralph:\n  low_confidence_threshold: 0.3\n  rules:\n    confidence: {trip: 0.2}", "ralph.rules.confidence", "allowed: none besides low_confidence_threshold", 4},
		// what contradicts
		{"ralph:\n  auto_resume_enabled: true\n  auto_resume_delay: -1s", "ralph.auto_resume_delay", "is -1s, allowed: not negative, which is off, while auto_resume_enabled is true", 3},
		{"ralph:\n  escalation_timeout_ms: 60000\n  auto_resume_delay_ms: 90000", "ralph.auto_resume_delay", "is 1m30s, allowed: at most escalation_timeout (1m0s)", 3},
		{"ralph:\n  agent_failure_threshold: 5\n  breaker: {failure_threshold: 4}", "ralph.breaker.failure_threshold", "is 4, allowed: at least 5, as many failures as pause the agent", 3},
		{"ralph:\n  breaker: {failure_threshold: 2}", "ralph.breaker.failure_threshold", "is 2, allowed: at least 3", 2},
	} {
		_, err := section(t, c.text)
		fault, ok := errors.AsType[*presets.FileError](err)
		if !ok || fault.Line != c.line || fault.Field != c.field || !strings.Contains(fault.Problem, c.want) {
			t.Errorf("%s\ngives %v\nwant line %d: %s %s", c.text, err, c.line, c.field, c.want)
		}
	}
	_, err := ralph.New(ralph.Config{CPUThreshold: 90, Vitals: new(host)})
	if fault, ok := errors.AsType[*core.ConfigError](err); !ok || fault.Field != "Vitals" {
		t.Errorf("%v", err)
	}
}

// TestOriginalOrder: a switch in the order of the original, the pause first, takes each
// refusal where it belongs, and so does one the other way round.
func TestOriginalOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, cfg := new(host), plain()
		cfg.Vitals, cfg.MaxRecoveryAttempts = h, -1
		s, _ := supervise(t, cfg)
		defer closeNow(t, s)
		branches := func(err error) (first, second string) {
			switch {
			case errors.Is(err, ralph.ErrAgentPaused):
				first = "paused"
			case errors.Is(err, ralph.ErrFailsafeTriggered):
				first = "escalated"
			case errors.Is(err, core.ErrOpen):
				first = "open"
			}
			switch {
			case errors.Is(err, core.ErrOpen) && !refusedByAgent(err):
				second = "open"
			case errors.Is(err, ralph.ErrFailsafeTriggered):
				second = "escalated"
			case errors.Is(err, ralph.ErrAgentPaused):
				second = "paused"
			}
			return first, second
		}
		for name, c := range map[string]struct {
			do   func(id string)
			want string
		}{
			"a rule, medium":        {func(id string) { observe(t, monitor(t, s, id, ralph.Options{}), detect.Step{Confidence: new(0.2)}) }, "paused"},
			"a rule, high":          {func(id string) { observe(t, monitor(t, s, id, ralph.Options{}), detect.Step{Confidence: new(0.1)}) }, "escalated"},
			"by hand":               {func(id string) { _ = s.Pause(id, 0, "eve", "") }, "paused"},
			"by hand, for too long": {func(id string) { _ = s.Pause(id, 0, "eve", ""); time.Sleep(3 * time.Minute); synctest.Wait() }, "escalated"},
			"stopped":               {func(id string) { _ = s.Stop(id, "eve", "") }, "paused"},
			"the host, medium":      {func(string) { h.set(hot(failsafe.Medium)) }, "paused"},
			"the host, high":        {func(string) { h.set(hot(failsafe.High)) }, "escalated"},
		} {
			a := monitor(t, s, name, ralph.Options{})
			c.do(name)
			_, byAgent := ralph.Execute(t.Context(), a, func(context.Context) (int, error) { t.Error("it was called"); return 0, nil })
			for _, err := range []error{byAgent, a.AllowModelCall(t.Context()), a.AllowTool(t.Context(), "x", name), fmt.Errorf("wrapped: %w", iterate(a, nil))} {
				if first, second := branches(err); first != c.want || second != c.want {
					t.Errorf("%s: %s and %s, want %s: %v", name, first, second, c.want, err)
				}
			}
			h.set()
		}
	})
}
