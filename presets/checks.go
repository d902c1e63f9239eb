package presets

import (
	"container/heap"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/blackbox4/switchgear/core"
)

// maxChecks is how many health checks run at once; one more than that waits.
const maxChecks = 8

// checks is what a scheduler of health checks works on: the breakers that have
// opened. It is filled by their hooks, so that a registry in which all is well
// costs nothing.
type checks struct {
	running atomic.Bool // a scheduler is
	wake    chan struct{}
	once    sync.Once

	mu   sync.Mutex
	open map[string]bool // to be looked at; true if it has opened since the scheduler last did
}

func (c *checks) wakeup() chan struct{} {
	c.once.Do(func() { c.wake = make(chan struct{}, 1) })
	return c.wake
}

// watch returns a hook that takes note of openings before it calls next.
func (c *checks) watch(name string, next func(context.Context, core.Transition)) func(context.Context, core.Transition) {
	return func(ctx context.Context, t core.Transition) {
		if t.To == core.Open {
			c.note(name, true)
		}
		if next != nil {
			next(ctx, t)
		}
	}
}

// note takes note of a breaker that is open, and may have opened just now. Without a scheduler it does
// nothing: one that starts looks at every breaker itself, after it has set
// running.
func (c *checks) note(name string, opened bool) {
	if !c.running.Load() {
		return
	}
	c.mu.Lock()
	if c.open == nil {
		c.open = make(map[string]bool)
	}
	c.open[name] = c.open[name] || opened
	c.mu.Unlock()
	select {
	case c.wakeup() <- struct{}{}:
	default:
	}
}

// taken returns what has opened and forgets it.
func (c *checks) taken() map[string]bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	open := c.open
	c.open = nil
	return open
}

var errChecksRun = errors.New("presets: the health checks of this registry are running already")

// CheckHealth runs the health checks of the registry's breakers until ctx is
// done, and then returns nil. For each breaker that is open and whose policy
// has a HealthCheck, it is called every HealthCheckInterval, first one interval
// after it opened; when it returns nil, the breaker is half-open at once
// ([core.Breaker.CheckHealth]). At most eight checks run at a time, and one of a
// breaker; a check that does not heed its context keeps its place. What a check
// returns is logged to the policy's Logger. Hooks of a breaker may run on the
// goroutine of its check.
//
// One scheduler serves the whole registry, and sleeps while no breaker is open:
//
//	go registry.CheckHealth(ctx)
//
// A second at the same time is an error, and so is a nil Registry. A nil ctx is
// [context.Background]. It returns when the checks that run
// have returned.
func (r *Registry) CheckHealth(ctx context.Context) error {
	if r == nil {
		return errNilRegistry
	}
	if ctx == nil {
		ctx = context.Background()
	}
	if r.checks.running.Swap(true) {
		return errChecksRun
	}
	defer r.checks.running.Store(false)
	s := scheduler{registry: r, due: make(map[string]time.Time), done: make(chan string)}
	r.noteOpen()
	s.run(ctx)
	return nil
}

// noteOpen takes note of every breaker that is open.
func (r *Registry) noteOpen() {
	for name, b := range r.Breakers().All() {
		if b.State() == core.Open {
			r.checks.note(name, false)
		}
	}
}

// scheduler is one run of CheckHealth.
type scheduler struct {
	registry *Registry
	due      map[string]time.Time // when the next check of a breaker is; zero while one runs
	order    checkHeap            // the same by time, with some that no longer hold
	running  int
	done     chan string
}

func (s *scheduler) run(ctx context.Context) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		timer.Reset(time.Until(s.start(ctx)))
		select {
		case <-ctx.Done():
			for ; s.running > 0; s.running-- {
				<-s.done
			}
			return
		case <-s.registry.checks.wakeup():
			for name, opened := range s.registry.checks.taken() {
				if opened && !s.due[name].IsZero() { // that was for a break before
					delete(s.due, name)
				}
				s.begin(name)
			}
		case name := <-s.done:
			s.running--
			delete(s.due, name)
			s.begin(name)
		case <-timer.C:
		}
	}
}

// begin sets the time of the next check of a breaker, if it is to have one and
// none runs. A policy that is new can only bring it nearer.
func (s *scheduler) begin(name string) {
	at, known := s.due[name]
	if known && at.IsZero() {
		return
	}
	every := s.registry.Policy(name).checkEvery()
	if every == 0 {
		return
	}
	if next := time.Now().Add(every); !known || next.Before(at) {
		s.due[name] = next
		heap.Push(&s.order, scheduledCheck{next, name})
		s.tidy()
	}
}

// tidy forgets what no longer holds, once that is most of the order: breakers
// that open again and again leave one each time.
func (s *scheduler) tidy() {
	const few = 100
	if len(s.order) <= 2*len(s.due)+few {
		return
	}
	s.order = slices.DeleteFunc(s.order, func(a scheduledCheck) bool { return !s.due[a.name].Equal(a.at) })
	heap.Init(&s.order)
}

// start starts the checks that are due, as many as may run, and returns when to
// look again.
func (s *scheduler) start(ctx context.Context) time.Time {
	now := time.Now()
	for len(s.order) > 0 {
		first := s.order[0]
		if at, known := s.due[first.name]; !known || !at.Equal(first.at) { // moved, or off
			heap.Pop(&s.order)
			continue
		}
		if first.at.After(now) {
			return first.at
		}
		if s.running >= maxChecks {
			break // the next that is done wakes the loop
		}
		heap.Pop(&s.order)
		s.check(ctx, first.name)
	}
	return now.Add(time.Hour)
}

// check starts the check of a breaker, if that is still open.
func (s *scheduler) check(ctx context.Context, name string) {
	b, err := s.registry.Breakers().Get(name)
	p := s.registry.Policy(name)
	if err != nil || b.State() != core.Open || p.checkEvery() == 0 {
		delete(s.due, name)
		return
	}
	s.due[name] = time.Time{}
	s.running++
	go func() {
		defer func() { s.done <- name }() // also after a Goexit
		defer func() { _ = recover() }()  // of a Logger; check has caught those of the check
		check(ctx, b, p)
	}()
}

// checkHeap is a heap of checks, the next one first.
type checkHeap []scheduledCheck

type scheduledCheck struct {
	at   time.Time
	name string
}

func (a *checkHeap) Len() int           { return len(*a) }
func (a *checkHeap) Less(i, j int) bool { return (*a)[i].at.Before((*a)[j].at) }
func (a *checkHeap) Swap(i, j int)      { (*a)[i], (*a)[j] = (*a)[j], (*a)[i] }
func (a *checkHeap) Push(x any)         { *a = append(*a, x.(scheduledCheck)) }
func (a *checkHeap) Pop() any {
	last := len(*a) - 1
	popped := (*a)[last]
	*a = (*a)[:last]
	return popped
}

// check makes one check.
func check(parent context.Context, b *core.Breaker, p Policy) {
	ctx, cancel := context.WithTimeout(parent, p.checkEvery())
	defer cancel()
	err := func() (err error) {
		defer func() {
			if v := recover(); v != nil {
				err = fmt.Errorf("the health check panicked: %v\n%s", v, debug.Stack())
			}
		}()
		return b.CheckHealth(ctx, p.HealthCheck)
	}()
	if p.Logger != nil && err != nil && parent.Err() == nil {
		p.Logger.LogAttrs(ctx, slog.LevelInfo, "health check failed", slog.String("breaker", b.Name()), slog.Any("error", err))
	}
}
