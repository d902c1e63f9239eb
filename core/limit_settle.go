package core

import (
	"context"
	"errors"
	"time"
)

// sample counts a call that was timed, and moves the limit if it completes a
// window. The outcome of v may be unknown yet.
func (l *Limit) sample(ctx context.Context, p *Permit, v *result) {
	smp := sample{took: p.took(p.now()), inFlight: p.meta.bits.sampleLoad(), outcome: v.outcome}
	if smp.outcome == 0 {
		smp.outcome = l.classify(ctx, v.err)
	}
	if smp.outcome == Ignored {
		return
	}
	smp.late = v.timedOut || ctx != nil && ctx.Err() == context.DeadlineExceeded ||
		v.err != nil && errors.Is(v.err, context.DeadlineExceeded)
	now := l.now()

	l.mu.Lock()
	l.sampleLocked(ctx, smp, p.meta.bits.sampleWindow(), now)
	l.mu.Unlock()
	l.queue.Deliver((*limitHandler)(l)) // costs a load if there is nothing
}

func (l *Limit) sampleLocked(ctx context.Context, smp sample, window uint64, now time.Duration) {
	a, t := &l.adapt, terms(l.terms.Load())
	if window != t.window()&sampleWindowMask || smp.took > now-a.window.opened || t&untimed != 0 || !a.add(smp) || !a.due(now) {
		return // the number of the window wraps, so the time decides too
	}
	admitted := l.admittedLocked()
	shift := timedOf(admitted - a.window.admitted)
	if !a.complete(now) {
		if shift < t.shift() { // calls have become few
			l.terms.Store(uint64(t&^(terms(1<<timedBits-1)<<timedShift) | terms(shift)<<timedShift))
		}
		return
	}
	before := a.limit
	refused := l.refused()
	a.end(now, admitted, refused.total())
	l.publish(shift)
	l.changedLocked(ctx, now, before)
}

func (l *Limit) classify(ctx context.Context, err error) Outcome {
	classify := l.settings.Load().Classify
	if classify == nil {
		return DefaultClassify(ctx, err)
	}
	return classify(background(ctx), err).known()
}

func (l *Limit) admittedLocked() uint64 {
	_, admitted := l.places.read()
	return l.totals.add(admitted)
}

// refused returns how many calls were refused.
func (l *Limit) refused() RefusedCalls {
	var r RefusedCalls
	for i := range l.refusals {
		r.Normal += l.refusals[i].normal.Load()
		r.Low += l.refusals[i].low.Load()
	}
	return r
}
