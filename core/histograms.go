package core

import (
	"math/bits"
	"sync"
	"sync/atomic"
	"time"
)

// histograms keeps durations of this minute and of the one before, in shards.
// The buckets are log-linear: eight to each doubling, from 1 µs to 19 hours.
//
// A shard's halves take turns; half g&1 holds minute g. Whoever is first in a
// minute empties the half it will fill, under mu. A call that read the minute
// before that and adds after it is counted in a half that is a minute older, or
// lost: the counts are never more than the truth and exact at rest.
type histograms struct {
	minute atomic.Int64
	mu     sync.Mutex
	shards []lengths
}

type lengths [2][lengthBuckets]atomic.Uint64

const (
	lengthUnit    = 10          // 2^10 ns, about a microsecond: what is shorter is in the first bucket
	lengthBits    = 3           // eight buckets to a doubling
	lengthBuckets = 34 * 8      // up to 2^46 ns
	maxHistograms = 8           // 4 KiB a shard: more would cost more memory than contention
	lengthSpan    = time.Minute // of a half
)

func newHistograms() *histograms {
	return &histograms{shards: make([]lengths, min(shards(), maxHistograms))}
}

// bucketOf returns the bucket of a duration: exponent and the three bits that
// follow the leading one.
func bucketOf(d time.Duration) int {
	u := uint64(max(d, 0)) >> lengthUnit
	if u < 1<<lengthBits {
		return int(u)
	}
	exp := bits.Len64(u) - lengthBits - 1
	return min(exp<<lengthBits+int(u>>exp), lengthBuckets-1)
}

// bucketStart is the shortest duration of bucket i.
func bucketStart(i int) time.Duration {
	if i < 2<<lengthBits {
		return time.Duration(i) << lengthUnit
	}
	exp := i>>lengthBits - 1
	return time.Duration(i-exp<<lengthBits) << (exp + lengthUnit)
}

func bucketMiddle(i int) time.Duration { return (bucketStart(i) + bucketStart(i+1)) / 2 }

// turn makes room for the minute of now.
func (h *histograms) turn(now time.Duration) int64 {
	minute := int64(now / lengthSpan)
	current := h.minute.Load()
	if minute <= current {
		return current
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	current = h.minute.Load()
	if minute <= current {
		return current
	}
	for i := range h.shards {
		for half := range h.shards[i] {
			if int64(half) == minute&1 || minute-current > 1 {
				for j := range h.shards[i][half] {
					h.shards[i][half][j].Store(0)
				}
			}
		}
	}
	h.minute.Store(minute)
	return minute
}

func (h *histograms) add(now time.Duration, shard uint8, d time.Duration) {
	h.shards[int(shard)&(len(h.shards)-1)][h.turn(now)&1][bucketOf(d)].Add(1)
}

func (h *histograms) read(now time.Duration) Durations {
	h.turn(now)
	var total [lengthBuckets]uint64
	var d Durations
	for i := range h.shards {
		for half := range h.shards[i] {
			for j := range total {
				n := h.shards[i][half][j].Load()
				total[j] += n
				d.Count += n
			}
		}
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
func percentile(total *[lengthBuckets]uint64, count, percent uint64) time.Duration {
	rank := (count*percent + 99) / 100
	for i, n := range total {
		if rank <= n {
			return bucketMiddle(i)
		}
		rank -= n
	}
	return bucketStart(lengthBuckets)
}
