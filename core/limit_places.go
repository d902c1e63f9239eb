package core

import (
	"math/bits"
	"sync/atomic"
)

// places counts the calls of a [Limit] in one word, so that one compare-and-swap
// admits a call, counts it and gives it a number.
//
//	bits 0-20  calls in flight
//	bits 21-63 admissions, wrapping
//
// Invariants:
//
//  1. An admission raises the calls in flight only from a number below the room
//     that its call has read. So calls in flight are never more than the largest
//     limit that was in force while the last admission went on, and at most 2^20.
//  2. Each admission is followed by at most one leave (Permit.claim sees to that),
//     so calls in flight never go below zero, and are zero at rest unless a permit
//     was forgotten.
//  3. A refusal writes nothing here: a call that does not fit is never counted for
//     a moment, which would make others see a full limit while a place is free.
type places struct{ atomic.Uint64 }

const (
	inFlightBits = 21
	inFlightMask = 1<<inFlightBits - 1
	admission    = 1 << inFlightBits
)

// enter admits a call if fewer than room are in flight. It returns the word as it
// is then.
func (p *places) enter(room uint64) (w uint64, ok bool) {
	for {
		w := p.Load()
		perturb()
		if w&inFlightMask >= room {
			return 0, false
		}
		if p.CompareAndSwap(w, w+admission+1) {
			return w + admission + 1, true
		}
	}
}

// leave ends a call.
func (p *places) leave() { p.Add(^uint64(0)) }

func (p *places) read() (inFlight int, admitted uint64) {
	w := p.Load()
	return int(w & inFlightMask), w >> inFlightBits
}

// terms is what an admission goes by, in one word that is replaced whole under
// Limit.mu.
//
//	bits 0-20  room for calls of normal priority
//	bits 21-41 room for calls of low priority, at most that for normal ones
//	bits 42-47 one in 2^this calls is timed
//	bit 48     the limit is fixed: no call is timed
//	bits 49-63 number of the window, wrapping
//
// The window stands beside the room, so that a call is of a window exactly if that
// window's limit has admitted it.
type terms uint64

const (
	lowShift          = inFlightBits
	timedShift        = 2 * inFlightBits
	timedBits         = 6
	untimed     terms = 1 << (timedShift + timedBits)
	windowShift       = timedShift + timedBits + 1
)

func newTerms(normal, low, shift int, window uint64) terms {
	return terms(normal) | terms(low)<<lowShift | terms(shift)<<timedShift | terms(window)<<windowShift
}

func (t terms) normal() uint64 { return uint64(t & inFlightMask) }
func (t terms) low() uint64    { return uint64(t >> lowShift & inFlightMask) }
func (t terms) shift() int     { return int(t >> timedShift & (1<<timedBits - 1)) }
func (t terms) window() uint64 { return uint64(t >> windowShift) }

// times reports whether the call with this number is timed. Numbers that are
// multiples of 2^shift would do, but for callers that take turns: those would then
// always, or never, be timed. Multiples of the golden ratio keep no step with them.
func (t terms) times(number uint64) bool {
	const golden = 0x9E3779B97F4A7C15
	return t&untimed == 0 && number*golden>>(64-t.shift()) == 0
}

// A permit that is sampled carries in its flags, from sampleShift on, the last five
// bits of the number of its window, and then how many calls were in flight with it,
// eight bits and how often they are doubled. That is exact up to 255, and to 0.8 %
// above.
const (
	sampleWindowMask = 1<<5 - 1
	sampleLoadShift  = sampleShift + 5
	sampleLoadBits   = 8
)

func sampleFlags(window, inFlight uint64) flags {
	doubled := max(bits.Len64(inFlight)-sampleLoadBits, 0)
	load := flags(doubled)<<sampleLoadBits | flags(inFlight>>doubled)
	return sampled | flags(window&sampleWindowMask)<<sampleShift | load<<sampleLoadShift
}

func (f flags) sampleWindow() uint64 { return uint64(f>>sampleShift) & sampleWindowMask }

func (f flags) sampleLoad() uint64 {
	load := uint64(f >> sampleLoadShift)
	return load & (1<<sampleLoadBits - 1) << (load >> sampleLoadBits)
}

// timedOf returns the shift at which about a thousand of so many calls are timed.
func timedOf(calls uint64) int {
	const enough = 1000
	return bits.Len64(calls / (enough + 1))
}
