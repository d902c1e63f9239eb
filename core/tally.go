package core

import (
	"sync/atomic"
)

// tally is the mutable word of a closed phase. All of it changes in one
// compare-and-swap, so a failure that completes a streak and a success that
// breaks it have one order that all agree on.
//
//	bit 0      sealed: the phase has ended, the word never changes again
//	bit 1      full: the count window has seen at least as many calls as it holds
//	bits 2-3   pending: the mark of the call before pos, perhaps not yet in the ring
//	bits 4-13  streak: consecutive failures, saturating
//	bits 14-27 failures in the count window
//	bits 28-41 slow calls in the count window
//	bits 42-63 pos: calls so far, wrapping at a multiple of the window
//
// Invariants:
//
//  1. sealed is set under Breaker.mu, and the next phase, also that of the stay,
//     is published before the lock is given back. So a goroutine that finds the
//     word sealed and then takes the lock finds the next phase in place.
//  2. For a count window of n calls, failures and slow are the sums over the
//     marks of the last n calls: those in the ring, with pending in place of
//     the ring's slot pos-1.
//  3. Before pos moves on, pending is in the ring (the goroutine that moves it sees
//     to that), so only slot pos-1 is ever written, and only while the word stands.
//  4. A success that is not slow, into a full window without failures or slow
//     calls and without a streak, changes nothing but the rotation of equal
//     marks. It does not write: it takes effect where the word was read.
//
// pos tells one word from another that looks the same after a lap: a stale
// compare-and-swap would need exactly 2^22 calls, rounded down to a multiple
// of the window, to pass between its load and its swap.
type tally struct{ atomic.Uint64 }

type word uint64

const (
	sealed       word = 1
	windowFull   word = 1 << 1
	pendingShift      = 2
	pendingMask  word = 3 << pendingShift
	streakShift       = 4
	streakMask   word = (1<<10 - 1) << streakShift
	failShift         = 14
	slowShift         = 28
	countMask         = 1<<14 - 1
	posShift          = 42
	posLimit          = 1 << 22

	failMask word = countMask << failShift
	slowMask word = countMask << slowShift
)

func (t *tally) read() word { return word(t.Load()) }

func (t *tally) swap(from, to word) bool { return t.CompareAndSwap(uint64(from), uint64(to)) }

func (w word) pending() mark { return mark(w & pendingMask >> pendingShift) }

func (w word) streak() int { return int(w & streakMask >> streakShift) }

func (w word) failures() int { return int(w >> failShift & countMask) }

func (w word) slow() int { return int(w >> slowShift & countMask) }

func (w word) pos() int { return int(w >> posShift) }

func (w word) has(bits word) bool { return w&bits != 0 }

func (w word) healthy() bool { return w&(sealed|windowFull|streakMask|failMask|slowMask) == windowFull }

func (w word) withStreak(m mark) word {
	if !m.failed() {
		return w &^ streakMask
	}
	if w&streakMask == streakMask {
		return w
	}
	return w + 1<<streakShift
}

// seal ends the phase. It needs Breaker.mu, see invariant 1.
func (t *tally) seal() word {
	for {
		w := t.read()
		perturb()
		if w.has(sealed) || t.swap(w, w|sealed) {
			return w
		}
	}
}
