package core

import (
	"sync/atomic"
)

// ring holds the marks of the last calls of a count window, 16 in the low half
// of a word, under a version in the high half that grows with each write. The
// version keeps a goroutine that slept through a lap from writing what it read
// before: it would have to sleep through 2^32 writes of one word.
type ring struct {
	words atomic.Pointer[[]atomic.Uint64]
}

const (
	marksPerWord = 16
	ringVersion  = 1 << 32
)

// of returns the words of a ring for n calls, made at the first call so that a
// breaker that is never called stays small.
func (r *ring) of(n int) []atomic.Uint64 {
	if words := r.words.Load(); words != nil {
		return *words
	}
	words := make([]atomic.Uint64, (n+marksPerWord-1)/marksPerWord)
	if !r.words.CompareAndSwap(nil, &words) {
		return *r.words.Load()
	}
	return words
}

func markAt(word uint64, slot int) mark {
	return mark(word >> (2 * (slot % marksPerWord)) & 3)
}

func withMark(word uint64, slot int, m mark) uint64 {
	shift := 2 * (slot % marksPerWord)
	return word&^(3<<shift) | uint64(m)<<shift
}

// credit adds m to the count window, in the word w that was read. It returns
// the word to swap in, or false when w is stale and must be read anew.
func (p *phase) credit(w word, m mark) (word, bool) {
	n := int(p.calls)
	words := p.ring.of(n)
	pos := w.pos()
	if pos > 0 {
		// Invariant 3: the mark before pos goes into the ring first.
		last := (pos - 1) % n
		slots := &words[last/marksPerWord]
		was := slots.Load()
		perturb()
		if p.tally.read() != w {
			return 0, false // was may be of a later lap
		}
		if markAt(was, last) != w.pending() && !slots.CompareAndSwap(was, withMark(was, last, w.pending())+ringVersion) {
			return 0, false // another goroutine wrote it; only this slot can have been written
		}
	}
	var gone mark
	if w.has(windowFull) {
		slot := pos % n
		gone = markAt(words[slot/marksPerWord].Load(), slot)
	}
	perturb()

	next := w&^pendingMask | word(m)<<pendingShift
	next = next.withStreak(m)
	next += word(m&markFailed)<<failShift - word(gone&markFailed)<<failShift
	next += word(m&markSlow>>1)<<slowShift - word(gone&markSlow>>1)<<slowShift
	pos++
	if pos == n {
		next |= windowFull
	}
	if pos == (posLimit/n-1)*n {
		pos = n // the same slot, and never 0 again: 0 means that nothing is pending
	}
	return next&(1<<posShift-1) | word(pos)<<posShift, true
}

// counts reads a count window of n calls from the word.
func (w word) counts(n int) Counts {
	calls := w.pos()
	if w.has(windowFull) {
		calls = n
	}
	return Counts{Calls: calls, Failures: w.failures(), Slow: w.slow(), Consecutive: w.streak()}
}

// last returns the marks of a sealed count window whose word is w, oldest first.
func (p *phase) last(w word) []mark {
	n := int(p.calls)
	words := p.ring.of(n)
	held := w.counts(n).Calls
	marks := make([]mark, held)
	for i := range marks {
		slot := (w.pos() - held + i) % n
		marks[i] = markAt(words[slot/marksPerWord].Load(), slot)
	}
	if held > 0 {
		marks[held-1] = w.pending()
	}
	return marks
}

// replay credits marks to the count window of an unpublished phase.
func (p *phase) replay(marks []mark) {
	for _, m := range marks[max(len(marks)-int(p.calls), 0):] {
		next, _ := p.credit(p.tally.read(), m)
		p.tally.Store(uint64(next))
	}
}
