package core

import (
	"context"
	"sync/atomic"
	"time"
)

// Permit is the right to make one call. It must be settled, once, with what
// became of the call; the first settlement wins and later ones do nothing,
// also from another goroutine. The idiom that covers every way out of a
// function, panic and [runtime.Goexit] included, is
//
//	p, err := gate.Allow(ctx)
//	if err != nil {
//		return err
//	}
//	defer p.Settle(ctx, core.Failure) // no effect once Done was called
//	err = call(ctx)
//	p.Done(ctx, err)
//
// A Permit is a value and costs no allocation; do not copy it after it was
// returned, a copy does not know that the original was settled (go vet tells).
// The zero Permit may be settled and does nothing.
type Permit struct {
	_ noCopy

	phase   *phase        // of the breaker that issued it; nil: another gate's, or inert
	start   time.Duration // when it was issued, if timed
	timeout time.Duration // the CallTimeout that Do applies
	parts   []Permit      // of a gate made by All
	relay   func(context.Context, Outcome)
	probe   uint32 // the probe's number in its phase, from 1; 0 is no probe
	shard   uint8
	timed   bool
	settled atomic.Bool
}

// noCopy makes go vet report copies.
type noCopy struct{}

func (*noCopy) Lock()   {}
func (*noCopy) Unlock() {}

// NewPermit returns a permit of a gate that is not a breaker: settle is called
// with the outcome, at most once. A nil settle makes a permit that does nothing.
func NewPermit(settle func(ctx context.Context, o Outcome)) Permit {
	return Permit{relay: settle}
}

// verdict is what a settlement says about a call.
type verdict struct {
	outcome  Outcome // 0: to be classified from err
	err      error
	after    time.Duration // the dependency's own "not before", 0 if none
	timedOut bool          // the call outlived its CallTimeout
}

// Settle reports the outcome. Anything but [Success] and [Ignored] is a [Failure].
func (p *Permit) Settle(ctx context.Context, o Outcome) {
	if p.settled.Swap(true) {
		return
	}
	p.deliver(ctx, verdict{outcome: o.known()})
}

// Done classifies err, with ctx the caller's, and settles. It uses the
// breaker's Classify; a permit of another gate uses [DefaultClassify]. An err
// made by [RetryAfter] sets how long the breaker stays open, if this opens it.
func (p *Permit) Done(ctx context.Context, err error) {
	if p.settled.Load() {
		return // without asking Classify, which may be costly or have effects
	}
	if p.phase != nil {
		v := p.phase.breaker.classify(ctx, err)
		if p.settled.Swap(true) {
			return
		}
		p.deliver(ctx, v)
		return
	}
	if p.settled.Swap(true) {
		return
	}
	p.deliver(ctx, verdict{err: err})
}

// RetryAfter settles the call as a [Failure] that says when to come back, as
// Done with a [RetryAfter] error does, for an answer that is no error.
func (p *Permit) RetryAfter(ctx context.Context, d time.Duration) {
	if p.settled.Swap(true) {
		return
	}
	p.deliver(ctx, verdict{outcome: Failure, after: d})
}

// overran settles a call that outlived its CallTimeout.
func (p *Permit) overran(ctx context.Context, err error) {
	if p.settled.Swap(true) {
		return
	}
	p.deliver(ctx, verdict{outcome: Failure, err: err, after: askedFor(err), timedOut: true})
}

func (p *Permit) deliver(ctx context.Context, v verdict) {
	switch {
	case p.phase != nil:
		p.phase.breaker.settle(ctx, p, v)
	case p.parts != nil:
		for i := range p.parts {
			p.parts[i].pass(ctx, v)
		}
	case p.relay != nil:
		if v.outcome == 0 {
			v.outcome = DefaultClassify(ctx, v.err)
		}
		p.relay(ctx, v.outcome)
	}
}

// pass hands a composite permit's verdict to one of its parts, which classifies
// for itself.
func (p *Permit) pass(ctx context.Context, v verdict) {
	if v.outcome == 0 {
		p.Done(ctx, v.err)
		return
	}
	if !p.settled.Swap(true) {
		p.deliver(ctx, v)
	}
}
