package contract

import "go.opentelemetry.io/otel/attribute"

// The keys of what there is about agents. The first is that of OpenTelemetry's
// conventions for generative AI.
const (
	AgentName   = attribute.Key("gen_ai.agent.name")
	AgentState  = attribute.Key("circuit_breaker.agent.state")
	AgentSource = attribute.Key("circuit_breaker.agent.source")
	AgentTarget = attribute.Key("circuit_breaker.agent.target")
)

// Other is the name of those that have no series of their own.
const Other = "(other)"

// AgentMetric is one metric about agents. Its values are not from a [Reading].
type AgentMetric struct {
	Name, Unit, What string
	// Words are the values of the attribute By, for each of which there is a series
	// from the beginning; none if there is no such attribute.
	By    attribute.Key
	Words []string
}

// AgentStatus is an [UpDownCounter] without names.
func AgentStatus() AgentMetric {
	return AgentMetric{
		"circuit_breaker.agent.status", "{agent}", "Agents in each state.",
		AgentState,
		[]string{"running", "paused", "recovering", "escalated", "stopped"},
	}
}

// AgentSteps is a [Counter] by [AgentName].
func AgentSteps() AgentMetric {
	return AgentMetric{
		"circuit_breaker.agent.steps", "{step}", "Steps of agents by what became of them.",
		Result,
		[]string{"progress", "no_progress", "error"},
	}
}

// AgentEscalations is a [Counter] by [AgentName].
func AgentEscalations() AgentMetric {
	return AgentMetric{
		"circuit_breaker.agent.escalations", "{escalation}", "Agents handed over to a person, by reason.",
		Reason,
		[]string{"stuck", "failing", "exhausted", "blocked", "transient", "none"},
	}
}

// AgentHandoffs is a [Counter] by [AgentSource] and [AgentTarget].
func AgentHandoffs() AgentMetric {
	return AgentMetric{
		"circuit_breaker.agent.handoffs", "{handoff}", "Hand-offs between agents; a refused one was not made.",
		Result,
		[]string{"allowed", "refused"},
	}
}

// AgentConfidence is a [Gauge] by [AgentName].
func AgentConfidence() AgentMetric {
	return AgentMetric{Name: "circuit_breaker.agent.confidence", Unit: "1", What: "The lowest confidence that agents of a name have said last; none if they say none."}
}
