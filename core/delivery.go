package core

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// ledger keeps a breaker's events: those to be delivered, and its last
// transitions. It is made at the first event.
//
// A caller that finds no other delivering delivers; others leave their events in
// the queue and go on. So hooks run one at a time and in order, no caller waits
// for a hook that it does not run itself, and a hook that causes an event finds
// it queued behind itself. A caller that has delivered for maxRun leaves the rest
// to a goroutine, which ends with the queue. Lock order: Registry.mu, Breaker.mu,
// then ledger.mu or history.mu; a hook runs with none of them.
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

	told   uint64       // settlements
	seq    uint64       // transitions
	recent []Transition // the last maxRecent, oldest first from recent[seq%maxRecent] once full
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
	said       bool      // the log was told
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
	if len(l.queue) >= maxQueued {
		l.dropped++
		// A flood of calls must not push out what is rare and tells more.
		i := -1
		if e.rare() {
			i = slices.IndexFunc(l.queue, func(queued event) bool { return !queued.rare() })
		}
		if i < 0 {
			return
		}
		l.queue = slices.Delete(l.queue, i, i+1)
	}
	l.queue = append(l.queue, e)
	l.waiting.Store(true)
}

// rare reports whether the event is not one of each call.
func (e *event) rare() bool { return e.transition != nil || e.override != nil || e.logged }

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

// deliver runs hooks until the queue is empty or the caller has done enough,
// unless another goroutine does already. It must be called with no lock held.
func (b *Breaker) deliver() {
	l := b.ledger.Load()
	if l == nil || !l.waiting.Load() {
		return
	}
	l.mu.Lock()
	if l.delivering || len(l.queue) == 0 {
		l.mu.Unlock()
		return
	}
	l.delivering = true
	l.mu.Unlock()
	b.run(l, time.Now().Add(maxRun)) // not Config.Now: it is about the goroutine we run on
}

// run delivers until the queue is empty, but leaves the rest to a goroutine once
// it is past release; the zero time is never.
func (b *Breaker) run(l *ledger, release time.Time) {
	done := false
	defer func() {
		switch { // a hook called runtime.Goexit: this goroutine ends, but the queue is ours
		case done:
		case release.IsZero():
			go b.run(l, release) // another one, for the stack must not grow with the hooks
		default:
			b.run(l, release)
		}
	}()
	for {
		l.mu.Lock()
		if len(l.queue) == 0 {
			l.queue = nil // a flood must not keep its memory
			l.waiting.Store(false)
			l.delivering = false
			l.mu.Unlock()
			break
		}
		if !release.IsZero() && !time.Now().Before(release) {
			l.mu.Unlock()
			go b.run(l, time.Time{})
			break
		}
		e := l.queue[0]
		s := b.settings.Load()
		tell := func() { s.hook(b.name, e) }
		if s.Logger != nil && e.rare() && !e.said { // its hook is for the next turn
			l.queue[0].said = true
			tell = func() { b.log(s, e) }
		} else {
			l.queue[0] = event{}
			l.queue = l.queue[1:]
		}
		l.mu.Unlock()
		b.guard(e.ctx, l, s, tell)
	}
	done = true
}

func (b *Breaker) log(s *settings, e event) {
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
