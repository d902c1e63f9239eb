package ralph

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/blackbox4/switchgear/internal/queue"
)

// delivery tells events to the logger and to OnEvent, see package queue.
type delivery struct {
	hook   func(Event)
	logger *slog.Logger
	queue  queue.Queue[queued]
}

// queued is an event that waits.
type queued struct {
	Event
	logged bool // the logger was told, the hook was not
}

const maxQueued = 4096

// add queues e. It may be called with locks held. Nudges are dropped first.
func (d *delivery) add(e Event) {
	if d.hook == nil && d.logger == nil {
		return
	}
	limit := maxQueued
	if e.Kind == EventNudged {
		limit = maxQueued / 2
	}
	d.queue.Add(queued{Event: e}, limit, func(e *queued) bool { return e.Kind != EventNudged })
}

// deliver tells what is queued. It must be called with no lock held.
func (d *delivery) deliver() { d.queue.Deliver(d) }

// Next implements [queue.Handler].
func (d *delivery) Next(e *queued) (run func(), last bool) {
	event := e.Event
	if d.logger != nil && !e.logged {
		e.logged = true
		return func() { d.log(event) }, d.hook == nil
	}
	return func() { d.hook(event) }, true
}

// Panicked implements [queue.Handler].
func (d *delivery) Panicked(_ queued, p any) {
	if d.logger != nil {
		d.logger.Error("ralph: OnEvent panicked", slog.String("panic", fmt.Sprint(p)))
	}
}

func (d *delivery) log(e Event) {
	level := slog.LevelInfo
	if e.Kind == EventPaused || e.Kind == EventEscalated || e.Kind == EventStore {
		level = slog.LevelWarn
	}
	attrs := []slog.Attr{
		slog.String("agent", e.Agent), slog.String("name", e.Name),
		slog.String("from", e.From.String()), slog.String("to", e.To.String()),
	}
	if e.Session != "" {
		attrs = append(attrs, slog.String("session", e.Session))
	}
	if e.Task != "" {
		attrs = append(attrs, slog.String("task", e.Task))
	}
	if c := e.Cause; c.Rule != "" {
		attrs = append(attrs,
			slog.String("rule", c.Rule), slog.String("reason", c.Reason.String()), slog.String("severity", c.Severity.String()),
			slog.Float64("count", c.Count), slog.Float64("threshold", c.Threshold), slog.String("message", c.Message))
	}
	if e.By != "" || e.Note != "" {
		attrs = append(attrs, slog.String("by", e.By), slog.String("note", e.Note))
	}
	if e.Attempt > 0 {
		attrs = append(attrs, slog.Int("attempt", e.Attempt))
	}
	if e.Shadow {
		attrs = append(attrs, slog.Bool("shadow", true))
	}
	d.logger.LogAttrs(context.Background(), level, "ralph: agent "+e.Kind.String(), attrs...)
}
