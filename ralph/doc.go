// Package ralph looks after autonomous agents: those that loop, stall, fail, hand
// their work round in circles or burn money are told so, then paused, and resumed
// when it is safe; what it cannot decide, a person does.
//
//	supervisor, err := ralph.New(ralph.Config{OnEvent: tell})
//	if err != nil {
//		return err
//	}
//	defer supervisor.Close(ctx)
//	agent, err := supervisor.Monitor("ticket-4711", ralph.Options{Name: "researcher"})
//	...
//	for !done {
//		err := agent.Execute(ctx, func(ctx context.Context) error { // one iteration
//			if text, ok := agent.Nudge(); ok {
//				messages = append(messages, system(text))
//			}
//			if err := agent.AllowModelCall(ctx); err != nil {
//				return err
//			}
//			reply, err := model.Call(ctx, messages)
//			...
//			_, err = agent.Observe(detect.Step{Tool: call.Tool, Args: call.Args, Output: result, Tokens: reply.Tokens, Cost: reply.Cost})
//			return err
//		})
//		...
//	}
//
// A [Supervisor] has the rules; what they find out is package detect's. An [Agent]
// is told what happens by [Agent.Observe], [Agent.Progress] and
// [Supervisor.Handoff], and asked by its gates: [Agent.AllowIteration] before each
// pass of the loop, [Agent.AllowModelCall] before each call of a model and
// [Agent.AllowTool] before each call of a tool. What has been refused once is
// refused at every gate until the agent is resumed. The gate of the model is the one
// that stops an agent; that of tools alone does not.
//
// # States
//
//	running ──── a rule, medium ────→ paused ── AutoResumeAfter ──→ recovering ── progress ──→ running
//	   │                               │  ↑                            │
//	   │                               │  └── no progress in [Probation] ──┘
//	   └── a rule, high or critical ───┴─── EscalationTimeout, or the fourth time ──→ escalated ── a person ──→ running
//
// An agent is paused for a [detect.Reason], by which it goes on. Those that are
// stuck or failing, and those for which something passing is the cause, are resumed
// by themselves: on probation, with a small budget, when the host is well and their
// circuit breaker is not open; after a time that grows and is jittered; at most
// three times. Those that are exhausted are resumed when their budget is raised, and
// those that are blocked wait for a person. Before a rule pauses an agent, it nearly
// always nudges: [Agent.Nudge] is what to tell the model.
//
// # What it is called elsewhere
//
// The operations of the system that this package continues, and where they are:
//
//	monitor_agent            Supervisor.Monitor
//	execute_agent            Execute and Agent.Execute, or core.Do with the Agent, which is a Gate
//	detect_failsafe          Supervisor.Detect; by itself at every Agent.Observe and when time is up
//	trigger_pause            Supervisor.Pause; by itself for what was detected
//	auto_resume              by itself; Supervisor.TryResume at once, Supervisor.Resume for a person
//	update_context           Agent.Observe, Agent.Progress, Supervisor.Handoff, Agent.NewTask; Supervisor.Update for budgets
//	get_agent_status         Supervisor.Status, in words Supervisor.Explain
//	get_all_status           Supervisor.Statuses, summed up Supervisor.Stats
//	reset_agent              Supervisor.Reset
//	AgentPausedError         ErrAgentPaused, which a PausedError matches unless it is
//	FailsafeTriggeredError   ErrFailsafeTriggered, of an agent that is escalated
//	CircuitBreakerOpenError  core.OpenError, core.ErrOpen
//	['circuit_breaker']      Agent.Breaker
//
// Its options have their names in the section "ralph" of a file of presets, and these
// in [Config]: AgentFailureThreshold, HandoffThreshold, LowConfidenceThreshold,
// StuckTaskThreshold, AutoResumeEnabled, AutoResumeAfter (auto_resume_delay_ms),
// MaxRecoveryAttempts, CPUThreshold, MemoryThreshold, DiskThreshold, EscalationTimeout.
//
// # What holds
//
//   - whatever becomes of an iteration, panic and exit included, counts for its
//     circuit breaker and for the rules;
//   - what is refused, and what the supervisor itself says, is never progress and
//     ends nothing that is counted;
//   - an agent that is escalated is never merely paused again, and only a person
//     leads out of it;
//   - every nudge, pause, resume and escalation is an [Event] with the rule, its
//     count, its threshold and the evidence, and is kept with the agent;
//   - with Config.Path, agents survive a crash but for its last second; a file that
//     is not understood is an error and left as it is;
//   - there is one timer for all agents, none while nothing is due, and no
//     goroutine but the one that writes the file, the one that reads the host if
//     Config has thresholds for it, and for a while one that tells events which a slow
//     OnEvent has left; memory is bounded by Config.MaxAgents.
//
// In tests, run the code under testing/synctest: supervisor and agents then live on
// the bubble's clock.
package ralph
