// Package queue delivers events to hooks: in order, one at a time, with no lock held.
// It imports the standard library alone, so that core may use it.
package queue

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// maxHeld is how long a caller delivers; then a goroutine delivers the rest.
const maxHeld = 100 * time.Millisecond

// Queue is a bounded queue of events. The zero Queue is ready and safe for concurrent
// use; it must not be copied after its first use.
//
// A goroutine that finds no other one delivering delivers, also what others add
// meanwhile; those go on at once. So hooks run one at a time and in order, no caller
// waits for a hook that it does not run itself, and a hook that adds an event finds it
// delivered after itself. A caller delivers for 100 ms and the hook that is running
// then; a goroutine delivers the rest and ends with the queue.
type Queue[E any] struct {
	// waiting is false only while the queue is empty, so that a caller that has
	// nothing to deliver takes no lock.
	waiting    atomic.Bool
	mu         sync.Mutex
	events     []E
	delivering bool
	left       chan struct{} // closed when the goroutine that delivers the rest ends; nil without one
	dropped    uint64
	panics     uint64
}

// Handler runs the hooks of the events of a Queue.
type Handler[E any] interface {
	// Next returns what to run next for the first event, and whether that is the
	// last for it; else Next is called for the same event again. It runs with the
	// queue's lock held: it may change e, but must not call the queue or user code.
	Next(e *E) (run func(), last bool)
	// Panicked is called after run has panicked with p. Its own panic is dropped.
	Panicked(e E, p any)
}

// Add appends e. If limit events wait, one is dropped and counted: e, or, if e is
// rare, the first one that is not. Add may be called with locks held.
func (q *Queue[E]) Add(e E, limit int, rare func(*E) bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.events) >= limit {
		q.dropped++
		i := -1
		if rare(&e) {
			i = slices.IndexFunc(q.events, func(queued E) bool { return !rare(&queued) })
		}
		if i < 0 {
			return
		}
		q.events = slices.Delete(q.events, i, i+1)
	}
	q.events = append(q.events, e)
	q.waiting.Store(true)
}

// Deliver delivers what is queued, unless another goroutine does so. It must be
// called with no lock held: it runs user code.
func (q *Queue[E]) Deliver(h Handler[E]) {
	if q.begin() {
		q.run(h, time.Now().Add(maxHeld))
	}
}

// DeliverAside delivers what is queued on another goroutine, for a caller that no
// hook may hold or end.
func (q *Queue[E]) DeliverAside(h Handler[E]) {
	if q.begin() {
		q.mu.Lock()
		q.leave(h)
		q.mu.Unlock()
	}
}

// Waiting reports whether there may be something to deliver. It takes no lock.
func (q *Queue[E]) Waiting() bool { return q.waiting.Load() }

// begin reports whether the caller has to deliver.
func (q *Queue[E]) begin() bool {
	if !q.Waiting() {
		return false
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.delivering || len(q.events) == 0 {
		return false
	}
	q.delivering = true
	return true
}

// run delivers until the queue is empty, but leaves the rest to a goroutine at until;
// the zero time is never.
func (q *Queue[E]) run(h Handler[E], until time.Time) {
	returned := false
	defer func() {
		switch { // a hook called runtime.Goexit: this goroutine ends, but has to deliver the rest
		case returned:
		case until.IsZero():
			go q.run(h, until) // on another one, for the stack must not grow with the hooks
		default:
			q.run(h, until)
		}
	}()
	for q.step(h, until) {
	}
	returned = true
}

// step runs one hook. It reports false if there is no more to do for this goroutine.
func (q *Queue[E]) step(h Handler[E], until time.Time) (more bool) {
	q.mu.Lock()
	switch {
	case len(q.events) == 0:
		q.end()
		q.mu.Unlock()
		return false
	case !until.IsZero() && !time.Now().Before(until):
		q.leave(h)
		q.mu.Unlock()
		return false
	}
	run, last := h.Next(&q.events[0])
	e := q.events[0]
	if last {
		var none E
		q.events[0] = none
		q.events = q.events[1:]
	}
	q.mu.Unlock()
	q.guard(h, e, run)
	return true
}

// leave starts a goroutine that delivers the rest. It needs mu.
func (q *Queue[E]) leave(h Handler[E]) {
	if q.left == nil {
		q.left = make(chan struct{})
	}
	go q.run(h, time.Time{})
}

// end ends the delivery. It needs mu.
func (q *Queue[E]) end() {
	q.events, q.delivering = nil, false // a flood must not keep its memory
	q.waiting.Store(false)
	if q.left != nil {
		close(q.left)
		q.left = nil
	}
}

// guard runs a hook and survives its panic.
func (q *Queue[E]) guard(h Handler[E], e E, run func()) {
	defer func() {
		p := recover()
		if p == nil {
			return // it returned, or called Goexit
		}
		q.mu.Lock()
		q.panics++
		q.mu.Unlock()
		defer func() { _ = recover() }()
		h.Panicked(e, p)
	}()
	run()
}

// Wait waits for the goroutine that delivers the rest, if there is one, until ctx is
// done; then it returns the error of ctx.
func (q *Queue[E]) Wait(ctx context.Context) error {
	q.mu.Lock()
	left := q.left
	q.mu.Unlock()
	if left == nil {
		return nil
	}
	select {
	case <-left:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Counts returns how many events were dropped and how many hooks have panicked.
func (q *Queue[E]) Counts() (dropped, panics uint64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.dropped, q.panics
}

// Idle reports whether no event waits and no hook runs.
func (q *Queue[E]) Idle() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return !q.delivering && len(q.events) == 0
}
