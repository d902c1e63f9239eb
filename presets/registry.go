package presets

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
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
	// every policy, is called more than once for a name and by many goroutines, and
	// must not call the Registry.
	Attach func(name string, p *Policy)

	init     sync.Once
	breakers core.Registry
	fleet    atomic.Pointer[Fleet]
	code     sync.Map     // what Protect was given: name to *definition, that of the first
	defined  atomic.Int64 // how many those are
	// definitions counts what was entered there, before the breaker is updated.
	definitions atomic.Int64
	checks      checks
	unmade      loggedNames // of breakers whose retries no protected function makes
	state       atomic.Pointer[stateFile]
	stateFile   string // of the Fleet; KeepState is called at the first use
	stateAsked  atomic.Bool
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
		r.breakers.Max, r.breakers.Idle, r.stateFile = f.Registry.Max, f.Registry.Idle, f.StateFile
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
// Registry's to call. It is nil for a nil Registry.
func (r *Registry) Breakers() *core.Registry {
	if r == nil {
		return nil
	}
	r.init.Do(func() {
		r.breakers.Config = r.breakerConfig
	})
	if r.stateFile != "" && !r.stateAsked.Swap(true) { // not in init: hooks run here, and may come back
		if err := r.KeepState(r.stateFile); err != nil {
			slog.Default().LogAttrs(context.Background(), slog.LevelError, "open breakers are not saved", slog.Any("error", err))
		}
	}
	return &r.breakers
}

// WriteJSON writes what [core.Registry.WriteJSON] does of the breakers: their sum,
// and of each a snapshot with its last calls and transitions. A nil Registry is an
// error, as is a nil w.
func (r *Registry) WriteJSON(w io.Writer) error {
	switch {
	case r == nil:
		return errNilRegistry
	case w == nil:
		return errNilWriter
	}
	return r.Breakers().WriteJSON(w)
}

// Policy returns what holds now for a name, whether it has a breaker or not, with
// its Registry set to r. It is the caller's. Of a nil Registry it is [Moderate].
func (r *Registry) Policy(name string) Policy {
	if r == nil {
		return Moderate()
	}
	return r.policyUnder(r.fleet.Load(), name)
}

var errNilRegistry = errors.New("presets: nil Registry; use new(presets.Registry) or presets.Default()")

func (r *Registry) policyUnder(f *Fleet, name string) Policy {
	code, _ := r.code.Load(name)
	given, _ := code.(*definition)
	if given == nil {
		return r.policyOf(f, name, nil)
	}
	return r.policyOf(f, name, given.policy)
}

// policyOf is what holds under a fleet for a name that the code gives a policy,
// or none.
func (r *Registry) policyOf(f *Fleet, name string, code *Policy) Policy {
	p, listed := f.lookup(name)
	switch {
	case code == nil:
	case listed:
		p = p.adopt(*code)
	default:
		p = *code
	}
	p = p.clone()
	if r.Attach != nil {
		r.Attach(name, &p)
	}
	p.Registry = r
	return p
}

func (r *Registry) breakerConfig(name string) core.Config {
	p := r.Policy(name)
	if p.Retry.Enabled {
		if _, protected := r.code.Load(name); !protected && r.unmade.first(name) {
			p.warn("retries are enabled for a breaker of which no function is protected yet: Protect makes them, and roundtrip.RetryClient for HTTP; a breaker alone does not (logged once for each name)", name)
		}
	}
	return p.configIn(r, name)
}

// loggedNames are the first 100 names that something was logged about: clients may
// make names up.
type loggedNames struct {
	mu    sync.Mutex
	names map[string]bool
}

// first reports whether a name is to be logged, and notes that it was.
func (l *loggedNames) first(name string) bool {
	const most = 100
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.names[name] || len(l.names) >= most {
		return false
	}
	if l.names == nil {
		l.names = make(map[string]bool)
	}
	l.names[name] = true
	return true
}

// configIn is the Config of the breaker of a name in r.
func (p Policy) configIn(r *Registry, name string) core.Config {
	if p.checkEvery() > 0 {
		p.Hooks.Transition = r.checks.watch(name, p.Hooks.Transition)
	}
	if s := r.state.Load(); s != nil {
		next := p.Hooks.Transition
		p.Hooks.Transition = func(ctx context.Context, t core.Transition) {
			s.note(t)
			if next != nil {
				next(ctx, t)
			}
		}
	}
	return p.breakerConfig()
}

