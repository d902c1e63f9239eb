package core

import (
	"context"
	"errors"
	"time"
)

// Permit is the right to make one call. It must be settled, once, with what
// became of the call; the first settlement wins and later ones do nothing. The
// idiom that covers every way out of a function, panic and [runtime.Goexit]
// included, is
//
//	p, err := gate.Allow(ctx)
//	if err != nil {
//		return err
//	}
//	defer p.Settle(ctx, core.Failure) // no effect once Done was called
//	err = call(ctx)
//	p.Done(ctx, err)
//
// A Permit may be settled by another goroutine than the one that asked for it,
// but not by two at once: where several may come first, a sync.Once or an
// atomic.Bool of theirs decides. A guard in the permit would cost every call
// more than the rest of its settlement.
//
// A Permit is a value and costs no allocation; do not copy it after it was
// returned, a copy does not know that the original was settled (go vet tells).
// The zero Permit may be settled and does nothing.
type Permit struct {
	// Four words and no more: that is what the compiler keeps in registers, and
	// half of what a permit costs. Phase and other are both set only in a permit of
	// a breaker and a limit.
	phase *phase // of the breaker that issued it
	other *composite
	start time.Duration // when it was issued, if timed or sampled
	meta  permitMeta
}

// permitMeta is what else there is of a permit, in one word.
type permitMeta struct {
	_     noCopy
	bits  flags  // the shard in the low byte, flags above
	probe uint32 // number in its phase, from 1; 0 is no probe
}

type flags uint32

const (
	shardMask flags = 1<<8 - 1
	timed     flags = 1 << 8 // start is set
	limited   flags = 1 << 9 // there is a CallTimeout
	settled   flags = 1 << 10
	stopped   flags = 1 << 11 // start is how long the call took
	sampled   flags = 1 << 12 // a limit wants to know how long the call takes; start is set

	sampleShift = 13 // what a limit keeps in a permit, see sampleFlags
)

func (p *Permit) has(f flags) bool { return p.meta.bits&f != 0 }

func (p *Permit) shard() uint8 { return uint8(p.meta.bits & shardMask) }

func (p *Permit) count() *counters { return p.phase.stats.Load().shard(p.shard()) }

// claim reports whether the caller is the first to settle.
func (p *Permit) claim() bool {
	first := !p.has(settled)
	p.meta.bits |= settled
	return first
}

// Move moves the permit: the one returned has to be settled in p's place, which
// counts as settled from now on. It is how a permit gets into a struct that
// outlives the function that asked for it.
func (p *Permit) Move() Permit {
	bits := p.meta.bits
	p.meta.bits |= settled
	return Permit{phase: p.phase, other: p.other, start: p.start, meta: permitMeta{bits: bits, probe: p.meta.probe}}
}

// Probe reports whether the call is one of the few that decide about a breaker
// that is half-open. Such a permit holds one of few places until it is settled or
// ProbeTimeout has passed.
func (p *Permit) Probe() bool {
	if p.other != nil && p.phase == nil {
		for i := range p.other.parts {
			if p.other.parts[i].Probe() {
				return true
			}
		}
		return false
	}
	return p.meta.probe > 0
}

// ResponseStarted ends the time that the call is said to have taken, though it is
// settled later: when a response has begun, say, that is yet to be read.
func (p *Permit) ResponseStarted() {
	switch {
	case p.has(settled) || p.has(stopped):
	case p.has(timed | sampled):
		p.start = p.took(p.now())
		p.meta.bits |= stopped
	case p.other != nil:
		for i := range p.other.parts {
			p.other.parts[i].ResponseStarted()
		}
	}
}

// took is how long the call took, if that is known, when it is settled at now.
func (p *Permit) took(now time.Duration) time.Duration {
	if p.has(stopped) {
		return p.start
	}
	return max(now-p.start, 0) // Waited may have moved the start past now
}

// noCopy makes go vet report copies.
type noCopy struct{}

func (*noCopy) Lock() {}

func (*noCopy) Unlock() {}

// result is what a settlement says about a call.
type result struct {
	outcome  Outcome // 0: to be classified from err
	err      error
	after    time.Duration // the dependency's own "not before", 0 if none
	timedOut bool          // the call outlived its CallTimeout
	reason   string        // the text of err, once it opens a breaker
}

