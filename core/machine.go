package core

import (
	"context"
	"time"
)

// open ends the closed phase ph by sealing the word next, which breaks a rule.
// It reports false if w is no longer the word.
func (b *Breaker) open(ctx context.Context, ph *phase, w, next word, cause Cause, counts Counts, v *verdict) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.now() // first: a clock of the user's may panic, and must not leave a sealed phase
	if !ph.tally.swap(w, next|sealed) {
		return false
	}
	perturb()
	b.openLocked(ctx, b.settings.Load(), now, cause, counts, v)
	return true
}

// advance makes every transition that time alone has brought about.
func (b *Breaker) advance(ctx context.Context) {
	b.mu.Lock()
	b.advanceLocked(ctx, b.settings.Load(), b.now())
	b.mu.Unlock()
	b.deliver()
}

// advanceLocked leaves the phase that a timer for each deadline would have
// brought about by now. It ends after three steps at most: a lost probe opens,
// that break may be over, and the half-open phase that follows has no probes.
func (b *Breaker) advanceLocked(ctx context.Context, s *settings, now time.Duration) {
	for {
		ph := b.phase.Load()
		switch ph.state {
		case Open:
			if now < ph.until {
				return
			}
			b.halfOpenLocked(ctx, ph.until, BreakOver)
			continue
		case HalfOpen:
			at, out := ph.half.lostAt(s)
			if !out || now < at {
				return
			}
			st := b.stats()
			if h := st.history.Load(); h != nil {
				h.roll(st, at)
			}
			lost := uint64(ph.half.lose(at, s))
			st.lost.Add(lost)
			b.recordLocked().probes.Failures += lost
			ph.half.failed++
			b.openLocked(ctx, s, at, ProbeLost, ph.half.counts(), &verdict{})
			continue
		case Closed:
		}
		return
	}
}

// openLocked publishes an open phase that begins at a time; v is what was said
// of the call that caused it.
func (b *Breaker) openLocked(ctx context.Context, s *settings, at time.Duration, cause Cause, counts Counts, v *verdict) {
	old := b.phase.Load()
	ph := b.newPhase(Open, cause, at)
	ph.opens = old.opens + 1
	ph.until = later(at, s.breakFor(int(ph.opens), float64(old.draw), v.after))
	ph.err = &OpenError{Name: b.name, State: Open, Cause: cause, RetryAt: b.epoch.Add(ph.until)}
	b.publish(ctx, ph, counts, v.err)
}

// halfOpenLocked publishes a half-open phase that begins at a time.
func (b *Breaker) halfOpenLocked(ctx context.Context, at time.Duration, cause Cause) {
	ph := b.newPhase(HalfOpen, cause, at)
	ph.opens = b.phase.Load().opens
	ph.half = &half{breaker: b}
	b.publish(ctx, ph, Counts{}, nil)
}

// closeLocked publishes a closed phase that begins at a time.
func (b *Breaker) closeLocked(ctx context.Context, s *settings, at time.Duration, cause Cause, counts Counts) {
	ph := b.newClosed(s, at, cause)
	if s.RampUp > 0 && cause == ProbesPassed {
		ph.until = later(at, s.RampUp)
		ph.err = &OpenError{Name: b.name, State: Closed, Cause: RampingUp, RetryAt: b.epoch.Add(ph.until)}
		ph.ramp.Store(new(ramp))
	}
	b.publish(ctx, ph, counts, nil)
}

// publish replaces the phase and queues the event; the caller delivers it once
// it has given the lock back. A phase that replaces one of the same state is
// not a transition.
func (b *Breaker) publish(ctx context.Context, ph *phase, counts Counts, err error) {
	old := b.phase.Load()
	b.phase.Store(ph)
	if old.state == ph.state {
		return
	}
	b.recordLocked().changed(old.state, ph.state, ph.cause, b.settings.Load().override, ph.since)
	t := &Transition{
		Name: b.name, From: old.state, To: ph.state, Cause: ph.cause,
		At: b.epoch.Add(ph.since), Opens: int(ph.opens), Counts: counts, Err: err,
	}
	if ph.state == Open {
		t.RetryAt = ph.err.RetryAt
	}
	b.book().queueEvent(event{ctx: background(ctx), transition: t})
}
