package otelexport

import (
	"reflect"
	"slices"
	"sync"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"
)

// meters are those that something is registered with. A provider sums what two
// callbacks observe of a series, so there must be but one for a meter. Its lock
// is held while a meter is called, and never while it collects.
type meters[E registration] struct {
	create func(metric.Meter) (E, error)

	mu        sync.Mutex
	exporters map[metric.Meter]*shared[E]
	// early is the exporter of the global meter from before there was a global
	// provider; when there is, that provider has a meter of its own for it.
	early *shared[E]
	// former are exporters that nothing is registered with any more, the last one
	// last, as far as a meter may be registered with again: what they have exported
	// must not go down then. A few are kept, for each keeps its provider.
	former []former[E]
	forget bool // keeps none
}

const maxFormer = 4

type former[E any] struct {
	meter metric.Meter
	early bool
	*shared[E]
}

// registration is an exporter that can be observed, and again after Unregister.
type registration interface {
	Unregister() error
	observed(meter metric.Meter) error
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
		m.retire(s)
		return s.exporter.Unregister()
	}), nil
}

// retire keeps an exporter that has no users in case there are some again.
func (m *meters[E]) retire(s *shared[E]) {
	for meter, its := range m.exporters {
		if its == s {
			delete(m.exporters, meter)
			if !m.forget {
				m.former = append(m.former, former[E]{meter, m.early == s, s})
			}
		}
	}
	if m.early == s {
		m.early = nil
	}
	if len(m.former) > maxFormer {
		m.former = slices.Delete(m.former, 0, len(m.former)-maxFormer)
	}
}

// revive returns the exporter that a meter had, or nil. forwarded is whether the one
// from before there was a global provider will do.
func (m *meters[E]) revive(meter metric.Meter, forwarded bool) (*shared[E], error) {
	i := slices.IndexFunc(m.former, func(f former[E]) bool { return f.meter == meter || forwarded && f.early })
	if i < 0 {
		return nil, nil //nolint:nilnil // none
	}
	f := m.former[i]
	m.former = slices.DeleteFunc(m.former, func(g former[E]) bool { return g.shared == f.shared })
	return f.shared, f.exporter.observed(f.meter)
}

// of returns the exporter of a meter, made if it has none.
func (m *meters[E]) of(meter metric.Meter) (*shared[E], error) {
	global := otel.GetMeterProvider().Meter(ScopeName, metric.WithInstrumentationVersion(Version()))
	if meter == nil {
		meter = global
	}
	canCompare := reflect.ValueOf(meter).Comparable()
	early, isGlobal := false, false
	if canCompare {
		if s := m.exporters[meter]; s != nil {
			return s, nil
		}
		if reflect.ValueOf(global).Comparable() && meter == global {
			isGlobal = true
			early = forwards(meter)
			if m.early != nil && !early { // it forwards to this one by now
				s := m.early
				m.exporters[meter], m.early = s, nil
				return s, nil
			}
		}
	}
	var s *shared[E]
	if canCompare {
		var err error
		if s, err = m.revive(meter, isGlobal && !early); err != nil {
			return nil, err
		}
	}
	if s == nil {
		e, err := m.create(meter)
		if err != nil {
			return nil, err
		}
		s = &shared[E]{exporter: e}
	}
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
