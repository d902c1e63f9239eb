package main

import (
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
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
		bind, done := s.fresh()
		if done != nil {
			defer done()
		}
		if err := prepare(s, bind); err != nil {
			return err
		}
		return judge(b, loop(b, func() call { return bind(w) }))
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

// loop calls as often as b wants and returns how many calls were refused. Each
// goroutine has a call of its own, from fresh.
type loop func(b *testing.B, fresh func() call) (refused int)

func serially(b *testing.B, fresh func() call) int { return inTurn(b, 1, fresh) }

// againstServer is for calls whose other side is in this process too: while one
// goes to sleep, the other is woken on a second core.
func againstServer(b *testing.B, fresh func() call) int {
	return inTurn(b, min(2, runtime.GOMAXPROCS(0)), fresh)
}

func inTurn(b *testing.B, cores int, fresh func() call) (refused int) {
	c := fresh()
	watched(b, cores, func() {
		n := 0 // not the captured one, which would be a store to memory a call
		for b.Loop() {
			if isRefusal(c()) {
				n++
			}
		}
		refused = n
	})
	return refused
}

func inParallel(b *testing.B, fresh func() call) int {
	var refused atomic.Int64
	b.SetParallelism(perCore)
	b.ResetTimer()
	watched(b, runtime.GOMAXPROCS(0), func() {
		b.RunParallel(func(pb *testing.PB) {
			c, n := fresh(), 0
			for pb.Next() {
				if isRefusal(c()) {
					n++
				}
			}
			refused.Add(int64(n))
		})
		b.StopTimer()
	})
	return int(refused.Load())
}

// judge says whether the breaker did what the scenario is about.
type judge func(b *testing.B, refused int) error

func neverRefused(b *testing.B, refused int) error {
	if refused > 0 {
		return fmt.Errorf("closed, but %d of %d calls were refused", refused, b.N)
	}
	return nil
}

func rarelyRefused(b *testing.B, refused int) error {
	if refused*1000 > b.N {
		return fmt.Errorf("closed, but %d of %d calls were refused", refused, b.N)
	}
	return nil
}

// rarelyAdmitted allows for a few more than 2 %, or one call would condemn an
// adaptive breaker in a sample of ten.
func rarelyAdmitted(b *testing.B, refused int) error {
	if admitted := b.N - refused; admitted > b.N/50+3 {
		return fmt.Errorf("open, but %d of %d calls were admitted", admitted, b.N)
	}
	return nil
}
