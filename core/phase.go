package core

import (
	"context"
	"math/rand/v2"
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
//   - the window's contents: see countWindow and timeWindow;
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
	draw     float32       // in [0, 1), spreads the break that follows this phase
	since    time.Duration // on the breaker's clock, as all times here
	until    time.Duration // open: the break is over; closed: the ramp is
	err      *OpenError    // what an open phase and a ramp refuse with
	reason   string        // open and half-open: the error that opened, see OpenError.Reason

	tally  tally      // closed
	window callWindow // closed
	half   *half
	ramp   atomic.Pointer[ramp] // closed, until the ramp has ended
	stay   *stay                // closed
}

// stay is the time that a breaker is closed without a break, however often Update
// changes the shape of the window meanwhile, each time by a new phase: permits of
// the old ones settle in the current one, and keep none between them alive.
type stay struct {
	current *phase // nil once the stay has ended; guarded by Breaker.mu
}

// newPhase returns an unpublished phase.
func (b *Breaker) newPhase(state State, cause Cause, since time.Duration) *phase {
	ph := &phase{breaker: b, state: state, cause: cause, since: since, draw: rand.Float32()}
	if old := b.phase.Load(); old != nil {
		ph.stats.Store(old.stats.Load())
	}
	return ph
}

func (b *Breaker) newClosed(s *settings, since time.Duration, cause Cause) *phase {
	ph := b.newPhase(Closed, cause, since)
	ph.window.set(s.Window)
	ph.stay = new(stay)
	return ph
}

// open ends the closed phase ph by sealing the word next, which breaks a rule.
// It reports false if w is no longer the word.
func (b *Breaker) open(ctx context.Context, ph *phase, w, next word, cause Cause, counts Counts, v *result) bool {
	v.reason = reasonOf(v.err) // the user's code: not under the lock
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
	now := b.lock()
	b.advanceLocked(ctx, b.settings.Load(), now)
	b.mu.Unlock()
	b.deliver()
}

// advanceLocked leaves the phase that a timer for each deadline would have
// brought about by now, and counts the probes that are lost by then. It ends
// after two steps at most.
func (b *Breaker) advanceLocked(ctx context.Context, s *settings, now time.Duration) {
	for {
		ph := b.phase.Load()
		switch ph.state {
		case Open:
			if now < ph.until {
				return
			}
			b.halfOpenLocked(ctx, ph.until, CauseTimeoutElapsed)
			continue
		case HalfOpen:
			if lost := ph.half.lose(now, s); lost > 0 {
				st := b.stats()
				st.lost.Add(uint64(lost))
				st.lostOut.Add(int64(lost))
			}
		case Closed:
		}
		return
	}
}

// openLocked publishes an open phase that begins at a time; v is what was said
// of the call that caused it.
func (b *Breaker) openLocked(ctx context.Context, s *settings, at time.Duration, cause Cause, counts Counts, v *result) {
	old := b.phase.Load()
	ph := b.newPhase(Open, cause, at)
	ph.opens = old.opens + 1
	ph.until = later(at, s.breakFor(int(ph.opens), float64(old.draw), v.after))
	ph.reason = v.reason
	ph.err = &OpenError{Name: b.name, State: Open, Cause: cause, RetryAt: b.epoch.Add(ph.until), Reason: ph.reason}
	b.publish(ctx, ph, counts, v.err)
}

// halfOpenLocked publishes a half-open phase that begins at a time.
func (b *Breaker) halfOpenLocked(ctx context.Context, at time.Duration, cause Cause) {
	ph := b.newPhase(HalfOpen, cause, at)
	old := b.phase.Load()
	ph.opens, ph.reason = old.opens, old.reason
	ph.half = &half{breaker: b, opens: int(ph.opens), reason: ph.reason}
	b.publish(ctx, ph, Counts{}, nil)
}

// closeLocked publishes a closed phase that begins at a time.
func (b *Breaker) closeLocked(ctx context.Context, s *settings, at time.Duration, cause Cause, counts Counts) {
	ph := b.newClosed(s, at, cause)
	if s.RampUp > 0 && cause == CauseProbesPassed {
		ph.until = later(at, s.RampUp)
		ph.err = &OpenError{Name: b.name, State: Closed, Cause: CauseRampingUp, RetryAt: b.epoch.Add(ph.until)}
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
	if old.stay != nil && old.stay != ph.stay {
		old.stay.current = nil
	}
	if ph.stay != nil {
		ph.stay.current = ph
	}
	if old.state == ph.state {
		return
	}
	b.lifetimeLocked().countTransition(old.state, ph.state, ph.cause, b.settings.Load().override, ph.since)
	t := &Transition{
		Name: b.name, From: old.state, To: ph.state, Cause: ph.cause,
		At: b.epoch.Add(ph.since), Opens: int(ph.opens), Counts: counts, Err: err,
	}
	if ph.state == Open {
		t.RetryAt = ph.err.RetryAt
	}
	b.ledgerOf().queueEvent(event{ctx: background(ctx), transition: t})
}
