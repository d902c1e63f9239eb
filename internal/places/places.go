// Package places has the probes of a server lend their places. A probe that waits for
// its client keeps its place only until another call wants it: otherwise a few clients
// that send nothing would keep a half-open breaker from all others.
package places

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/internal/settle"
)

// perPlace is how many calls may have lent a place, for each place that there is, and
// go on without one. A breaker that is half-open admits few calls so that what it
// guards can recover; those that have lent do no work while they wait, but may all
// begin to at once.
const perPlace = 4

// Lender is a call that holds the place of a probe.
type Lender interface {
	// Waits reports whether the call waits for its client and has a place to lend,
	// and since when. It is called with a lock of the Table held.
	Waits() (since time.Duration, ok bool)
	// Lend gives the place back. It reports false if Waits has changed.
	Lend() bool
}

// Table are the probes of an adapter that may lend, by the key of their gate. Its
// memory is bounded by the number of calls that run. The zero value is ready for use,
// by several goroutines; it must not be copied after that.
type Table struct {
	// Kept is how long a call that has lent its place is counted, if it runs for so
	// long: one that was idle for that time is not about to begin. Zero is for ever.
	Kept time.Duration

	n    atomic.Int64 // how many keys there are
	mu   sync.Mutex
	keys map[string]*places
}

type places struct {
	held map[*Place]struct{}
	lent map[*Place]time.Time // when they were
}

// Place is that of one probe.
type Place struct {
	table   *Table
	key     string
	lender  Lender
	settled bool // by its call
}

// Hold notes a probe that has been admitted.
func (t *Table) Hold(key string, l Lender) *Place {
	t.mu.Lock()
	defer t.mu.Unlock()
	p := &Place{table: t, key: key, lender: l}
	of := t.keys[key]
	if of == nil {
		if t.keys == nil {
			t.keys = make(map[string]*places)
		}
		of = &places{held: make(map[*Place]struct{}), lent: make(map[*Place]time.Time)}
		t.keys[key] = of
		t.n.Store(int64(len(t.keys)))
	}
	of.held[p] = struct{}{}
	return p
}

// Settled notes that the call has no place any more. If it was lent, it counts further,
// until Over. A nil Place is none.
func (p *Place) Settled() { p.leave(false) }

// Over notes that the call has ended, or has a place again.
func (p *Place) Over() { p.leave(true) }

func (p *Place) leave(over bool) {
	if p == nil {
		return
	}
	t := p.table
	t.mu.Lock()
	defer t.mu.Unlock()
	p.settled = true
	if of := t.keys[p.key]; of != nil {
		delete(of.held, p)
		if over {
			delete(of.lent, p)
		}
		t.tidy(p.key, of)
	}
}

func (t *Table) tidy(key string, of *places) {
	if len(of.held)+len(of.lent) == 0 {
		delete(t.keys, key)
		t.n.Store(int64(len(t.keys)))
	}
}

// Admit asks a gate. If all places of a half-open breaker are taken, one that waits for
// its client makes room, or several do if others are faster.
func (t *Table) Admit(ctx context.Context, gate core.Gate, key string) (core.Permit, error) {
	t.makeRoom(gate, key, 0)
	for {
		p, err := gate.Allow(ctx)
		if err == nil || !halfOpen(err) || !t.makeRoom(gate, key, 0) {
			return p.Move(), err
		}
	}
}

// Reclaim asks for a place again for a call that has lent its own, as a call that
// comes now would, and reports whether it got one. The lock of o guards place; wants,
// which says whether the call still has a use for a place, and held, which is told
// when it has one, run under it.
func Reclaim(ctx context.Context, gate core.Gate, o *settle.Once, place **Place, wants func() bool, held func()) bool {
	o.Lock()
	old, asks := *place, o.Lent && wants()
	o.Lent = o.Lent && !asks
	o.Unlock()
	if !asks {
		return false
	}
	t := old.table
	t.makeRoom(gate, old.key, 1)
	p, ok := Ask(ctx, gate)
	if !ok {
		return false
	}
	next := t.Hold(old.key, old.lender) // not with the lock held
	o.Lock()
	if !wants() {
		o.Unlock()
		next.Over()
		p.Settle(ctx, core.Ignored)
		return false
	}
	o.Hold(&p)
	*place = next
	held()
	o.Unlock()
	old.Over()
	return true
}

// Ask asks a gate, unless a refusal is certain: no client would have met that.
func Ask(ctx context.Context, gate core.Gate) (core.Permit, bool) {
	if b, ok := gate.(*core.Breaker); ok {
		if r := roomOf(b); b.State() == core.Open || !r.closed && !r.free {
			return core.Permit{}, false
		}
	}
	permit, err := gate.Allow(ctx)
	return permit.Move(), err == nil
}

// makeRoom has the probe that has waited for its client the longest lend its place, if
// none is free and fewer have than may, and more. It reports whether one did.
func (t *Table) makeRoom(gate core.Gate, key string, more int) bool {
	if t.n.Load() == 0 {
		return false
	}
	r := roomOf(gate)
	if r.closed || r.free {
		return false
	}
	for {
		p := t.longest(key, perPlace*r.places+more)
		if p == nil {
			return false
		}
		if p.lender.Lend() {
			return true
		}
		t.keep(p)
	}
}

// longest takes out the place to be lent, or none if as many have been as may.
func (t *Table) longest(key string, most int) *Place {
	t.mu.Lock()
	defer t.mu.Unlock()
	of := t.keys[key]
	if of == nil {
		return nil
	}
	now, counted := time.Now(), 0
	for _, since := range of.lent {
		if t.Kept <= 0 || now.Sub(since) < t.Kept {
			counted++
		}
	}
	if counted >= most {
		return nil
	}
	var longest *Place
	var least time.Duration
	for p := range of.held {
		if since, ok := p.lender.Waits(); ok && (longest == nil || since < least) {
			longest, least = p, since
		}
	}
	if longest != nil {
		delete(of.held, longest)
		of.lent[longest] = now
	}
	return longest
}

// keep takes back that a place was lent.
func (t *Table) keep(p *Place) {
	t.mu.Lock()
	defer t.mu.Unlock()
	of := t.keys[p.key]
	if of == nil {
		return
	}
	delete(of.lent, p)
	if !p.settled {
		of.held[p] = struct{}{}
	}
	t.tidy(p.key, of)
}

// room is what is known of a gate's places.
type room struct {
	closed bool // no call is admitted as a probe now
	free   bool // and a call would get it
	places int
}

func roomOf(gate core.Gate) room {
	const usual = 3 // of a Config that says nothing of it
	b, ok := gate.(*core.Breaker)
	if !ok {
		return room{places: usual}
	}
	if b.State() != core.HalfOpen {
		return room{closed: true}
	}
	s, places := b.Snapshot(), b.Config().HalfOpenMaxCalls
	if places == 0 {
		places = usual
	}
	return room{
		closed: s.State != core.HalfOpen || s.Override != core.NoOverride,
		free:   s.ProbesOut < places && !s.RetryAt.After(s.At), // after a loss there is a wait, which one that is ignored ends
		places: places,
	}
}

func halfOpen(err error) bool {
	open, ok := errors.AsType[*core.OpenError](err)
	return ok && open.State == core.HalfOpen
}
