package ralph

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// delivery is the queue of events that are still to be told to OnEvent and Logger.
//
// A goroutine that finds no other one delivering delivers, also what others leave in
// the queue meanwhile; those go on at once. So hooks run one at a time and in order,
// with no lock held, and may call the supervisor: what that causes is told after it.
// A caller delivers for maxDelivering; what is left then, a goroutine of its own
// tells, which ends with the queue.
type delivery struct {
	hook   func(Event)
	logger *slog.Logger

	waiting    atomic.Bool // the queue may hold something
	mu         sync.Mutex
	queue      []queued
	delivering bool
	over       chan struct{} // closed when the goroutine of its own ends; nil without one
	dropped    uint64
	panics     uint64
}

// queued is an event that waits.
type queued struct {
	Event
	logged bool // the logger was told, the hook was not
}

const (
	maxQueued     = 4096
	maxDelivering = 100 * time.Millisecond
)

// add queues e. It may be called with locks held.
func (d *delivery) add(e Event) {
	if d.hook == nil && d.logger == nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	limit := maxQueued
	if e.Kind == EventNudged {
		limit = maxQueued / 2 // what is less important is dropped first
	}
	if len(d.queue) >= limit {
		d.dropped++
		return
	}
	d.queue = append(d.queue, queued{Event: e})
	d.waiting.Store(true)
}

// deliver tells what is queued, for maxDelivering and the hook that is running then,
// unless another goroutine does already. It must be called with no lock held.
func (d *delivery) deliver() {
	if d.begin() {
		d.run(time.Now().Add(maxDelivering))
	}
}

// aside tells what is queued on a goroutine of its own, for callers that no hook may
// hold or end.
func (d *delivery) aside() {
	if d.begin() {
		d.leave()
	}
}

// begin reports whether it is now for the caller to deliver.
func (d *delivery) begin() bool {
	if !d.waiting.Load() {
		return false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.delivering || len(d.queue) == 0 {
		return false
	}
	d.delivering = true
	return true
}

// run delivers until the queue is empty, or until then; the zero time is never.
func (d *delivery) run(until time.Time) {
	returned := false
	defer func() {
		switch {
		case returned:
		case until.IsZero() || time.Now().After(until):
			d.leave()
		default: // the hook called runtime.Goexit: this goroutine ends, but deferred calls still run
			d.run(until)
		}
	}()
	for {
		step := d.next()
		if step == nil {
			break
		}
		d.guard(step)
		if !until.IsZero() && !time.Now().Before(until) {
			d.leave()
			break
		}
	}
	returned = true
}

// next returns what is to be done next: to tell the logger, or the hook, of the first
// event. It ends the delivery, and returns nil, if there is none.
func (d *delivery) next() func() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.queue) == 0 {
		d.end()
		return nil
	}
	e := d.queue[0].Event
	log := d.logger != nil && !d.queue[0].logged
	d.queue[0].logged = true
	if !log || d.hook == nil {
		d.queue[0] = queued{}
		d.queue = d.queue[1:]
	}
	if log {
		return func() { d.log(e) }
	}
	return func() { d.hook(e) }
}

// leave leaves what is queued to a goroutine of its own.
func (d *delivery) leave() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.queue) == 0 {
		d.end()
		return
	}
	if d.over == nil {
		d.over = make(chan struct{})
	}
	go d.run(time.Time{})
}

// end ends the delivery; it needs mu.
func (d *delivery) end() {
	d.queue, d.delivering = nil, false // many events must not keep their memory
	d.waiting.Store(false)
	if d.over != nil {
		close(d.over)
		d.over = nil
	}
}

// wait waits for the goroutine of its own, if there is one, until ctx is done.
func (d *delivery) wait(ctx context.Context) error {
	d.mu.Lock()
	over := d.over
	d.mu.Unlock()
	if over == nil {
		return nil
	}
	select {
	case <-over:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// guard runs f, a user's code, and survives its panic.
func (d *delivery) guard(f func()) {
	defer func() {
		p := recover()
		if p == nil {
			return
		}
		d.mu.Lock()
		d.panics++
		d.mu.Unlock()
		defer func() { _ = recover() }() // a logger that panics, too, is left alone
		if d.logger != nil {
			d.logger.Error("ralph: OnEvent panicked", slog.String("panic", fmt.Sprint(p)))
		}
	}()
	f()
}

func (d *delivery) log(e Event) {
	if d.logger == nil {
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

// counts says how much was lost and how often the hook panicked.
func (d *delivery) counts() (dropped, panics uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.dropped, d.panics
}
