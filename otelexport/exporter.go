package otelexport

import (
	"context"
	"errors"
	"fmt"

	"go.opentelemetry.io/otel/metric"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/otelexport/internal/contract"
	"github.com/blackbox4/switchgear/otelexport/internal/roster"
)

// exporter observes the breakers of one meter.
type exporter struct {
	metric.Registration

	roster  *roster.Roster[*series]
	ints    []instrument[int64, metric.Int64Observable]
	floats  []instrument[float64, metric.Float64Observable]
	skipped metric.Int64ObservableUpDownCounter
	panics  roster.Trouble
}

type instrument[N int64 | float64, O any] struct {
	contract.Metric[N]

	to O
}

// series are the attributes of all series of a breaker, as an observation wants
// them.
type series [][][]metric.ObserveOption

func newSeries(name string, _ *core.Breaker) *series {
	var s series
	for _, sets := range contract.NewSets(name) {
		var options [][]metric.ObserveOption
		for _, set := range sets {
			options = append(options, []metric.ObserveOption{metric.WithAttributeSet(set)})
		}
		s = append(s, options)
	}
	return &s
}

// newExporter makes the instruments of a meter and has them observed.
func newExporter(meter metric.Meter) (*exporter, error) {
	e := &exporter{roster: roster.New(newSeries)}
	all, err := e.create(meter)
	if err != nil {
		return nil, err
	}
	e.Registration, err = observed(meter, e.collect, all)
	return e, err
}

// observed registers a callback, all of it or nothing.
func observed(meter metric.Meter, collect metric.Callback, all []metric.Observable) (metric.Registration, error) {
	r, err := meter.RegisterCallback(collect, all...)
	if err != nil && r != nil {
		err = errors.Join(err, r.Unregister())
	}
	return r, err
}

func (e *exporter) create(meter metric.Meter) (all []metric.Observable, err error) {
	var faults []error
	for _, m := range contract.Ints() {
		unit, what := metric.WithUnit(m.Unit), metric.WithDescription(m.What)
		var to metric.Int64Observable
		var err error
		switch m.Kind {
		case contract.Counter:
			to, err = meter.Int64ObservableCounter(m.Name, unit, what)
		case contract.UpDownCounter:
			to, err = meter.Int64ObservableUpDownCounter(m.Name, unit, what)
		case contract.Gauge:
			to, err = meter.Int64ObservableGauge(m.Name, unit, what)
		}
		e.ints = append(e.ints, instrument[int64, metric.Int64Observable]{m, to})
		all, faults = append(all, to), append(faults, err)
	}
	for _, m := range contract.Floats() {
		unit, what := metric.WithUnit(m.Unit), metric.WithDescription(m.What)
		var to metric.Float64Observable
		var err error
		switch m.Kind {
		case contract.Counter:
			to, err = meter.Float64ObservableCounter(m.Name, unit, what)
		case contract.UpDownCounter:
			to, err = meter.Float64ObservableUpDownCounter(m.Name, unit, what)
		case contract.Gauge:
			to, err = meter.Float64ObservableGauge(m.Name, unit, what)
		}
		e.floats = append(e.floats, instrument[float64, metric.Float64Observable]{m, to})
		all, faults = append(all, to), append(faults, err)
	}
	e.skipped, err = meter.Int64ObservableUpDownCounter(contract.SkippedName,
		metric.WithUnit(contract.SkippedUnit), metric.WithDescription(contract.SkippedWhat))
	return append(all, e.skipped), errors.Join(append(faults, err)...)
}

// collect is called by each reader for each of its collections, under the locks
// of the SDK. It returns no error: the SDK would then drop all that the program
// has to export.
func (e *exporter) collect(_ context.Context, o metric.Observer) error {
	members, skipped := e.roster.Members()
	var r contract.Reading
	for _, m := range members {
		e.observe(o, m, &r)
	}
	o.ObserveInt64(e.skipped, int64(skipped.Limit), skippedByLimit...)
	o.ObserveInt64(e.skipped, int64(skipped.Duplicate), skippedAsDuplicate...)
	return nil
}

//nolint:gochecknoglobals // made once
var (
	skippedByLimit     = []metric.ObserveOption{metric.WithAttributes(contract.Skip.String(contract.SkippedByLimit))}
	skippedAsDuplicate = []metric.ObserveOption{metric.WithAttributes(contract.Skip.String(contract.SkippedAsDuplicate))}
)

// observe survives a panic, which the SDK does not.
func (e *exporter) observe(o metric.Observer, m *roster.Member[*series], r *contract.Reading) {
	defer func() {
		if p := recover(); p != nil {
			e.panics.Tell(fmt.Errorf("switchgear: reading the circuit breaker %q panicked: %v", m.Name, p))
		}
	}()
	r.Read(m.Breaker)
	for i := range e.ints {
		in := &e.ints[i]
		attributes := (*m.Of)[in.By]
		for j, v := range in.Of(r) {
			o.ObserveInt64(in.to, v, attributes[j]...)
		}
	}
	for i := range e.floats {
		in := &e.floats[i]
		attributes := (*m.Of)[in.By]
		for j, v := range in.Of(r) {
			o.ObserveFloat64(in.to, v, attributes[j]...)
		}
	}
}
