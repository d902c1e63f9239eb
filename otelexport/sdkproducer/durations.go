package sdkproducer

import (
	"math"
	"sort"
	"time"

	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/otelexport/internal/contract"
)

const (
	durationName = "circuit_breaker.call.duration"
	durationWhat = "Durations of the calls that succeeded or failed."
)

// bounds are those of OpenTelemetry's conventions for HTTP, and two more for
// calls that think.
//
//nolint:gochecknoglobals // a table that is never changed
var bounds = []float64{.005, .01, .025, .05, .075, .1, .25, .5, .75, 1, 2.5, 5, 7.5, 10, 30, 60}

// slots is how many explicit buckets there are.
const slots = 17

// slot returns the explicit bucket of a duration in seconds.
func slot(seconds float64) int { return sort.SearchFloat64s(bounds, seconds) }

// scale has buckets as wide as the breaker's on average: a bucket of its own may
// share one here, or have an empty one beside it.
const scale = 3

// lengths are how many durations one histogram had the last time.
type lengths struct {
	count       uint64
	start, last time.Time
}

// begun returns the start time of a histogram with so many calls. It is a new one for
// a breaker that does not continue the one before it, or that began anew, because
// Durations was off.
func (l *lengths) begun(count uint64, restart, now time.Time) time.Time {
	switch {
	case l.start.IsZero():
		l.start = restart
	case count < l.count:
		l.start = l.last
	}
	l.count, l.last = count, now
	return l.start
}

// durations adds the histograms of a breaker. A call counts as long as the middle
// of the breaker's bucket that it is in, also in the sum: the sum then never goes
// back.
func (b *batch) durations(of *core.Breaker, k *kept) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for i, outcome := range [...]core.Outcome{core.Success, core.Failure} {
		set := k.sets[contract.ByResult][i]
		examples := k.exemplars[i].read()
		var count uint64
		var sum float64
		if !b.exponential {
			counts := make([]uint64, slots)
			for d, n := range of.Buckets(outcome) {
				counts[slot(d.Seconds())] += n
				count += n
				sum += float64(n) * d.Seconds()
			}
			start := k.lengths[i].begun(count, b.reading.Restart, b.now)
			b.explicit = append(b.explicit, metricdata.HistogramDataPoint[float64]{
				Attributes: set, StartTime: start, Time: b.from(start),
				Count: count, Sum: sum, Bounds: b.bounds, BucketCounts: counts, Exemplars: examples,
			})
			continue
		}
		var buckets metricdata.ExponentialBucket
		for d, n := range of.Buckets(outcome) {
			index := int32(math.Ceil(math.Log2(d.Seconds())*(1<<scale))) - 1
			if len(buckets.Counts) == 0 {
				buckets.Offset = index
			}
			for int(index-buckets.Offset) >= len(buckets.Counts) {
				buckets.Counts = append(buckets.Counts, 0)
			}
			buckets.Counts[index-buckets.Offset] += n
			count += n
			sum += float64(n) * d.Seconds()
		}
		start := k.lengths[i].begun(count, b.reading.Restart, b.now)
		b.scaled = append(b.scaled, metricdata.ExponentialHistogramDataPoint[float64]{
			Attributes: set, StartTime: start, Time: b.from(start),
			Count: count, Sum: sum, Scale: scale, PositiveBucket: buckets, Exemplars: examples,
		})
	}
}
