package e2e

import (
	"maps"
	"slices"
	"strings"
)

// instrument is a metric that otelexport exports, in OpenTelemetry's words, and
// the name that Prometheus has for it.
type instrument struct {
	unit   string
	kind   string
	prom   string
	labels labels
}

// labels are the labels of a metric, each with all the values it can have; none
// means any.
type labels map[string][]string

const (
	counter   = "monotonic sum"
	upDown    = "sum"
	gauge     = "gauge"
	histogram = "histogram"
)

var (
	states     = []string{"closed", "open", "half_open", "forced_open", "disabled"}
	reasons    = []string{"consecutive_failures", "failure_rate", "slow_rate", "probe_failed", "probe_slow"}
	byName     = with("", nil)
	byState    = with("circuit_breaker_state", states)
	byVerdict  = with("circuit_breaker_result", []string{"success", "failure"})
	byOutcome  = with("circuit_breaker_result", []string{"success", "failure", "ignored"})
	byResult   = with("circuit_breaker_result", []string{"success", "failure", "ignored", "rejected"})
	byReason   = with("circuit_breaker_transition_reason", reasons)
	byTransfer = labels{
		"circuit_breaker_name":           nil,
		"circuit_breaker_state":          {"closed", "open", "half_open"},
		"circuit_breaker_state_previous": {"closed", "open", "half_open"},
	}
)

func with(label string, values []string) labels {
	l := labels{"circuit_breaker_name": nil}
	if label != "" {
		l[label] = values
	}
	return l
}

// contract is all that is exported for breakers and agents. That it is so, and that there
// is no more, is what the other tests find out.
var contract = map[string]instrument{
	"circuit_breaker.calls":                {"{call}", counter, "circuit_breaker_calls_total", byResult},
	"circuit_breaker.slow_calls":           {"{call}", counter, "circuit_breaker_slow_calls_total", byName},
	"circuit_breaker.timeouts":             {"{call}", counter, "circuit_breaker_timeouts_total", byName},
	"circuit_breaker.spared_calls":         {"{call}", counter, "circuit_breaker_spared_calls_total", byName},
	"circuit_breaker.active":               {"{call}", upDown, "circuit_breaker_active", byName},
	"circuit_breaker.status":               {"{breaker}", upDown, "circuit_breaker_status", byState},
	"circuit_breaker.state.time":           {"s", counter, "circuit_breaker_state_time_seconds_total", byState},
	"circuit_breaker.state.transitions":    {"{transition}", counter, "circuit_breaker_state_transitions_total", byTransfer},
	"circuit_breaker.trips":                {"{trip}", counter, "circuit_breaker_trips_total", byReason},
	"circuit_breaker.window.calls":         {"{call}", upDown, "circuit_breaker_window_calls", byVerdict},
	"circuit_breaker.window.failure_ratio": {"1", gauge, "circuit_breaker_window_failure_ratio", byName},
	"circuit_breaker.failure.limit":        {"1", gauge, "circuit_breaker_failure_limit_ratio", byName},
	"circuit_breaker.probes":               {"{call}", counter, "circuit_breaker_probes_total", byOutcome},
	"circuit_breaker.lost_probes":          {"{call}", counter, "circuit_breaker_lost_probes_total", byName},
	"circuit_breaker.open.remaining":       {"s", gauge, "circuit_breaker_open_remaining_seconds", byName},
	"circuit_breaker.call.duration":        {"s", histogram, "circuit_breaker_call_duration_seconds", byVerdict},
	"circuit_breaker.agent.status":         {"{agent}", upDown, "circuit_breaker_agent_status", labels{"circuit_breaker_agent_state": {"running", "paused", "recovering", "escalated", "stopped"}}},
	"circuit_breaker.agent.steps":          {"{step}", counter, "circuit_breaker_agent_steps_total", labels{"gen_ai_agent_name": nil, "circuit_breaker_result": {"progress", "no_progress", "error"}}},
	"circuit_breaker.agent.escalations":    {"{escalation}", counter, "circuit_breaker_agent_escalations_total", labels{"gen_ai_agent_name": nil, "circuit_breaker_transition_reason": {"stuck", "failing", "exhausted", "blocked", "transient", "none"}}},
	"circuit_breaker.agent.handoffs":       {"{handoff}", counter, "circuit_breaker_agent_handoffs_total", labels{"circuit_breaker_agent_source": nil, "circuit_breaker_agent_target": nil, "circuit_breaker_result": {"allowed", "refused"}}},
	"circuit_breaker.agent.confidence":     {"1", gauge, "circuit_breaker_agent_confidence_ratio", labels{"gen_ai_agent_name": nil}},
	"circuit_breaker.all.calls":            {"{call}", counter, "circuit_breaker_all_calls_total", labels{"circuit_breaker_result": {"success", "failure", "ignored", "rejected"}}},
	"circuit_breaker.all.breakers":         {"{breaker}", upDown, "circuit_breaker_all_breakers", labels{"circuit_breaker_state": {"closed", "open", "half_open"}}},
	"circuit_breaker.unguarded.calls":      {"{call}", counter, "circuit_breaker_unguarded_calls_total", labels{}},
	"circuit_breaker.export.skipped":       {"{breaker}", upDown, "circuit_breaker_export_skipped", labels{"circuit_breaker_skip_reason": {"limit", "duplicate"}}},
}

// series returns the metrics that a query can ask for, with their labels: those
// of the contract as Prometheus has them, and target_info, which tells about
// the program. Every one has a job and an instance.
func series() map[string]labels {
	out := map[string]labels{"target_info": {"service_version": nil}}
	for _, i := range contract {
		if i.kind != histogram {
			out[i.prom] = maps.Clone(i.labels)
			continue
		}
		for _, suffix := range []string{"_bucket", "_sum", "_count"} {
			out[i.prom+suffix] = maps.Clone(i.labels)
		}
		out[i.prom+"_bucket"]["le"] = bounds()
	}
	for _, l := range out {
		l["job"], l["instance"] = nil, nil
	}
	return out
}

// bounds are those of circuit_breaker.call.duration, as OpenMetrics writes them.
func bounds() []string {
	return strings.Fields("0.005 0.01 0.025 0.05 0.075 0.1 0.25 0.5 0.75 1.0 2.5 5.0 7.5 10.0 30.0 60.0 +Inf")
}

// sorted returns the names of l.
func sorted[V any](l map[string]V) []string { return slices.Sorted(maps.Keys(l)) }
