package core

import (
	"context"
	"time"
)

// Hooks are told what happened; each func may be nil.
//
// They run one at a time for a breaker and in the order of what they report,
// with no lock held: a hook may call the breaker, and what that causes is reported
// after it returned. A hook that panics is recovered, counted
// ([Snapshot.HookPanics]) and logged; one that calls [runtime.Goexit] ends the
// goroutine it runs on; neither loses a later event.
//
// A caller that finds no other running hooks runs them, its own and those that
// others queue meanwhile. It is held for 100 ms and the hook that is running at
// most: then a goroutine runs the rest and ends. At most 1024 events wait; what
// does not fit is dropped and counted ([Snapshot.EventsDropped]), events of calls
// before transitions. So count calls by Snapshot and not by hooks. A Refused or
// Settled hook costs each call an allocation or two and a lock.
type Hooks struct {
	// Transition is told of each change of state. Its ctx is that of the call
	// that caused or met it.
	Transition func(ctx context.Context, t Transition)
	// Refused is told of each refusal, and, in [Shadow], of each call that
	// would have been refused.
	Refused func(ctx context.Context, err *OpenError)
	// Probe is told of each probe that is let out, by the breaker's name. Its ctx
	// is that of the call.
	Probe func(ctx context.Context, name string)
	// Settled is told of each settlement.
	Settled func(ctx context.Context, s Settlement)
}

// Settlement is one settled call.
type Settlement struct {
	Name     string        // the breaker
	Seq      uint64        // numbers the settlements of a breaker, from 1; a gap was dropped
	Outcome  Outcome       //
	Err      error         // what the call returned, if the settler told
	Duration time.Duration // 0 unless Durations or SlowAfter is set
	Slow     bool          // it took longer than SlowAfter
	TimedOut bool          // it outlived its CallTimeout, or failed by a deadline
	Probe    bool          // it was a probe of a half-open breaker
	Late     bool          // the phase that issued the permit had ended
}
