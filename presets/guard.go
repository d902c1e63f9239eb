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
	retry    atomic.Pointer[Retry] // what holds now
}

// now returns what holds for a call that begins now.
func (g *guard) now() (*core.Breaker, *Retry, error) {
	if g.fault != nil {
		return nil, nil, g.fault
	}
	b, err := g.registry.breakers.Get(g.name)
	return b, g.retry.Load(), err
}

// guardOf returns the guard of a name, made now if it is new.
func guardOf(name string, policy Policy) *guard {
	r := policy.Registry
	if r == nil {
		r = Default()
	}
	policy = policy.clone()
	g := &guard{registry: r, name: name, code: policy}
	if err := policy.Validate(); err != nil {
		g.fault = fmt.Errorf("presets: the policy of %q: %w", name, err)
		return g
	}
	kept, err := r.define(g)
	switch {
	case err != nil:
		g.fault = err
	case !policy.sameData(kept.code):
		g.fault = &core.ConfigError{Field: "name", Value: name, Allowed: "one that is not protected with another policy; use the same policy, or another name"}
	default:
		return kept
	}
	return g
}

// sameData reports whether p and other would do the same, but for their funcs.
func (p Policy) sameData(other Policy) bool {
	p.Preset = other.Preset
	return differences(reflect.ValueOf(p), reflect.ValueOf(other)) == nil
}

// adopt gives p what is not data from other.
func (p Policy) adopt(other Policy) Policy {
	p.Classify, p.Hooks, p.Logger, p.Now = other.Classify, other.Hooks, other.Logger, other.Now
	p.HealthCheck = other.HealthCheck
	if p.Retry.Strategy != None {
		p.Retry.If = other.Retry.If
	}
	return p
}
