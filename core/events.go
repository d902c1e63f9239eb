package core

import (
	"context"
	"fmt"
	"log/slog"
	"sync"

	"github.com/blackbox4/switchgear/internal/queue"
)

// ledger keeps a breaker's events: those to be delivered, see package queue, and its
// last transitions. It is made at the first event. Lock order: Registry.mu, Breaker.mu,
// then ledger.mu or history.mu, then the queue's; a hook runs with none of them.
type ledger struct {
	queue queue.Queue[event]

	lifetime lifetime // guarded by Breaker.mu

	mu          sync.Mutex // held to number an event and to queue it
	settlements uint64
	seq         uint64       // transitions
	recent      []Transition // the last maxRecent, oldest first from recent[seq%maxRecent] once full
}

const (
	maxRecent = 64
	maxQueued = 1024
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
	inLog      bool      // the log has it, the hook has not
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
		l.settlements++
		s.Seq = l.settlements
	}
	l.queue.Add(e, maxQueued, (*event).rare)
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

// ledgerOf returns the breaker's ledger.
func (b *Breaker) ledgerOf() *ledger {
	if l := b.ledger.Load(); l != nil {
		return l
	}
	b.ledger.CompareAndSwap(nil, new(ledger))
	return b.ledger.Load()
}

// deliver runs the hooks of what is queued, unless another goroutine does. It must be
// called with no lock held.
func (b *Breaker) deliver() {
	if l := b.ledger.Load(); l != nil {
		l.queue.Deliver((*eventHandler)(b))
	}
}

// eventHandler is how a breaker's queue runs its hooks.
type eventHandler Breaker

// Next implements [queue.Handler]: the log has an event before its hook.
func (h *eventHandler) Next(e *event) (run func(), last bool) {
	b := (*Breaker)(h)
	s, now := b.settings.Load(), *e
	if s.Logger != nil && e.rare() && !e.inLog {
		e.inLog = true
		return func() { b.log(s, now) }, false
	}
	return func() { s.hook(b.name, now) }, true
}

// Panicked implements [queue.Handler].
func (h *eventHandler) Panicked(e event, p any) {
	if s := h.settings.Load(); s.Logger != nil {
		s.Logger.LogAttrs(e.ctx, slog.LevelError, "circuit breaker hook panicked",
			slog.String("breaker", h.name), slog.String("panic", fmt.Sprint(p)))
	}
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

// hook runs the hook of an event.
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
