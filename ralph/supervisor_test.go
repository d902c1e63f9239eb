package ralph_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
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

func TestDefaults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, d := supervise(t, ralph.Config{})
		defer closeNow(t, s)
		a := monitor(t, s, "a", ralph.Options{})
		if st := status(t, s, "a"); st.Name != "agent" || st.Budget.Iterations != -1 || st.Budget.Wall != -1 || st.Budget.Idle != -1 || st.Budget.Hops != 200 {
			t.Errorf("%+v", st)
		}
		for range 3 {
			_ = iterate(a, errWork)
		}
		st := status(t, s, "a")
		if st.State != ralph.Paused || st.Breaker != core.Open || time.Until(st.ResumeAt) < 30*time.Second || time.Until(st.ResumeAt) > 33*time.Second || time.Until(st.EscalateAt) != 2*time.Minute {
			t.Errorf("%+v", st)
		}
		if e := d.of(ralph.EventPaused); len(e) != 1 || e[0].Cause.Rule != "failures" || e[0].Cause.Count != 3 {
			t.Errorf("%+v", e)
		}
	})
}

func TestConfigFaults(t *testing.T) {
	nan := math.NaN()
	err := ralph.Config{
		Rules:   detect.Rules{Budgets: detect.Budgets{Cost: nan}},
		Budget:  detect.Budgets{Cost: nan},
		Breaker: core.Config{FailureRateThreshold: 2, Timeout: -1},

		AutoResumeAfter: 3 * time.Minute, ResumeFactor: 0.5, MaxResumeAfter: time.Second, ResumeJitter: 1, MaxRecoveryAttempts: 1000,
		Probation: ralph.Probation{Iterations: -1, Cost: nan},
		MaxAgents: -1, Events: 5000,
	}.Validate()
	for _, field := range []string{
		"Rules.Budgets.Cost", "Budget.Cost", "Breaker.FailureRateThreshold", "Breaker.Timeout", "AutoResumeAfter", "ResumeFactor", "MaxResumeAfter",
		"ResumeJitter", "MaxRecoveryAttempts", "Probation.Iterations", "Probation.Cost", "MaxAgents", "Events",
	} {
		if err == nil || !strings.Contains(err.Error(), "switchgear: "+field+" is ") {
			t.Errorf("no fault of %s in\n%v", field, err)
		}
	}
	if _, ok := errors.AsType[*core.ConfigError](err); !ok {
		t.Error("no ConfigError")
	}
	if _, err := ralph.New(ralph.Config{MaxAgents: -1}); err == nil {
		t.Error("New takes it")
	}
	if err := (ralph.Config{AutoResumeAfter: time.Hour, EscalationTimeout: -1}).Validate(); err != nil {
		t.Error(err)
	}
}

