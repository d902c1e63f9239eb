package core

import (
	"context"
	"slices"
	"sync/atomic"
	"time"
)

// half is what a half-open phase counts. It is guarded by Breaker.mu: there are
// a few probes to a break, so a lock costs nothing that a caller would notice.
// The crowd that meets a half-open breaker is refused without it, by full.
//
// A probe that is out for ProbeTimeout is lost: its place is free again, for a
// call that never returns must not keep the breaker half-open for ever. But a
// dependency that takes longer than that may be well, so the phase goes on and
// still takes the outcome of a lost probe. After a loss the phase waits: one
// further probe goes out each Timeout, or at once if the last was ignored, until one
// succeeds. At most maxOut are out, lost ones included; then no further one goes out
// until one is settled, or until the oldest has been out for so long that it is given
// up.
type half struct {
	// full is set while no probe can go out. A settlement that ends the phase
	// leaves it alone, for it is read without the lock: in between it would tell of
	// a free place, or of a wait, that there never was.
	full atomic.Pointer[fullUntil]

	breaker *Breaker
	opens   int     // of the phase
	reason  string  // of the opening, for the refusals
	probes  []probe // out and not lost, in the order they were issued
	lost    []probe // lost and awaited, in the same order
	issued  uint32
	passed  int // successful
	failed  int // 0 or 1: the first ends the phase
	slow    int

	waits    bool          // since a loss, until a success
	next     time.Duration // while it waits: when a further probe may go out
	rounds   int           // further probes since it waits
	lostUpTo uint32        // no probe up to that number is in probes: they are settled or were lost
}

type probe struct {
	number uint32
	issued time.Duration
}

// maxOut is how many probes of a phase are out at most, those that are lost
// included.
func (s *settings) maxOut() int { return 2 * s.HalfOpenMaxCalls }

// awaited is how long a lost probe keeps a newer one from going out.
func (s *settings) awaited() time.Duration { return max(s.MaxTimeout, defaultMaxTimeout) }

// retryWait is how long the phase waits before it lets out a further probe: as
// long as if the lost probe had opened the breaker, without jitter.
func (h *half) retryWait(s *settings) time.Duration {
	const middle = 0.5
	return s.breakFor(h.opens+1+h.rounds, middle, 0)
}

// issue takes a place and returns the probe's number; 0 when none is free.
func (h *half) issue(now time.Duration, s *settings) uint32 {
	if len(h.probes) >= s.HalfOpenMaxCalls || now < h.nextAt(0, s) {
		if !h.full.Load().holds(now) { // the clock was set back
			h.updateFull(now, s)
		}
		return 0
	}
	if n := len(h.probes) + len(h.lost) - s.maxOut(); n >= 0 {
		h.lost = slices.Delete(h.lost, 0, n+1) // they are old enough, see nextAt
	}
	h.issued++
	h.probes = append(h.probes, probe{h.issued, now})
	if h.waits {
		h.rounds++
		h.next = later(now, h.retryWait(s))
	}
	h.updateFull(now, s)
	return h.issued
}

// release frees the place of a probe that is out or lost; it reports false for one that is
// no longer awaited. If the phase goes on, updateFull has to follow.
func (h *half) release(number uint32) bool {
	for _, out := range []*[]probe{&h.probes, &h.lost} {
		if i := slices.IndexFunc(*out, func(p probe) bool { return p.number == number }); i >= 0 {
			*out = slices.Delete(*out, i, i+1)
			return true
		}
	}
	return false
}

// ignored takes note that a probe, which was given back, has said nothing. If it was
// the newest one since a loss, it has used up no wait either: else one call after the
// other that says nothing could keep all others waiting.
func (h *half) ignored(number uint32, now time.Duration) {
	newest := len(h.probes) == 0 || h.probes[len(h.probes)-1].number < number
	if h.rounds > 0 && newest && !h.wasLost(number) {
		h.next, h.rounds = now, h.rounds-1
	}
}

// wasLost reports whether a probe that is being settled was lost before.
func (h *half) wasLost(number uint32) bool { return number <= h.lostUpTo }

// fullUntil is a time in which no probe can go out, and the error that calls are
// refused with in it. A caller whose reading of the clock is older than that asks
// under the lock.
type fullUntil struct {
	from, until time.Duration
	err         *OpenError
}

// holds reports whether no probe can go out at a time.
func (o *fullUntil) holds(now time.Duration) bool { return o != nil && o.from <= now && now < o.until }

