package otelexport

import (
	"reflect"
	"sync"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"

	"github.com/blackbox4/switchgear/core"
)

// Register makes every collection of a meter read the breakers of a source. It
// costs their calls nothing: there is no hook, and instruments are observed only
// when somebody collects. That takes a microsecond or four for a breaker, and
// thirty in the metrics SDK; sdkproducer can do with a tenth. The package's comment
// has the metrics.
//
// A nil meter means one of the global provider, also of one that is set later. Nil
// options are the zero ones. The names of breakers are unique within a meter,
// over all sources registered with it: a breaker whose name is taken is left out.
// It and those above MaxBreakers are counted by circuit_breaker.export.skipped,
// and OpenTelemetry's error handler is told, as it is when a source panics, which
// ends neither the collection nor the program.
//
// The source is exported until unregister is called, which may be more than once.
// A provider that is shut down reads no more, but only unregister lets go of the
// source. Register fails if the source is nil, with a [*core.ConfigError], and
// with whatever the meter reports.
func Register(meter metric.Meter, source Source, o *Options) (unregister func() error, err error) {
	if source == nil {
		return nil, &core.ConfigError{Field: "source", Value: source, Allowed: "a Source, such as a *core.Registry"}
	}
	if o == nil {
		o = new(Options)
	}
	return registered.add(meter, source, o.MaxBreakers)
}

// meters are those that something is registered with. A provider sums what two
// callbacks observe of a series, so there must be but one for a meter. Its lock
// is held while a meter is called, and never while it collects.
type meters struct {
	mu        sync.Mutex
	exporters map[metric.Meter]*exporter
	// early is the exporter of the global meter from before there was a global
	// provider; when there is, that provider has a meter of its own for it.
	early *exporter
}

//nolint:gochecknoglobals // the names in a meter are unique, whoever registers
var registered = meters{exporters: make(map[metric.Meter]*exporter)}

func (m *meters) add(meter metric.Meter, source Source, limit int) (func() error, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e, err := m.exporter(meter)
	if err != nil {
		return nil, err
	}
	remove := e.roster.Add(source, limit)
	e.sources++
	return sync.OnceValue(func() error {
		m.mu.Lock()
		defer m.mu.Unlock()
		remove()
		e.sources--
		if e.sources > 0 {
			return nil
		}
		for meter, its := range m.exporters {
			if its == e {
				delete(m.exporters, meter)
			}
		}
		if m.early == e {
			m.early = nil
		}
		return e.registration.Unregister()
	}), nil
}

// exporter returns the one of a meter, made if it has none.
func (m *meters) exporter(meter metric.Meter) (*exporter, error) {
	global := otel.GetMeterProvider().Meter(ScopeName, metric.WithInstrumentationVersion(Version()))
	if meter == nil {
		meter = global
	}
	shared := reflect.ValueOf(meter).Comparable()
	early := false
	if shared {
		if e := m.exporters[meter]; e != nil {
			return e, nil
		}
		if reflect.ValueOf(global).Comparable() && meter == global {
			early = forwards(meter)
			if m.early != nil && !early { // it forwards to this one by now
				e := m.early
				m.exporters[meter], m.early = e, nil
				return e, nil
			}
		}
	}
	e, err := newExporter(meter)
	if err != nil {
		return nil, err
	}
	if shared {
		m.exporters[meter] = e
	}
	if early {
		m.early = e
	}
	return e, nil
}

// forwards reports whether a meter is of the API itself, which forwards to a
// provider once there is one.
func forwards(meter metric.Meter) bool {
	t := reflect.TypeOf(meter)
	return t.Kind() == reflect.Pointer && t.Elem().PkgPath() == "go.opentelemetry.io/otel/internal/global"
}
