package core

import (
	"math/bits"
	"sync"
	"sync/atomic"
	"time"
)

// Durations describe the calls that ended in the last minute or two, failures
// included, ignored ones not. They are taken from a histogram and exact to 1/16
// (6.25 %) from 8 µs on and to half a microsecond below, the mean much better as
// a rule.
type Durations struct {
	Count uint64        `json:"count"`
	Mean  time.Duration `json:"mean"`
	P50   time.Duration `json:"p50"`
	P75   time.Duration `json:"p75"`
	P90   time.Duration `json:"p90"`
	P95   time.Duration `json:"p95"`
	P99   time.Duration `json:"p99"`
}

// histograms keeps durations in shards, those of successes and of failures
// apart. The buckets are log-linear: eight to each doubling, from 1 µs to 19
// hours. Their counts only grow: what happened lately is what they hold more than
// they did when the minute before this one began, which the first call or reader in
// a minute notes, under mu. A call that ends meanwhile may fall into either minute.
type histograms struct {
	minute atomic.Int64
	mu     sync.Mutex
	shards []durationShard
	// begun is what the shards held when minute m began, at m&1, for the current
	// minute and the one before. It is guarded by mu.
	begun [2]durationCounts
}

type (
	durationShard  [2][durationBuckets]atomic.Uint64 // by failed
	durationCounts [durationBuckets]uint64
)

const (
	durationUnit    = 10     // 2^10 ns, about a microsecond: what is shorter is in the first bucket
	durationBits    = 3      // eight buckets to a doubling
	durationBuckets = 34 * 8 // up to 2^46 ns
	maxHistograms   = 8      // 4 KiB a shard: more would cost more memory than contention
	durationSpan    = time.Minute
)

func newHistograms() *histograms {
	return &histograms{shards: make([]durationShard, min(shards(), maxHistograms))}
}

// bucketOf returns the bucket of a duration: exponent and the three bits that
// follow the leading one.
func bucketOf(d time.Duration) int {
	u := uint64(max(d, 0)) >> durationUnit
	if u < 1<<durationBits {
		return int(u)
	}
	exp := bits.Len64(u) - durationBits - 1
	return min(exp<<durationBits+int(u>>exp), durationBuckets-1)
}

// bucketStart is the shortest duration of bucket i.
func bucketStart(i int) time.Duration {
	if i < 2<<durationBits {
		return time.Duration(i) << durationUnit
	}
	exp := i>>durationBits - 1
	return time.Duration(i-exp<<durationBits) << (exp + durationUnit)
}

func bucketMiddle(i int) time.Duration { return (bucketStart(i) + bucketStart(i+1)) / 2 }

// turn notes what there was if now is in a new minute.
func (h *histograms) turn(now time.Duration) {
	if int64(now/durationSpan) > h.minute.Load() {
		h.mu.Lock()
		h.turnLocked(now)
		h.mu.Unlock()
	}
}

func (h *histograms) turnLocked(now time.Duration) {
	minute, current := int64(now/durationSpan), h.minute.Load()
	if minute <= current {
		return
	}
	total := h.counts(Success)
	failed := h.counts(Failure)
	for i := range total {
		total[i] += failed[i]
	}
	h.begun[minute&1] = total
	if minute-current > 1 { // nothing happened in the minute before
		h.begun[(minute-1)&1] = total
	}
	h.minute.Store(minute)
}

func (h *histograms) add(now time.Duration, shard uint8, o Outcome, d time.Duration) {
	h.turn(now)
	h.shards[int(shard)&(len(h.shards)-1)].of(o)[bucketOf(d)].Add(1)
}

func (l *durationShard) of(o Outcome) *[durationBuckets]atomic.Uint64 {
	if o == Failure {
		return &l[1]
	}
	return &l[0]
}

// counts sums the shards.
func (h *histograms) counts(o Outcome) (sum durationCounts) {
	for i := range h.shards {
		row := h.shards[i].of(o)
		for j := range sum {
			sum[j] += row[j].Load()
		}
	}
	return sum
}

func (h *histograms) read(now time.Duration) Durations {
	h.mu.Lock()
	h.turnLocked(now)
	before := h.begun[(h.minute.Load()-1)&1]
	h.mu.Unlock()
	total, failed := h.counts(Success), h.counts(Failure)
	var d Durations
	for i := range total {
		total[i] += failed[i] - before[i]
		d.Count += total[i]
	}
	if d.Count == 0 {
		return Durations{}
	}
	var sum float64
	for i, n := range total {
		sum += float64(n) * float64(bucketMiddle(i))
	}
	d.Mean = time.Duration(sum / float64(d.Count))
	d.P50 = percentile(&total, d.Count, 50)
	d.P75 = percentile(&total, d.Count, 75)
	d.P90 = percentile(&total, d.Count, 90)
	d.P95 = percentile(&total, d.Count, 95)
	d.P99 = percentile(&total, d.Count, 99)
	return d
}

// percentile returns the middle of the bucket that holds the call of that rank
// (nearest-rank definition).
func percentile(total *durationCounts, count, percent uint64) time.Duration {
	rank := (count*percent + 99) / 100
	for i, n := range total {
		if rank <= n {
			return bucketMiddle(i)
		}
		rank -= n
	}
	return bucketStart(durationBuckets)
}
