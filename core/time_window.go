package core

import (
	"math/bits"
	"slices"
	"sync/atomic"
	"time"
)

// timeWindow holds the calls that ended lately, in ten slots of a tenth of the
// window each, reused in turn. A call is credited to the slot of the time it ends.
//
// Each counter is one word: a tag, which is one more than the tenth's number,
// over a count. Tags never repeat: count and tag share the word so that the
// count has room for what one processor can add in a tenth, and the tag for
// 2,000 years (34 for a tenth of less than 64 ms). A count that is full stays so.
//
// Calls that neither failed nor were slow are spread over shards; the others are
// rarer and are not.
//
// Invariants:
//
//  1. A word's tag only grows, until moved ends it.
//  2. A call is credited in one step, to one counter: that of its mark. So no
//     reading has more failures or slow calls than calls.
//  3. A reading for a rule loads what breaks the rule first and the rest after, and
//     starts again when it meets a newer tenth than those it sums: then some of
//     what it has loaded has left the window. Counts only grow, so there was a
//     moment with no fewer calls than it found and a rate no lower.
//  4. take leaves moved in every word. A call is either credited before that, and
//     taken, or it finds moved and is credited where the rest went; none is lost
//     and none counts twice.
type timeWindow struct {
	width    time.Duration // of a tenth
	tagShift uint8
	bad      atomic.Pointer[badCounters] // nil until there is one
	good     []goodShard
}

// badCounters are for the calls that left a mark, by mark less one.
type badCounters [3][slots]atomic.Uint64

//nolint:gochecknoglobals // never written once they are made
var (
	noBad    badCounters          // read in place of nil, never written
	takenBad = newTakenCounters() // in place of what was taken
)

func newTakenCounters() *badCounters {
	var all badCounters
	for m := range all {
		for i := range all[m] {
			all[m][i].Store(moved)
		}
	}
	return &all
}

const (
	slots = 10
	moved = ^uint64(0) // the word was taken
	// minCountBits lets a clock that stands still, as in a test, count 16 million.
	minCountBits = 24
	maxCountBits = 44
)

// goodShard is padded to two cache lines, which processors fetch in pairs.
type goodShard struct {
	tenth [slots]atomic.Uint64
	_     [128 - slots*8]byte
}

func newTimeWindow(window time.Duration) *timeWindow {
	tw := &timeWindow{width: window / slots, good: make([]goodShard, shards())}
	const soonest = 4 // ns between two additions to one word
	tw.tagShift = uint8(min(max(bits.Len64(uint64(tw.width/soonest)), minCountBits), maxCountBits))
	return tw
}

func (tw *timeWindow) tenthOf(now time.Duration) uint64 { return uint64(now / tw.width) }

// of takes a word apart: one more than the tenth it is of, and its count.
func (tw *timeWindow) of(word uint64) (tag, count uint64) {
	return word >> tw.tagShift, word & (1<<tw.tagShift - 1)
}

// word is the reverse of of; a count that is too large is the largest.
func (tw *timeWindow) word(tag, count uint64) uint64 {
	return tag<<tw.tagShift | min(count, 1<<tw.tagShift-1)
}

// counters returns the counters of a mark, to read or, once grown, to write.
func (tw *timeWindow) counters(m mark, shard int) *[slots]atomic.Uint64 {
	if m == 0 {
		return &tw.good[shard&(len(tw.good)-1)].tenth
	}
	if bad := tw.bad.Load(); bad != nil {
		return &bad[m-1]
	}
	return &noBad[m-1]
}

// grow makes room for calls with mark m.
func (tw *timeWindow) grow(m mark) {
	if m != 0 && tw.bad.Load() == nil {
		tw.bad.CompareAndSwap(nil, new(badCounters))
	}
}

// credit adds one call with mark m, which ended at now, to the given shard. A
// caller that was held up until the slot was reused adds to the newer tenth: its
// call is counted late rather than lost. It reports false if the window was
// taken first.
func (tw *timeWindow) credit(now time.Duration, shard uint8, m mark) bool {
	tw.grow(m)
	tenth := tw.tenthOf(now)
	counter := &tw.counters(m, int(shard))[tenth%slots]
	for {
		have := counter.Load()
		if have == moved {
			return false
		}
		perturb()
		tag, count := tw.of(have)
		if tag <= tenth {
			tag, count = tenth+1, 0
		}
		if counter.CompareAndSwap(have, tw.word(tag, count+1)) {
			return true
		}
	}
}

// counts sums the window that ends at now, or later if calls have ended since,
// for a rule about calls with mark first. Consecutive is not its business.
func (tw *timeWindow) counts(now time.Duration, first mark) Counts {
	newest := tw.tenthOf(now)
	for {
		c, until := tw.countsTo(newest, first)
		if until == newest {
			return c
		}
		newest = until
	}
}

