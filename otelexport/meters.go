package otelexport

import (
	"reflect"
	"sync"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"
)

// meters are those that something is registered with. A provider sums what two
// callbacks observe of a series, so there must be but one for a meter. Its lock
// is held while a meter is called, and never while it collects.
type meters[E interface{ Unregister() error }] struct {
	create func(metric.Meter) (E, error)

	mu        sync.Mutex
	exporters map[metric.Meter]*shared[E]
	// early is the exporter of the global meter from before there was a global
	// provider; when there is, that provider has a meter of its own for it.
	early *shared[E]
}

// shared is an exporter and how many have something registered with it.
type shared[E any] struct {
	exporter E
	users    int
}

// join registers something with the exporter of a meter. add must not fail; what
// it returns ends that.
func (m *meters[E]) join(meter metric.Meter, add func(E) (remove func())) (unregister func() error, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s, err := m.of(meter)
	if err != nil {
		return nil, err
	}
	remove := add(s.exporter)
	s.users++
	return sync.OnceValue(func() error {
		m.mu.Lock()
		defer m.mu.Unlock()
		remove()
		s.users--
		if s.users > 0 {
			return nil
		}
		for meter, its := range m.exporters {
			if its == s {
				delete(m.exporters, meter)
			}
		}
		if m.early == s {
			m.early = nil
		}
		return s.exporter.Unregister()
	}), nil
}

// of returns the exporter of a meter, made if it has none.
func (m *meters[E]) of(meter metric.Meter) (*shared[E], error) {
	global := otel.GetMeterProvider().Meter(ScopeName, metric.WithInstrumentationVersion(Version()))
	if meter == nil {
		meter = global
	}
	canCompare := reflect.ValueOf(meter).Comparable()
	early := false
	if canCompare {
		if s := m.exporters[meter]; s != nil {
			return s, nil
		}
		if reflect.ValueOf(global).Comparable() && meter == global {
			early = forwards(meter)
			if m.early != nil && !early { // it forwards to this one by now
				s := m.early
				m.exporters[meter], m.early = s, nil
				return s, nil
			}
		}
	}
	e, err := m.create(meter)
	if err != nil {
		return nil, err
	}
	s := &shared[E]{exporter: e}
	if canCompare {
		if m.exporters == nil {
			m.exporters = make(map[metric.Meter]*shared[E])
		}
		m.exporters[meter] = s
	}
	if early {
		m.early = s
	}
	return s, nil
}

// forwards reports whether a meter is of the API itself, which forwards to a
// provider once there is one.
func forwards(meter metric.Meter) bool {
	t := reflect.TypeOf(meter)
	return t.Kind() == reflect.Pointer && t.Elem().PkgPath() == "go.opentelemetry.io/otel/internal/global"
}
