package grafana

// fleetRow is all breakers of all replicas on one screen. A service runs a
// breaker in each replica; "a breaker" below is a name within a job.
func fleetRow() row {
	return row{title: "Fleet", panels: []panel{
		number("Open", "Breakers that are open, or forced open, in at least one replica.", at(1, "red")).size(5, 4).
			asks(shows{"", `count(max by (job, circuit_breaker_name) (circuit_breaker_status{circuit_breaker_state=~"open|forced_open",$b}) == 1) or vector(0)`}).now("time_series"),
		number("Half-open", "Breakers that are being probed in at least one replica.", at(1, "yellow")).size(5, 4).
			asks(shows{"", `count(max by (job, circuit_breaker_name) (circuit_breaker_status{circuit_breaker_state="half_open",$b}) == 1) or vector(0)`}).now("time_series"),
		number("Overridden", "Breakers that an operator holds open or has switched off in at least one replica.", at(1, "purple")).size(5, 4).
			asks(shows{"", `count(max by (job, circuit_breaker_name) (circuit_breaker_status{circuit_breaker_state=~"forced_open|disabled",$b}) == 1) or vector(0)`}).now("time_series"),
		number("Breakers", "Names of breakers, each counted once whatever the number of replicas.").size(5, 4).
			asks(shows{"", `count(count by (job, circuit_breaker_name) (circuit_breaker_status{$b})) or vector(0)`}).now("time_series"),
		number("Not exported", "Breakers without series of their own: above the limit of the export, or second of their name.", at(1, "orange")).size(4, 4).
			asks(shows{"{{circuit_breaker_skip_reason}}", `sum by (circuit_breaker_skip_reason) (circuit_breaker_export_skipped{job=~"$job"})`}).now("time_series"),

		matrix("Replicas by state", "In how many replicas a breaker is in which state. A bar of one colour is a fleet that agrees.", "circuit_breaker_name", "circuit_breaker_state").size(12, 9).
			asks(shows{"", `sum by (circuit_breaker_name, circuit_breaker_state) (circuit_breaker_status{$b})`}).now("table").
			paint(stateColours()...),
		table("Replicas disagree", "Breakers that are in different states in different replicas: the trouble is local to some, or has only begun.", "all agree",
			object{"job": "Job", "circuit_breaker_name": "Breaker", "Value": "States"}).size(12, 9).
			asks(shows{"", `count by (job, circuit_breaker_name) (count by (job, circuit_breaker_name, circuit_breaker_state) (circuit_breaker_status{$b} == 1)) > 1`}).now("table"),

		lines("Calls by result", "What became of the calls, a second. Rejected ones cost the dependency nothing.", "reqps").stacked().size(12, 8).
			asks(shows{"{{circuit_breaker_result}}", `sum by (circuit_breaker_result) (rate(circuit_breaker_calls_total{$b}[$__rate_interval]))`},
				shows{"without a breaker", `sum(rate(circuit_breaker_unguarded_calls_total{job=~"$job"}[$__rate_interval]))`}).
			paint(resultColours()...),
		share("Refused share", "Which part of the calls the breakers turned away.").size(12, 8).
			asks(shows{"{{job}}", `sum by (job) (rate(circuit_breaker_calls_total{circuit_breaker_result="rejected",$b}[$__rate_interval])) / sum by (job) (rate(circuit_breaker_calls_total{$b}[$__rate_interval]))`}),

		ranking("Worst by failure share", "The ten breakers whose calls failed most often in the last five minutes, refused ones not counted.", at(0.1, "yellow"), at(0.5, "red")).size(12, 8).
			asks(shows{"{{job}} {{circuit_breaker_name}}", `topk(10, circuit_breaker:failure_ratio:rate5m{$b})`}).now("time_series"),
		ranking("Time not closed", "The ten breakers that were open, forced open or half-open for the largest part of the last five minutes, as the mean of their replicas.", at(0.01, "yellow"), at(0.1, "red")).size(12, 8).
			asks(shows{"{{job}} {{circuit_breaker_name}}", `topk(10, circuit_breaker:unavailable_ratio:rate5m{$b})`}).now("time_series"),

		table("Trips by breaker", "How often breakers opened in the time range, in all replicas together.", "none",
			object{"job": "Job", "circuit_breaker_name": "Breaker", "Value": "Trips"}).size(8, 8).
			asks(shows{"", `topk(10, round(sum by (job, circuit_breaker_name) (increase(circuit_breaker_trips_total{$b}[$__range]))) > 0)`}).now("table"),
		lines("Trips by reason", "Which rule opened them, by time.", "short").columns().size(8, 8).
			asks(shows{"{{circuit_breaker_transition_reason}}", `sum by (circuit_breaker_transition_reason) (increase(circuit_breaker_trips_total{$b}[$__rate_interval]))`}),
		lines("Open by version", "Open breakers of all replicas by the version of the program: a bad release opens only its own.", "short").size(8, 8).
			asks(shows{"{{job}} {{service_version}}", `sum by (job, service_version) (circuit_breaker_status{circuit_breaker_state="open",$b} * on (job, instance) group_left (service_version) topk by (job, instance) (1, target_info{job=~"$job"}))`}),
	}}
}
