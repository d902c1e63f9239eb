package core

import (
	"slices"
	"sync/atomic"
	"time"
)

// half is what a half-open phase counts. It is guarded by Breaker.mu: there are
// a few probes to a break, so a lock costs nothing that anybody would notice.
// The crowd that meets a half-open breaker is refused without it, by full.
type half struct {
	// full is set while every probe's place is taken.
	full atomic.Pointer[occupied]

	breaker *Breaker
	probes  []probe // out, in the order they were issued
	issued  uint32
	passed  int // successful
	failed  int // 0 or 1: the first ends the phase
	slow    int
	// lostThrough is set when the phase ended by a lost probe: probes up to
	// that number were lost and counted, and are not counted again if they
	// settle after all.
	lostThrough uint32
}

type probe struct {
	number uint32
	issued time.Duration
}

// issue takes a place and returns the probe's number; 0 when none is free.
func (h *half) issue(now time.Duration, s *settings) uint32 {
	if len(h.probes) >= s.HalfOpenMaxCalls {
		return 0
	}
	h.issued++
	h.probes = append(h.probes, probe{h.issued, now})
	h.mark(s)
	return h.issued
}

// give takes back the place of a probe; it reports false if that is not out.
func (h *half) give(number uint32, s *settings) bool {
	i := slices.IndexFunc(h.probes, func(p probe) bool { return p.number == number })
	if i < 0 {
		return false
	}
	h.probes = slices.Delete(h.probes, i, i+1)
	h.mark(s)
	return true
}

// occupied is the time until which every place is surely taken, which is when the
// oldest probe is lost, and what calls are refused with until then.
type occupied struct {
	until time.Duration
	err   *OpenError
}

// mark sets full after a change of the probes or of the limits.
func (h *half) mark(s *settings) {
	if len(h.probes) < s.HalfOpenMaxCalls {
		h.full.Store(nil)
		return
	}
	until := later(h.probes[0].issued, s.ProbeTimeout)
	h.full.Store(&occupied{until, &OpenError{Name: h.breaker.name, State: HalfOpen, Cause: ProbesOut, RetryAt: h.breaker.epoch.Add(until)}})
}

// lostAt returns when the oldest probe is lost, if one is out.
func (h *half) lostAt(s *settings) (time.Duration, bool) {
	if len(h.probes) == 0 {
		return 0, false
	}
	return later(h.probes[0].issued, s.ProbeTimeout), true
}

// lostBy returns how many probes are lost at a time.
func (h *half) lostBy(at time.Duration, s *settings) (n int) {
	for n < len(h.probes) && later(h.probes[n].issued, s.ProbeTimeout) <= at {
		n++
	}
	return n
}

// lose marks the probes that are lost at a time and returns how many.
func (h *half) lose(at time.Duration, s *settings) int {
	n := h.lostBy(at, s)
	h.lostThrough = h.probes[n-1].number // at is when the first of them is lost
	return n
}

func (h *half) counts() Counts {
	return Counts{Calls: h.passed + h.failed, Failures: h.failed, Slow: h.slow, InRow: h.passed}
}
