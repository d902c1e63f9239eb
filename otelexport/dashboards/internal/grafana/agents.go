package grafana

// agentsRow is all agents of all replicas. "An agent" below is one run of one; names
// are those of roles. It is folded, for programs that have none.
func agentsRow() row {
	inState := func(state string) string {
		return `sum(circuit_breaker_agent_status{circuit_breaker_agent_state=~"` + state + `",job=~"$job"}) or vector(0)`
	}
	return row{title: "Agents", folded: true, panels: []panel{
		number("Escalated", "Agents that wait for a person.", at(1, "red")).size(6, 4).
			asks(shows{"", inState("escalated")}).now("time_series"),
		number("Paused", "Agents that are held back, and go on by themselves or when their budget is raised.", at(1, "yellow")).size(6, 4).
			asks(shows{"", inState("paused")}).now("time_series"),
		number("Recovering", "Agents that were let go on, on probation.", at(1, "blue")).size(6, 4).
			asks(shows{"", inState("recovering")}).now("time_series"),
		number("Agents at work", "Agents that are neither stopped nor forgotten, whatever else holds them back.").size(6, 4).
			asks(shows{"", inState("running|paused|recovering|escalated")}).now("time_series"),

		lines("Agents by state", "How many agents are in which state.", "short").stacked().size(12, 8).
			asks(shows{"{{circuit_breaker_agent_state}}", `sum by (circuit_breaker_agent_state) (circuit_breaker_agent_status{job=~"$job"})`}).
			paint(agentColours()...),
		lines("Steps by result", "What the steps of agents led to, a second.", "ops").stacked().size(12, 8).
			asks(shows{"{{circuit_breaker_result}}", `sum by (circuit_breaker_result) (rate(circuit_breaker_agent_steps_total{$a}[$__rate_interval]))`}).
			paint(stepColours()...),

		ranking("Worst by steps without progress", "The ten names of agents most of whose steps led nowhere or to an error in the last five minutes.", at(0.5, "yellow"), at(0.8, "red")).size(12, 8).
			asks(shows{"{{job}} {{gen_ai_agent_name}}", `topk(10, circuit_breaker:agent_no_progress_ratio:rate5m{$a})`}).now("time_series"),
		share("Confidence", "The lowest of what the agents of a name have said last.").size(12, 8).
			asks(shows{"{{gen_ai_agent_name}}", `min by (gen_ai_agent_name) (circuit_breaker_agent_confidence_ratio{$a})`}),

		table("Escalations by agent", "How often agents of a name were handed over to a person in the time range.", "none",
			object{"job": "Job", "gen_ai_agent_name": "Agent", "circuit_breaker_transition_reason": "Reason", "Value": "Escalations"}).size(12, 8).
			asks(shows{"", `topk(10, round(sum by (job, gen_ai_agent_name, circuit_breaker_transition_reason) (increase(circuit_breaker_agent_escalations_total{$a}[$__range]))) > 0)`}).now("table"),
		lines("Escalations by reason", "Why agents were handed over to a person, by time.", "short").columns().size(12, 8).
			asks(shows{"{{circuit_breaker_transition_reason}}", `sum by (circuit_breaker_transition_reason) (increase(circuit_breaker_agent_escalations_total{$a}[$__rate_interval]))`}),

		table("Hand-offs", "Who hands over to whom, a minute, and whether it may: the twenty busiest pairs.", "none",
			object{"circuit_breaker_agent_source": "From", "circuit_breaker_agent_target": "To", "circuit_breaker_result": "Result", "Value": "A minute"}).size(12, 8).
			asks(shows{"", `topk(20, 60 * sum by (circuit_breaker_agent_source, circuit_breaker_agent_target, circuit_breaker_result) (rate(circuit_breaker_agent_handoffs_total{$from}[$__rate_interval])) > 0)`}).now("table"),
		lines("Refused hand-offs", "Hand-offs that were refused, a minute. A pair that is drawn passes the ball though it may not.", "short").size(12, 8).
			asks(shows{"{{circuit_breaker_agent_source}} to {{circuit_breaker_agent_target}}", `60 * sum by (circuit_breaker_agent_source, circuit_breaker_agent_target) (rate(circuit_breaker_agent_handoffs_total{circuit_breaker_result="refused",$from}[$__rate_interval])) > 0`}),
	}}
}
