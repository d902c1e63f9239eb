package sdkproducer

import (
	"context"
	"fmt"
	"sync"
	"time"

	"go.opentelemetry.io/otel/sdk/instrumentation"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/otelexport"
	"github.com/blackbox4/switchgear/otelexport/internal/contract"
	"github.com/blackbox4/switchgear/otelexport/internal/roster"
)

// Producer is an [sdkmetric.Producer] of the durations of calls. It is made by
// [New] and safe for any number of readers at once.
type Producer struct {
	options Options
	roster  *roster.Roster[*kept]
	panics  roster.Trouble
	began   time.Time
}

var _ sdkmetric.Producer = (*Producer)(nil)

// New returns a producer for the breakers of a source. Nil options are the zero
// ones. It fails, with a [*core.ConfigError], if the source is nil.
//
// Breakers need [core.Config.Durations]; of those without nothing is produced.
// Names are unique and the number of breakers is bounded as with
// [otelexport.Register].
func New(source otelexport.Source, o *Options) (*Producer, error) {
	if source == nil {
		return nil, &core.ConfigError{Field: "source", Value: source, Allowed: "a Source, such as a *core.Registry"}
	}
	p := &Producer{roster: roster.New(keep), began: time.Now()}
	if o != nil {
		p.options = *o
	}
	p.roster.Add(source, p.options.MaxBreakers)
	return p, nil
}

// kept is what is kept of a breaker from one collection to the next.
type kept struct {
	sets      *contract.Sets
	exemplars exemplars

	mu      sync.Mutex
	lengths [2]lengths // of successes and failures
}

func keep(name string, _ *core.Breaker) *kept { return &kept{sets: contract.NewSets(name)} }

// Produce implements [sdkmetric.Producer]. It never fails: its reader would then
// export nothing of the program.
func (p *Producer) Produce(context.Context) ([]metricdata.ScopeMetrics, error) {
	members, whole := p.roster.Members()
	batch := newBatch(&p.options, len(members))
	for _, m := range members {
		p.read(batch, m)
	}
	if p.options.Everything {
		batch.whole(p.began, &whole)
	}
	metrics := batch.metrics()
	if len(metrics) == 0 {
		return nil, nil
	}
	return []metricdata.ScopeMetrics{{
		Scope:   instrumentation.Scope{Name: otelexport.ScopeName, Version: otelexport.Version()},
		Metrics: metrics,
	}}, nil
}

// read survives a panic, which the SDK does not.
func (p *Producer) read(to *batch, m *roster.Member[*kept]) {
	defer func() {
		if r := recover(); r != nil {
			p.panics.Tell(fmt.Errorf("switchgear: reading the circuit breaker %q panicked: %v", m.Name, r))
		}
	}()
	r := &to.reading
	if !m.Read(r) {
		return
	}
	if p.options.Everything {
		to.breaker(m.Of, m.Breaker == nil)
	}
	if m.Breaker != nil && m.Breaker.Config().Durations {
		to.durations(m.Breaker, m.Of)
	}
}

// batch is what one collection produces.
type batch struct {
	now     time.Time
	reading contract.Reading
	ints    []points[int64]
	floats  []points[float64]

	exponential bool
	bounds      []float64
	explicit    []metricdata.HistogramDataPoint[float64]
	scaled      []metricdata.ExponentialHistogramDataPoint[float64]
	wholes      []metricdata.Metrics
}

type points[N int64 | float64] struct {
	contract.Metric[N]

	list []metricdata.DataPoint[N]
}

func newBatch(o *Options, breakers int) *batch {
	b := &batch{now: time.Now(), exponential: o.Exponential, bounds: append([]float64(nil), bounds...)}
	if o.Everything {
		b.ints, b.floats = room(contract.Ints(), breakers), room(contract.Floats(), breakers)
	}
	return b
}

// room returns a list of points for each metric, of about the length it will have.
func room[N int64 | float64](metrics []contract.Metric[N], breakers int) (all []points[N]) {
	var one contract.Reading
	for _, m := range metrics {
		all = append(all, points[N]{m, make([]metricdata.DataPoint[N], 0, breakers*len(m.Of(&one)))})
	}
	return all
}

// breaker adds what was read of one; of an evicted one there are only counters.
func (b *batch) breaker(k *kept, evicted bool) {
	for i := range b.ints {
		if !evicted || b.ints[i].Kind == contract.Counter {
			add(&b.ints[i], b, k)
		}
	}
	for i := range b.floats {
		if !evicted || b.floats[i].Kind == contract.Counter {
			add(&b.floats[i], b, k)
		}
	}
}

func add[N int64 | float64](to *points[N], b *batch, k *kept) {
	sets := k.sets[to.By]
	for i, v := range to.Of(&b.reading) {
		to.list = append(to.list, metricdata.DataPoint[N]{Attributes: sets[i], StartTime: b.reading.Start, Time: b.from(b.reading.Start), Value: v})
	}
}

// from is the time of a point. A clock that was put back does not end a series before
// it began.
func (b *batch) from(start time.Time) time.Time {
	if start.Round(0).After(b.now.Round(0)) {
		return start
	}
	return b.now
}

// whole adds what all breakers together are.
func (b *batch) whole(began time.Time, w *contract.Whole) {
	for _, m := range contract.Wholes() {
		var list []metricdata.DataPoint[int64]
		for i, v := range m.Of(w) {
			list = append(list, metricdata.DataPoint[int64]{Attributes: m.Sets[i], StartTime: began, Time: b.from(began), Value: v})
		}
		b.wholes = append(b.wholes, metricdata.Metrics{
			Name: m.Name, Unit: m.Unit, Description: m.What,
			Data: metricdata.Sum[int64]{DataPoints: list, Temporality: metricdata.CumulativeTemporality, IsMonotonic: m.Kind == contract.Counter},
		})
	}
}

func (b *batch) metrics() (all []metricdata.Metrics) {
	all = appendMetrics(all, b.ints)
	all = appendMetrics(all, b.floats)
	all = append(all, b.wholes...)
	durations := metricdata.Metrics{Name: durationName, Unit: "s", Description: durationWhat}
	switch {
	case len(b.explicit) > 0:
		durations.Data = metricdata.Histogram[float64]{DataPoints: b.explicit, Temporality: metricdata.CumulativeTemporality}
	case len(b.scaled) > 0:
		durations.Data = metricdata.ExponentialHistogram[float64]{DataPoints: b.scaled, Temporality: metricdata.CumulativeTemporality}
	default:
		return all
	}
	return append(all, durations)
}

func appendMetrics[N int64 | float64](all []metricdata.Metrics, metrics []points[N]) []metricdata.Metrics {
	for _, m := range metrics {
		if len(m.list) == 0 {
			continue
		}
		var data metricdata.Aggregation = metricdata.Gauge[N]{DataPoints: m.list}
		if m.Kind != contract.Gauge {
			data = metricdata.Sum[N]{DataPoints: m.list, Temporality: metricdata.CumulativeTemporality, IsMonotonic: m.Kind == contract.Counter}
		}
		all = append(all, metricdata.Metrics{Name: m.Name, Unit: m.Unit, Description: m.What, Data: data})
	}
	return all
}
