package core

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode"
	"unicode/utf8"
)

// Breaker is a [Gate] with a state machine: it admits calls while they succeed,
// refuses them while the dependency is sick, and finds out by a few probes when
// it is well again. It is made by [New] and safe for concurrent use. A nil or zero
// Breaker refuses every call with an error that says so, and its other methods do
// nothing. A Breaker owns no goroutine and no timer and needs no closing; time is
// looked at when a call comes. It takes half a KiB and, once called, 64 B for each processor,
// or 192 B with a time window, up to 32 of them.
type Breaker struct {
	name     string
	settings atomic.Pointer[settings]
	phase    atomic.Pointer[phase] // see phase for what holds
	ledger   atomic.Pointer[ledger]
	limited  atomic.Pointer[limitedEvidence]
	epoch    time.Time // the zero of the breaker's clock
	clock    func() time.Time
	mu       sync.Mutex // held to replace phase or settings, and by probes
}

const maxName = 256

// New returns a closed breaker. The name is for people and metrics: 1 to 256
// bytes of UTF-8 without control characters. The error is a [*ConfigError], or
// several joined.
func New(name string, cfg Config) (*Breaker, error) {
	if err := validName(name); err != nil {
		return nil, err
	}
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	b := &Breaker{name: strings.Clone(name), clock: cfg.Now}
	b.epoch = time.Now()
	if b.clock != nil {
		b.epoch = b.clock()
	}
	s := newSettings(cfg, NoOverride)
	b.settings.Store(s)
	ph := b.newClosed(s, 0, NoCause)
	ph.stay.current = ph
	b.phase.Store(ph)
	return b, nil
}

// MustNew is [New] for a name and a Config known to be valid; it panics if not.
func MustNew(name string, cfg Config) *Breaker {
	b, err := New(name, cfg)
	if err != nil {
		panic(err)
	}
	return b
}

func validName(name string) error {
	if !nameIsValid(name) {
		return &ConfigError{Field: "name", Value: name, Allowed: allowedName}
	}
	return nil
}

const allowedName = "1 to 256 bytes of UTF-8 without control characters"

func nameIsValid(name string) bool {
	return name != "" && len(name) <= maxName && utf8.ValidString(name) && !strings.ContainsFunc(name, unicode.IsControl)
}

var errNoBreaker = errors.New("core: the Breaker is nil or its zero value; make it with New")

// made reports whether New has made the breaker.
func (b *Breaker) made() bool { return b != nil && b.phase.Load() != nil }

// Name returns the name given to [New].
func (b *Breaker) Name() string {
	if b == nil {
		return ""
	}
	return b.name
}

// now reads the breaker's clock, monotonic unless Config.Now says otherwise.
func (b *Breaker) now() time.Duration {
	if b.clock != nil {
		return max(b.clock().Sub(b.epoch), 0)
	}
	return time.Since(b.epoch)
}

// lock takes the breaker's lock and reads its clock. A clock of the user's that
// panics must not leave the breaker locked.
func (b *Breaker) lock() (now time.Duration) {
	b.mu.Lock()
	read := false
	defer func() {
		if !read {
			b.mu.Unlock()
		}
	}()
	now, read = b.now(), true
	return now
}

// Allow implements [Gate]: it admits the call, with a permit that must be
// settled, or returns an [*OpenError]. If ctx is already done it returns
// ctx.Err() and neither admits nor counts. A nil ctx is [context.Background].
func (b *Breaker) Allow(ctx context.Context) (Permit, error) {
	if ctx != nil {
		if err := ctx.Err(); err != nil {
			return Permit{}, err
		}
	}
	if b == nil {
		return Permit{}, errNoBreaker
	}
	// Two short paths, for what nearly all calls meet; admit knows the rest.
	s, ph := b.settings.Load(), b.phase.Load()
	if ph == nil {
		return Permit{}, errNoBreaker
	}
	if st := ph.stats.Load(); s.quick && st != nil {
		switch {
		case ph.state == Closed && ph.ramp.Load() == nil:
			i := shardIndex()
			st.shard(i).admitted.Add(1)
			var start time.Duration
			if s.timed {
				start = b.now()
			}
			return Permit{phase: ph, start: start, meta: permitMeta{bits: flags(i) | s.meta}}, nil
		case ph.state == Open && s.silent && b.now() < ph.until:
			st.shard(shardIndex()).refused.Add(1)
			return Permit{}, ph.err
		}
	}
	return b.admit(ctx, s)
}

