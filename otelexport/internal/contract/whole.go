package contract

import (
	"go.opentelemetry.io/otel/attribute"

	"github.com/blackbox4/switchgear/core"
)

// Whole is what the metrics of all breakers together are, those that have no series
// of their own included, and of what has no breaker.
type Whole struct {
	Calls     [len(results)]int64 // also of breakers that were evicted
	Breakers  [3]int64            // by core's states
	Unguarded int64               // calls that were admitted without a breaker
	Limit     int64               // breakers that are left out because there are too many
	Duplicate int64               // breakers that are left out because another one has the name
}

// Add adds what one breaker or registry has counted.
func (w *Whole) Add(t *core.Totals) {
	for i, n := range CallsOf(t) {
		w.Calls[i] += n
	}
}

// CallsOf are the calls of a breaker or registry, in the order of success, failure,
// ignored, rejected.
func CallsOf(t *core.Totals) [len(results)]int64 {
	return [...]int64{int64(t.Successes), int64(t.Failures), int64(t.Ignored), int64(t.Refused)}
}

// WholeMetric is a metric without the names of breakers.
type WholeMetric struct {
	Name, Unit, What string
	Kind             Kind
	Sets             []attribute.Set // of each series
	Of               func(w *Whole) []int64
}

// Wholes returns the metrics of all breakers together.
func Wholes() []WholeMetric {
	each := func(key attribute.Key, words ...string) (sets []attribute.Set) {
		for _, word := range words {
			sets = append(sets, attribute.NewSet(key.String(word)))
		}
		return sets
	}
	return []WholeMetric{
		{
			"circuit_breaker.all.calls", "{call}", "Calls of all breakers by what became of them, also of those that are not exported and of those that were evicted.",
			Counter, each(Result, results[:]...), func(w *Whole) []int64 { return w.Calls[:] },
		},
		{
			"circuit_breaker.all.breakers", "{breaker}", "Breakers of the process by state, whatever overrides it, also those that are not exported.",
			UpDownCounter, each(State, states[:3]...), func(w *Whole) []int64 { return w.Breakers[:] },
		},
		{
			"circuit_breaker.unguarded.calls", "{call}", "Calls that were admitted without a breaker, because the registry is full or the name is not valid.",
			Counter, []attribute.Set{*attribute.EmptySet()}, func(w *Whole) []int64 { return []int64{w.Unguarded} },
		},
		{
			"circuit_breaker.export.skipped", "{breaker}", "Breakers of the process that are not exported.",
			UpDownCounter, each(Skip, "limit", "duplicate"), func(w *Whole) []int64 { return []int64{w.Limit, w.Duplicate} },
		},
	}
}
