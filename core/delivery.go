package core

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// ledger keeps a breaker's events: those to be delivered, and its last
// transitions. It is made at the first event.
//
// Delivery is by whoever finds nobody delivering; others leave their events in
// the queue and go on. So hooks run one at a time and in order, nobody waits
// for a hook but the goroutine that runs it, and a hook that causes an event
// finds it queued behind itself. Lock order: Registry.mu,
// Breaker.mu, then ledger.mu or history.mu; a hook runs with none of them.
type ledger struct {
	// waiting is true while the queue may hold something, so that those who
	// have nothing to deliver take no lock.
	waiting    atomic.Bool
	mu         sync.Mutex
	queue      []event
	delivering bool
	dropped    uint64
	panics     uint64

	record record // guarded by Breaker.mu

	told uint64 // settlements
	// overdue is set while the caller that delivers has done so for maxRun.
	overdue bool
	seq     uint64       // transitions
	recent  []Transition // the last maxRecent, oldest first from recent[seq%maxRecent] once full
}

const (
	maxRecent = 64
	maxQueued = 1024
	maxRun    = 100 * time.Millisecond
)

// event is one thing to tell; exactly one of the pointers is set, or probe.
type event struct {
	ctx        context.Context // handed on to the hook, as the call's own
	transition *Transition
	refused    *OpenError
	settled    *Settlement
	probe      bool
	override   *Override // only for the log
	logged     bool      // refused: also goes to the log
}

// queueEvent queues e. Transitions are queued with Breaker.mu held.
func (l *ledger) queueEvent(e event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if t := e.transition; t != nil {
		l.seq++
		t.Seq = l.seq
		if len(l.recent) < maxRecent {
			l.recent = append(l.recent, *t)
		} else {
			l.recent[(l.seq-1)%maxRecent] = *t
		}
	}
	if s := e.settled; s != nil {
		l.told++
		s.Seq = l.told
	}
	// One caller runs the hooks of all while events come faster than hooks run.
	// It must get away: once it is overdue, what calls have to tell is dropped
	// until the queue is empty.
	limit := maxQueued
	if l.overdue {
		limit = 0
	}
	if e.transition != nil || e.override != nil || e.logged {
		limit = maxQueued + maxRecent // rare: a flood of calls must not push them out
	}
	if len(l.queue) >= limit {
		l.dropped++
		return
	}
	l.queue = append(l.queue, e)
	l.waiting.Store(true)
}

// transitions returns the last transitions, oldest first.
func (l *ledger) transitions() []Transition {
	if len(l.recent) < maxRecent {
		return append([]Transition(nil), l.recent...)
	}
	oldest := l.seq % maxRecent
	return append(append(make([]Transition, 0, maxRecent), l.recent[oldest:]...), l.recent[:oldest]...)
}

// book returns the breaker's ledger.
func (b *Breaker) book() *ledger {
	if l := b.ledger.Load(); l != nil {
		return l
	}
	b.ledger.CompareAndSwap(nil, new(ledger))
	return b.ledger.Load()
}

// deliver runs hooks until the queue is empty, unless somebody does already.
// It must be called with no lock held.
func (b *Breaker) deliver() {
	l := b.ledger.Load()
	if l == nil || !l.waiting.Load() {
		return
	}
	begun := time.Now() // not Config.Now: it is about the goroutine we run on
	l.mu.Lock()
	if l.delivering || len(l.queue) == 0 {
		l.mu.Unlock()
		return
	}
	l.delivering = true
	finished := false
	defer func() {
		if finished {
			return
		}
		// A hook called runtime.Goexit: this goroutine ends, but the queue is
		// ours. Deferred calls still run, so it is emptied from here.
		l.mu.Lock()
		l.delivering, l.overdue = false, false
		l.mu.Unlock()
		b.deliver()
	}()
	for len(l.queue) > 0 {
		e := l.queue[0]
		l.queue[0] = event{}
		l.queue = l.queue[1:]
		l.mu.Unlock()
		b.tell(l, e)
		overdue := time.Since(begun) >= maxRun
		l.mu.Lock()
		l.overdue = overdue
	}
	l.queue, l.overdue = nil, false // a flood must not keep its memory
	l.waiting.Store(false)
	l.delivering = false
	finished = true
	l.mu.Unlock()
}

// tell runs the log line and the hook of one event; neither can hurt the other.
func (b *Breaker) tell(l *ledger, e event) {
	s := b.settings.Load()
	defer b.guard(e.ctx, l, s, func() { s.hook(b.name, e) }) // deferred: the handler may call Goexit
	b.guard(e.ctx, l, s, func() { b.log(s, e) })
}

func (b *Breaker) log(s *settings, e event) {
	if s.Logger == nil {
		return
	}
	switch {
	case e.transition != nil:
		level := slog.LevelInfo
		if e.transition.To == Open {
			level = slog.LevelWarn
		}
		s.Logger.LogAttrs(e.ctx, level, "circuit breaker is "+e.transition.To.String(), slog.Any("transition", *e.transition))
	case e.override != nil:
		s.Logger.LogAttrs(e.ctx, slog.LevelWarn, "circuit breaker override", slog.String("breaker", b.name), slog.String("override", e.override.String()))
	case e.refused != nil && e.logged:
		text := "circuit breaker refuses calls"
		if e.refused.Shadow {
			text = "circuit breaker would refuse calls, but is in shadow"
		}
		s.Logger.LogAttrs(e.ctx, slog.LevelWarn, text,
			slog.String("breaker", e.refused.Name), slog.String("state", e.refused.State.String()),
			slog.String("cause", e.refused.Cause.String()), slog.Time("retry_at", e.refused.RetryAt))
	}
}

func (s *settings) hook(name string, e event) {
	switch {
	case e.probe && s.Hooks.Probe != nil:
		s.Hooks.Probe(e.ctx, name)
	case e.transition != nil && s.Hooks.Transition != nil:
		s.Hooks.Transition(e.ctx, *e.transition)
	case e.refused != nil && s.Hooks.Refused != nil:
		s.Hooks.Refused(e.ctx, e.refused)
	case e.settled != nil && s.Hooks.Settled != nil:
		s.Hooks.Settled(e.ctx, *e.settled)
	}
}

// guard runs f, a user's code, and survives its panic.
func (b *Breaker) guard(ctx context.Context, l *ledger, s *settings, f func()) {
	defer func() {
		p := recover()
		if p == nil {
			return // returned, or left by Goexit
		}
		l.mu.Lock()
		l.panics++
		l.mu.Unlock()
		b.report(ctx, s, p)
	}()
	f()
}

// report logs the panic of a hook; a logger that panics too is left alone.
func (b *Breaker) report(ctx context.Context, s *settings, p any) {
	defer func() { _ = recover() }()
	if s.Logger != nil {
		s.Logger.LogAttrs(ctx, slog.LevelError, "circuit breaker hook panicked",
			slog.String("breaker", b.name), slog.String("panic", fmt.Sprint(p)))
	}
}
