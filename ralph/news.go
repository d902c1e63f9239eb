package ralph

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// news are the events that nobody has been told of yet.
//
// Whoever finds nobody telling tells, their own and what others leave meanwhile;
// others leave their events and go on. So the hook runs one event at a time and in
// order, with no lock held, and may call the supervisor: what that causes is told
// after it returned.
type news struct {
	hook   func(Event)
	logger *slog.Logger

	waiting atomic.Bool // the queue may hold something
	mu      sync.Mutex
	queue   []Event
	telling bool
	overdue bool // who tells has done so for maxTelling
	dropped uint64
	panics  uint64
}

const (
	maxNews    = 4096
	maxTelling = 100 * time.Millisecond
)

// add queues e. It may be called with locks held.
func (n *news) add(e Event) {
	if n.hook == nil && n.logger == nil {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	limit := maxNews
	if e.Kind == EventNudged {
		limit = maxNews / 2 // what is less important goes first
		if n.overdue {
			limit = 0 // so that who tells gets away
		}
	}
	if len(n.queue) >= limit {
		n.dropped++
		return
	}
	n.queue = append(n.queue, e)
	n.waiting.Store(true)
}

// tell runs the hook until the queue is empty, unless somebody does already. It
// must be called with no lock held.
func (n *news) tell() {
	if !n.waiting.Load() {
		return
	}
	begun := time.Now()
	n.mu.Lock()
	if n.telling || len(n.queue) == 0 {
		n.mu.Unlock()
		return
	}
	n.telling = true
	finished := false
	defer func() {
		if finished {
			return
		}
		// The hook called runtime.Goexit: the rest is told from here.
		n.mu.Lock()
		n.telling, n.overdue = false, false
		n.mu.Unlock()
		n.tell()
	}()
	for len(n.queue) > 0 {
		e := n.queue[0]
		n.queue[0] = Event{}
		n.queue = n.queue[1:]
		n.mu.Unlock()
		n.one(e)
		overdue := time.Since(begun) >= maxTelling
		n.mu.Lock()
		n.overdue = overdue
	}
	n.queue, n.overdue, n.telling, finished = nil, false, false, true
	n.waiting.Store(false)
	n.mu.Unlock()
}

// one tells one event to the log and to the hook; neither can hurt the other.
func (n *news) one(e Event) {
	defer n.guard(func() { // deferred: the logger may call Goexit
		if n.hook != nil {
			n.hook(e)
		}
	})
	n.guard(func() { n.log(e) })
}

// guard runs f, a user's code, and survives its panic.
func (n *news) guard(f func()) {
	defer func() {
		p := recover()
		if p == nil {
			return
		}
		n.mu.Lock()
		n.panics++
		n.mu.Unlock()
		defer func() { _ = recover() }() // a logger that panics, too, is left alone
		if n.logger != nil {
			n.logger.Error("ralph: OnEvent panicked", slog.String("panic", fmt.Sprint(p)))
		}
	}()
	f()
}

func (n *news) log(e Event) {
	if n.logger == nil {
		return
	}
	level := slog.LevelInfo
	if e.Kind == EventPaused || e.Kind == EventEscalated || e.Kind == EventStore {
		level = slog.LevelWarn
	}
	attrs := []slog.Attr{
		slog.String("agent", e.Agent), slog.String("name", e.Name),
		slog.String("from", e.From.String()), slog.String("to", e.To.String()),
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
	n.logger.LogAttrs(context.Background(), level, "ralph: agent "+e.Kind.String(), attrs...)
}

// counts says how much was lost and how often the hook panicked.
func (n *news) counts() (dropped, panics uint64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.dropped, n.panics
}
