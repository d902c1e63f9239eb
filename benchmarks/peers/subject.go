package main

import (
	"slices"

	"github.com/blackbox4/switchgear/core"
)

// subject is a breaker in one configuration, used through one of its APIs.
type subject struct {
	name string
	// fresh makes a breaker.
	fresh func() instance
	// create makes a breaker and makes so many successful calls through it.
	create func(calls int) any

	// warm is how many calls bring it to the state it will stay in; a count
	// window must be full. 0 means 300.
	warm int
	// adaptive breakers have no open state. They refuse the more of the calls
	// the longer these have failed: so many calls before refusals are measured.
	adaptive int
	// overruns is set if it may refuse calls while closed because the machine
	// is busy. Such a sample is left out; for any other breaker it is a fault.
	overruns bool
	// sizeOnly is for a configuration that is there for its window size.
	sizeOnly bool
	// noMix is set if 1 % of consecutive failures of calls would open it.
	noMix bool
	// noCreate is set if a breaker cannot be let go of once made.
	noCreate bool
}

// instance is a breaker that is in use.
type instance struct {
	bind   func(work) call // gives the call that is measured
	done   func()          // to be done with it, or nil
	opened func() string   // why it opened, empty if it did not; nil if it does not tell
}

// lastOpening says why a breaker opened, with the numbers.
func lastOpening(b *core.Breaker) string {
	for _, t := range slices.Backward(b.Snapshot().Transitions) {
		if t.To == core.Open {
			return t.Reason()
		}
	}
	return ""
}

// call makes one call through a breaker. It returns nil or errFailed if the
// call was admitted, any other error if it was refused.
type call func() error

// of makes a subject from how to build a breaker and how to call through it.
func of[T any](name string, build func() T, bind func(T, work) call) *subject {
	return &subject{
		name: name,
		fresh: func() instance {
			breaker := build()
			i := instance{bind: func(w work) call { return bind(breaker, w) }}
			if ours, ok := any(breaker).(*core.Breaker); ok {
				i.opened = func() string { return lastOpening(ours) }
			}
			return i
		},
		create: func(calls int) any {
			breaker := build()
			if calls > 0 {
				c := bind(breaker, succeeding)
				for range calls {
					_ = c() // closed: the closed scenarios check that it admits
				}
			}
			return breaker
		},
	}
}

// with applies an exception to s.
func (s *subject) with(change func(*subject)) *subject {
	change(s)
	return s
}

func sizeOnly(s *subject) { s.sizeOnly = true }

// subjects are all breakers in the order of the tables.
func subjects() []*subject {
	var all []*subject
	all = append(all, engine()...)
	all = append(all, gobreakers()...)
	all = append(all, failsafes()...)
	all = append(all, bytedances()...)
	all = append(all, classics()...)
	all = append(all, adaptives()...)
	all = append(all, hystrixGo())
	return all
}
