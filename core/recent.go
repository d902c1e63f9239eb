package core

import (
	"cmp"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Call is one of the last calls of a breaker, see [Snapshot.RecentCalls].
type Call struct {
	At       time.Time     `json:"at"` // when it was settled
	Outcome  Outcome       `json:"outcome"`
	Duration time.Duration `json:"duration,omitzero"` // 0 unless Durations or SlowAfter is set, or it was told to Record
	Err      string        `json:"err,omitzero"`      // the text of its error, at most 256 bytes of UTF-8
}

// recent is a ring of the last calls. Each call takes the next number and with it a
// slot, whose lock is free unless a reader looks or the ring came round meanwhile.
type recent struct {
	last  atomic.Uint64
	slots []recentCall
}

type recentCall struct {
	mu      sync.Mutex
	number  uint64 // from 1
	at      time.Duration
	took    time.Duration
	outcome Outcome
	err     string
}

func newRecent(calls int) *recent { return &recent{slots: make([]recentCall, calls)} }

func (r *recent) add(at time.Duration, settlement *Settlement) {
	err := reasonOf(settlement.Err) // the user's code: not under the lock
	number := r.last.Add(1)
	slot := &r.slots[number%uint64(len(r.slots))]
	slot.mu.Lock()
	defer slot.mu.Unlock()
	if slot.number < number { // else the ring came round
		slot.number, slot.at, slot.took, slot.outcome, slot.err = number, at, settlement.Duration, settlement.Outcome, err
	}
}

// read returns the calls, oldest first.
func (r *recent) read(epoch time.Time) []Call {
	type numbered struct {
		number uint64
		Call
	}
	found := make([]numbered, 0, len(r.slots))
	for i := range r.slots {
		slot := &r.slots[i]
		slot.mu.Lock()
		if slot.number > 0 {
			found = append(found, numbered{slot.number, Call{epoch.Add(slot.at), slot.outcome, slot.took, slot.err}})
		}
		slot.mu.Unlock()
	}
	slices.SortFunc(found, func(a, b numbered) int { return cmp.Compare(a.number, b.number) })
	calls := make([]Call, len(found))
	for i := range found {
		calls[i] = found[i].Call
	}
	return calls
}
