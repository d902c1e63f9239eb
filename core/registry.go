package core

import (
	"context"
	"hash/maphash"
	"iter"
	"log/slog"
	"math/bits"
	"sync"
	"sync/atomic"
	"time"
)

// Registry is a bounded set of breakers by name, one for each host, method,
// tenant or agent. The zero Registry is ready: it makes breakers of the zero
// [Config], holds at most 10,000 and evicts those idle for an hour. Its fields
// must not be changed after the first call of a method; a Registry must not be
// copied then. It is safe for concurrent use and starts no goroutine. Methods of
// a nil Registry return an error that says so, or nothing.
//
// Names often come from outside, so memory is bounded whatever they are, and no
// name is refused because of other names. Breakers are evicted when a name is
// new:
//
//   - for idleness, at most ten times in Idle: a closed breaker that was not asked
//     for during Idle, one that is open or half-open if that lasted for its
//     MaxTimeout more;
//   - for room, when there are Max: the closed breaker that was not asked for the
//     longest. What counts is how many new names came since, in steps of Max/64.
//     Where half of the breakers cannot go, which is what a flood of names that
//     fail leaves, a closed one that stays in use keeps its place.
//
// A breaker with an override or with a permit out is never evicted; the permit of
// a lost probe is none. A name that finds no place is admitted without a breaker
// by [Registry.Gate]; [Registry.Get] returns [ErrRegistryFull].
//
// A lookup reads no clock, so idleness begins when a sweep finds that the breaker
// was asked for since the last one. A streak, a window and an Update of its own
// go with an evicted breaker. What it had counted is kept for the last Max evicted
// names, and one that is made anew goes on from there.
type Registry struct {
	// Config returns the Config for a name; nil means the zero Config for all.
	// It may be called for a name more than once, and by many goroutines.
	Config func(name string) Config
	// Max is how many breakers there are at most. Zero or negative means 10,000;
	// above 1,000,000 means 1,000,000.
	Max int
	// Idle is after how long a breaker that is not asked for is evicted. Zero
	// means an hour; negative means never for idleness, only for room.
	Idle time.Duration
	// Logger is told once that calls are admitted without a breaker because the
	// registry is full, and once that they are because a name is not valid. Nil
	// means slog.Default().
	Logger *slog.Logger

	// What a lookup reads; but for tick and config it does not change after setup.
	init   sync.Once
	limit  int // Max and Idle with their defaults
	idle   time.Duration
	seed   maphash.Seed
	shards []nameShard // a power of two, about one for 32 breakers at the cap
	epoch  time.Time
	config atomic.Pointer[func(string) Config] // current; replaces Config after Update
	// tick counts the new names, and is what a lookup leaves in an entry. See the
	// invariants of entry.
	tick atomic.Uint64
	_    [64]byte // what follows is written with each new name

	mu       sync.Mutex // held to add, to evict and to change config or pending; never while user code runs
	updating sync.Mutex // held by an Update from its beginning to its end; taken before mu
	pending  atomic.Pointer[pendingConfig]
	size     atomic.Int64
	swept    atomic.Int64 // when a sweep last began, ns since epoch
	ages     *ages        // guarded by mu; nil until half of the places are taken
	evicted  uint64       // guarded by mu
	open     unguarded
}

const (
	perShard           = 32
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
		r.tick.Store(1)
		r.shards = make([]nameShard, 1<<bits.Len(uint(r.limit/perShard)))
	})
}

func (r *Registry) shardOf(name string) *nameShard {
	return &r.shards[maphash.String(r.seed, name)&uint64(len(r.shards)-1)]
}

// Get returns the breaker of a name, made now if it is new. It fails for a name
// or a Config that [New] refuses, and with an error that matches [ErrRegistryFull]
// if the name finds no place; then nothing is kept. Ask for each call rather than
// keep the result: a breaker that is not asked for is evicted, and one that was
// kept then no longer shares its state and its counts with the registry. A lookup
// allocates nothing.
func (r *Registry) Get(name string) (*Breaker, error) {
	if r == nil {
		return nil, errNilRegistry()
	}
	b, err := r.get(name)
	switch err {
	case ErrRegistryFull: //nolint:errorlint // get does not wrap it
		return nil, r.fullError(name)
	case errInvalidName:
		return nil, validName(name)
	}
	return b, err
}

