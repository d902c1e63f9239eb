package docs_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/core/failsafe"
	"github.com/blackbox4/switchgear/presets"
	"github.com/blackbox4/switchgear/ralph"
	"github.com/blackbox4/switchgear/ralph/detect"
)

// supervised returns a supervisor and an agent of it.
func supervised(cfg ralph.Config) (*ralph.Supervisor, *ralph.Agent) {
	supervisor, err := ralph.New(cfg)
	good(err)
	agent, err := supervisor.Monitor("research-agent-1", ralph.Options{Name: "ResearchAgent"})
	good(err)
	return supervisor, agent
}

func Example_agents() {
	topic, depth := "bridges", 2
	onPage(func() error {
		supervisor, err := ralph.New(ralph.Config{})
		if err != nil {
			return err
		}
		defer supervisor.Close(ctx)

		agent, err := supervisor.Monitor("research-agent-1", ralph.Options{
			Name:    "ResearchAgent",
			Session: "session-123",
			Task:    "task-456",
		})
		if err != nil {
			return err
		}

		result, err := ralph.Execute(ctx, agent, func(ctx context.Context) (string, error) {
			return agentFunction(ctx, topic, depth)
		})
		switch {
		case errors.Is(err, ralph.ErrAgentPaused):
			fmt.Println("Agent paused - waiting for recovery")
		case errors.Is(err, ralph.ErrFailsafeTriggered):
			fmt.Println("Failsafe triggered - escalation needed")
		case errors.Is(err, core.ErrOpen):
			fmt.Println("The circuit of the agent is open")
		case err != nil:
			fmt.Println("It failed:", err)
		default:
			fmt.Println(result)
		}
		return nil
	})
	// Output: a report on bridges, depth 2
}

func Example_options() {
	onPage(func() error {
		supervisor, err := ralph.New(ralph.Config{
			// Agent thresholds
			AgentFailureThreshold:  3,
			HandoffThreshold:       5,
			LowConfidenceThreshold: 0.3,
			StuckTaskThreshold:     10,

			// Recovery settings
			AutoResumeEnabled:   new(true),
			AutoResumeAfter:     30 * time.Second,
			MaxRecoveryAttempts: 3,

			// Failsafe thresholds
			CPUThreshold:    90,
			MemoryThreshold: 90,
			DiskThreshold:   90,

			// Escalation
			EscalationTimeout: 2 * time.Minute,
		})
		if err != nil {
			return err
		}
		defer supervisor.Close(ctx)
		// Not on the page.
		agent, err := supervisor.Monitor("research-agent-1", ralph.Options{})
		good(err)
		for range 4 {
			_, err = ralph.Execute(ctx, agent, riskyOperation)
			fmt.Println(errors.Is(err, errDown), errors.Is(err, ralph.ErrAgentPaused))
		}
		fmt.Println(agent.Status().State, agent.Status().Breaker)
		return nil
	})
	// Output:
	// true false
	// true false
	// true false
	// false true
	// paused open
}

func Example_section() {
	fleet, err := presets.Decode(strings.NewReader(fences("yaml")[0].text))
	good(err)
	onPage(func() error {
		var cfg ralph.Config
		if _, err := fleet.Section("ralph", &cfg); err != nil {
			return err
		}
		supervisor, err := ralph.New(cfg)
		if err != nil {
			return err
		}
		defer supervisor.Close(ctx)
		// Not on the page.
		fmt.Println(cfg.AgentFailureThreshold, cfg.HandoffThreshold, cfg.LowConfidenceThreshold, cfg.StuckTaskThreshold)
		fmt.Println(*cfg.AutoResumeEnabled, cfg.AutoResumeAfter, cfg.MaxRecoveryAttempts, cfg.EscalationTimeout)
		fmt.Println(cfg.CPUThreshold, cfg.MemoryThreshold, cfg.DiskThreshold)
		return nil
	})
	// Output:
	// 3 5 0.3 10
	// true 30s 3 2m0s
	// 90 90 90
}

func Example_always() {
	supervisor, _ := supervised(ralph.Config{})
	defer supervisor.Close(ctx)
	agentID, agentName, sessionID := "a-1", "ResearchAgent", "s-1"
	onPage(func() error {
		agent, err := supervisor.Monitor(agentID, ralph.Options{Name: agentName, Session: sessionID})
		if err != nil {
			return err
		}
		// Not on the page.
		fmt.Println(agent.Status().Name, agent.Status().Session)
		return nil
	})
	// Output: ResearchAgent s-1
}

func Example_handoffs() {
	supervisor, agent := supervised(ralph.Config{HandoffThreshold: 5})
	defer supervisor.Close(ctx)
	_, err := supervisor.Monitor("writer-1", ralph.Options{Name: "Writer"})
	good(err)
	for _, work := range []string{"the title of the book", "an outline, in ten points", "who wrote it, and when?", "check all the dates"} {
		_, err := supervisor.Handoff(agent.ID(), "writer-1", work)
		good(err)
	}
	onPage(func() error {
		_, err := supervisor.Handoff("research-agent-1", "writer-1", "Write chapter 3.")
		if refusal, ok := errors.AsType[*ralph.PausedError](err); ok {
			fmt.Println("not handed over:", refusal.Cause.Message)
		}
		// Not on the page.
		fmt.Println(agent.Status().State, agent.Status().Handoffs)
		return nil
	})
	// Output:
	// not handed over: 5 hand-offs are used. Finish with what you have, and say what is left.
	// escalated 5
}

