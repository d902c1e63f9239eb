package presets

import (
	"errors"
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
	held     atomic.Pointer[held]
}

// held are the retries of a function under a fleet.
type held struct {
	fleet *Fleet
	retry Retry
}

// now returns what holds for a call that begins now.
func (g *guard) now() (core.Gate, *Retry, error) {
	if g.fault != nil {
		return nil, nil, g.fault
	}
	h, f := g.held.Load(), g.registry.fleet.Load()
	if h == nil || h.fleet != f {
		p := g.registry.policyOf(f, g.name, &g.code)
		if err := p.Validate(); err != nil { // Attach may have spoilt it
			return nil, nil, fmt.Errorf("presets: the policy of %q: %w", g.name, err)
		}
		h = &held{f, p.Retry}
		g.held.Store(h)
	}
	b, err := g.registry.breakers.Get(g.name)
	switch {
	case errors.Is(err, core.ErrRegistryFull):
		return g.registry.breakers.Gate(g.name), &h.retry, nil // admits without a breaker, counts and logs that
	case err != nil:
		return nil, nil, err
	}
	return b, &h.retry, nil
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

// adopt gives p what is not data from other, where it has none of its own.
func (p Policy) adopt(other Policy) Policy {
	if p.Classify == nil {
		p.Classify = other.Classify
	}
	if p.Hooks.Transition == nil && p.Hooks.Refused == nil && p.Hooks.Settled == nil {
		p.Hooks = other.Hooks
	}
	if p.Logger == nil {
		p.Logger = other.Logger
	}
	if p.Now == nil {
		p.Now = other.Now
	}
	if p.HealthCheck == nil {
		p.HealthCheck = other.HealthCheck
	}
	if p.Retry.Strategy != None && p.Retry.If == nil {
		p.Retry.If = other.Retry.If
	}
	return p
}