// size is the size that the breakers' registry has.
func (r *Registry) size() Limits {
	return Limits{Max: r.breakers.Max, Idle: r.breakers.Idle}.withDefaults()
}

// definition is a policy that Protect was given, and the file and line of that.
type definition struct {
	policy *Policy
	at     string
}

// define enters the policy of a name, unless there is one, which must not differ.
// No lock is held: a breaker may call its hooks here, and those may call the
// Registry.
func (r *Registry) define(name string, code *Policy) error {
	breakers := r.Breakers()
	known, ok := r.code.Load(name)
	if !ok {
		if r.defined.Add(1) > int64(r.size().Max) {
			r.defined.Add(-1)
			_, err := breakers.Get(name) // by another policy
			return unlessFull(err)
		}
		if known, ok = r.code.LoadOrStore(name, &definition{code, callerOutside()}); ok {
			r.defined.Add(-1)
		}
	}
	if ok {
		first := known.(*definition)
		if fields := code.differsFrom(*first.policy); fields != nil {
			return &core.ConfigError{Field: "name", Value: name, Allowed: fmt.Sprintf("one that is not protected with another policy; the one at %s differs from that at %s in %s; use the same, another name, or a Registry of your own", callerOutside(), first.at, strings.Join(fields, ", "))}
		}
		return nil
	}
	r.definitions.Add(1)
	b, err := breakers.Get(name)
	if err == nil {
		err = r.refresh(b)
	}
	if err = unlessFull(err); err != nil {
		r.code.Delete(name)
		r.defined.Add(-1)
		return fmt.Errorf("presets: protecting %q: %w", name, err)
	}
	return nil
}

// unlessFull returns err, but nothing for a name that finds no place: it goes
// without a breaker, perhaps not for long.
func unlessFull(err error) error {
	if errors.Is(err, core.ErrRegistryFull) {
		return nil
	}
	return err
}

// refresh gives a breaker that may have been there before what holds now.
// The fleet is replaced before that, so the later of two wins.
func (r *Registry) refresh(b *core.Breaker) error {
	for {
		f := r.fleet.Load()
		p := r.policyUnder(f, b.Name())
		if err := p.Validate(); err != nil { // Attach may have spoilt it
			return err
		}
		if err := b.Update(p.configIn(r, b.Name())); err != nil {
			return err
		}
		if b.State() == core.Open && p.checkEvery() > 0 {
			r.checks.note(b.Name(), false)
		}
		if r.fleet.Load() == f {
			return nil
		}
	}
}

// Apply makes f the Registry's Fleet and updates every breaker by
// [core.Breaker.Update]: states, windows and permits that are out are kept. It
// is all or nothing: if f, or what Attach makes of it, is not valid, the error
// says what and nothing changes. A nil f is none, a nil r an error. The size and the
// state file of the Registry are set once; what f says of them is ignored if it
// differs, and [Watch] reports it.
//
// An attempt sees the old settings or the new ones of its breaker, and a call
// keeps the retries it began with. Breakers change one after the other, and after
// the retries: a call that begins meanwhile may have new retries and a breaker
// that is still as it was.
func (r *Registry) Apply(f *Fleet) error {
	if r == nil {
		return errNilRegistry
	}
	if f != nil {
		if err := f.Validate(); err != nil {
			return err
		}
		f = f.clone()
	}
	var faults []error
	check := func(name string) {
		if err := r.policyUnder(f, name).Validate(); err != nil {
			faults = append(faults, fmt.Errorf("presets: the policy of %q: %w", name, err))
		}
	}
	for name := range r.code.Range {
		check(name.(string))
	}
	for name := range r.Breakers().All() {
		if _, checked := r.code.Load(name); !checked {
			check(name)
		}
	}
	if faults != nil {
		return errors.Join(faults...)
	}
	// From here on all goes by the fleet that is current, which may be one that
	// another goroutine has applied meanwhile.
	old := r.fleet.Swap(f)
	for {
		current, defined := r.fleet.Load(), r.definitions.Load()
		if err := r.Breakers().Update(r.breakerConfig); err != nil {
			r.fleet.CompareAndSwap(f, old) // a name that is new, and that Attach spoils
			return err
		}
		// Else what it has asked for may be older than what a caller has given a
		// breaker meanwhile.
		if r.fleet.Load() == current && r.definitions.Load() == defined {
			break
		}
	}
	r.noteOpen() // they may have got a health check
	return nil
}

const (
	defaultMax  = 10_000
	maxMax      = 1_000_000
	defaultIdle = time.Hour
)