// updateFull sets full after a change, at now, of the probes or of the limits.
func (h *half) updateFull(now time.Duration, s *settings) {
	full := fullUntil{from: now, until: h.nextAt(0, s)}
	cause, retry := CauseProbeLost, full.until
	if len(h.probes) >= s.HalfOpenMaxCalls {
		full.until, cause = later(h.probes[0].issued, s.ProbeTimeout), CauseProbesOut
		retry = max(retry, full.until)
	}
	if full.until <= now {
		h.full.Store(nil)
		return
	}
	full.err = &OpenError{Name: h.breaker.name, State: HalfOpen, Cause: cause, RetryAt: h.breaker.epoch.Add(retry), Reason: h.reason}
	h.full.Store(&full)
}

// lostBy returns how many probes are lost at a time, beyond those in lost.
func (h *half) lostBy(at time.Duration, s *settings) (n int) {
	for n < len(h.probes) && later(h.probes[n].issued, s.ProbeTimeout) <= at {
		n++
	}
	return n
}

// retryAt is nextAt as it is told: once there is a wait, the next probe needs a place
// too, which is free when the oldest of the others is lost at the latest.
func (h *half) retryAt(n int, s *settings) time.Duration {
	at := h.nextAt(n, s)
	if out := h.probes[n:]; at > 0 && len(out) >= s.HalfOpenMaxCalls {
		at = max(at, later(out[0].issued, s.ProbeTimeout))
	}
	return at
}

// nextAt returns before when no further probe may go out, at a time by which n
// more are lost; zero if one may. That all places are taken is not its business.
func (h *half) nextAt(n int, s *settings) (at time.Duration) {
	switch {
	case h.waits:
		at = h.next
	case n > 0:
		at = later(later(h.probes[0].issued, s.ProbeTimeout), h.retryWait(s))
	}
	// The youngest of those that have to be given up decides.
	if over := len(h.probes) + len(h.lost) - s.maxOut(); over >= 0 {
		lost := slices.Concat(h.lost, h.probes[:n])
		if oldest := min(over+1, len(lost)); oldest > 0 {
			at = max(at, later(lost[oldest-1].issued, s.awaited()))
		}
	}
	return at
}

// lose makes the probes lost that are by now, and returns how many.
func (h *half) lose(now time.Duration, s *settings) int {
	n := h.lostBy(now, s)
	if n == 0 {
		return 0
	}
	if !h.waits {
		h.waits, h.next = true, later(later(h.probes[0].issued, s.ProbeTimeout), h.retryWait(s))
	}
	h.lost = append(h.lost, h.probes[:n]...)
	h.lostUpTo = h.probes[n-1].number
	h.probes = slices.Delete(h.probes, 0, n)
	h.updateFull(now, s)
	return n
}

func (h *half) counts() Counts {
	return Counts{Calls: h.passed + h.failed, Failures: h.failed, Slow: h.slow, Consecutive: h.passed}
}

// settleProbe settles a probe, lost or not, and reports whether it was late.
func (b *Breaker) settleProbe(ctx context.Context, p *Permit, v *result, m mark) (late bool) {
	if v.outcome == Failure {
		v.reason = reasonOf(v.err) // the user's code: not under the lock
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	ph := p.phase
	s, now := b.settings.Load(), b.now()
	b.advanceLocked(ctx, s, now)
	h := ph.half
	lost := h.wasLost(p.meta.probe)
	if lost {
		ph.stats.Load().lostOut.Add(-1)
	}
	b.lifetimeLocked().probes.add(v.outcome)
	if b.phase.Load() != ph || !h.release(p.meta.probe) && !lost {
		return true
	}
	if m.slow() {
		h.slow++
	}
	switch {
	case v.outcome == Ignored:
		h.ignored(p.meta.probe, now)
		h.updateFull(now, s)
	case m.failed():
		h.failed++
		b.openLocked(ctx, s, now, CauseProbeFailed, h.counts(), v)
	case m.slow() && s.SlowRateThreshold > 0:
		h.passed++
		b.openLocked(ctx, s, now, CauseProbeSlow, h.counts(), v)
	default:
		h.passed++
		if h.passed >= s.SuccessThreshold {
			b.closeLocked(ctx, s, now, CauseProbesPassed, h.counts())
			break
		}
		h.waits, h.rounds = false, 0 // the dependency answers
		h.updateFull(now, s)
	}
	return false
}

// probe issues the number of a probe in the half-open phase ph, or 0.
func (b *Breaker) probe(ctx context.Context, ph *phase) (now time.Duration, number uint32) {
	now = b.lock()
	s := b.settings.Load()
	b.advanceLocked(ctx, s, now)
	if b.phase.Load() == ph {
		number = ph.half.issue(now, s)
	}
	b.mu.Unlock()
	if number == 0 { // else the phase goes on, and there is no transition to tell
		b.deliver()
	}
	return now, number
}

func (b *Breaker) tellProbe(ctx context.Context) {
	if b.settings.Load().Hooks.Probe != nil {
		b.ledgerOf().queueEvent(event{ctx: background(ctx), probe: true})
		b.deliver()
	}
}
