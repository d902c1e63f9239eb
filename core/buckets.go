package core

import (
	"sync/atomic"
	"time"
)

// buckets is a time window: ten slots of a tenth each, reused in turn. What a
// call adds is credited to the slot of the time it ends.
//
// Each counter is one word: a tag, which is the low 30 bits of the tenth's
// number, over a count of 34 bits. A counter of an earlier tenth is out of date
// and counts as zero until somebody restarts it. Tags repeat after 2^30 tenths,
// 34 years of a window of 10 s.
// Calls, which every call adds to, are spread over shards; failures and slow
// calls are rarer and are not.
//
// The sums are not one reading: calls that end meanwhile may be in or not. They
// are never more than what was credited, and exact when nobody writes.
type buckets struct {
	width    time.Duration // of a tenth
	calls    []callShard
	failures [tenths]atomic.Uint64
	slow     *[tenths]atomic.Uint64 // nil until there is a SlowAfter
}

const (
	tenths    = 10
	tagShift  = 34
	tagMask   = 1<<30 - 1
	ahead     = 1 << 16 // tenths: further ahead than that is out of date by a lap of the tags
	countBits = 1<<tagShift - 1
)

// callShard is padded to two cache lines, which processors fetch in pairs.
type callShard struct {
	tenth [tenths]atomic.Uint64
	_     [128 - tenths*8]byte
}

func newBuckets(window time.Duration, slow bool) *buckets {
	b := &buckets{width: window / tenths, calls: make([]callShard, shards())}
	if slow {
		b.slow = new([tenths]atomic.Uint64)
	}
	return b
}

// add credits one call with mark m, which ended at now, to the given shard.
func (b *buckets) add(now time.Duration, shard uint8, m mark) {
	tenth := uint64(now / b.width)
	bump(&b.calls[int(shard)&(len(b.calls)-1)].tenth[tenth%tenths], tenth, 1)
	if m.failed() {
		bump(&b.failures[tenth%tenths], tenth, 1)
	}
	if m.slow() && b.slow != nil {
		bump(&b.slow[tenth%tenths], tenth, 1)
	}
}

// bump adds n to a counter for a tenth, restarting it if it is of an earlier
// one. A caller that was held up until the slot was reused adds to the newer
// tenth: its call is counted, a window late, rather than lost.
func bump(counter *atomic.Uint64, tenth, n uint64) {
	for {
		have := counter.Load()
		perturb()
		next := have + n
		if old := age(have, tenth); old > 0 || old < -ahead || have == 0 {
			next = tenth&tagMask<<tagShift | n
		}
		if counter.CompareAndSwap(have, next) {
			return
		}
	}
}

// counts sums the window that ends at now. InRow is not its business.
func (b *buckets) counts(now time.Duration) Counts {
	var c Counts
	newest := uint64(now / b.width)
	for i := range b.calls {
		c.Calls += sum(&b.calls[i].tenth, newest)
	}
	c.Failures = sum(&b.failures, newest)
	if b.slow != nil {
		c.Slow = sum(b.slow, newest)
	}
	return c
}

// age is how many tenths before the given one a counter was restarted; negative
// if it was restarted by somebody with a later clock reading.
func age(counter, tenth uint64) int64 {
	const unused = 64 - 30
	return int64((tenth-counter>>tagShift)<<unused) >> unused
}

func sum(counters *[tenths]atomic.Uint64, newest uint64) int {
	var total uint64
	for i := range counters {
		have := counters[i].Load()
		if old := age(have, newest); old < tenths && old >= -ahead {
			total += have & countBits
		}
	}
	return int(total)
}

// adopt credits what old holds, each tenth to the one of b that it began in.
func (b *buckets) adopt(old *buckets, now time.Duration) {
	newest := uint64(now / old.width)
	for back := range uint64(tenths) {
		if back > newest {
			return
		}
		tenth := newest - back
		began := uint64(time.Duration(tenth) * old.width / b.width)
		if uint64(now/b.width)-began >= tenths {
			return
		}
		move := func(from, to *atomic.Uint64) {
			if have := from.Load(); have>>tagShift == tenth&tagMask && have&countBits > 0 {
				bump(to, began, have&countBits)
			}
		}
		for i := range old.calls {
			move(&old.calls[i].tenth[tenth%tenths], &b.calls[i%len(b.calls)].tenth[began%tenths])
		}
		move(&old.failures[tenth%tenths], &b.failures[began%tenths])
		if old.slow != nil && b.slow != nil {
			move(&old.slow[tenth%tenths], &b.slow[began%tenths])
		}
	}
}
