package presets

import (
	"fmt"
	"reflect"
	"sync/atomic"

	"github.com/blackbox4/switchgear/core"
)

// guard is what a protected function looks at when it is called.
type guard struct {
	registry *Registry
	name     string
	fault    error // if not nil, no call can be made
	code     Policy
	rules    atomic.Pointer[rules]
}

// rules are what a function goes by under a fleet, besides its breaker.
type rules struct {
	fleet      *Fleet
	retry      Retry
	classifies bool // the breaker has a Classify
}

// now returns what holds for a call that begins now.
func (g *guard) now() (core.Gate, *rules, error) {
	if g.fault != nil {
		return nil, nil, g.fault
	}
	have, f := g.rules.Load(), g.registry.fleet.Load()
	if have == nil || have.fleet != f {
		p := g.registry.policyOf(f, g.name, &g.code)
		if err := p.Validate(); err != nil { // Attach may have spoilt it
			return nil, nil, fmt.Errorf("presets: the policy of %q: %w", g.name, err)
		}
		have = &rules{f, p.Retry, g.registry.policyUnder(f, g.name).Classify != nil}
		g.rules.Store(have)
	}
	return g.registry.breakers.Gate(g.name), have, nil
}

// guardOf returns the guard of a function.
func guardOf(name string, policy Policy) *guard {
	r := policy.Registry
	if r == nil {
		r = Default()
	}
	g := &guard{registry: r, name: name, code: policy.clone()}
	if err := policy.Validate(); err != nil {
		g.fault = &faultError{fmt.Errorf("presets: the policy of %q: %w", name, err)}
	} else if err := r.define(name, &g.code); err != nil {
		g.fault = &faultError{err}
	}
	return g
}

// faultError is what is wrong with the arguments of [Protect].
type faultError struct{ error }

func (e *faultError) Unwrap() error { return e.error }

// sameBreaker reports whether p and other describe the same breaker, but for
// their funcs.
func (p Policy) sameBreaker(other Policy) bool {
	p.Preset, p.Retry = other.Preset, other.Retry
	return differences(reflect.ValueOf(p), reflect.ValueOf(other)) == nil
}

// adopt gives p what is not data from other, where it has none of its own: each
// hook, and every other func, the logger and the clock.
func (p Policy) adopt(other Policy) Policy {
	if p.Retry.Strategy == None { // and so not valid with an If
		other.Retry.If = nil
	}
	adopt(reflect.ValueOf(&p).Elem(), reflect.ValueOf(other))
	return p
}

// adopt sets the fields of a struct that no file can give and that are nil to what
// they are in other. It goes by the fields there are, so that none is forgotten.
func adopt(v, other reflect.Value) {
	for i := range v.NumField() {
		field, tag := v.Field(i), v.Type().Field(i).Tag.Get("json")
		switch {
		case field.Kind() == reflect.Struct:
			adopt(field, other.Field(i))
		case (field.Kind() == reflect.Func || tag == "-") && field.IsZero():
			field.Set(other.Field(i))
		}
	}
}
