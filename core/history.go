package core

import (
	"sync"
	"sync/atomic"
	"time"
)

// Interval is what happened in one stretch of [Snapshot.History].
type Interval struct {
	Start    time.Time
	Length   time.Duration
	Calls    uint64 // settled, without the ignored
	Failures uint64
	Refused  uint64
	Mean     time.Duration // of Calls; 0 unless Durations or SlowAfter is set
}

// history remembers the totals at the ends of the last intervals. Nothing is
// added per call: whoever is first in a new interval, call or reader, notes the
// totals as they stand, which are those at the end of the interval before, for
// nobody was there since. A call that ends while they are noted may fall into
// either.
type history struct {
	width   time.Duration
	current atomic.Int64 // number of the interval that runs
	mu      sync.Mutex
	ends    [intervals + 1]noted // by number modulo its length
	length  atomic.Uint64        // ns, of all timed calls
}

const intervals = 60

// noted are the totals at the end of an interval.
type noted struct {
	number                           int64
	calls, failures, refused, length uint64
}

// newHistory starts at now; what s holds by then is before its time.
func newHistory(s *stats, span, now time.Duration) *history {
	h := &history{width: span / intervals}
	at := int64(now / h.width)
	h.current.Store(at)
	if at > 0 {
		h.note(s, at-1)
	}
	return h
}

// roll notes the totals if now is in a new interval.
func (h *history) roll(s *stats, now time.Duration) {
	if int64(now/h.width) <= h.current.Load() {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.rollLocked(s, now)
}

func (h *history) rollLocked(s *stats, now time.Duration) {
	at, ended := int64(now/h.width), h.current.Load()
	if at <= ended {
		return
	}
	for i := max(ended, at-int64(len(h.ends))); i < at; i++ { // nothing happened after ended
		h.note(s, i)
	}
	h.current.Store(at)
}

func (h *history) note(s *stats, at int64) {
	t := s.totals()
	h.ends[at%int64(len(h.ends))] = noted{at, t.Successes + t.Failures, t.Failures, t.Refused, h.length.Load()}
}

// read returns the intervals up to the one that runs now, oldest first,
// without those before the history was begun.
func (h *history) read(s *stats, epoch time.Time, now time.Duration) []Interval {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.rollLocked(s, now)
	running := h.current.Load()
	h.note(s, running) // overwritten when it ends

	out := make([]Interval, 0, intervals)
	var before noted
	for at := max(running-intervals, 0); at <= running; at++ {
		end := h.ends[at%int64(len(h.ends))]
		known := end.number == at // false before the history was begun
		if known && at > running-intervals {
			row := Interval{
				Start: epoch.Add(time.Duration(at) * h.width), Length: h.width,
				Calls: end.calls - before.calls, Failures: end.failures - before.failures, Refused: end.refused - before.refused,
			}
			if row.Calls > 0 {
				row.Mean = time.Duration((end.length - before.length) / row.Calls)
			}
			out = append(out, row)
		}
		if known {
			before = end
		}
	}
	return out
}
