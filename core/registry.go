package core

import (
	"errors"
	"fmt"
	"hash/maphash"
	"iter"
	"sync"
	"sync/atomic"
	"time"
)

// Registry is a bounded set of breakers by name, one for each host, method,
// tenant or agent. The zero Registry is ready: it makes breakers of the zero
// [Config], holds at most 10,000 and forgets those idle for an hour. Its fields
// must not be changed after the first call of a method; a Registry must not be
// copied then. It is safe for concurrent use and starts no goroutine.
//
// Names often come from outside, so memory is bounded whatever they are. Past
// the cap, names that have no breaker share one, named [OverflowName], until
// room is made. Room is made by forgetting breakers that nobody has asked for
// in Idle, and only those that are closed, without an override and without a
// permit out: what is forgotten has nothing to remember. That happens when a
// name is new, at most ten times in Idle; a lookup reads no clock, so a breaker's
// idle time begins when that first finds that nobody has asked for it since.
type Registry struct {
	// Config returns the Config for a name; nil means the zero Config for all.
	// It must not call the Registry.
	Config func(name string) Config
	// Max is how many breakers there are at most, besides the shared one. Zero
	// or negative means 10,000; above 1,000,000 means 1,000,000.
	Max int
	// Idle is after how long a breaker that nobody asks for is forgotten. Zero
	// means an hour, negative never.
	Idle time.Duration

	init   sync.Once
	limit  int // Max and Idle with their defaults
	idle   time.Duration
	seed   maphash.Seed
	shelf  [registryShards]shelf
	epoch  time.Time
	config atomic.Pointer[func(string) Config] // replaces Config after Update

	mu       sync.Mutex // serialises everything that adds, removes or updates
	size     atomic.Int64
	swept    time.Duration
	overflow atomic.Pointer[Breaker]
}

// OverflowName is the name of the breaker that names share past the cap of a
// [Registry]. Get returns that breaker for it too.
const OverflowName = "(overflow)"

const (
	registryShards     = 256
	defaultRegistryMax = 10_000
	maxRegistryMax     = 1_000_000
	defaultIdle        = time.Hour
)

func (r *Registry) setup() {
	r.init.Do(func() {
		r.seed = maphash.MakeSeed()
		r.epoch = time.Now()
		config := r.Config
		r.config.Store(&config)
		r.limit, r.idle = min(r.Max, maxRegistryMax), or(r.Idle, defaultIdle)
		if r.Max <= 0 {
			r.limit = defaultRegistryMax
		}
	})
}

func (r *Registry) shelfOf(name string) *shelf {
	return &r.shelf[maphash.String(r.seed, name)%registryShards]
}

// Get returns the breaker of a name, made now if it is new, or the shared one
// past the cap. It fails for a name or a Config that [New] refuses, and then
// nothing is kept. Ask for each call rather than keep the result: a breaker
// that nobody asks for is forgotten, and one that was kept then no longer
// shares its state with the registry. A lookup allocates nothing.
func (r *Registry) Get(name string) (*Breaker, error) {
	r.setup()
	s := r.shelfOf(name)
	if e := s.find(name); e != nil && e.use() {
		return e.breaker, nil
	}
	return r.add(name, s)
}

// add makes the breaker of a name that has none. User code runs without mu.
func (r *Registry) add(name string, s *shelf) (*Breaker, error) {
	if name == OverflowName {
		return r.shared()
	}
	for {
		config := r.config.Load()
		b, err := New(name, configOf(config, name))
		if err != nil {
			return nil, err
		}
		e, current := r.keep(b, s, config)
		if !current {
			continue
		}
		if e == nil {
			return r.shared()
		}
		return e.breaker, nil
	}
}

