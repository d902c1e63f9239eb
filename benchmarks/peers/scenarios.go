package main

import (
	"cmp"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"
	"testing"
)

// bench is one row of one scenario. The same list serves go test and the driver.
type bench struct {
	scenario string
	subject  string
	run      func(*testing.B) error
	overruns bool // see subject
	twoSided bool // client and server wait for each other's core
}

func (b bench) key() key { return key{b.scenario, b.subject} }

const (
	closedSerial    = "ClosedSerial"
	closedParallel  = "ClosedParallel"
	mixSerial       = "OnePercentSerial"
	mixParallel     = "OnePercentParallel"
	refusedSerial   = "RefusedSerial"
	refusedParallel = "RefusedParallel"
	create          = "Create"
	floorSerial     = "FloorSerial"
	floorParallel   = "FloorParallel"
	lookupParallel  = "LookupParallel"
)

// perCore is how many goroutines there are to a core in parallel.
const perCore = 16

// scenario is something to do with a subject.
type scenario struct {
	name  string
	title string // of the table's column
	run   func(*testing.B, *subject) error
	skips func(*subject) bool
}

// through is what a scenario does with a breaker: prepare it, and make calls.
func through(w work, prepare func(*subject, func(work) call) error, judge judge, loop loop) func(*testing.B, *subject) error {
	return func(b *testing.B, s *subject) error {
		i := s.fresh()
		if i.done != nil {
			defer i.done()
		}
		if err := prepare(s, i.bind); err != nil {
			return err
		}
		r := loop(b, func() call { return i.bind(w) })
		if i.opened != nil {
			r.opened = i.opened()
		}
		return judge(b, r)
	}
}

func scenarios() []scenario {
	sizeOnly := func(s *subject) bool { return s.sizeOnly }
	noMix := func(s *subject) bool { return s.noMix }
	return []scenario{
		{closedSerial, "closed serial", through(succeeding, warm, neverRefused, serially), func(*subject) bool { return false }},
		{closedParallel, "closed parallel", through(succeeding, warm, neverRefused, inParallel), sizeOnly},
		{mixSerial, "1 % fail serial", through(mixed, warm, rarelyRefused, serially), noMix},
		{mixParallel, "1 % fail parallel", through(mixed, warm, rarelyRefused, inParallel), func(s *subject) bool { return s.sizeOnly || s.noMix }},
		{refusedSerial, "refused serial", through(failing, open, rarelyAdmitted, serially), sizeOnly},
		{refusedParallel, "refused parallel", through(failing, open, rarelyAdmitted, inParallel), sizeOnly},
		{create, "create", func(b *testing.B, s *subject) error {
			watched(b, 1, func() {
				for b.Loop() {
					runtime.KeepAlive(s.create(0))
				}
			})
			return nil
		}, func(s *subject) bool { return s.noCreate }},
	}
}

// allBenches are the benchmarks in the order of a pass: those that are compared
// are close to each other.
func allBenches() []bench {
	var all []bench
	for _, f := range floors() {
		fresh := func() call { return f.call }
		all = append(all,
			bench{scenario: floorSerial, subject: f.name, run: func(b *testing.B) error { return neverRefused(b, serially(b, fresh)) }},
			bench{scenario: floorParallel, subject: f.name, run: func(b *testing.B) error { return neverRefused(b, inParallel(b, fresh)) }})
	}
	breakers := subjects()
	for _, sc := range scenarios() {
		for _, s := range breakers {
			if !sc.skips(s) {
				all = append(all, bench{scenario: sc.name, subject: s.name, overruns: s.overruns, run: func(b *testing.B) error { return sc.run(b, s) }})
			}
		}
	}
	all = append(all, lookups()...)
	all = append(all, httpBenches()...)
	all = append(all, handlers()...)
	return append(all, grpcBenches()...)
}

// warm brings a closed breaker to the state it will stay in.
func warm(s *subject, bind func(work) call) error {
	n := s.warm
	if n == 0 {
		n = 300
	}
	c := bind(succeeding)
	for range n {
		_ = c() // what it refuses, it will refuse when it is measured too
	}
	return nil
}

