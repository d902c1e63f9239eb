package core

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"iter"
	"math/bits"
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
// permit out: what is forgotten has nothing to remember. (A permit that is never
// settled therefore keeps its breaker for ever.) That happens when a
// name is new, at most ten times in Idle; a lookup reads no clock, so a breaker's
// idle time begins when that last finds that somebody has asked for it. What a
// forgotten breaker had, a streak or an Update of its own, goes with it.
type Registry struct {
	// Config returns the Config for a name; nil means the zero Config for all.
	// It may be called for a name more than once.
	Config func(name string) Config
	// Max is how many breakers there are at most, besides the shared one. Zero
	// or negative means 10,000; above 1,000,000 means 1,000,000.
	Max int
	// Idle is after how long a breaker that nobody asks for is forgotten. Zero
	// means an hour, negative never.
	Idle time.Duration

	init    sync.Once
	limit   int // Max and Idle with their defaults
	idle    time.Duration
	seed    maphash.Seed
	shelves []shelf // a power of two, about one for 32 breakers at the cap
	epoch   time.Time
	config  atomic.Pointer[func(string) Config] // replaces Config after Update

	mu       sync.Mutex // serialises everything that adds, removes or updates
	size     atomic.Int64
	swept    atomic.Int64 // when a sweep was last made, ns since epoch
	overflow atomic.Pointer[Breaker]
}

// OverflowName is the name of the breaker that names share past the cap of a
// [Registry]. Get returns that breaker for it too.
const OverflowName = "(overflow)"

const (
	perShelf           = 32
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
		r.shelves = make([]shelf, 1<<bits.Len(uint(r.limit/perShelf)))
	})
}

func (r *Registry) shelfOf(name string) *shelf {
	return &r.shelves[maphash.String(r.seed, name)&uint64(len(r.shelves)-1)]
}

// Get returns the breaker of a name, made now if it is new, or the shared one
// past the cap. It fails for a name or a Config that [New] refuses, and then
// nothing is kept. Ask for each call rather than keep the result: a breaker
// that nobody asks for is forgotten, and one that was kept then no longer
// shares its state with the registry. A lookup allocates nothing.
func (r *Registry) Get(name string) (*Breaker, error) {
	r.setup()
	s := r.shelfOf(name)
	e := s.find(name)
	if e != nil && e.use() {
		return e.breaker, nil
	}
	return r.add(name, s, e == nil)
}

// Gate is [Registry.Get] for names that come from outside, as adapters need it: a
// name that is not valid shares a breaker, as all do past the cap, and where the
// Config is not, the gate refuses every call with what Get says of it.
func (r *Registry) Gate(name string) Gate {
	b, err := r.Get(name)
	if err != nil {
		b, err = r.Get(OverflowName)
	}
	if err != nil {
		return broken{err}
	}
	return b
}

// broken is the gate where there is no breaker.
type broken struct{ err error }

func (b broken) Allow(context.Context) (Permit, error) { return Permit{}, b.err }

// add makes the breaker of a name that has none; fresh is false for one that had
// one a moment ago. User code runs without mu.
func (r *Registry) add(name string, s *shelf, fresh bool) (*Breaker, error) {
	if err := validName(name); err != nil {
		return nil, err
	}
	if name == OverflowName || fresh && r.full() {
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

// full reports whether there is no room and none can be made yet. It keeps a
// flood of new names from costing more than a look.
func (r *Registry) full() bool {
	return int(r.size.Load()) >= r.limit && !r.sweepDue(time.Since(r.epoch))
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

func (r *Registry) sweepDue(now time.Duration) bool {
	return r.idle >= 0 && now-time.Duration(r.swept.Load()) >= r.idle/10
}

// sweep forgets idle breakers, at most ten times in Idle. It needs mu.
func (r *Registry) sweep(now time.Duration) {
	if !r.sweepDue(now) {
		return
	}
	r.swept.Store(int64(now))
	for i := range r.shelves {
		r.size.Add(-r.shelves[i].forget(func(e *entry) bool { return e.expire(now, r.idle) }))
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
		r.setup()
		for i := range r.shelves {
			m := r.shelves[i].entries.Load()
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
	configs := make(map[*Breaker]Config)
	for {
		var faults []error
		for name, b := range r.All() { // user code: not under the lock
			if _, known := configs[b]; !known {
				configs[b] = of(name)
				if err := configs[b].Validate(); err != nil {
					faults = append(faults, fmt.Errorf("breaker %q: %w", name, err))
				}
			}
		}
		if faults != nil {
			return errors.Join(faults...)
		}
		if r.apply(&config, configs) {
			break
		}
	}
	for b := range configs {
		defer b.deliver() // deferred: one's hook may call Goexit
	}
	return nil
}

// apply makes config current and gives every breaker its own; it reports false,
// having done nothing, if one was added that is not in configs.
func (r *Registry) apply(config *func(string) Config, configs map[*Breaker]Config) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, b := range r.All() {
		if _, known := configs[b]; !known {
			return false
		}
	}
	r.config.Store(config)
	for b, cfg := range configs {
		b.update(cfg)
	}
	return true
}