// keep puts b on its shelf and returns its entry, that of somebody who was
// faster, or nil if there is no room. It reports false if b was made by a
// config that is no longer current.
func (r *Registry) keep(b *Breaker, s *shelf, config *func(string) Config) (e *entry, current bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.config.Load() != config {
		return nil, false
	}
	if e = s.find(b.name); e != nil {
		e.use()
		return e, true
	}
	now := time.Since(r.epoch)
	r.sweep(now)
	if int(r.size.Load()) >= r.limit {
		return nil, true
	}
	e = &entry{breaker: b, seen: now}
	e.use()
	s.with(b.name, e)
	r.size.Add(1)
	return e, true
}

func configOf(config *func(string) Config, name string) Config {
	if *config == nil {
		return Config{}
	}
	return (*config)(name)
}

// shared returns the overflow breaker, made at its first use.
func (r *Registry) shared() (*Breaker, error) {
	for {
		if b := r.overflow.Load(); b != nil {
			return b, nil
		}
		config := r.config.Load()
		b, err := New(OverflowName, configOf(config, OverflowName))
		if err != nil {
			return nil, err
		}
		r.mu.Lock()
		if r.config.Load() == config {
			r.overflow.CompareAndSwap(nil, b)
		}
		r.mu.Unlock()
	}
}

// sweep forgets idle breakers, at most ten times in Idle. It needs mu.
func (r *Registry) sweep(now time.Duration) {
	if r.idle < 0 || now-r.swept < r.idle/10 {
		return
	}
	r.swept = now
	for i := range r.shelf {
		s := &r.shelf[i]
		m := s.entries.Load()
		if m == nil {
			continue
		}
		for name, e := range *m {
			if e.life.CompareAndSwap(entryUsed, entryUnused) {
				e.seen = now
				continue
			}
			if now-e.seen < r.idle || !e.breaker.idle() || !e.life.CompareAndSwap(entryUnused, entryGone) {
				continue
			}
			perturb()
			if !e.breaker.idle() { // somebody who kept it has just called
				e.life.Store(entryUsed)
				continue
			}
			s.with(name, nil)
			r.size.Add(-1)
		}
	}
}

// idle reports whether the breaker has nothing to remember: it is closed, not
// overridden, and no permit is out.
func (b *Breaker) idle() bool {
	if b.settings.Load().override != NoOverride || b.State() != Closed {
		return false
	}
	st := b.stats()
	return st == nil || st.totals().InFlight <= 0
}

// All ranges over the breakers and their names in no particular order, the
// shared one last if it was ever used. Breakers added or forgotten meanwhile
// may be seen or not; none is seen twice. It does not count as asking for them.
func (r *Registry) All() iter.Seq2[string, *Breaker] {
	return func(yield func(string, *Breaker) bool) {
		for i := range r.shelf {
			m := r.shelf[i].entries.Load()
			if m == nil {
				continue
			}
			for name, e := range *m {
				if !yield(name, e.breaker) {
					return
				}
			}
		}
		if b := r.overflow.Load(); b != nil {
			yield(OverflowName, b)
		}
	}
}

// Len returns how many breakers there are, without the shared one.
func (r *Registry) Len() int { return int(r.size.Load()) }

// Update replaces the func that gives the Config for a name and applies it to
// every breaker, as [Breaker.Update] does. If it returns a Config that is not
// valid for any of them, nothing is changed and the error, joined, names each.
// For one breaker alone, use its own Update.
func (r *Registry) Update(config func(name string) Config) error {
	r.setup()
	of := config
	if of == nil {
		of = func(string) Config { return Config{} }
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	configs := make(map[*Breaker]Config)
	var faults []error
	for name, b := range r.All() {
		cfg := of(name)
		if err := cfg.Validate(); err != nil {
			faults = append(faults, fmt.Errorf("breaker %q: %w", name, err))
		}
		configs[b] = cfg
	}
	if faults != nil {
		return errors.Join(faults...)
	}
	r.config.Store(&config)
	for b, cfg := range configs {
		faults = append(faults, b.Update(cfg)) // all nil: they were validated
	}
	return errors.Join(faults...)
}
