package core

import (
	"context"
	"fmt"
	"log/slog"
	"time"
)

// limitEvent is a change of a limit that is yet to be told of.
type limitEvent struct {
	ctx    context.Context
	change LimitChange
	log    bool // the log is to have it, before the hook
}

// changedLocked queues a change from the limit before, if it is one. Limit.mu is held.
func (l *Limit) changedLocked(ctx context.Context, now time.Duration, before float64) {
	a, s := &l.adapt, l.settings.Load()
	from, to := int(before), int(a.limit)
	if from == to {
		return
	}
	l.changes++
	log := s.Logger != nil && (to >= 2*l.logged || 2*to <= l.logged)
	if log {
		l.logged = to
	}
	if !log && s.Hooks.LimitChanged == nil {
		return
	}
	change := LimitChange{Name: l.name, At: l.epoch.Add(now), From: from, To: to, Base: seconds(a.base), Latency: seconds(a.mean)}
	l.queue.Add(limitEvent{background(ctx), change, log}, maxQueued, func(e *limitEvent) bool { return e.log })
}

// limitHandler is how a limit's queue runs its hooks.
type limitHandler Limit

// Next implements queue.Handler: the log has an event before its hook.
func (h *limitHandler) Next(e *limitEvent) (run func(), last bool) {
	s, now := h.settings.Load(), *e
	if e.log {
		e.log = false
		return func() { now.change.log(now.ctx, s.Logger) }, false
	}
	return func() {
		if s.Hooks.LimitChanged != nil {
			s.Hooks.LimitChanged(now.ctx, now.change)
		}
	}, true
}

// Panicked implements queue.Handler.
func (h *limitHandler) Panicked(e limitEvent, p any) {
	if s := h.settings.Load(); s.Logger != nil {
		s.Logger.LogAttrs(e.ctx, slog.LevelError, "concurrency limit hook panicked",
			slog.String("limit", h.name), slog.String("panic", fmt.Sprint(p)))
	}
}

func (c *LimitChange) log(ctx context.Context, logger *slog.Logger) {
	if logger == nil { // an Update has taken it away meanwhile
		return
	}
	level, text := slog.LevelInfo, "concurrency limit has grown"
	if c.To < c.From {
		level, text = slog.LevelWarn, "concurrency limit was cut"
	}
	logger.LogAttrs(ctx, level, text, slog.String("limit", c.Name), slog.Int("from", c.From), slog.Int("to", c.To),
		slog.Duration("latency", c.Latency), slog.Duration("base", c.Base))
}
