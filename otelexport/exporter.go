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

	roster *roster.Roster[*series]
	ints   []instrument[int64, metric.Int64Observable]
	floats []instrument[float64, metric.Float64Observable]
	wholes []wholeInstrument
	all    []metric.Observable // all instruments
	panics roster.Trouble
}

// wholeInstrument is an instrument of all breakers together.
type wholeInstrument struct {
	contract.WholeMetric

	to         metric.Int64Observable
	attributes [][]metric.ObserveOption
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
	if err := e.create(meter); err != nil {
		return nil, err
	}
	return e, e.observed(meter)
}

// observed has the instruments observed, also again after Unregister.
func (e *exporter) observed(meter metric.Meter) (err error) {
	e.Registration, err = observed(meter, e.collect, e.all)
	return err
}

// observed registers a callback, all of it or nothing.
func observed(meter metric.Meter, collect metric.Callback, all []metric.Observable) (metric.Registration, error) {
	r, err := meter.RegisterCallback(collect, all...)
	if err != nil && r != nil {
		err = errors.Join(err, r.Unregister())
	}
	return r, err
}

func (e *exporter) create(meter metric.Meter) error {
	var faults []error
	made := func(to metric.Observable, err error) {
		e.all, faults = append(e.all, to), append(faults, err)
	}
	for _, m := range contract.Ints() {
		to, err := newInt(meter, m.Name, m.Unit, m.What, m.Kind)
		e.ints = append(e.ints, instrument[int64, metric.Int64Observable]{m, to})
		made(to, err)
	}
	for _, m := range contract.Floats() {
		to, err := newFloat(meter, m.Name, m.Unit, m.What, m.Kind)
		e.floats = append(e.floats, instrument[float64, metric.Float64Observable]{m, to})
		made(to, err)
	}
	for _, m := range contract.Wholes() {
		to, err := newInt(meter, m.Name, m.Unit, m.What, m.Kind)
		w := wholeInstrument{WholeMetric: m, to: to}
		for _, set := range m.Sets {
			w.attributes = append(w.attributes, []metric.ObserveOption{metric.WithAttributeSet(set)})
		}
		e.wholes = append(e.wholes, w)
		made(to, err)
	}
	return errors.Join(faults...)
}

func newInt(meter metric.Meter, name, unit, what string, kind contract.Kind) (to metric.Int64Observable, err error) {
	u, d := metric.WithUnit(unit), metric.WithDescription(what)
	switch kind {
	case contract.Counter:
		to, err = meter.Int64ObservableCounter(name, u, d)
	case contract.UpDownCounter:
		to, err = meter.Int64ObservableUpDownCounter(name, u, d)
	case contract.Gauge:
		to, err = meter.Int64ObservableGauge(name, u, d)
	}
	return to, err
}

func newFloat(meter metric.Meter, name, unit, what string, kind contract.Kind) (to metric.Float64Observable, err error) {
	u, d := metric.WithUnit(unit), metric.WithDescription(what)
	switch kind {
	case contract.Counter:
		to, err = meter.Float64ObservableCounter(name, u, d)
	case contract.UpDownCounter:
		to, err = meter.Float64ObservableUpDownCounter(name, u, d)
	case contract.Gauge:
		to, err = meter.Float64ObservableGauge(name, u, d)
	}
	return to, err
}

// collect is called by each reader for each of its collections, under the locks
// of the SDK. It returns no error: the SDK would then drop all that the program
// has to export.
func (e *exporter) collect(_ context.Context, o metric.Observer) error {
	members, whole := e.roster.Members()
	var r contract.Reading
	for _, m := range members {
		e.observe(o, m, &r)
	}
	for i := range e.wholes {
		w := &e.wholes[i]
		for j, v := range w.Of(&whole) {
			o.ObserveInt64(w.to, v, w.attributes[j]...)
		}
	}
	return nil
}

// observe survives a panic, which the SDK does not.
func (e *exporter) observe(o metric.Observer, m *roster.Member[*series], r *contract.Reading) {
	defer func() {
		if p := recover(); p != nil {
			e.panics.Tell(fmt.Errorf("switchgear: reading the circuit breaker %q panicked: %v", m.Name, p))
		}
	}()
	if !m.Read(r) {
		return
	}
	evicted := m.Breaker == nil
	for i := range e.ints {
		in := &e.ints[i]
		if evicted && in.Kind != contract.Counter {
			continue
		}
		attributes := (*m.Of)[in.By]
		for j, v := range in.Of(r) {
			o.ObserveInt64(in.to, v, attributes[j]...)
		}
	}
	for i := range e.floats {
		in := &e.floats[i]
		if evicted && in.Kind != contract.Counter {
			continue
		}
		attributes := (*m.Of)[in.By]
		for j, v := range in.Of(r) {
			o.ObserveFloat64(in.to, v, attributes[j]...)
		}
	}
}
