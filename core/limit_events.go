package core

import (
	"context"
	"fmt"
	"log/slog"
	"time"
)

// limitEvents keeps the changes of a limit until the hook and the logger were told
// of them. Limit.mu guards it. It works as the ledger of a breaker does.
type limitEvents struct {
	queue      []limitEvent
	delivering bool
	changes    uint64
	dropped    uint64
	panics     uint64
	logged     int // the limit that was logged last
}

type limitEvent struct {
	ctx    context.Context
	change LimitChange
	log    bool
}

// changedLocked queues a change from the limit before, if it is one.
func (l *Limit) changedLocked(ctx context.Context, now time.Duration, before float64) {
	a, s, e := &l.adapt, l.settings.Load(), &l.events
	from, to := int(before), int(a.limit)
	if from == to {
		return
	}
	e.changes++
	log := s.Logger != nil && (to >= 2*e.logged || 2*to <= e.logged)
	if log {
		e.logged = to
	}
	if !log && s.Hooks.LimitChanged == nil {
		return
	}
	if len(e.queue) >= maxQueued {
		e.dropped++
		return
	}
	e.queue = append(e.queue, limitEvent{background(ctx), LimitChange{
		Name: l.name, At: l.epoch.Add(now), From: from, To: to, Base: seconds(a.base), Latency: seconds(a.mean),
	}, log})
}

// deliver tells of the changes until the queue is empty or the caller was held for
// maxRun, unless another goroutine does already. No lock may be held.
func (l *Limit) deliver() {
	l.mu.Lock()
	mine := !l.events.delivering && len(l.events.queue) > 0
	l.events.delivering = l.events.delivering || mine
	l.mu.Unlock()
	if mine {
		l.run(time.Now().Add(maxRun)) // not LimitConfig.Now: it is about this goroutine
	}
}

// run tells of changes until the queue is empty. After release it leaves the rest
// to a goroutine; the zero time is never.
func (l *Limit) run(release time.Time) {
	done := false
	defer func() {
		if !done { // a hook called runtime.Goexit, and the queue is still ours
			go l.run(time.Time{})
		}
	}()
	for {
		l.mu.Lock()
		e := &l.events
		if len(e.queue) == 0 {
			e.queue, e.delivering, done = nil, false, true
			l.mu.Unlock()
			return
		}
		if !release.IsZero() && !time.Now().Before(release) {
			l.mu.Unlock()
			return // and the deferred func hands over
		}
		next := e.queue[0]
		e.queue = e.queue[1:]
		l.mu.Unlock()
		s := l.settings.Load()
		if next.log && s.Logger != nil {
			l.guard(next.ctx, s, func() { next.change.log(next.ctx, s.Logger) })
		}
		if s.Hooks.LimitChanged != nil {
			l.guard(next.ctx, s, func() { s.Hooks.LimitChanged(next.ctx, next.change) })
		}
	}
}

func (c *LimitChange) log(ctx context.Context, logger *slog.Logger) {
	level, text := slog.LevelInfo, "concurrency limit has grown"
	if c.To < c.From {
		level, text = slog.LevelWarn, "concurrency limit was cut"
	}
	logger.LogAttrs(ctx, level, text, slog.String("limit", c.Name), slog.Int("from", c.From), slog.Int("to", c.To),
		slog.Duration("latency", c.Latency), slog.Duration("base", c.Base))
}

// guard runs f, a user's code, and survives its panic.
func (l *Limit) guard(ctx context.Context, s *LimitConfig, f func()) {
	defer func() {
		p := recover()
		if p == nil {
			return // returned, or left by Goexit
		}
		l.mu.Lock()
		l.events.panics++
		l.mu.Unlock()
		defer func() { _ = recover() }() // a logger that panics too is left alone
		if s.Logger != nil {
			s.Logger.LogAttrs(ctx, slog.LevelError, "concurrency limit hook panicked",
				slog.String("limit", l.name), slog.String("panic", fmt.Sprint(p)))
		}
	}()
	f()
}