func Example_confidence() {
	supervisor, agent := supervised(ralph.Config{})
	defer supervisor.Close(ctx)
	confidence := 0.2
	onPage(func() error {
		finding, err := agent.Observe(detect.Step{Confidence: new(confidence)})
		if err != nil {
			return err
		}
		if finding.Level == detect.LevelTrip {
			fmt.Println("Paused:", finding.Message)
		}
		// Not on the page.
		fmt.Println(agent.Status().State)
		return nil
	})
	// Output:
	// Paused: You are not sure enough of what you do (0.20). Check what you have with a test or a source before you go on, or ask.
	// paused
}

func Example_recovery() {
	onPage(func() error {
		cfg := ralph.Config{
			AutoResumeEnabled:   new(true),
			AutoResumeAfter:     30 * time.Second,
			MaxRecoveryAttempts: 3,
		}
		// Not on the page.
		return cfg.Validate()
	})
	// Output:
}

func Example_failsafe() {
	supervisor, agent := supervised(ralph.Config{})
	defer supervisor.Close(ctx)
	_, err := agent.Observe(detect.Step{Confidence: new(0.05)})
	good(err)
	onPage(func() error {
		_, err := ralph.Execute(ctx, agent, riskyOperation)
		if errors.Is(err, ralph.ErrFailsafeTriggered) {
			conditions, err := supervisor.Detect(agent.ID())
			if err != nil {
				return err
			}
			if slices.ContainsFunc(conditions, func(c failsafe.Condition) bool { return c.Severity >= failsafe.High }) {
				escalateToHuman(conditions)
			} else {
				slog.Warn("failsafe", "conditions", conditions)
			}
		}
		return nil
	})
	// Output: a person is called: You are not sure enough of what you do (0.05). Check what you have with a test or a source before you go on, or ask.
}

func Example_operations() {
	supervisor, agent := supervised(ralph.Config{})
	defer supervisor.Close(ctx)
	onPage(func() error {
		// trigger_pause: Transient, Stuck and Failing are resumed by themselves; 0 waits for a person.
		if err := supervisor.Pause("research-agent-1", detect.ReasonTransient, "deploy", "the database moves"); err != nil {
			return err
		}
		resumed := supervisor.TryResume("research-agent-1") // auto_resume
		fmt.Println("resumed:", resumed)

		for _, status := range supervisor.Statuses() { // get_all_status
			fmt.Println(status.ID, status.State, status.Attempts)
		}
		if err := supervisor.Reset("research-agent-1"); err != nil { // reset_agent
			return err
		}
		// Not on the page.
		fmt.Println(agent.Status().State)
		return nil
	})
	// Output:
	// resumed: true
	// research-agent-1 recovering 1
	// running
}

func Example_shell() {
	onPage(func() error {
		cfg := ralph.Config{
			AutoResumeAfter:   300 * time.Second, // cooldown
			EscalationTimeout: 10 * time.Minute,  // not before the cooldown is over
			Path:              "agents.db",       // the state file
			Rules: detect.Rules{
				NoProgress: detect.Limits{Nudge: 3, Trip: 10}, // stagnation_threshold, max_loops_no_progress
				Budgets:    detect.Budgets{Iterations: 20},    // absolute_max_loops
				Warn:       0.4,                               // of it: the warning at 8
			},
		}
		// Not on the page.
		cfg.Path = ""
		supervisor, agent := supervised(cfg)
		defer supervisor.Close(ctx)
		for i := range 11 {
			agent.Progress("nothing new")
			err := agent.Execute(ctx, func(context.Context) error { return nil })
			if text, ok := agent.Nudge(); ok {
				fmt.Println(i+1, text)
			}
			if err != nil {
				fmt.Println(i+1, "loops:", agent.Status().State, agent.Status().Cause.Rule)
			}
		}
		return nil
	})
	// Output:
	// 3 There was no progress for a while. Name the smallest step that would change something, and take it; if there is none, say why.
	// 8 8 iterations are used. Finish with what you have, and say what is left.
	// 11 loops: paused no_progress
}

func Example_detector() {
	registry, _ := used()
	onPage(func() error {
		detector := failsafe.Detector{
			Config:     failsafe.Config{CPU: 90, Memory: 90, Disk: 90}, // the defaults
			Breakers:   registry.Breakers().All(),
			Confidence: 0.3,
		}
		conditions, err := detector.CheckAll(ctx) // CheckResources and CheckErrors
		if err != nil {
			return err
		}
		doubts, err := detector.CheckConfidence(0.2)
		if err != nil {
			return err
		}
		for _, c := range doubts {
			fmt.Println(c.Type, c.Severity, c.Value, c.Threshold)
		}
		// Not on the page.
		_ = conditions // as the machine is
		return nil
	})
	// Output: confidence medium 0.2 0.3
}
