package core

import (
	"sync"
	"sync/atomic"
	"time"
)

// Interval is what happened in one stretch of [Snapshot.History]. A call is in the
// stretch in which it was settled, a lost probe too.
type Interval struct {
	Start    time.Time     `json:"start"`
	Length   time.Duration `json:"length"`
	Calls    uint64        `json:"calls"` // settled, without the ignored
	Failures uint64        `json:"failures"`
	Refused  uint64        `json:"refused"`
	Mean     time.Duration `json:"mean"` // of Calls; 0 unless Durations or SlowAfter is set
}

// history remembers the totals at the ends of the last intervals. Nothing is
// added per call: the first call or reader in a new interval notes the totals as
// they stand, which are those at the end of the interval before, for no other came
// since. A call that ends while they are noted may fall into
// either.
type history struct {
	width   time.Duration
	begun   int64        // number of its first interval
	base    totalsAt     // before that
	current atomic.Int64 // number of the interval that runs
	mu      sync.Mutex
	ends    [intervals + 1]totalsAt // by number modulo its length; of begun and later ones
	length  atomic.Uint64           // ns, of all timed calls
}

const intervals = 60

// totalsAt are the totals at the end of an interval.
type totalsAt struct {
	calls, failures, refused, length uint64
}

// newHistory starts at now; what s holds by then is before its time.
func newHistory(s *stats, span, now time.Duration) *history {
	h := &history{width: span / intervals}
	h.begun = int64(now / h.width)
	h.current.Store(h.begun)
	h.base = h.note(s)
	return h
}

func (h *history) note(s *stats) totalsAt {
	t := s.totals()
	return totalsAt{t.Successes + t.Failures, t.Failures, t.Refused, h.length.Load()}
}

// roll notes the totals if now is in a new interval. It must come before what
// happens now is counted.
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
	end := h.note(s)
	for i := max(ended, at-int64(len(h.ends))); i < at; i++ { // nothing happened after ended
		*h.end(i) = end
	}
	h.current.Store(at)
}

func (h *history) end(number int64) *totalsAt { return &h.ends[number%int64(len(h.ends))] }

// read returns the intervals up to the one that runs now, oldest first,
// without those before the history was begun.
func (h *history) read(s *stats, epoch time.Time, now time.Duration) []Interval {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.rollLocked(s, now)
	running := h.current.Load()
	*h.end(running) = h.note(s) // for now; written again when it ends

	first := max(h.begun, running-intervals+1)
	before := h.base
	if first > h.begun {
		before = *h.end(first - 1)
	}
	out := make([]Interval, 0, intervals)
	for at := first; at <= running; at++ {
		end := *h.end(at)
		row := Interval{
			Start: epoch.Add(time.Duration(at) * h.width), Length: h.width,
			Calls: end.calls - before.calls, Failures: end.failures - before.failures, Refused: end.refused - before.refused,
		}
		if row.Calls > 0 {
			row.Mean = time.Duration((end.length - before.length) / row.Calls)
		}
		out = append(out, row)
		before = end
	}
	return out
}
