package core

import (
	"math"
	"time"
)

// adaptation computes an adaptive limit from the calls that have ended. It is
// sequential: Limit.mu guards it.
//
// It compares the mean latency of a window of calls with the base latency, the
// one without a queue. The latency alone does not tell a queue, which fewer calls
// at once make shorter, from a dependency that has become slower, which they do
// not help. So each cut of the limit is an experiment: a cut after which calls are
// about as slow as before is undone, and the latency is the new base.
type adaptation struct {
	least, most, initial, tolerance float64

	limit float64 // calls in flight, from least to most
	base  float64 // latency without a queue, in seconds; 0 until the first window
	mean  float64 // latency of the last window, in seconds; 0 until the first
	fast  bool    // grow by half a window, until latency says stop

	window   sampleWindow
	trial    trial         // the running experiment, if trial.limit > 0
	dip      float64       // the limit to return to after a window at half of it; 0 if there is none
	settled  time.Duration // since when the limit has been used up and no experiment has been judged
	cuts     uint64
	undone   uint64
	cutAt    time.Duration // of the last cut
	judgment judgment      // of the last cut
}

// trial is what was true before a cut.
type trial struct{ limit, mean, inFlight float64 }

// judgment is what an experiment has shown.
type judgment uint8

const (
	notJudged judgment = iota
	saysNothing
	helped
	didNotHelp
)

const (
	windowLeast    = 100 * time.Millisecond // a window lasts at least as long, and twice the base latency
	windowMost     = 10 * time.Second       // after which a window ends with few calls
	windowCalls    = 30
	windowFewCalls = 10  // after windowMost
	windowSpread   = 100 // calls for each unit of the squared coefficient of variation: the mean is known to 10 %

	lateShare   = 0.1 // of calls that ran into their deadline, from which the limit is cut at once
	lateCut     = 0.7
	deepCut     = 0.7 // of the limit before the experiment: what is deep enough to be judged
	baseFall    = 0.2
	baseRise    = 0.02
	unusedFall  = 0.02
	cutMost     = 0.5
	stuck       = 0.6 // a gradient below this says that cutting has not helped for some time
	fastGrowth  = 1.5
	dipEvery    = 30 * time.Second
	dipSoon     = 5 * time.Second // while stuck
	dipTo       = 0.5
	sameLoad    = 0.85 // of the calls in flight before: so little less shows nothing
	queueShrank = 0.1  // elasticity of latency to load: 1 for a queue of ours, 0 for a slower dependency
)

// sampleWindow sums up the calls that were admitted in it and have ended.
type sampleWindow struct {
	opened                 time.Duration
	calls, late            int
	sum, squares, inFlight float64 // latencies in seconds
	peak                   float64 // most calls in flight
	admitted, refused      uint64  // the limit's counts when it opened
}

// sample is a call that has ended, and was admitted in the present window: others
// tell nothing about the present limit.
type sample struct {
	took     time.Duration
	inFlight uint64 // when it was admitted, with the call itself
	outcome  Outcome
	late     bool // it ran into its deadline
}

// add counts the call, and reports whether it counts. Failures that are faster
// than calls usually are tell nothing about capacity, and must not pass for health.
func (a *adaptation) add(s sample) bool {
	w, took := &a.window, s.took.Seconds()
	switch {
	case s.outcome == Ignored:
		return false
	case s.outcome == Failure && (took < a.base || a.base == 0 && !s.late):
		return false
	}
	w.calls++
	if s.late {
		w.late++
	}
	w.sum += took
	w.squares += took * took
	w.inFlight += float64(s.inFlight)
	w.peak = max(w.peak, float64(s.inFlight))
	return true
}

// due reports whether the window has lasted as long as it has to.
func (a *adaptation) due(now time.Duration) bool {
	return now-a.window.opened >= windowLeast && (now-a.window.opened).Seconds() >= 2*a.base
}

// complete reports whether the window holds enough calls.
func (a *adaptation) complete(now time.Duration) bool {
	w := &a.window
	if now-w.opened >= windowMost && w.calls >= windowFewCalls {
		return true
	}
	spread := 0.0
	if w.sum > 0 {
		spread = max(w.squares*float64(w.calls)/(w.sum*w.sum)-1, 0)
	}
	return w.calls >= windowCalls && float64(w.calls) >= windowSpread*spread
}