// TestConfigFromAFile: the plain part of a Config is a section of a file.
func TestConfigFromAFile(t *testing.T) {
	fleet, err := presets.Decode(strings.NewReader(`
ralph:
  rules:
    repeat: {nudge: 4, trip: 8}
    no_progress_for: {trip: 10m}
    tools: {wait: poll}
    budgets: {iterations: 50, cost: 3.5}
  budget: {tool_calls: 100000, tokens: 5000000}
  breaker: {failure_threshold: 7, timeout: 90s}
  auto_resume_after: 20s
  max_recovery_attempts: 5
  escalation_timeout_ms: 300000
  probe: {iterations: 2}
  max_agents: 500
  path: /var/lib/agents.db
  shadow: true
`))
	if err != nil {
		t.Fatal(err)
	}
	var cfg ralph.Config
	if found, err := fleet.Section("ralph", &cfg); !found || err != nil {
		t.Fatal(found, err)
	}
	if cfg.Rules.Repeat.Trip != 8 || cfg.Rules.NoProgressFor.Trip != 10*time.Minute || cfg.Rules.Tools["wait"] != detect.ClassPoll || cfg.Rules.Budgets.Cost != 3.5 ||
		cfg.Budget.ToolCalls != 100000 || cfg.Breaker.FailureThreshold != 7 || cfg.AutoResumeAfter != 20*time.Second || cfg.MaxRecoveryAttempts != 5 ||
		cfg.EscalationTimeout != 5*time.Minute || cfg.Probation.Iterations != 2 || cfg.MaxAgents != 500 || cfg.Path != "/var/lib/agents.db" || !cfg.Shadow {
		t.Errorf("%+v", cfg)
	}
	if err := cfg.Validate(); err != nil {
		t.Error(err)
	}
	if _, err := fleet.Section("ralph", &struct {
		Rules string `json:"rules"`
	}{}); err == nil {
		t.Error("another shape is taken")
	}
	bad, err := presets.Decode(strings.NewReader("ralph: {auto_resume_aftr: 20s}"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := bad.Section("ralph", &cfg); err == nil || !strings.Contains(err.Error(), `did you mean "auto_resume_after"`) {
		t.Errorf("%v", err)
	}

	text, err := json.Marshal(cfg) // and back
	if err != nil {
		t.Fatal(err)
	}
	var again ralph.Config
	if err := json.Unmarshal(text, &again); err != nil || fmt.Sprintf("%+v", again) != fmt.Sprintf("%+v", cfg) {
		t.Errorf("%v\n%+v\n%+v", err, cfg, again)
	}
}

func TestMonitorRefuses(t *testing.T) {
	s, _ := supervise(t, plain())
	long := strings.Repeat("x", 257)
	for name, c := range map[string]struct {
		id   string
		o    ralph.Options
		want string
	}{
		"no id":            {"", ralph.Options{}, "id is"},
		"a long id":        {long, ralph.Options{}, "id is"},
		"a control":        {"a\n", ralph.Options{}, "id is"},
		"not UTF-8":        {"a\xff", ralph.Options{}, "id is"},
		"a name not UTF-8": {"a", ralph.Options{Name: "\xff"}, "Name is"},
		"its own parent":   {"a", ralph.Options{Parent: "a"}, "Parent is"},
		"no such parent":   {"a", ralph.Options{Parent: "nobody"}, "unknown agent"},
		"NaN":              {"a", ralph.Options{Budget: detect.Budgets{Cost: math.NaN()}}, "Budget.Cost"},
		"infinite":         {"a", ralph.Options{Tree: detect.Budgets{Cost: math.Inf(1)}}, "Tree.Cost"},
	} {
		t.Run(name, func(t *testing.T) {
			if a, err := s.Monitor(c.id, c.o); err == nil || a != nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q in it", err, c.want)
			}
		})
	}
	if s.Stats().Agents != 0 {
		t.Error("something was kept")
	}
	monitor(t, s, long[1:], ralph.Options{Name: long[1:], Session: long[1:], Task: long[1:]})
	parent := ""
	for i := range 33 {
		id := fmt.Sprint("level", i)
		if _, err := s.Monitor(id, ralph.Options{Parent: parent}); (err != nil) != (i == 32) {
			t.Errorf("level %d: %v", i, err)
		}
		parent = id
	}
	monitor(t, s, "child", ralph.Options{Parent: "level0"})
	monitor(t, s, "child", ralph.Options{})                 // known
	monitor(t, s, "child", ralph.Options{Parent: "level0"}) // the same
	if _, err := s.Monitor("child", ralph.Options{Parent: "level1"}); err == nil {
		t.Error("another parent is taken")
	}
	if err := s.Update("child", ralph.Options{Parent: "level1"}); err == nil {
		t.Error("another parent is taken")
	}
	if err := s.Update("level0", ralph.Options{Tree: detect.Budgets{Tokens: 5}}); err == nil {
		t.Error("a budget for a tree that has agents already")
	}
}

func TestUnknownAgents(t *testing.T) {
	s, _ := supervise(t, plain())
	monitor(t, s, "a", ralph.Options{})
	_, err1 := s.Agent("nobody")
	_, err2 := s.Status("nobody")
	_, err3 := s.Detect("nobody")
	_, err4 := s.Explain("nobody")
	_, err5 := s.Handoff("a", "nobody", "x")
	_, err6 := s.Handoff("nobody", "a", "x")
	for i, err := range []error{
		err1, err2, err3, err4, err5, err6, s.Pause("nobody", 0, "", ""), s.Resume("nobody", "", ""), s.Reset("nobody"), s.Stop("nobody", "", ""),
		s.Update("nobody", ralph.Options{Name: "x"}),
	} {
		if !errors.Is(err, ralph.ErrUnknownAgent) || !strings.Contains(err.Error(), `"nobody"`) {
			t.Errorf("%d: %v", i, err)
		}
	}
	if err := s.Pause("a", 77, "", ""); err == nil {
		t.Error("a reason that there is not")
	}
}

func TestMaxAgentsAndIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, cfg := new(host), plain()
		cfg.Vitals, cfg.MaxAgents, cfg.Idle = h, 10, time.Hour
		s, _ := supervise(t, cfg)
		defer closeNow(t, s)
		agents := make(map[string]*ralph.Agent)
		for i := range 10 {
			o := ralph.Options{}
			if i == 9 {
				o.Parent = "a8"
			}
			id := fmt.Sprint("a", i)
			agents[id] = monitor(t, s, id, o)
		}
		_, err := s.Monitor("one too many", ralph.Options{})
		if !errors.Is(err, ralph.ErrTooManyAgents) || !strings.Contains(err.Error(), "10") {
			t.Errorf("%v", err)
		}
		monitor(t, s, "a3", ralph.Options{}) // who is there stays welcome

		stall(t, agents["a0"]) // what has something to remember
		if err := s.Pause("a1", detect.ReasonBlocked, "", ""); err != nil {
			t.Fatal(err)
		}
		p, err := agents["a2"].AllowIteration(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(59 * time.Minute)
		observe(t, agents["a3"], fresh(1))
		if _, err := s.Monitor("b", ralph.Options{}); !errors.Is(err, ralph.ErrTooManyAgents) {
			t.Errorf("%v", err)
		}
		time.Sleep(7 * time.Minute)
		monitor(t, s, "b", ralph.Options{}) // a4 to a9 are forgotten
		if n := s.Stats().Agents; n != 5 {
			t.Errorf("%d agents are left: %v", n, s.Stats())
		}
		// Who is used again comes back as it was.
		a4 := agents["a4"]
		if err := iterate(a4, nil); err != nil {
			t.Error(err)
		}
		if st := status(t, s, "a4"); st.Totals.Iterations != 1 {
			t.Errorf("%+v", st)
		}
		monitor(t, s, "a5", ralph.Options{}) // but not beside its heir
		if err := iterate(agents["a5"], nil); !errors.Is(err, ralph.ErrUnknownAgent) {
			t.Errorf("%v", err)
		}
		if _, err := agents["a9"].Observe(fresh(1)); !errors.Is(err, ralph.ErrUnknownAgent) { // nor without its parent
			t.Errorf("%v", err)
		}
		p.Done(t.Context(), nil)
		// Who is forgotten and meets something at the gate of the model is back.
		time.Sleep(2 * time.Hour)
		monitor(t, s, "c", ralph.Options{})
		h.set(hot(failsafe.Medium))
		if err := a4.AllowModelCall(t.Context()); !refusedByAgent(err) {
			t.Error(err)
		}
		wantState(t, s, "a4", ralph.Paused)
		var sum int64
		for _, n := range s.AgentStates() {
			sum += n
		}
		if sum != int64(s.Stats().Agents) {
			t.Errorf("%v of %d agents", s.AgentStates(), s.Stats().Agents)
		}
	})
}

func TestClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, d := supervise(t, plain())
		a := monitor(t, s, "a", ralph.Options{})
		stall(t, monitor(t, s, "paused", ralph.Options{}))
		closeNow(t, s)
		closeNow(t, s)
		if err := iterate(a, nil); !errors.Is(err, ralph.ErrClosed) {
			t.Error(err)
		}
		if _, err := s.Monitor("b", ralph.Options{}); !errors.Is(err, ralph.ErrClosed) {
			t.Error(err)
		}
		if err := s.Pause("a", 0, "", ""); !errors.Is(err, ralph.ErrClosed) {
			t.Error(err)
		}
		n := len(d.all())
		time.Sleep(time.Hour)
		synctest.Wait()
		wantState(t, s, "paused", ralph.Paused)
		if len(d.all()) != n {
			t.Error("events after Close")
		}
		_, _ = a.Observe(fresh(1)) // does no harm
	})
}

// TestContexts: a context that is done takes nothing, and nil is Background.
func TestContexts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, cfg := new(host), plain()
		cfg.Vitals = h
		s, _ := supervise(t, cfg)
		defer closeNow(t, s)
		a := monitor(t, s, "a", ralph.Options{})
		done, cancel := context.WithCancel(t.Context())
		cancel()
		for _, err := range []error{a.AllowModelCall(done), a.AllowTool(done, "x", ""), func() error { _, err := a.AllowIteration(done); return err }(), a.Execute(done, func(context.Context) error { return nil })} {
			if !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		}
		if st := status(t, s, "a"); st.InFlight != 0 || st.Totals != (detect.Totals{}) || st.State != ralph.Running {
			t.Errorf("%+v", st)
		}
		var none context.Context
		p, err := a.AllowIteration(none)
		if err := errors.Join(err, a.AllowModelCall(none), a.AllowTool(none, "x", ""), a.Execute(none, func(context.Context) error { return nil })); err != nil {
			t.Error(err)
		}
		p.Settle(none, core.Failure)
		if err := a.Execute(t.Context(), nil); err == nil {
			t.Error("a nil function")
		}
		// What the caller cancelled is no failure.
		for range 10 {
			ctx, cancel := context.WithCancel(t.Context())
			_ = a.Execute(ctx, func(context.Context) error { cancel(); return errWork })
		}
		if st := status(t, s, "a"); st.State != ralph.Running || st.Totals.Failures != 1 || st.Breaker != core.Closed {
			t.Errorf("%+v", st)
		}
	})
}
