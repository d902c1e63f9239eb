package e2e

import (
	"fmt"
	"maps"
	"slices"
)

// shown is what a panel must show of some breakers, or agents, in the outage.
type shown struct {
	panel    string // its title and the query's letter
	breakers string // what is chosen for $breaker and $agent
	by       string // a label that tells the series apart; none means that there is but one
	want     map[string]span
	only     bool // there is nothing else
	// over is what rates are taken over: 5s if empty, longer for what happens but
	// once, when the outage begins.
	over string
}

// span is a number that is known, or known to lie between two.
type span struct{ from, to float64 }

func exactly(v float64) span { return span{v, v} }

func more(v float64) span { return span{v, 1e9} }

func one(s span) map[string]span { return map[string]span{"": s} }

// outage is what the panels must show. The four replicas all have it, but for
// "search", which only "d" cannot reach; in each there are nine agents.
var outage = []shown{
	{panel: "Open A", breakers: "billing|search|ledger|banned|quotes|exempt", want: one(exactly(4))},
	{panel: "Half-open A", breakers: "archive|search|ledger", want: one(exactly(1))},
	{panel: "Overridden A", breakers: ".+", want: one(exactly(2))},
	{panel: "Breakers A", breakers: ".+", want: one(exactly(9))},
	{panel: "Not exported A", breakers: ".+", by: "circuit_breaker_skip_reason", want: map[string]span{"duplicate": exactly(4), "limit": exactly(0)}, only: true},
	{panel: "Replicas by state A", breakers: "search", by: "circuit_breaker_state", only: true, want: map[string]span{
		"closed": exactly(3), "open": exactly(1), "half_open": exactly(0), "forced_open": exactly(0), "disabled": exactly(0),
	}},
	{panel: "Replicas disagree A", breakers: "search|ledger|quotes|banned|exempt", by: "circuit_breaker_name", want: map[string]span{"search": exactly(2)}, only: true},
	{panel: "Calls by result A", breakers: "banned", by: "circuit_breaker_result", want: map[string]span{"rejected": more(40), "success": exactly(0), "failure": exactly(0)}},
	{panel: "Calls by result A", breakers: "ledger", by: "circuit_breaker_result", want: map[string]span{"failure": more(40), "rejected": exactly(0)}},
	{panel: "Refused share A", breakers: "banned", by: "job", want: map[string]span{job: exactly(1)}},
	{panel: "Worst by failure share A", breakers: ".+", by: "circuit_breaker_name", want: map[string]span{"ledger": {0.5, 1}, "banned": exactly(0), "quotes": {0.001, 0.9}}},
	{panel: "Time not closed A", breakers: ".+", by: "circuit_breaker_name", want: map[string]span{"quotes": {0.3, 1}, "banned": {0.3, 1}, "search": {0.05, 0.25}, "ledger": exactly(0), "exempt": exactly(0)}},
	{panel: "Trips by breaker A", breakers: ".+", by: "circuit_breaker_name", want: map[string]span{"search": exactly(1), "quotes": exactly(4), "archive": exactly(4), "mail": more(20)}},
	{panel: "Trips by reason A", breakers: ".+", by: "circuit_breaker_transition_reason", want: map[string]span{"consecutive_failures": more(4), "probe_failed": more(2)}},
	{panel: "Open by version A", breakers: "search", by: "service_version", want: map[string]span{"1.0.0": exactly(0), "1.1.0": exactly(1)}, only: true},

	{panel: "Escalated A", breakers: ".+", want: one(exactly(16))},
	{panel: "Paused A", breakers: ".+", want: one(exactly(4))},
	{panel: "Recovering A", breakers: ".+", want: one(exactly(4))},
	{panel: "Agents at work A", breakers: ".+", want: one(exactly(32))},
	{panel: "Agents by state A", breakers: ".+", by: "circuit_breaker_agent_state", only: true, want: map[string]span{
		"running": exactly(8), "paused": exactly(4), "recovering": exactly(4), "escalated": exactly(16), "stopped": exactly(4),
	}},
	{panel: "Steps by result A", breakers: "researcher", by: "circuit_breaker_result", want: map[string]span{"progress": more(40), "no_progress": exactly(0), "error": exactly(0)}},
	{panel: "Steps by result A", breakers: "runner", by: "circuit_breaker_result", want: map[string]span{"error": more(40), "progress": exactly(0)}},
	{panel: "Worst by steps without progress A", breakers: ".+", by: "gen_ai_agent_name", only: true, want: map[string]span{
		"runner": exactly(1), "writer": exactly(1), "critic": exactly(1), "coder": {0.8, 1}, "researcher": exactly(0), "doubter": exactly(0),
	}},
	{panel: "Confidence A", breakers: ".+", by: "gen_ai_agent_name", want: map[string]span{"researcher": exactly(0.9), "doubter": exactly(0.2)}, only: true},
	{panel: "Escalations by agent A", breakers: ".+", by: "gen_ai_agent_name", want: map[string]span{"coder": exactly(4), "runner": exactly(4), "writer": exactly(4), "critic": exactly(4)}, only: true},
	{panel: "Escalations by reason A", over: "5m", breakers: ".+", by: "circuit_breaker_transition_reason", want: map[string]span{"stuck": more(11), "failing": more(3), "blocked": exactly(0)}},
	{panel: "Hand-offs A", breakers: "writer", by: "circuit_breaker_result", want: map[string]span{"refused": more(600)}},
	{panel: "Refused hand-offs A", breakers: "writer", by: "circuit_breaker_agent_target", want: map[string]span{"critic": more(600)}, only: true},

	{panel: "State A", breakers: "search", by: "instance", want: map[string]span{"a": exactly(0), "d": exactly(2)}},
	{panel: "State A", breakers: "archive", by: "instance", want: map[string]span{"a": exactly(1), "d": exactly(1)}},
	{panel: "State A", breakers: "banned", by: "instance", want: map[string]span{"a": exactly(3)}},
	{panel: "State A", breakers: "exempt", by: "instance", want: map[string]span{"a": exactly(4)}},
	{panel: "Share of time by state A", breakers: "banned", by: "circuit_breaker_state", want: map[string]span{"forced_open": exactly(1), "open": exactly(0)}},
	{panel: "Share of time by state A", breakers: "mail", by: "circuit_breaker_state", want: map[string]span{"open": {0.3, 0.999}, "closed": {0.001, 0.7}}}, // opens for 50 ms, scraped once a second
	{panel: "Failure share and its limit A", breakers: "ledger", by: "instance", want: map[string]span{"a": exactly(1), "d": exactly(1)}},
	{panel: "Failure share and its limit B", breakers: "billing", want: one(exactly(0.5))},
	{panel: "Breaker: calls by result A", breakers: "trial", by: "circuit_breaker_result", want: map[string]span{"failure": more(40), "rejected": exactly(0)}},
	{panel: "Slow, timed out, spared A", over: "1m", breakers: "archive", want: one(more(0))},
	{panel: "Slow, timed out, spared B", over: "1m", breakers: "quotes", want: one(more(0))},
	{panel: "Slow, timed out, spared C", breakers: "trial", want: one(more(40))},
	{panel: "Latency percentiles C", over: "1m", breakers: "quotes", by: "circuit_breaker_result", want: map[string]span{"failure": {0.01, 0.1}}},
	{panel: "Mean latency A", over: "1m", breakers: "quotes", by: "circuit_breaker_result", want: map[string]span{"failure": {0.018, 0.1}}},
	{panel: "Calls in the window A", breakers: "ledger", by: "circuit_breaker_result", want: map[string]span{"success": exactly(0), "failure": exactly(400)}},
	{panel: "Permits out A", breakers: "archive", by: "instance", want: map[string]span{"a": exactly(1), "d": exactly(1)}},
	{panel: "Transitions A", breakers: "mail", by: "circuit_breaker_state_previous", want: map[string]span{"closed": more(2)}},
	{panel: "Probes A", breakers: "billing", by: "circuit_breaker_result", want: map[string]span{"failure": more(2), "success": exactly(0)}},
	{panel: "Break remaining A", breakers: "search", by: "instance", want: map[string]span{"a": exactly(0), "d": {500, 600}}},
}

// check compares an answer with what is to be shown.
func (s *shown) check(got []sample) error {
	seen := make(map[string]float64)
	for _, g := range got {
		seen[g.labels[s.by]] = g.value
	}
	if s.only && !slices.Equal(slices.Sorted(maps.Keys(seen)), slices.Sorted(maps.Keys(s.want))) {
		return fmt.Errorf("shows %v, not %v alone", seen, s.want)
	}
	for of, want := range s.want {
		v, ok := seen[of]
		if !ok || v < want.from-1e-9 || v > want.to+1e-9 {
			return fmt.Errorf("shows %v; of %q it should be from %v to %v", seen, of, want.from, want.to)
		}
	}
	return nil
}
