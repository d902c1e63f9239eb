package core

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/blackbox4/switchgear/internal/queue"
)

// Limit is a [Gate] that bounds how many calls are in flight at once. It keeps an
// overloaded dependency working at its best, by refusing what would only wait. A
// breaker asks whether the dependency works; a limit asks how much of it is left.
// Use both as [All](limit, breaker).
//
// A fixed limit, with Min == Max, is a bulkhead. An adaptive one finds the limit
// out from the latency of the calls: it grows while calls are about as fast as
// without a queue, and is cut when they are not. A cut that does not make calls
// faster shows a dependency that has become slower by itself, and is undone.
//
// A refusal is an [*OpenError] with the cause [CauseLimitReached]; it also matches
// [ErrLimited]. It says "try again", and nothing about the health of the
// dependency: breakers ignore it.
//
// What to know before use:
//
//   - a permit that is never settled keeps its place for ever;
//   - long streams need a limit of their own, and so do routes whose calls take
//     much longer than others: the mean latency of a mixture tells little;
//   - where several clients share a server, put the limit at the server: one client
//     of many frees only its share of a queue, and may take the queue for a
//     dependency that is slower;
//   - below some 50 calls a second it takes seconds to notice a change.
//
// A Limit is made by [NewLimit] and is safe for concurrent use. A nil or zero Limit
// refuses every call with an error that says so, and its other methods do nothing.
// It owns no goroutine and no timer and needs no closing. A call costs no
// allocation; an adaptive limit reads the clock for about a thousand calls a window
// of a tenth of a second or more.
type Limit struct {
	name     string
	settings atomic.Pointer[LimitConfig] // with its defaults
	self     composite                   // what permits point to
	refusal  *OpenError
	epoch    time.Time // the zero of the limit's clock
	clock    func() time.Time
	refusals []refusals // sharded

	_      cacheLine
	places places
	_      cacheLine
	terms  atomic.Uint64 // a terms, written with mu held

	mu      sync.Mutex // guards what follows; neither hook nor Classify nor clock runs with it held
	adapt   adaptation
	totals  admissions
	changes uint64
	logged  int // the limit that was logged last
	queue   queue.Queue[limitEvent]
}

// cacheLine keeps a word that every call writes on a cache line of its own.
type cacheLine [64]byte

// refusals is one shard of a limit's refusals.
type refusals struct {
	normal, low atomic.Uint64
	_           [48]byte
}

// admissions continues the count of places, which wraps, in 64 bits.
type admissions struct{ total, read uint64 }

func (a *admissions) add(read uint64) uint64 {
	const wrap = 1<<(64-inFlightBits) - 1
	a.total += (read - a.read) & wrap
	a.read = read
	return a.total
}

// ErrLimited is what every refusal of a [Limit] matches, besides [ErrOpen]:
// errors.Is(err, ErrLimited). It says that the dependency works, and that the same
// call may succeed if it is made again. It is never returned as such.
var ErrLimited = errors.New("core: refused by a concurrency limit")

var errNoLimit = errors.New("core: the Limit is nil or its zero value; make it with NewLimit")

// NewLimit returns a limit. The name is for people and metrics: 1 to 256 bytes of
// UTF-8 without control characters. The error is a [*ConfigError], or several
// joined.
func NewLimit(name string, cfg LimitConfig) (*Limit, error) {
	if err := errors.Join(validName(name), cfg.Validate()); err != nil {
		return nil, err
	}
	l := &Limit{name: strings.Clone(name), clock: cfg.Now, refusals: make([]refusals, shards())}
	l.epoch = time.Now()
	if l.clock != nil {
		l.epoch = l.clock()
	}
	l.self.limit = l
	l.refusal = &OpenError{Name: l.name, State: Closed, Cause: CauseLimitReached, RetryAt: l.epoch}
	cfg = cfg.withDefaults()
	l.adapt.limit = float64(cfg.Initial)
	l.logged = cfg.Initial
	l.apply(&cfg)
	return l, nil
}

// MustNewLimit is [NewLimit] for a name and a LimitConfig known to be valid; it
// panics if not.
func MustNewLimit(name string, cfg LimitConfig) *Limit {
	l, err := NewLimit(name, cfg)
	if err != nil {
		panic(err)
	}
	return l
}

