package core

import (
	"context"
	"time"
)

// settle counts what became of the call of p, a permit of this breaker.
func (b *Breaker) settle(ctx context.Context, p *Permit, v *result) {
	s, st := b.settings.Load(), p.phase.stats.Load()
	var now, took time.Duration
	if p.has(timed) || p.phase.window.byTime() || s.History > 0 || s.RecentCalls > 0 {
		now = b.now()
	}
	var m mark
	if v.outcome == Failure {
		m |= markFailed
	}
	if p.has(timed) {
		took = max(p.took(now), 0)
		if v.outcome != Ignored && s.isSlow(took) {
			m |= markSlow
		}
	}
	late := false
	switch p.phase.state {
	case HalfOpen:
		if p.meta.probe > 0 {
			late = b.settleProbe(ctx, p, v, m)
		}
	case Closed:
		if v.outcome != Ignored {
			late = b.settleClosed(ctx, s, p, now, m, v)
		} else {
			late = b.ended(p.phase)
		}
	case Open: // let through by Shadow
	}
	st.count(p, v, m, late, now, took)
	if !s.quick {
		b.tellSettled(ctx, s, p, v, m, late, now, took)
	}
	if b.ledger.Load() != nil { // else there is nothing to deliver
		b.deliver()
	}
}

// tellSettled records a settlement among the recent calls and queues its event.
func (b *Breaker) tellSettled(ctx context.Context, s *settings, p *Permit, v *result, m mark, late bool, now, took time.Duration) {
	settlement := Settlement{
		Name: b.name, Outcome: v.outcome, Err: v.err, Probe: p.meta.probe > 0, TimedOut: v.timedOut && v.outcome == Failure,
		Duration: took, Slow: m.slow(), Late: late,
	}
	if r := p.phase.stats.Load().recent.Load(); r != nil {
		if now == 0 { // an Update has just asked for it
			now = b.now()
		}
		r.add(now, &settlement)
	}
	if s.Hooks.Settled != nil {
		kept := settlement // so that settlement itself stays on the stack
		b.ledgerOf().queueEvent(event{ctx: background(ctx), settled: &kept})
	}
}

// count adds a settlement to the totals, the history and the durations.
func (s *stats) count(p *Permit, v *result, m mark, late bool, now, took time.Duration) {
	if h := s.history.Load(); h != nil {
		h.roll(s, now)
		if v.outcome != Ignored {
			h.length.Add(uint64(took))
		}
	}
	if h := s.durations.Load(); h != nil && p.has(timed) && v.outcome != Ignored {
		h.add(now, p.shard(), v.outcome, took)
	}
	c := s.shard(p.shard())
	if late {
		c.late.Add(1)
	}
	if m.slow() {
		c.slow.Add(1)
	}
	switch v.outcome {
	case Success:
		c.successes.Add(1)
	case Ignored:
		c.ignored.Add(1)
	case Failure:
		if v.timedOut {
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
	credited := false // to a time window, and with it to what follows it
	for {
		w := ph.tally.read()
		perturb()
		if w.has(sealed) {
			if ph = b.successor(ph); ph == nil {
				return !credited
			}
			if ph.window.byTime() && now == 0 {
				now = b.now()
			}
			continue
		}

		next := w.withStreak(m)
		if !credited {
			var ok bool
			if next, credited, ok = ph.window.credit(&ph.tally, w, now, p.shard(), m); !ok {
				continue // the streak as it is after the credit, or a reading has neither
			}
		}
		if m == 0 && next == w {
			return false
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
