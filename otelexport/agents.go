package otelexport

// Agents tell how the agents of a program are doing: a *ralph.Supervisor, as a rule.
// Each method returns a map that is the caller's from then on, and is called for
// each collection, one at a time; none may register or unregister anything with
// OpenTelemetry. Names are those of roles, "reviewer", of which there should be few.
type Agents interface {
	// AgentStates returns how many agents there are, by state: running, paused,
	// recovering, escalated, stopped.
	AgentStates() map[string]int64
	// AgentSteps returns how many steps there were ever, by name and what became of
	// them: progress, no_progress, error.
	AgentSteps() map[[2]string]uint64
	// AgentEscalations returns how often agents were handed over to a person, by
	// name and reason: stuck, failing, exhausted, blocked, transient, none.
	AgentEscalations() map[[2]string]uint64
	// AgentHandoffs returns how many hand-offs there were ever, by the names of who
	// handed over and of who was handed to, and allowed or refused.
	AgentHandoffs() map[[3]string]uint64
	// AgentConfidence returns how sure agents are, 0 to 1, by name.
	AgentConfidence() map[string]float64
}