// admit is Allow for everything but the plain closed breaker.
func (b *Breaker) admit(ctx context.Context, s *settings) (Permit, error) {
	switch s.override {
	case Disabled:
		return uncounted(s), nil
	case ForcedOpen:
		return Permit{}, b.refuse(ctx, s, &s.reported, s.forced)
	case NoOverride, Shadow:
	}
	for {
		ph := b.phase.Load()
		perturb()
		switch ph.state {
		case Closed:
			r := ph.ramp.Load()
			if r == nil {
				return b.permit(s, ph, 0, 0), nil
			}
			now := b.now()
			if now >= ph.until {
				ph.ramp.Store(nil)
				continue
			}
			if r.admits(now-ph.since, ph.until-ph.since) {
				return b.permit(s, ph, now, 0), nil
			}
			return b.refuseOrShadow(ctx, s, ph, now, ph.err)
		case Open:
			now := b.now()
			if now < ph.until {
				return b.refuseOrShadow(ctx, s, ph, now, ph.err)
			}
			b.advance(ctx)
		case HalfOpen:
			now := b.now()
			if full := ph.half.full.Load(); full.holds(now) {
				return b.refuseOrShadow(ctx, s, ph, now, full.err)
			}
			if now, number := b.probe(ctx, ph); number > 0 {
				b.tellProbe(ctx)
				return b.permit(s, ph, now, number), nil
			} // else things have changed, or all places are taken: look again
		}
	}
}

// uncounted is a permit that does nothing but carry the CallTimeout.
func uncounted(s *settings) Permit {
	if s.CallTimeout == 0 {
		return Permit{}
	}
	return compositePermit(&composite{timeout: s.CallTimeout})
}

// permit counts an admission and makes its permit. A start of zero is read from
// the clock if it is wanted.
func (b *Breaker) permit(s *settings, ph *phase, start time.Duration, probe uint32) Permit {
	i := shardIndex()
	st := b.counted()
	st.shard(i).admitted.Add(1)
	if ph.stats.Load() == nil { // replaced before there were any
		ph.stats.Store(st)
	}
	if s.timed && start == 0 {
		start = b.now()
	}
	return Permit{phase: ph, start: start, meta: permitMeta{bits: flags(i) | s.meta, probe: probe}}
}

// refuseOrShadow refuses a call for the state machine. In [Shadow] it admits it all
// the same, counts and reports it; the permit is of a phase that counts nothing,
// unless that is a closed one with a ramp.
func (b *Breaker) refuseOrShadow(ctx context.Context, s *settings, ph *phase, now time.Duration, err *OpenError) (Permit, error) {
	if s.override != Shadow {
		return Permit{}, b.refuse(ctx, s, &ph.reported, err)
	}
	b.counted().shadowAdmitted.Add(1)
	if s.Logger != nil || s.Hooks.Refused != nil {
		told := *err
		told.Shadow = true
		b.tellRefused(ctx, s, &ph.reported, &told)
	}
	return b.permit(s, ph, now, 0), nil
}

func (b *Breaker) refuse(ctx context.Context, s *settings, reported *atomic.Bool, err *OpenError) error {
	st := b.counted()
	if h := st.history.Load(); h != nil {
		h.roll(st, b.now()) // before it is counted, which is in the interval that begins
	}
	st.shard(shardIndex()).refused.Add(1)
	b.tellRefused(ctx, s, reported, err)
	return err
}

// tellRefused tells the hook, and the log of the first in a stay.
func (b *Breaker) tellRefused(ctx context.Context, s *settings, reported *atomic.Bool, err *OpenError) {
	logged := s.Logger != nil && !reported.Load() && !reported.Swap(true)
	if !logged && s.Hooks.Refused == nil {
		return
	}
	b.ledgerOf().queueEvent(event{ctx: background(ctx), refused: err, logged: logged})
	b.deliver()
}

func background(ctx context.Context) context.Context {
	if ctx == nil {
		return context.Background()
	}
	return ctx
}

// stats returns what the breaker counts, or nil before its first call.
func (b *Breaker) stats() *stats { return b.phase.Load().stats.Load() }

// counted returns the stats, made at the first call.
func (b *Breaker) counted() *stats {
	if st := b.stats(); st != nil {
		return st
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if st := b.stats(); st != nil {
		return st
	}
	st := &stats{shards: make([]counters, shards())}
	b.applyStatsOptions(st, b.settings.Load())
	b.phase.Load().stats.Store(st)
	return st
}