// restart opens the next window.
func (a *adaptation) restart(now time.Duration, admitted, refused uint64) {
	a.window = sampleWindow{opened: now, admitted: admitted, refused: refused}
}

// end ends the window, moves the limit and opens the next window.
func (a *adaptation) end(now time.Duration, admitted, refused uint64) {
	w := a.window
	a.restart(now, admitted, refused)
	n := float64(w.calls)
	a.mean = max(w.sum/n, 1e-9) // a clock may be too coarse to tell
	if a.base == 0 {
		a.base = a.mean
	}
	load := w.inFlight / n
	limited := refused != w.refused || w.peak > a.limit/2
	switch {
	case limited && float64(w.late) > lateShare*n:
		a.endDip()
		a.trial, a.fast, a.settled = trial{}, false, now
		a.cut(now, a.limit*lateCut)
		a.judgment = saysNothing
	case a.dip > 0:
		a.judge(load)
		a.endDip()
		a.trial, a.settled = trial{}, now
	case !limited:
		a.idle(w.peak)
		a.trial, a.settled = trial{}, now
	default:
		a.follow(now, load)
	}
}

// idle moves the limit of a window that has not used it up.
func (a *adaptation) idle(peak float64) {
	if a.mean < a.base {
		a.base += (a.mean - a.base) * baseFall
	} else {
		a.base += (a.mean - a.base) * baseRise
	}
	if enough := max(a.initial, 2*peak); a.limit > enough {
		a.set(a.limit + (enough-a.limit)*unusedFall)
	}
}

// follow moves the limit of a window that has used it up.
func (a *adaptation) follow(now time.Duration, load float64) {
	if a.mean < a.base {
		a.base += (a.mean - a.base) * baseFall
	}
	if a.trial.limit > 0 && a.limit <= deepCut*a.trial.limit {
		if a.judge(load) == didNotHelp {
			a.limit = a.trial.limit
		}
		a.trial, a.settled = trial{}, now
	}
	before := a.limit
	gradient := min(max(a.tolerance*a.base/a.mean, cutMost), 1)
	a.fast = a.fast && gradient == 1
	if a.fast {
		a.set(before * fastGrowth)
	} else {
		a.set(before*gradient + math.Sqrt(before))
	}
	if a.limit >= before {
		a.trial = trial{}
	} else {
		if a.trial.limit == 0 {
			a.trial = trial{before, a.mean, load}
		}
		a.noteCut(now)
	}
	every := dipEvery
	if gradient < stuck {
		every = dipSoon
	}
	if now-a.settled > every && a.trial.limit == 0 && a.limit > 2*a.least {
		a.dip, a.trial = a.limit, trial{a.limit, a.mean, load}
		a.cut(now, a.limit*dipTo)
	}
}

// judge finds out what the running experiment has shown, and moves the base. N
// calls in flight are compared, not the limits: one that does not bind proves
// nothing.
func (a *adaptation) judge(load float64) judgment {
	a.judgment = saysNothing
	if load > sameLoad*a.trial.inFlight {
		return a.judgment
	}
	elasticity := math.Log(a.trial.mean/a.mean) / math.Log(a.trial.inFlight/load)
	if elasticity >= queueShrank {
		a.judgment = helped
		a.base = min(a.base, (a.base+a.mean)/2)
		return a.judgment
	}
	a.judgment = didNotHelp
	a.undone++
	if a.mean > a.base {
		a.fast = a.mean > a.tolerance*a.base
		a.base = a.mean
	}
	return a.judgment
}

func (a *adaptation) endDip() {
	if a.dip > 0 {
		a.set(a.dip)
		a.dip = 0
	}
}

func (a *adaptation) cut(now time.Duration, to float64) {
	a.set(to)
	a.noteCut(now)
}

func (a *adaptation) noteCut(now time.Duration) {
	a.cuts++
	a.cutAt, a.judgment = now, notJudged
}

func (a *adaptation) set(limit float64) { a.limit = min(max(limit, a.least), a.most) }
