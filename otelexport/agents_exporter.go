package otelexport

import (
	"context"
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"sync"

	"go.opentelemetry.io/otel/metric"

	"github.com/blackbox4/switchgear/otelexport/internal/contract"
	"github.com/blackbox4/switchgear/otelexport/internal/roster"
)

// The names and pairs with series of their own. Of one instrument these are 1,800,
// where the metrics SDK keeps 2000.
const (
	maxRoles = 300
	maxPairs = 900
)

// agentsExporter observes the agents of one meter.
type agentsExporter struct {
	metric.Registration

	status                       metric.Int64ObservableUpDownCounter
	steps, escalations, handoffs metric.Int64ObservableCounter
	confidence                   metric.Float64ObservableGauge
	panics                       roster.Trouble

	mu     sync.Mutex // held while agents are read
	all    []*overseen
	states *sum
	roles  map[string]*role
	pairs  map[[2]string]*sum
}

// role is what there is of one name.
type role struct {
	steps, escalations *sum
	sure               float64 // NaN if it is not known
	attributes         []metric.ObserveOption
}

func newAgentsExporter(meter metric.Meter) (*agentsExporter, error) {
	e := &agentsExporter{
		states: newSum(contract.AgentStatus()),
		roles:  make(map[string]*role),
		pairs:  make(map[[2]string]*sum),
	}
	var faults []error
	counter := func(m contract.AgentMetric) metric.Int64ObservableCounter {
		to, err := meter.Int64ObservableCounter(m.Name, metric.WithUnit(m.Unit), metric.WithDescription(m.What))
		faults = append(faults, err)
		return to
	}
	e.steps, e.escalations, e.handoffs = counter(contract.AgentSteps()), counter(contract.AgentEscalations()), counter(contract.AgentHandoffs())
	m := contract.AgentStatus()
	status, err := meter.Int64ObservableUpDownCounter(m.Name, metric.WithUnit(m.Unit), metric.WithDescription(m.What))
	e.status, faults = status, append(faults, err)
	m = contract.AgentConfidence()
	e.confidence, err = meter.Float64ObservableGauge(m.Name, metric.WithUnit(m.Unit), metric.WithDescription(m.What))
	if err = errors.Join(append(faults, err)...); err == nil {
		err = e.observed(meter)
	}
	return e, err
}

// observed has the instruments observed, also again after Unregister.
func (e *agentsExporter) observed(meter metric.Meter) (err error) {
	e.Registration, err = observed(meter, e.collect, []metric.Observable{e.status, e.steps, e.escalations, e.handoffs, e.confidence})
	return err
}

// add begins to read agents; remove ends it.
func (e *agentsExporter) add(agents Agents) (remove func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	same := func(o *overseen) bool {
		return reflect.ValueOf(agents).Comparable() && reflect.ValueOf(o.agents).Comparable() && o.agents == agents
	}
	var one *overseen
	if i := slices.IndexFunc(e.all, same); i >= 0 {
		one = e.all[i]
	} else {
		one = &overseen{agents: agents}
		e.all = append(e.all, one)
	}
	one.users++
	return func() { e.remove(one) }
}

// remove keeps what was counted.
func (e *agentsExporter) remove(one *overseen) {
	e.mu.Lock()
	one.users--
	var panics []error
	if one.users == 0 {
		panics = one.read()
		e.clear()
		e.count(one)
		for _, s := range e.counters() {
			copy(s.kept, s.values)
		}
		e.all = slices.DeleteFunc(e.all, func(o *overseen) bool { return o == one })
	}
	e.mu.Unlock()
	e.tell(panics)
}

// collect is called as exporter.collect is.
func (e *agentsExporter) collect(_ context.Context, o metric.Observer) error {
	e.tell(e.observe(o))
	return nil
}

func (e *agentsExporter) observe(o metric.Observer) (panics []error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.clear()
	for _, one := range e.all {
		panics = append(panics, one.read()...)
		e.count(one)
		for state, n := range one.states {
			e.states.add(state, n)
		}
		for name, c := range one.confidence {
			if r := e.role(name); !math.IsNaN(c) && !math.IsInf(c, 0) && !(r.sure <= c) {
				r.sure = c
			}
		}
	}
	e.states.observe(o, e.status)
	for _, r := range e.roles {
		r.steps.observe(o, e.steps)
		r.escalations.observe(o, e.escalations)
		if !math.IsNaN(r.sure) {
			o.ObserveFloat64(e.confidence, r.sure, r.attributes...)
		}
	}
	for _, pair := range e.pairs {
		pair.observe(o, e.handoffs)
	}
	return panics
}

// clear forgets what was read the last time.
func (e *agentsExporter) clear() {
	clear(e.states.values)
	for _, r := range e.roles {
		r.sure = math.NaN()
	}
	for _, s := range e.counters() {
		copy(s.values, s.kept)
	}
}

// counters are the sums that must never go back.
func (e *agentsExporter) counters() (all []*sum) {
	for _, r := range e.roles {
		all = append(all, r.steps, r.escalations)
	}
	for _, s := range e.pairs {
		all = append(all, s)
	}
	return all
}

func (e *agentsExporter) count(one *overseen) {
	for k, n := range one.steps {
		e.role(k[0]).steps.add(k[1], whole(n))
	}
	for k, n := range one.escalations {
		e.role(k[0]).escalations.add(k[1], whole(n))
	}
	for k, n := range one.handoffs {
		e.pair(k[0], k[1]).add(k[2], whole(n))
	}
}

// whole returns n, of which it keeps 1<<62: SDKs before v1.47 add up in float64,
// which rounds the largest int64 to a number that no int64 has.
func whole(n uint64) int64 { return int64(min(n, 1<<62)) }

// role returns that of a name, or of all others.
func (e *agentsExporter) role(name string) *role {
	name = strings.ToValidUTF8(name, "\uFFFD")
	if e.roles[name] == nil && len(e.roles) >= maxRoles {
		name = contract.Other
	}
	if e.roles[name] == nil {
		name = strings.Clone(name)
		by := contract.AgentName.String(name)
		e.roles[name] = &role{
			newSum(contract.AgentSteps(), by), newSum(contract.AgentEscalations(), by), math.NaN(),
			[]metric.ObserveOption{metric.WithAttributes(by)},
		}
	}
	return e.roles[name]
}

func (e *agentsExporter) pair(from, to string) *sum {
	k := [2]string{strings.ToValidUTF8(from, "\uFFFD"), strings.ToValidUTF8(to, "\uFFFD")}
	if e.pairs[k] == nil && len(e.pairs) >= maxPairs {
		k = [2]string{contract.Other, contract.Other}
	}
	if e.pairs[k] == nil {
		k[0], k[1] = strings.Clone(k[0]), strings.Clone(k[1])
		e.pairs[k] = newSum(contract.AgentHandoffs(), contract.AgentSource.String(k[0]), contract.AgentTarget.String(k[1]))
	}
	return e.pairs[k]
}

func (e *agentsExporter) tell(panics []error) {
	for _, err := range panics {
		e.panics.Tell(fmt.Errorf("switchgear: reading agents panicked: %w", err))
	}
}