// open makes calls fail until the breaker refuses.
func open(s *subject, bind func(work) call) error {
	const (
		enough = 100
		most   = 20_000
	)
	c := bind(failing)
	if s.adaptive > 0 {
		for range s.adaptive {
			_ = c() // rarelyAdmitted sees whether it was enough
		}
		return nil
	}
	refused := 0
	for range most {
		if err := c(); isRefusal(err) {
			refused++
		} else {
			refused = 0
		}
		if refused == enough {
			return nil
		}
	}
	return errors.New("it does not open")
}

// isRefusal compares instead of unwrapping: no subject wraps, and it is paid
// for in each call.
func isRefusal(err error) bool { return err != nil && err != errFailed } //nolint:errorlint // see above

// refusals are what a loop has met.
type refusals struct {
	calls  int
	last   error  // what one of them returned
	opened string // why the breaker opened, if it did and tells
	broken error  // a goroutine of the loop panicked
}

// loop calls as often as b wants. Each goroutine has a call of its own, from
// fresh.
type loop func(b *testing.B, fresh func() call) refusals

func serially(b *testing.B, fresh func() call) refusals { return inTurn(b, 1, fresh) }

// againstServer is for calls whose other side is in this process too: while one
// goes to sleep, the other is woken on a second core.
func againstServer(b *testing.B, fresh func() call) refusals {
	return inTurn(b, min(2, runtime.GOMAXPROCS(0)), fresh)
}

func inTurn(b *testing.B, cores int, fresh func() call) (r refusals) {
	c := fresh()
	watched(b, cores, func() {
		var n int // not the captured one, which would be a store to memory a call
		var last error
		for b.Loop() {
			if err := c(); isRefusal(err) {
				n, last = n+1, err
			}
		}
		r.calls, r.last = n, last
	})
	return r
}

func inParallel(b *testing.B, fresh func() call) (all refusals) {
	var mu sync.Mutex
	b.SetParallelism(perCore)
	b.ResetTimer()
	watched(b, runtime.GOMAXPROCS(0), func() {
		b.RunParallel(func(pb *testing.PB) {
			var r refusals
			r.broken = recovered(func() error {
				c := fresh()
				var n int
				var last error
				for pb.Next() {
					if err := c(); isRefusal(err) {
						n, last = n+1, err
					}
				}
				r.calls, r.last = n, last
				return nil
			})
			mu.Lock()
			defer mu.Unlock()
			all.calls += r.calls
			all.last, all.broken = cmp.Or(r.last, all.last), cmp.Or(r.broken, all.broken)
		})
		b.StopTimer()
	})
	return all
}

// recovered calls f and returns a panic of it as an error: one row must not cost
// what the others have measured.
func recovered(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return f()
}

// judge says whether the breaker did what the scenario is about.
type judge func(b *testing.B, r refusals) error

// neverRefused also finds the breaker that opened with the very last call.
func neverRefused(b *testing.B, r refusals) error { return refusedAtMost(b, r, 0) }

// rarelyRefused allows those without an open state to drop a call in a thousand.
func rarelyRefused(b *testing.B, r refusals) error { return refusedAtMost(b, r, b.N/1000) }

func refusedAtMost(b *testing.B, r refusals, most int) error {
	switch {
	case r.broken != nil:
		return r.broken
	case r.opened != "":
		return fmt.Errorf("the breaker opened by itself: %s; %d of %d calls were refused", r.opened, r.calls, b.N)
	case r.calls > most:
		return fmt.Errorf("closed, but %d of %d calls were refused, the last with: %w", r.calls, b.N, r.last)
	}
	return nil
}

// rarelyAdmitted allows for a few more than 2 %, or one call would condemn an
// adaptive breaker in a sample of ten.
func rarelyAdmitted(b *testing.B, r refusals) error {
	if r.broken != nil {
		return r.broken
	}
	if admitted := b.N - r.calls; admitted > b.N/50+3 {
		return fmt.Errorf("open, but %d of %d calls were admitted", admitted, b.N)
	}
	return nil
}