// Settle reports the outcome. Anything but [Success] and [Ignored] is a [Failure].
func (p *Permit) Settle(ctx context.Context, o Outcome) {
	if !p.claim() {
		return
	}
	switch {
	case p.phase == nil || p.other != nil:
		p.report(ctx, &result{outcome: o.known()})
	case o == Success && p.changesNoWord():
		p.count().successes.Add(1)
	default: // what report does, a call nearer
		p.phase.breaker.settle(ctx, p, &result{outcome: o.known()})
	}
}

// changesNoWord reports whether a success of a permit of a breaker is settled by its
// count alone: see invariant 4 of tally. Only a closed phase with a count window is
// ever healthy.
func (p *Permit) changesNoWord() bool {
	return !p.has(timed) && p.phase.tally.read().healthy() && p.phase.breaker.settings.Load().quick
}

// abandon is the Settle as a failure that Do defers; it is all but always too
// late, and small so that this costs little.
func (p *Permit) abandon(ctx context.Context) {
	if !p.has(settled) {
		p.Settle(ctx, Failure)
	}
}

// Done classifies err, with ctx the caller's, and settles. It uses the
// breaker's Classify; a permit of another gate uses [DefaultClassify]. An err
// made by [RetryAfter] sets how long the breaker stays open, if this opens it.
func (p *Permit) Done(ctx context.Context, err error) {
	if err == nil && p.trivial() {
		p.Settle(ctx, Success)
		return
	}
	if p.has(settled) {
		return // without asking Classify
	}
	if p.other != nil && p.other.limit != nil {
		p.doneLimited(ctx, err)
		return
	}
	v := result{err: err}
	if p.phase != nil {
		v = p.phase.breaker.classify(ctx, err) // may panic: then the permit is not settled yet
	}
	p.settle(ctx, v)
}

// trivial reports whether no error is a success, without asking a Classify.
func (p *Permit) trivial() bool {
	return p.phase != nil && p.other == nil && p.phase.breaker.settings.Load().Classify == nil
}

// Report is Settle with what there is to say of it: err is told to Hooks and
// log, and of a [Failure] it may say when to come back ([RetryAfter]). It
// is not classified.
func (p *Permit) Report(ctx context.Context, o Outcome, err error) {
	v := result{outcome: o.known(), err: err}
	if v.outcome == Failure && err != nil {
		v.after, v.timedOut = max(askedFor(err), 0), errors.Is(err, context.DeadlineExceeded)
	}
	p.settle(ctx, v)
}

// timedOut settles a call that outlived its CallTimeout.
func (p *Permit) timedOut(ctx context.Context, err error) {
	p.settle(ctx, result{outcome: Failure, err: err, after: max(askedFor(err), 0), timedOut: true})
}

func (p *Permit) settle(ctx context.Context, v result) {
	if p.claim() {
		p.report(ctx, &v)
	}
}

func (p *Permit) report(ctx context.Context, v *result) {
	switch {
	case p.other != nil && p.other.limit != nil:
		p.deliverLimited(ctx, *v, 0)
	case p.phase != nil:
		p.phase.breaker.settle(ctx, p, v)
	case p.other != nil:
		p.other.settle(ctx, *v)
	}
}

// timeout is the CallTimeout that Do applies, or 0.
func (p *Permit) timeout() time.Duration {
	switch {
	case p.phase != nil:
		return p.phase.breaker.settings.Load().CallTimeout
	case p.other != nil:
		return p.other.timeout
	}
	return 0
}

// Waited takes d off the time that the call is said to have taken: what its holder
// has spent waiting for its own caller says nothing about the dependency. It may be
// called several times before the permit is settled; what is taken off in excess of
// the time so far makes it zero. Zero or less does nothing.
func (p *Permit) Waited(d time.Duration) {
	switch {
	case d <= 0 || p.has(settled):
	case p.has(stopped):
		p.start = max(p.start-d, 0)
	case p.has(timed | sampled):
		p.start += d
	case p.other != nil:
		for i := range p.other.parts {
			p.other.parts[i].Waited(d)
		}
	}
}
