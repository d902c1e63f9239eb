package core

import (
	"sync/atomic"
)

// countWindow holds the marks of the last calls in a ring, 16 in the low half of
// each word, under a version in the high half that grows with each write. The
// version keeps a goroutine that slept through a lap from writing what it read
// before: it would have to sleep through 2^32 writes of one word. What else there is
// of it, its sums and position, is in the tally.
type countWindow struct {
	calls int32 // how many it holds
	words atomic.Pointer[[]atomic.Uint64]
}

const (
	marksPerWord = 16
	ringVersion  = 1 << 32
)

// ring returns the words, made at the first call so that a breaker that is never
// called stays small.
func (c *countWindow) ring() []atomic.Uint64 {
	if words := c.words.Load(); words != nil {
		return *words
	}
	words := make([]atomic.Uint64, (int(c.calls)+marksPerWord-1)/marksPerWord)
	if !c.words.CompareAndSwap(nil, &words) {
		return *c.words.Load()
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

// credit adds m to the window, in the word w that was read. It returns the word to
// swap in, which is w by invariant 4 of tally, or false when w is stale and must be
// read anew.
func (c *countWindow) credit(t *tally, w word, m mark) (word, bool) {
	if m == 0 && w.healthy() {
		return w, true
	}
	n := int(c.calls)
	words := c.ring()
	pos := w.pos()
	if pos > 0 {
		// Invariant 3: the mark before pos goes into the ring first.
		last := (pos - 1) % n
		slots := &words[last/marksPerWord]
		was := slots.Load()
		perturb()
		if t.read() != w {
			return 0, false // was may be of a later lap
		}
		if markAt(was, last) != w.pending() && !slots.CompareAndSwap(was, withMark(was, last, w.pending())+ringVersion) {
			return 0, false // another goroutine wrote it; only this slot can have been written
		}
	}
	var oldest mark
	if w.has(windowFull) {
		slot := pos % n
		oldest = markAt(words[slot/marksPerWord].Load(), slot)
	}
	perturb()

	next := w&^pendingMask | word(m)<<pendingShift
	next = next.withStreak(m)
	next += word(m&markFailed)<<failShift - word(oldest&markFailed)<<failShift
	next += word(m&markSlow>>1)<<slowShift - word(oldest&markSlow>>1)<<slowShift
	pos++
	if pos == n {
		next |= windowFull
	}
	if pos == (posLimit/n-1)*n {
		pos = n // the same slot, and never 0 again: 0 means that nothing is pending
	}
	return next&(1<<posShift-1) | word(pos)<<posShift, true
}

// counts reads the window from the word.
func (c *countWindow) counts(w word) Counts {
	calls := w.pos()
	if w.has(windowFull) {
		calls = int(c.calls)
	}
	return Counts{Calls: calls, Failures: w.failures(), Slow: w.slow(), Consecutive: w.streak()}
}

// last returns the marks of a sealed window whose word is w, oldest first.
func (c *countWindow) last(w word) []mark {
	words, held := c.ring(), c.counts(w).Calls
	marks := make([]mark, held)
	for i := range marks {
		slot := (w.pos() - held + i) % int(c.calls)
		marks[i] = markAt(words[slot/marksPerWord].Load(), slot)
	}
	if held > 0 {
		marks[held-1] = w.pending()
	}
	return marks
}

// replay credits the last of marks that fit to the window of an unpublished phase.
func (c *countWindow) replay(t *tally, marks []mark) {
	for _, m := range marks[max(len(marks)-int(c.calls), 0):] {
		next, _ := c.credit(t, t.read(), m)
		t.Store(uint64(next))
	}
}
