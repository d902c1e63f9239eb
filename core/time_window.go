package core

import (
	"math/bits"
	"slices"
	"sync/atomic"
	"time"
)

// buckets is a time window: ten slots of a tenth each, reused in turn. What a
// call adds is credited to the slot of the time it ends.
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
type buckets struct {
	width    time.Duration // of a tenth
	tagShift uint8
	bad      atomic.Pointer[badCounters] // nil until there is one
	good     []goodShard
}

// badCounters are for the calls that left a mark, by mark less one.
type badCounters [3][tenths]atomic.Uint64

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
	tenths = 10
	moved  = ^uint64(0) // the word was taken
	// minCountBits lets a clock that stands still, as in a test, count 16 million.
	minCountBits = 24
	maxCountBits = 44
)

// goodShard is padded to two cache lines, which processors fetch in pairs.
type goodShard struct {
	tenth [tenths]atomic.Uint64
	_     [128 - tenths*8]byte
}

func newBuckets(window time.Duration) *buckets {
	b := &buckets{width: window / tenths, good: make([]goodShard, shards())}
	const soonest = 4 // ns between two additions to one word
	b.tagShift = uint8(min(max(bits.Len64(uint64(b.width/soonest)), minCountBits), maxCountBits))
	return b
}

func (b *buckets) tenthOf(now time.Duration) uint64 { return uint64(now / b.width) }

// of takes a word apart: one more than the tenth it is of, and its count.
func (b *buckets) of(word uint64) (tag, count uint64) {
	return word >> b.tagShift, word & (1<<b.tagShift - 1)
}

// word is the reverse of of; a count that is too large is the largest.
func (b *buckets) word(tag, count uint64) uint64 {
	return tag<<b.tagShift | min(count, 1<<b.tagShift-1)
}

// counters returns the counters of a mark, to read or, once grown, to write.
func (b *buckets) counters(m mark, shard int) *[tenths]atomic.Uint64 {
	if m == 0 {
		return &b.good[shard&(len(b.good)-1)].tenth
	}
	if bad := b.bad.Load(); bad != nil {
		return &bad[m-1]
	}
	return &noBad[m-1]
}

// grow makes room for calls with mark m.
func (b *buckets) grow(m mark) {
	if m != 0 && b.bad.Load() == nil {
		b.bad.CompareAndSwap(nil, new(badCounters))
	}
}

// credit adds one call with mark m, which ended at now, to the given shard. A
// caller that was held up until the slot was reused adds to the newer tenth: its
// call is counted late rather than lost. It reports false if the buckets were
// taken first.
func (b *buckets) credit(now time.Duration, shard uint8, m mark) bool {
	b.grow(m)
	tenth := b.tenthOf(now)
	counter := &b.counters(m, int(shard))[tenth%tenths]
	for {
		have := counter.Load()
		if have == moved {
			return false
		}
		perturb()
		tag, count := b.of(have)
		if tag <= tenth {
			tag, count = tenth+1, 0
		}
		if counter.CompareAndSwap(have, b.word(tag, count+1)) {
			return true
		}
	}
}

// counts sums the window that ends at now, or later if calls have ended since,
// for a rule about calls with mark first. Consecutive is not its business.
func (b *buckets) counts(now time.Duration, first mark) Counts {
	newest := b.tenthOf(now)
	for {
		c, until := b.countsTo(newest, first)
		if until == newest {
			return c
		}
		newest = until
	}
}

// countsTo sums the window that ends with a tenth; it returns a newer one if it
// meets that, and then the counts are of no use. See invariant 3.
func (b *buckets) countsTo(newest uint64, first mark) (c Counts, until uint64) {
	until = newest
	sum := func(m mark, shard int) {
		var calls uint64
		counters := b.counters(m, shard)
		for i := range counters {
			word := counters[i].Load()
			if tag, count := b.of(word); word != moved && tag+tenths > newest+1 {
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
	for i := range b.good {
		sum(0, i)
	}
	return c, until
}

// tenthCounts is what one tenth holds, by mark.
type tenthCounts struct {
	tenth uint64
	calls [4]uint64
}

// take ends the buckets and returns what their window holds at now, oldest tenth
// first. See invariant 4.
func (b *buckets) take(now time.Duration) []tenthCounts {
	type taken struct {
		m     mark
		words [tenths]uint64
	}
	var all []taken
	newest := b.tenthOf(now)
	take := func(m mark, counters *[tenths]atomic.Uint64) {
		t := taken{m: m}
		for i := range counters {
			t.words[i] = counters[i].Swap(moved)
			perturb()
			tag, _ := b.of(t.words[i])
			newest = max(newest, tag-min(tag, 1))
		}
		all = append(all, t)
	}
	if bad := b.bad.Swap(takenBad); bad != nil {
		for i := range bad {
			take(mark(i+1), &bad[i])
		}
	}
	for i := range b.good {
		take(0, &b.good[i].tenth)
	}
	var window []tenthCounts
	for tenth := newest - min(newest, tenths-1); tenth <= newest; tenth++ {
		held := tenthCounts{tenth: tenth}
		for _, t := range all {
			if tag, count := b.of(t.words[tenth%tenths]); tag == tenth+1 {
				held.calls[t.m] += count
			}
		}
		if held.calls != [4]uint64{} {
			window = append(window, held)
		}
	}
	return window
}

// adopt adds what was taken of old buckets, each tenth to the last that its calls
// can have ended in: none is lost that is still in the window. No other goroutine
// has b yet.
func (b *buckets) adopt(old *buckets, window []tenthCounts, now time.Duration) {
	for _, t := range window {
		last := time.Duration(t.tenth+1)*old.width - 1
		b.put(b.tenthOf(min(last, max(now, last-old.width+1))), t.calls)
	}
}

// put adds counts, by mark, to a tenth, and drops what that pushes out of the
// window. Tenths have to come in order.
func (b *buckets) put(tenth uint64, calls [4]uint64) {
	for m := range mark(4) {
		if calls[m] == 0 {
			continue
		}
		b.grow(m)
		counter := &b.counters(m, 0)[tenth%tenths]
		tag, count := b.of(counter.Load())
		if tag != tenth+1 {
			count = 0
		}
		counter.Store(b.word(tenth+1, count+calls[m]))
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