// countsTo sums the window that ends with a tenth; it returns a newer one if it
// meets that, and then the counts are of no use. See invariant 3.
func (tw *timeWindow) countsTo(newest uint64, first mark) (c Counts, until uint64) {
	until = newest
	sum := func(m mark, shard int) {
		var calls uint64
		counters := tw.counters(m, shard)
		for i := range counters {
			word := counters[i].Load()
			if tag, count := tw.of(word); word != moved && tag+slots > newest+1 {
				calls += count
				until = max(until, tag-min(tag, 1))
			}
		}
		addMarks(&c, m, int(calls))
	}
	sum(first, 0)
	sum(markFailed|markSlow, 0)
	perturb()
	sum((markFailed|markSlow)&^first, 0)
	for i := range tw.good {
		sum(0, i)
	}
	return c, until
}

// maxReadings is how often a time window is read for two readings that agree. More
// than that are only needed while calls end all the time.
const maxReadings = 64

// read reads the window and the streak of a phase whose word was w, see
// callWindow.read.
func (tw *timeWindow) read(t *tally, w word, now time.Duration) (c Counts) {
	for i := range maxReadings {
		last := c
		if c = tw.counts(now, markFailed); i > 0 && c == last {
			break // and so it was when w was read
		}
		w = t.read()
		perturb()
	}
	c.Consecutive = w.streak()
	return c
}

// tenthCounts is what one tenth holds, by mark.
type tenthCounts struct {
	tenth uint64
	calls [4]uint64
}

// take ends the window and returns what it holds at now, oldest tenth
// first. See invariant 4.
func (tw *timeWindow) take(now time.Duration) []tenthCounts {
	type taken struct {
		m     mark
		words [slots]uint64
	}
	var all []taken
	newest := tw.tenthOf(now)
	take := func(m mark, counters *[slots]atomic.Uint64) {
		t := taken{m: m}
		for i := range counters {
			t.words[i] = counters[i].Swap(moved)
			perturb()
			tag, _ := tw.of(t.words[i])
			newest = max(newest, tag-min(tag, 1))
		}
		all = append(all, t)
	}
	if bad := tw.bad.Swap(takenBad); bad != nil {
		for i := range bad {
			take(mark(i+1), &bad[i])
		}
	}
	for i := range tw.good {
		take(0, &tw.good[i].tenth)
	}
	var window []tenthCounts
	for tenth := newest - min(newest, slots-1); tenth <= newest; tenth++ {
		held := tenthCounts{tenth: tenth}
		for _, t := range all {
			if tag, count := tw.of(t.words[tenth%slots]); tag == tenth+1 {
				held.calls[t.m] += count
			}
		}
		if held.calls != [4]uint64{} {
			window = append(window, held)
		}
	}
	return window
}

// adopt adds what was taken of an old window, each tenth to the last that its calls
// can have ended in: none is lost that is still in the window. No other goroutine
// has tw yet.
func (tw *timeWindow) adopt(old *timeWindow, window []tenthCounts, now time.Duration) {
	for _, t := range window {
		last := time.Duration(t.tenth+1)*old.width - 1
		tw.put(tw.tenthOf(min(last, max(now, last-old.width+1))), t.calls)
	}
}

// putOldest adds calls of which it is not known when they ended, since the phase
// began: they leave the window first.
func (tw *timeWindow) putOldest(marks []mark, since, now time.Duration) {
	newest := tw.tenthOf(now)
	var calls [4]uint64
	for _, m := range marks {
		calls[m]++
	}
	tw.put(max(newest-min(newest, slots-1), tw.tenthOf(since)), calls)
}

// put adds counts, by mark, to a tenth, and drops what that pushes out of the
// window. Tenths have to come in order.
func (tw *timeWindow) put(tenth uint64, calls [4]uint64) {
	for m := range mark(4) {
		if calls[m] == 0 {
			continue
		}
		tw.grow(m)
		counter := &tw.counters(m, 0)[tenth%slots]
		tag, count := tw.of(counter.Load())
		if tag != tenth+1 {
			count = 0
		}
		counter.Store(tw.word(tenth+1, count+calls[m]))
	}
}

// marksOf returns the marks of the newest n calls of a time window, oldest first.
// The order within a tenth is not known; of one that does not fit whole, the
// share of each mark is kept, rounded in favour of the good.
func marksOf(window []tenthCounts, n int) []mark {
	var newestFirst []mark
	for _, t := range slices.Backward(window) {
		all := t.calls[0] + t.calls[1] + t.calls[2] + t.calls[3]
		fit := min(all, uint64(n-len(newestFirst)))
		good := fit
		for m := mark(3); m > 0; m-- {
			bad := t.calls[m] * fit / all
			newestFirst = append(newestFirst, slices.Repeat([]mark{m}, int(bad))...)
			good -= bad
		}
		newestFirst = append(newestFirst, make([]mark, good)...)
	}
	slices.Reverse(newestFirst)
	return newestFirst
}
