package presets

import (
	"errors"
	"fmt"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/blackbox4/switchgear/core"
)

// Registry holds breakers by name and knows the policy of each. For a name,
// what the [Fleet] says comes first, by the very name or by a pattern; then what
// [Protect] was given; then the Fleet's Defaults. Without a Fleet those are
// [Moderate].
//
// The zero Registry is ready, without a Fleet. Attach must not be changed once
// the Registry is in use, and a Registry must not be copied. It is safe for
// concurrent use and starts no goroutine.
type Registry struct {
	// Attach completes the policy of a name with what is not in a file, a Logger
	// or Hooks for all, or a HealthCheck. Nil means nothing. It is the last word on
	// every policy, is called more than once for a name, and must not call the
	// Registry.
	Attach func(name string, p *Policy)

	init     sync.Once
	breakers core.Registry
	fleet    atomic.Pointer[Fleet]
	guards   sync.Map // of what Protect defined: name to *guard
	checks   checks

	mu      sync.Mutex // held to define and to apply
	defined int        // how many guards there are
}

// NewRegistry returns a Registry of the size that the fleet says, with its
// policies. A nil fleet is none. The error is [Fleet.Validate]'s.
func NewRegistry(f *Fleet) (*Registry, error) {
	r := new(Registry)
	if f != nil {
		if err := f.Validate(); err != nil {
			return nil, err
		}
		f = f.clone()
		r.breakers.Max, r.breakers.Idle = f.Registry.Max, f.Registry.Idle
		r.fleet.Store(f)
	}
	return r, nil
}

//nolint:gochecknoglobals // what Default returns, as in net/http and slog
var defaultRegistry Registry

// Default returns the Registry that [Protect] uses if the policy names none.
func Default() *Registry { return &defaultRegistry }

// Breakers returns the breakers themselves: to look into them, to export them,
// or to hand them to an adapter. Ask it for a breaker by name; its Update is the
// Registry's to call.
func (r *Registry) Breakers() *core.Registry {
	r.init.Do(func() {
		r.breakers.Config = func(name string) core.Config { return r.Policy(name).breakerConfig(r, name) }
	})
	return &r.breakers
}

// Policy returns what holds now for a name, whether it has a breaker or not, with
// its Registry set to r. It is the caller's.
func (r *Registry) Policy(name string) Policy { return r.policyUnder(r.fleet.Load(), name) }

func (r *Registry) policyUnder(f *Fleet, name string) Policy {
	p, listed := f.lookup(name)
	if known, ok := r.guards.Load(name); ok {
		if code := known.(*guard).code; listed {
			p = p.adopt(code)
		} else {
			p = code
		}
	}
	p = p.clone()
	if r.Attach != nil {
		r.Attach(name, &p)
	}
	p.Registry = r
	return p
}

// breakerConfig is the Config of the breaker of a name in r.
func (p Policy) breakerConfig(r *Registry, name string) core.Config {
	if p.checkEvery() > 0 {
		p.Hooks.Transition = r.checks.watch(name, p.Hooks.Transition)
	}
	return p.Config
}

// size is the size that the breakers' registry has.
func (r *Registry) size() Limits {
	return Limits{Max: r.breakers.Max, Idle: r.breakers.Idle}.withDefaults()
}

// define enters g, unless there is a guard of that name, and returns the one
// that holds.
func (r *Registry) define(g *guard) (*guard, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if known, ok := r.guards.Load(g.name); ok {
		return known.(*guard), nil
	}
	room := r.defined < r.size().Max
	if room {
		r.guards.Store(g.name, g)
	}
	p := r.Policy(g.name)
	if !room {
		p.Retry = g.code.Retry
	}
	err := p.Validate() // Attach may have spoilt it
	var b *core.Breaker
	if err == nil {
		b, err = r.Breakers().Get(g.name)
	}
	if err == nil && room && b.Name() == g.name { // else it is shared by many
		err = b.Update(p.breakerConfig(r, g.name)) // it may have been there before
	}
	if err != nil {
		r.guards.Delete(g.name)
		return nil, fmt.Errorf("presets: protecting %q: %w", g.name, err)
	}
	if room {
		r.defined++
	}
	g.retry.Store(&p.Retry)
	return g, nil
}

// Apply makes f the Registry's Fleet and updates every breaker by
// [core.Breaker.Update]: states, windows and permits that are out are kept. It
// is all or nothing: if f, or what Attach makes of it, is not valid, the error
// says what and nothing changes. A nil f is none. The size of the Registry is
// set once; what f says of it is ignored if it differs, and [Watch] reports it.
//
// A call sees the old settings or the new ones of its breaker; the retries of a
// call that has begun go on by the policy it began with.
func (r *Registry) Apply(f *Fleet) error {
	if f != nil {
		if err := f.Validate(); err != nil {
			return err
		}
		f = f.clone()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	retries := make(map[*guard]Retry)
	var faults []error
	for name, known := range r.guards.Range {
		p := r.policyUnder(f, name.(string))
		if err := p.Validate(); err != nil {
			faults = append(faults, fmt.Errorf("presets: the policy of %q: %w", name, err))
		}
		retries[known.(*guard)] = p.Retry
	}
	if faults != nil {
		return errors.Join(faults...)
	}
	if err := r.Breakers().Update(func(name string) core.Config {
		return r.policyUnder(f, name).breakerConfig(r, name)
	}); err != nil {
		return err
	}
	r.fleet.Store(f)
	for g, retry := range maps.All(retries) {
		g.retry.Store(&retry)
	}
	r.noteOpen() // they may have got a health check
	return nil
}

const (
	defaultMax  = 10_000
	maxMax      = 1_000_000
	defaultIdle = time.Hour
)
