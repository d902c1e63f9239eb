package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/otelexport"
)

// metrics are the metrics SDK with two readers, and what they have collected.
type metrics struct {
	mu                sync.Mutex // collections come one after the other
	provider          *sdkmetric.MeterProvider
	cumulative, delta *collected
	layers            []*layer
	torn              map[string][]string // by layer
	unregister        []func() error
}

// collected are the series of one reader.
type collected struct {
	reader *sdkmetric.ManualReader
	series map[series]*total
	faults map[string][]string // by layer
}

type series struct{ layer, metric, name, result string }

// total is the sum that a series has shown, over all its starts.
type total struct {
	started time.Time
	last    float64
	before  float64 // of earlier starts
	gauge   bool
}

func newMetrics(layers []*layer) (*metrics, error) {
	read := func(temporality metricdata.Temporality) *collected {
		return &collected{
			reader: sdkmetric.NewManualReader(sdkmetric.WithTemporalitySelector(func(kind sdkmetric.InstrumentKind) metricdata.Temporality {
				if kind == sdkmetric.InstrumentKindObservableUpDownCounter || kind == sdkmetric.InstrumentKindUpDownCounter {
					return metricdata.CumulativeTemporality // as exporters do that prefer deltas
				}
				return temporality
			})),
			series: make(map[series]*total),
			faults: make(map[string][]string),
		}
	}
	m := &metrics{
		cumulative: read(metricdata.CumulativeTemporality), delta: read(metricdata.DeltaTemporality),
		layers: layers, torn: make(map[string][]string),
	}
	m.provider = sdkmetric.NewMeterProvider(sdkmetric.WithReader(m.cumulative.reader), sdkmetric.WithReader(m.delta.reader), sdkmetric.WithCardinalityLimit(0))
	for _, l := range layers {
		unregister, err := otelexport.Register(m.provider.Meter(l.name), l.source, &otelexport.Options{MaxBreakers: -1})
		if err != nil {
			return nil, err
		}
		m.unregister = append(m.unregister, unregister)
	}
	return m, nil
}

// registerAgents exports agents under the name of a layer.
func (m *metrics) registerAgents(layer string, agents otelexport.Agents) error {
	unregister, err := otelexport.RegisterAgents(m.provider.Meter(layer), agents)
	if err == nil {
		m.unregister = append(m.unregister, unregister)
	}
	return err
}

// watch collects again and again, and looks at snapshots.
func (m *metrics) watch(ctx context.Context, wg *sync.WaitGroup) {
	const often = 200 * time.Millisecond
	wg.Go(func() {
		for ctx.Err() == nil {
			if err := m.collect(); err != nil {
				m.add("metrics", err.Error())
			}
			for _, l := range m.layers {
				for _, b := range l.source.All() {
					if fault := torn(b.Snapshot()); fault != "" {
						m.add(l.name, fault)
					}
				}
			}
			time.Sleep(often)
		}
	})
}

// most is how many faults of one kind are told.
const most = 3

func (m *metrics) add(layer, fault string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.torn[layer]) < most {
		m.torn[layer] = append(m.torn[layer], fault)
	}
}

func (m *metrics) faults(layer string) []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Concat(m.torn[layer], m.cumulative.faults[layer], m.delta.faults[layer])
}

// collect takes in one collection of each reader.
func (m *metrics) collect() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return errors.Join(m.cumulative.collect(), m.delta.collect())
}

func (m *metrics) close() error {
	var errs []error
	for _, unregister := range m.unregister {
		errs = append(errs, unregister())
	}
	return errors.Join(append(errs, m.provider.Shutdown(context.Background()))...)
}

func (c *collected) collect() error {
	var rm metricdata.ResourceMetrics
	if err := c.reader.Collect(context.Background(), &rm); err != nil {
		return err
	}
	for _, scope := range rm.ScopeMetrics {
		for _, metric := range scope.Metrics {
			switch data := metric.Data.(type) {
			case metricdata.Sum[int64]:
				take(c, scope.Scope.Name, metric.Name, data)
			case metricdata.Sum[float64]:
				take(c, scope.Scope.Name, metric.Name, data)
			}
		}
	}
	return nil
}

func take[N int64 | float64](c *collected, layer, metric string, data metricdata.Sum[N]) {
	seen := make(map[series]bool, len(data.DataPoints))
	for _, p := range data.DataPoints {
		s := series{layer, metric, text(p.Attributes, "circuit_breaker.name") + text(p.Attributes, "gen_ai.agent.name"), rest(p.Attributes)}
		if seen[s] {
			c.fault(layer, fmt.Sprintf("%s of %q is exported twice", metric, s.name))
		}
		seen[s] = true
		t := c.series[s]
		if t == nil {
			t = &total{gauge: !data.IsMonotonic}
			c.series[s] = t
		}
		if why := t.take(float64(p.Value), p.StartTime, data.IsMonotonic, data.Temporality); why != "" {
			c.fault(layer, fmt.Sprintf("%s{%s} of %q %s", metric, s.result, s.name, why))
		}
	}
}

// take adds a point, and says what is wrong with it.
func (t *total) take(value float64, started time.Time, monotonic bool, temporality metricdata.Temporality) (why string) {
	switch {
	case !monotonic:
		t.last = value
	case temporality == metricdata.DeltaTemporality:
		if value < 0 {
			why = fmt.Sprintf("grew by %v", value)
		}
		t.last += value
	default:
		if value < t.last {
			if !started.After(t.started) {
				why = fmt.Sprintf("went from %v to %v without a new start", t.last, value)
			}
			t.before += t.last
		}
		t.last, t.started = value, started
	}
	return why
}

func (c *collected) fault(layer, text string) {
	if len(c.faults[layer]) < most {
		c.faults[layer] = append(c.faults[layer], text)
	}
}

// totals are those of all breakers of a layer.
func (c *collected) totals(layer string) (t core.Totals) {
	results := map[string]*uint64{"success": &t.Successes, "failure": &t.Failures, "ignored": &t.Ignored, "rejected": &t.Refused}
	for s, sum := range c.series {
		if s.layer != layer {
			continue
		}
		if field := results[s.result]; s.metric == "circuit_breaker.calls" && field != nil {
			*field += uint64(sum.before + sum.last)
		}
		if s.metric == "circuit_breaker.active" {
			t.InFlight += int64(sum.last)
		}
	}
	t.Calls = t.Successes + t.Failures + t.Ignored
	return t
}

// sum is that of a metric over all names, of one result or of all.
func (c *collected) sum(layer, metric string) (n int64) {
	for s, sum := range c.series {
		if s.layer == layer && s.metric == metric {
			n += int64(sum.before + sum.last)
		}
	}
	return n
}

func text(set attribute.Set, key attribute.Key) string {
	v, _ := set.Value(key)
	return v.AsString()
}

// rest is what tells the series of one name apart.
func rest(set attribute.Set) string {
	if v, ok := set.Value("circuit_breaker.result"); ok && set.Len() <= 2 {
		return v.AsString()
	}
	return set.Encoded(attribute.DefaultEncoder())
}