// get is Get with errors that cost nothing for what is wrong with names, of which
// there may be many.
func (r *Registry) get(name string) (*Breaker, error) {
	r.setup()
	s := r.shardOf(name)
	if e := s.find(name); e != nil && e.use(r.tick.Load()) {
		return e.breaker, nil
	}
	return r.add(name, s)
}

// add makes the breaker of a name that has none. User code runs without mu.
func (r *Registry) add(name string, s *nameShard) (*Breaker, error) {
	if !nameIsValid(name) {
		return nil, errInvalidName
	}
	r.sweep(time.Since(r.epoch))
	if !r.room(name, s) {
		return nil, ErrRegistryFull
	}
	for {
		config, pending := r.config.Load(), r.pending.Load()
		b, err := New(name, configOf(config, name))
		if err != nil {
			return nil, err
		}
		fault := pending.check(name)
		e, current := r.keep(b, s, config, pending, fault)
		if !current {
			continue
		}
		if e == nil {
			return nil, ErrRegistryFull
		}
		return e.breaker, nil
	}
}

// keep puts b in its shard and returns its entry, that of a goroutine that was
// faster, or nil if there is no room. It reports false if b was made while an
// Update began or ended.
func (r *Registry) keep(b *Breaker, s *nameShard, config *func(string) Config, pending *pendingConfig, fault error) (e *entry, current bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.config.Load() != config || r.pending.Load() != pending {
		return nil, false
	}
	pending.addLocked(fault)
	if e = s.find(b.name); e != nil { // not gone: that changes under mu, together with the map
		e.use(r.tick.Load())
		return e, true
	}
	p := s.past.find(b.name, r.evicted, r.limit) // before another name takes its place there
	for int(r.size.Load()) >= r.limit {
		victim := r.victimLocked()
		if victim == nil {
			r.tickLocked()
			return nil, true
		}
		r.evictLocked(victim) // if not, it is in use, and the next look sees that
	}
	e = r.newEntryLocked(b, config)
	if p != nil {
		s.past.remove(b.name)
		b.continues(p)
		s.gone.subtract(p.totals)
	}
	s.with(b.name, e)
	r.size.Add(1)
	if r.ages != nil {
		r.ages.place(e)
	}
	return e, true
}

func configOf(config *func(string) Config, name string) Config {
	if *config == nil {
		return Config{}
	}
	return (*config)(name)
}

// All ranges over the breakers and their names in no particular order. Breakers
// added or evicted meanwhile may be seen or not; none is seen twice, unless it was
// evicted and made anew meanwhile. It does not count as asking for them.
func (r *Registry) All() iter.Seq2[string, *Breaker] {
	return func(yield func(string, *Breaker) bool) {
		for name, e := range r.entries() {
			if !yield(name, e.breaker) {
				return
			}
		}
	}
}

func (r *Registry) entries() iter.Seq2[string, *entry] {
	return func(yield func(string, *entry) bool) {
		if r == nil {
			return
		}
		r.setup()
		for i := range r.shards {
			for name, e := range r.shards[i].all() {
				if !yield(name, e) {
					return
				}
			}
		}
	}
}

// Len returns how many breakers there are.
func (r *Registry) Len() int {
	if r == nil {
		return 0
	}
	return int(r.size.Load())
}

// errNilRegistry is what methods of a nil Registry return.
func errNilRegistry() error {
	return &ConfigError{Field: "Registry", Value: (*Registry)(nil), Allowed: "not nil; new(core.Registry) is ready"}
}

// broken is the gate where there is no breaker.
type broken struct{ err error }

func (b broken) Allow(context.Context) (Permit, error) { return Permit{}, b.err }
