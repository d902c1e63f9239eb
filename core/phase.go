package core

import (
	"sync/atomic"
	"time"
)

// phase is one stay in one state. Permits hold the phase that issued them, so
// whatever they report late falls into a phase that is not looked at any more.
//
// The current phase is Breaker.phase. It is replaced under Breaker.mu only,
// which also queues the event, so events have the order of the transitions.
// Everything here is immutable once published, except:
//
//   - stats, set once;
//   - tally, of a closed phase: see there;
//   - the window's contents: see ring and buckets;
//   - half, of a half-open phase: guarded by Breaker.mu, but for half.full;
//   - ramp, whose word changes by compare-and-swap and which goes when it has ended or Update switches it off;
//   - reported, an atomic flag.
type phase struct {
	breaker *Breaker
	stats   atomic.Pointer[stats] // the breaker's, handed from phase to phase; nil until the first call
	state   State
	cause   Cause // of the transition that began it
	// reported is set by the first refusal that is logged.
	reported atomic.Bool
	opens    int32         // openings without a close between
	calls    int32         // closed, count window: how many calls it holds
	draw     float32       // in [0, 1), spreads the break that follows this phase
	since    time.Duration // on the breaker's clock, as all times here
	until    time.Duration // open: the break is over; closed: the ramp is
	err      *OpenError    // what an open phase and a ramp refuse with
	reason   string        // open and half-open: the error that opened, see OpenError.Reason

	tally   tally    // closed
	ring    ring     // closed, count window
	buckets *buckets // closed, time window
	half    *half
	ramp    atomic.Pointer[ramp] // closed, until the ramp has ended
	stay    *stay                // closed
}

// stay is the time that a breaker is closed without a break, however often Update
// changes the shape of the window meanwhile, each time by a new phase: permits of
// the old ones settle in the current one, and keep none between them alive.
type stay struct {
	current *phase // nil once the stay has ended; guarded by Breaker.mu
}
