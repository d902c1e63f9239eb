package ralph_test

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/presets"
	"github.com/blackbox4/switchgear/ralph"
	"github.com/blackbox4/switchgear/ralph/detect"
)

// The options of the original system stand in a file under their names.
func ExampleConfig() {
	fleet, err := presets.Decode(strings.NewReader(`
ralph:
  agent_failure_threshold: 3
  handoff_threshold: 5
  low_confidence_threshold: 0.3
  stuck_task_threshold: 10
  auto_resume_enabled: true
  auto_resume_delay_ms: 30000
  max_recovery_attempts: 3
  escalation_timeout_ms: 120000
`)) // and cpu_threshold, memory_threshold, disk_threshold: 90.0, which are percent
	if err != nil {
		panic(err)
	}
	var cfg ralph.Config
	if _, err := fleet.Section("ralph", &cfg); err != nil {
		panic(err) // with the line, the value and what is allowed
	}
	supervisor, err := ralph.New(cfg)
	if err != nil {
		panic(err)
	}
	defer supervisor.Close(context.Background())
	fmt.Println(cfg.AgentFailureThreshold, cfg.HandoffThreshold, cfg.LowConfidenceThreshold, cfg.AutoResumeAfter, cfg.EscalationTimeout)
	// Output: 3 5 0.3 30s 2m0s
}

// An iteration returns a result, or says why it was not admitted: the agent is paused
// and may recover, or it is escalated and a person has to come, or its circuit is open.
func ExampleExecute() {
	supervisor, err := ralph.New(ralph.Config{LowConfidenceThreshold: 0.3})
	if err != nil {
		panic(err)
	}
	defer supervisor.Close(context.Background())
	agent, err := supervisor.Monitor("research-agent-1", ralph.Options{Name: "ResearchAgent", Session: "session-123", Task: "task-456"})
	if err != nil {
		panic(err)
	}
	for _, sure := range []float64{0.9, 0.2, 0.1} {
		result, err := ralph.Execute(context.Background(), agent, func(context.Context) (string, error) { return "a page of text", nil })
		switch {
		case errors.Is(err, ralph.ErrAgentPaused):
			fmt.Println("paused, waiting for recovery")
		case errors.Is(err, ralph.ErrFailsafeTriggered):
			fmt.Println("failsafe triggered, escalation needed")
		case errors.Is(err, core.ErrOpen):
			fmt.Println("circuit open")
		case err != nil:
			fmt.Println("it failed:", err)
		default:
			fmt.Println("result:", result)
		}
		if _, err := agent.Observe(detect.Step{Confidence: &sure}); err != nil {
			panic(err)
		}
	}
	_, err = ralph.Execute(context.Background(), agent, func(context.Context) (string, error) { return "", nil })
	fmt.Println(errors.Is(err, ralph.ErrFailsafeTriggered))
	// Output:
	// result: a page of text
	// result: a page of text
	// paused, waiting for recovery
	// true
}

// What a refusal has to say is in a PausedError, whichever sentinel it matches.
func ExamplePausedError() {
	supervisor, err := ralph.New(ralph.Config{})
	if err != nil {
		panic(err)
	}
	defer supervisor.Close(context.Background())
	agent, err := supervisor.Monitor("run-2", ralph.Options{})
	if err != nil {
		panic(err)
	}
	if err := supervisor.Pause("run-2", detect.ReasonStuck, "sam", "it should wait for the review"); err != nil {
		panic(err)
	}
	_, err = agent.AllowIteration(context.Background())
	if refusal, ok := errors.AsType[*ralph.PausedError](err); ok {
		fmt.Println(refusal.State, refusal.Cause.Rule, refusal.Cause.Message)
		fmt.Println("it is resumed by itself:", !refusal.RetryAt.IsZero())
	}
	// Output:
	// paused manual it should wait for the review
	// it is resumed by itself: true
}

// A program that knows that the cause is gone need not wait for the end of the pause.
func ExampleSupervisor_TryResume() {
	supervisor, err := ralph.New(ralph.Config{})
	if err != nil {
		panic(err)
	}
	defer supervisor.Close(context.Background())
	if _, err := supervisor.Monitor("run-3", ralph.Options{}); err != nil {
		panic(err)
	}
	if err := supervisor.Pause("run-3", detect.ReasonTransient, "deploy", "the database moves"); err != nil {
		panic(err)
	}
	fmt.Println(supervisor.TryResume("run-3")) // on probation
	fmt.Println(supervisor.TryResume("run-3")) // it is not paused any more
	status, err := supervisor.Status("run-3")
	fmt.Println(status.State, status.Attempts, err)
	// Output:
	// true
	// false
	// recovering 1 <nil>
}
