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
		if h := st.durations.Load(); h != nil {
			h.add(now, p.shard(), Success, length)
		}
	} else if p.phase.buckets != nil {
		now = b.now()
	}
	c := st.shard(p.shard())
	if b.settleClosed(nil, nil, p, now, 0, nil) { //nolint:staticcheck // a success opens nothing: no context, settings or result
		c.late.Add(1)
	}
	c.successes.Add(1)
	return true
}

// settle counts what became of the call of p, a permit of this breaker.
func (b *Breaker) settle(ctx context.Context, p *Permit, v result) {
	s, st := b.settings.Load(), p.phase.stats.Load()
	settlement := Settlement{Name: b.name, Outcome: v.outcome, Err: v.err, Probe: p.meta.probe > 0, TimedOut: v.timedOut && v.outcome == Failure}

	var now time.Duration
	if p.has(timed) || p.phase.buckets != nil || s.History > 0 || s.RecentCalls > 0 {
		now = b.now()
	}
	if p.has(timed) {
		settlement.Duration = max(p.took(now), 0)
		settlement.Slow = v.outcome != Ignored && s.isSlow(settlement.Duration)
	}

	var m mark
	if v.outcome == Failure {
		m |= markFailed
	}
	if settlement.Slow {
		m |= markSlow
	}
	switch p.phase.state {
	case HalfOpen:
		if p.meta.probe > 0 {
			settlement.Late = b.settleProbe(ctx, p, v, m)
		}
	case Closed:
		if v.outcome != Ignored {
			settlement.Late = b.settleClosed(ctx, s, p, now, m, &v)
		} else {
			settlement.Late = b.ended(p.phase)
		}
	case Open: // let through by Shadow
	}

	b.count(st, p, &settlement, now)
	if s.Hooks.Settled != nil {
		kept := settlement // so that settlement itself stays on the stack
		b.ledgerOf().queueEvent(event{ctx: background(ctx), settled: &kept})
	}
	b.deliver()
}

// count adds a settlement to the totals.
func (b *Breaker) count(st *stats, p *Permit, settlement *Settlement, now time.Duration) {
	if h := st.history.Load(); h != nil {
		h.roll(st, now)
		if settlement.Outcome != Ignored {
			h.length.Add(uint64(max(settlement.Duration, 0)))
		}
	}
	if h := st.durations.Load(); h != nil && p.has(timed) && settlement.Outcome != Ignored {
		h.add(now, p.shard(), settlement.Outcome, settlement.Duration)
	}
	if r := st.recent.Load(); r != nil {
		if now == 0 { // an Update has just asked for it
			now = b.now()
		}
		r.add(now, settlement)
	}
	c := p.count()
	if settlement.Late {
		c.late.Add(1)
	}
	if settlement.Slow {
		c.slow.Add(1)
	}
	switch settlement.Outcome {
	case Success:
		c.successes.Add(1)
	case Ignored:
		c.ignored.Add(1)
	case Failure:
		if settlement.TimedOut {
			c.timeouts.Add(1)
		}
		c.failures.Add(1)
	}
}

// settleClosed credits a call to the window and the streak of the closed phase
// that admitted it, and opens the breaker if that breaks a rule. It reports
// whether the phase had ended.
func (b *Breaker) settleClosed(ctx context.Context, s *settings, p *Permit, now time.Duration, m mark, v *result) (late bool) {
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
