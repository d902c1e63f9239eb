package contract

// Kind is what may be done with the values of a metric.
type Kind uint8

// The kinds. Adding a Gauge over breakers or replicas means nothing.
const (
	Counter Kind = iota // only grows
	UpDownCounter
	Gauge
)

// Metric is one metric of a breaker.
type Metric[N int64 | float64] struct {
	Name, Unit, What string
	Kind             Kind
	By               By
	Of               func(r *Reading) []N // a value for each series that there is
}

// Ints returns the metrics that count.
func Ints() []Metric[int64] {
	return []Metric[int64]{
		{
			"circuit_breaker.calls", "{call}", "Calls by what became of them; a rejected one was not made.",
			Counter, ByResult, func(r *Reading) []int64 { return r.calls[:] },
		},
		{
			"circuit_breaker.slow_calls", "{call}", "Calls that took longer than the breaker's limit for slow ones.",
			Counter, ByName, func(r *Reading) []int64 { return r.slow[:] },
		},
		{
			"circuit_breaker.timeouts", "{call}", "Failed calls that had run out of time.",
			Counter, ByName, func(r *Reading) []int64 { return r.timeouts[:] },
		},
		{
			"circuit_breaker.spared_calls", "{call}", "Calls admitted in shadow mode that would have been rejected.",
			Counter, ByName, func(r *Reading) []int64 { return r.spared[:] },
		},
		{
			"circuit_breaker.active", "{call}", "Calls admitted and not yet over.",
			UpDownCounter, ByName, func(r *Reading) []int64 { return r.active[:] },
		},
		{
			"circuit_breaker.status", "{breaker}", "1 for the state that the breaker is in, 0 for the others.",
			UpDownCounter, ByState, func(r *Reading) []int64 { return r.status[:] },
		},
		{
			"circuit_breaker.state.transitions", "{transition}", "Changes of state.",
			Counter, ByTransition, func(r *Reading) []int64 { return r.transitions[:] },
		},
		{
			"circuit_breaker.trips", "{trip}", "Changes to open, by reason.",
			Counter, ByReason, func(r *Reading) []int64 { return r.trips[:] },
		},
		{
			"circuit_breaker.window.calls", "{call}", "Calls in the window of the breaker; none when it is not closed.",
			UpDownCounter, ByResult, func(r *Reading) []int64 { return r.window[:] },
		},
		{
			"circuit_breaker.probes", "{call}", "Calls that were let out half-open, by what became of them.",
			Counter, ByResult, func(r *Reading) []int64 { return r.probes[:] },
		},
		{
			"circuit_breaker.lost_probes", "{call}", "Probes that took longer than the breaker's limit for them; what became of them later is in the probes.",
			Counter, ByName, func(r *Reading) []int64 { return r.lost[:] },
		},
	}
}

// Floats returns the metrics that measure.
func Floats() []Metric[float64] {
	return []Metric[float64]{
		{
			"circuit_breaker.state.time", "s", "Time spent in each state.",
			Counter, ByState, func(r *Reading) []float64 { return r.times[:] },
		},
		{
			"circuit_breaker.open.remaining", "s", "Time until an open breaker lets a probe out; 0 if it is not open.",
			Gauge, ByName, func(r *Reading) []float64 { return r.remaining[:] },
		},
		{
			"circuit_breaker.window.failure_ratio", "1", "Share of failures in the window; none while it has too few calls, or when not closed.",
			Gauge, ByName, func(r *Reading) []float64 { return r.failureRatio[:r.hasFailureRatio] },
		},
		{
			"circuit_breaker.failure.limit", "1", "Share of failures in the window that opens the breaker; none if that rule is off.",
			Gauge, ByName, func(r *Reading) []float64 { return r.failureLimit[:r.hasFailureLimit] },
		},
	}
}
