package core

import (
	"context"
	"time"
)

// succeed settles a success of a quick permit, of a closed phase therefore, and
// runs no hook. It reports false, having done nothing, if the call was slow.
func (p *Permit) succeed() bool {
	b, st := p.phase.breaker, p.phase.stats.Load()
	var now time.Duration
	if p.has(timed) {
		now = b.now()
		length := p.took(now)
		if b.settings.Load().isSlow(length) {
			return false
		}
		if h := st.lengths.Load(); h != nil {
			h.add(now, p.shard(), Success, length)
		}
	} else if p.phase.buckets != nil {
		now = b.now()
	}
	c := st.shard(p.shard())
	if b.settleClosed(nil, nil, p, now, 0, nil) { //nolint:staticcheck // a success opens nothing: no context, settings or verdict
		c.late.Add(1)
	}
	c.successes.Add(1)
	return true
}

// settle counts what became of the call of p, a permit of this breaker.
func (b *Breaker) settle(ctx context.Context, p *Permit, v verdict) {
	s, st := b.settings.Load(), p.phase.stats.Load()
	told := Settlement{Name: b.name, Outcome: v.outcome, Err: v.err, Probe: p.notes.probe > 0, TimedOut: v.timedOut && v.outcome == Failure}

	var now time.Duration
	if p.has(timed) || p.phase.buckets != nil || s.History > 0 || s.RecentCalls > 0 {
		now = b.now()
	}
	if p.has(timed) {
		told.Duration = max(p.took(now), 0)
		told.Slow = v.outcome != Ignored && s.isSlow(told.Duration)
	}

	var m mark
	if v.outcome == Failure {
		m |= markFailed
	}
	if told.Slow {
		m |= markSlow
	}
	switch p.phase.state {
	case HalfOpen:
		if p.notes.probe > 0 {
			told.Late = b.settleProbe(ctx, p, v, m)
		}
	case Closed:
		if v.outcome != Ignored {
			told.Late = b.settleClosed(ctx, s, p, now, m, &v)
		} else {
			told.Late = b.ended(p.phase)
		}
	case Open: // let through by Shadow
	}

	b.count(st, p, &told, now)
	if s.Hooks.Settled != nil {
		kept := told // so that told itself stays on the stack
		b.ledgerOf().queueEvent(event{ctx: background(ctx), settled: &kept})
	}
	b.deliver()
}

// count adds a settlement to the totals.
func (b *Breaker) count(st *stats, p *Permit, told *Settlement, now time.Duration) {
	if h := st.history.Load(); h != nil {
		h.roll(st, now)
		if told.Outcome != Ignored {
			h.length.Add(uint64(max(told.Duration, 0)))
		}
	}
	if h := st.lengths.Load(); h != nil && p.has(timed) && told.Outcome != Ignored {
		h.add(now, p.shard(), told.Outcome, told.Duration)
	}
	if r := st.recent.Load(); r != nil {
		if now == 0 { // an Update has just asked for it
			now = b.now()
		}
		r.add(now, told)
	}
	c := p.count()
	if told.Late {
		c.late.Add(1)
	}
	if told.Slow {
		c.slow.Add(1)
	}
	switch told.Outcome {
	case Success:
		c.successes.Add(1)
	case Ignored:
		c.ignored.Add(1)
	case Failure:
		if told.TimedOut {
			c.timeouts.Add(1)
		}
		c.failures.Add(1)
	}
}

// settleClosed credits a call to the window and the streak of the closed phase
// that admitted it, and opens the breaker if that breaks a rule. It reports
// whether the phase had ended.
func (b *Breaker) settleClosed(ctx context.Context, s *settings, p *Permit, now time.Duration, m mark, v *verdict) (late bool) {
	ph := p.phase
	credited := false // to a time window
	for {
		w := ph.tally.read()
		perturb()
		if w.has(sealed) {
			if ph = b.successor(ph); ph == nil {
				return !credited
			}
			if ph.buckets != nil && now == 0 {
				now = b.now()
			}
			continue
		}

		var next word
		switch {
		case ph.buckets != nil:
			if !credited {
				if !ph.buckets.credit(now, p.shard(), m) {
					continue
				}
				credited = true
				continue // the streak as it is after, or a reading has neither
			}
			if m == 0 && !w.has(streakMask) {
				return false
			}
			next = w.withStreak(m)
		case credited: // the call went over with the window
			next = w.withStreak(m)
		default:
			if m == 0 && w.healthy() {
				return false
			}
			var fresh bool
			if next, fresh = ph.credit(w, m); !fresh {
				continue
			}
		}
		cause, counts := s.opens(ph, now, next, m)
		if cause == NoCause {
			if ph.tally.swap(w, next) {
				return false
			}
			continue
		}
		if b.open(ctx, ph, w, next, cause, counts, v) {
			return false
		}
	}
}

// successor returns the phase in which a sealed one goes on, or nil when the stay
// has ended. It waits until what sealed the phase is published.
func (b *Breaker) successor(ph *phase) *phase {
	b.mu.Lock()
	defer b.mu.Unlock()
	return ph.stay.current
}

// ended reports whether the stay that began with the closed phase ph has ended.
func (b *Breaker) ended(ph *phase) bool {
	for ph.tally.read().has(sealed) {
		if ph = b.successor(ph); ph == nil {
			return true
		}
	}
	return false
}

// settleProbe settles a probe, lost or not, and reports whether it was late.
func (b *Breaker) settleProbe(ctx context.Context, p *Permit, v verdict, m mark) (late bool) {
	if v.outcome == Failure {
		v.reason = reasonOf(v.err) // the user's code: not under the lock
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	ph := p.phase
	s, now := b.settings.Load(), b.now()
	b.advanceLocked(ctx, s, now)
	h := ph.half
	lost := h.wasLost(p.notes.probe)
	if lost {
		ph.stats.Load().astray.Add(-1)
	}
	b.recordLocked().probes.add(v.outcome)
	if b.phase.Load() != ph || !h.give(p.notes.probe) && !lost {
		return true
	}
	if m.slow() {
		h.slow++
	}
	switch {
	case v.outcome == Ignored:
		h.ignored(p.notes.probe, now)
		h.mark(now, s)
	case m.failed():
		h.failed++
		b.openLocked(ctx, s, now, CauseProbeFailed, h.counts(), &v)
	case m.slow() && s.SlowRateThreshold > 0:
		h.passed++
		b.openLocked(ctx, s, now, CauseProbeSlow, h.counts(), &v)
	default:
		h.passed++
		if h.passed >= s.SuccessThreshold {
			b.closeLocked(ctx, s, now, CauseProbesPassed, h.counts())
			break
		}
		h.waits, h.rounds = false, 0 // the dependency answers
		h.mark(now, s)
	}
	return false
}
