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

func scenarios() []scenario {
	sizeOnly := func(s *subject) bool { return s.sizeOnly }
	through := func(w work, prepare func(*subject, func(work) call) error, judge judge, loop loop) func(*testing.B, *subject) error {
		return func(b *testing.B, s *subject) error {
			bind, done := s.fresh()
			if done != nil {
				defer done()
			}
			if err := prepare(s, bind); err != nil {
				return err
			}
			return judge(b, loop(b, bind(w)))
		}
	}
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
		all = append(all,
			bench{scenario: floorSerial, subject: f.name, run: func(b *testing.B) error { return neverRefused(b, serially(b, f.call)) }},
			bench{scenario: floorParallel, subject: f.name, run: func(b *testing.B) error { return neverRefused(b, inParallel(b, f.call)) }})
	}
	breakers := subjects()
	for _, sc := range scenarios() {
		for _, s := range breakers {
			if !sc.skips(s) {
				all = append(all, bench{sc.name, s.name, func(b *testing.B) error { return sc.run(b, s) }, s.overruns})
			}
		}
	}
	return append(all, lookups()...)
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

// loop calls as often as b wants and returns how many calls were refused.
type loop func(b *testing.B, c call) (refused int)

func serially(b *testing.B, c call) (refused int) {
	watched(b, 1, func() {
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

func inParallel(b *testing.B, c call) int {
	var refused atomic.Int64
	b.SetParallelism(perCore)
	b.ResetTimer()
	watched(b, runtime.GOMAXPROCS(0), func() {
		b.RunParallel(func(pb *testing.PB) {
			n := 0
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