// apply puts cfg, which has its defaults, into force.
func (l *Limit) apply(cfg *LimitConfig) {
	a := &l.adapt
	a.least, a.most, a.initial, a.tolerance = float64(cfg.Min), float64(cfg.Max), float64(cfg.Initial), cfg.Tolerance
	a.set(a.limit)
	if a.dip > 0 {
		a.dip = min(max(a.dip, a.least), a.most)
	}
	l.settings.Store(cfg)
	l.publish(terms(l.terms.Load()).shift())
}

// publish lets the next calls be admitted by the limit as it is now, and begins a
// window.
func (l *Limit) publish(shift int) {
	s := l.settings.Load()
	normal, low := s.room(l.adapt.limit)
	t := newTerms(normal, low, shift, terms(l.terms.Load()).window()+1)
	if s.Min == s.Max {
		t |= untimed
	}
	l.terms.Store(uint64(t))
}

// Update puts another configuration into force. The limit stays where it is, or
// goes to the nearest number that the new Min and Max allow; the base latency, the
// calls in flight and the counts stay. Calls in flight above a smaller limit go on.
// The error is that of [LimitConfig.Validate], and nothing has changed then.
func (l *Limit) Update(cfg LimitConfig) error {
	if !l.made() {
		return errNoLimit
	}
	if err := cfg.Validate(); err != nil {
		return err
	}
	cfg = cfg.withDefaults()
	cfg.Now = l.clock
	now, refused := l.now(), l.refused()
	l.mu.Lock()
	before := l.adapt.limit
	l.adapt.restart(now, l.admittedLocked(), refused.total())
	l.apply(&cfg)
	l.changedLocked(context.Background(), now, before)
	l.mu.Unlock()
	l.queue.Deliver((*limitHandler)(l))
	return nil
}

// Name returns the name given to [NewLimit].
func (l *Limit) Name() string {
	if l == nil {
		return ""
	}
	return l.name
}

// Config returns the configuration in force, with every default filled in.
// [NewLimit] and Update accept it.
func (l *Limit) Config() LimitConfig {
	if !l.made() {
		return LimitConfig{}
	}
	return *l.settings.Load()
}

// made reports whether NewLimit has made the limit.
func (l *Limit) made() bool { return l != nil && l.terms.Load() != 0 }

// now reads the limit's clock, monotonic unless LimitConfig.Now says otherwise.
func (l *Limit) now() time.Duration {
	if l.clock != nil {
		return max(l.clock().Sub(l.epoch), 0)
	}
	return time.Since(l.epoch)
}

// Allow implements [Gate]: it admits the call, with a permit that must be settled,
// or returns an [*OpenError]. It does not wait for a place. If ctx is already done
// it returns ctx.Err() and neither admits nor counts. A nil ctx is
// [context.Background].
func (l *Limit) Allow(ctx context.Context) (Permit, error) {
	if ctx != nil {
		if err := ctx.Err(); err != nil {
			return Permit{}, err
		}
	}
	bits, err := l.enter(ctx)
	if err != nil {
		return Permit{}, err
	}
	return Permit{other: &l.self, start: l.startOf(bits), meta: permitMeta{bits: bits}}, nil
}

// startOf is the time now, if a permit with these flags needs it.
func (l *Limit) startOf(bits flags) time.Duration {
	if bits&sampled == 0 {
		return 0
	}
	return l.now()
}

// enter takes a place, or returns a refusal. The flags are those of the permit.
func (l *Limit) enter(ctx context.Context) (flags, error) {
	if l == nil {
		return 0, errNoLimit
	}
	t := terms(l.terms.Load())
	w, ok := l.places.enter(t.low()) // which every call may use: the priority does not matter yet
	if !ok {
		if w, ok = l.enterReserve(ctx, t); !ok {
			return 0, l.refuse(ctx)
		}
	}
	if t.times(w >> inFlightBits) {
		return sampleFlags(t.window(), w&inFlightMask), nil
	}
	return 0, nil
}

// enterReserve takes a place of those that calls of low priority may not use.
func (l *Limit) enterReserve(ctx context.Context, t terms) (w uint64, ok bool) {
	if t.low() == t.normal() || isLow(ctx) {
		return 0, false
	}
	return l.places.enter(t.normal())
}

func (l *Limit) refuse(ctx context.Context) error {
	if !l.made() {
		return errNoLimit
	}
	r := &l.refusals[int(shardIndex())&(len(l.refusals)-1)]
	if isLow(ctx) {
		r.low.Add(1)
	} else {
		r.normal.Add(1)
	}
	return l.refusal
}
