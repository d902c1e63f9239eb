package grafana

// breakerRow is one breaker, in all replicas. It repeats for each breaker and
// is folded, so that a thousand of them cost nothing until one is opened.
func breakerRow() row {
	const byState = `sum by (circuit_breaker_state) (rate(circuit_breaker_state_time_seconds_total{$b}[$__rate_interval]))`
	quantile := func(q string) string {
		return `histogram_quantile(` + q + `, sum by (le, circuit_breaker_result) (rate(circuit_breaker_call_duration_seconds_bucket{$b}[$__rate_interval])))`
	}
	percentiles := lines("Latency percentiles", "How long calls took, those that failed apart: failures are often much faster, or much slower. A dot is an example, and leads to its trace.", "s").size(12, 8).
		asks(shows{"p50 {{circuit_breaker_result}}", quantile("0.5")}, shows{"p95 {{circuit_breaker_result}}", quantile("0.95")}, shows{"p99 {{circuit_breaker_result}}", quantile("0.99")})
	percentiles.Targets[2].Exemplar = true
	heat := heatmap("Latency heatmap", "How many calls took how long. Two bands are two ways through the dependency, such as cached and not.", "s").size(12, 8).
		asks(shows{"{{le}}", `sum by (le) (increase(circuit_breaker_call_duration_seconds_bucket{$b}[$__rate_interval]))`})
	heat.Targets[0].Format = "heatmap"

	return row{title: "Breaker $breaker", repeat: "breaker", folded: true, panels: []panel{
		timeline("State", "The state in each replica. A stay shorter than the scrape interval may be missing here; the next panel has it.", stateColours()).size(24, 6).
			asks(shows{"{{job}} {{instance}}", `max by (job, instance) (0 * circuit_breaker_status{circuit_breaker_state="closed",$b} or 1 * circuit_breaker_status{circuit_breaker_state="half_open",$b} or 2 * circuit_breaker_status{circuit_breaker_state="open",$b} or 3 * circuit_breaker_status{circuit_breaker_state="forced_open",$b} or 4 * circuit_breaker_status{circuit_breaker_state="disabled",$b})`}),

		share("Share of time by state", "Which part of the time was spent in which state, by the breaker's own clock: no stay is too short to be seen.").stacked().size(12, 8).
			asks(shows{"{{circuit_breaker_state}}", byState + ` / on () group_left () sum(` + byState + `)`}).
			paint(stateColours()...),
		share("Failure share and its limit", "What the failure-rate rule looks at, and from where on it opens. It has gaps while the window holds too few calls, and while the breaker is not closed.").size(12, 8).
			asks(shows{"{{job}} {{instance}}", `max by (job, instance) (circuit_breaker_window_failure_ratio{$b})`}, shows{"limit", `max(circuit_breaker_failure_limit_ratio{$b})`}).
			paint(paint{"limit", "red"}),

		lines("Breaker: calls by result", "What became of the calls, a second.", "reqps").stacked().size(12, 8).
			asks(shows{"{{circuit_breaker_result}}", `sum by (circuit_breaker_result) (rate(circuit_breaker_calls_total{$b}[$__rate_interval]))`}).
			paint(resultColours()...),
		lines("Slow, timed out, spared", "Calls slower than SlowAfter, calls that outlived their deadline, and calls that a breaker in shadow mode let pass though it would have refused them.", "reqps").size(12, 8).
			asks(
				shows{"slow", `sum(rate(circuit_breaker_slow_calls_total{$b}[$__rate_interval]))`},
				shows{"timed out", `sum(rate(circuit_breaker_timeouts_total{$b}[$__rate_interval]))`},
				shows{"admitted by shadow", `sum(rate(circuit_breaker_spared_calls_total{$b}[$__rate_interval]))`}),

		percentiles,
		heat,

		lines("Mean latency", "The mean of the same calls, without the error of buckets.", "s").size(8, 8).
			asks(shows{"{{circuit_breaker_result}}", `sum by (circuit_breaker_result) (rate(circuit_breaker_call_duration_seconds_sum{$b}[$__rate_interval])) / sum by (circuit_breaker_result) (rate(circuit_breaker_call_duration_seconds_count{$b}[$__rate_interval]))`}).
			paint(resultColours()...),
		lines("Calls in the window", "What the window of closed breakers holds. Below MinimumCalls no rate counts.", "short").stacked().size(8, 8).
			asks(shows{"{{circuit_breaker_result}}", `sum by (circuit_breaker_result) (circuit_breaker_window_calls{$b})`}).
			paint(resultColours()...),
		lines("Permits out", "Calls under way. One that only rises is a permit that is never settled.", "short").size(8, 8).
			asks(shows{"{{job}} {{instance}}", `sum by (job, instance) (circuit_breaker_active{$b})`}),

		lines("Transitions", "Changes of state, in all replicas together.", "short").columns().size(8, 8).
			asks(shows{"{{circuit_breaker_state_previous}} to {{circuit_breaker_state}}", `sum by (circuit_breaker_state_previous, circuit_breaker_state) (increase(circuit_breaker_state_transitions_total{$b}[$__rate_interval]))`}),
		lines("Probes", "What became of the calls of half-open breakers. Ignored ones gave their place back.", "short").columns().size(8, 8).
			asks(shows{"{{circuit_breaker_result}}", `sum by (circuit_breaker_result) (increase(circuit_breaker_probes_total{$b}[$__rate_interval]))`},
				shows{"lost", `sum(increase(circuit_breaker_lost_probes_total{$b}[$__rate_interval]))`}).
			paint(resultColours()...),
		lines("Break remaining", "How long each replica will still refuse. It grows from break to break where TimeoutFactor is set.", "s").size(8, 8).
			asks(shows{"{{job}} {{instance}}", `max by (job, instance) (circuit_breaker_open_remaining_seconds{$b})`}),
	}}
}
