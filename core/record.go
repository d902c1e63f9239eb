package core

import (
	"context"
	"time"
)

// Record counts a call that was made elsewhere, without a permit: what became of
// it, the error that it returned, if any, and how long it took. An error may say
// when to come back, see [RetryAfter]; it is not classified, and an outcome that is
// not one of the constants is a [Failure].
//
// A call that is recorded counts as if it had been admitted: in a closed breaker
// for the rules, in a half-open one as a probe if a place is free. A call that began
// before the stay in that state did, by the time that it is said to have taken, and any
// call while the breaker is open are late: they are in the totals and change nothing
// else. While the breaker is [Disabled] it is not counted. Record refuses nothing and calls no
// Hooks.Probe. A negative time is zero. A nil ctx is [context.Background]; hooks are
// given it. A nil or zero Breaker records nothing.
func (b *Breaker) Record(ctx context.Context, o Outcome, err error, took time.Duration) {
	if !b.made() {
		return
	}
	ctx, took = background(ctx), max(took, 0)
	s := b.settings.Load()
	if s.override == Disabled {
		return
	}
	p := b.recorded(ctx, s, took)
	p.start, p.meta.bits = took, p.meta.bits|timed|stopped
	p.Report(ctx, o, err)
}

// recorded returns the permit that a call which ends now would have had.
func (b *Breaker) recorded(ctx context.Context, s *settings, took time.Duration) Permit {
	b.advance(ctx)
	ph := b.phase.Load()
	now, probe := time.Duration(1), uint32(0) // not zero, so that permit reads no clock
	switch {
	case ph.state == Open, ph.since > 0 && b.now()-took < ph.since:
		over := b.newPhase(Closed, NoCause, 0) // one that has ended
		over.tally.Store(uint64(sealed))
		over.stay = new(stay)
		return b.permit(s, over, now, 0)
	case ph.state == HalfOpen:
		now, probe = b.probe(ctx, ph)
	}
	return b.permit(s, ph, now, probe)
}
