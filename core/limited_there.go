package core

import (
	"sync"
	"time"
)

// limitedFor is how long after a success a dependency is believed that only its
// limit has refused.
const limitedFor = 10 * time.Second

// limitedEvidence is when a breaker has last seen, at a refusal of its dependency's
// limit, that a call had succeeded since the one before. A success itself does not
// read the clock, which would cost every call more than the rest of its settlement.
type limitedEvidence struct {
	mu        sync.Mutex
	successes uint64        // as of the last refusal
	at        time.Duration // when they were last found to have grown
}

// LimitedOutcome says what a call is to be settled as that the dependency's own
// limit has refused, as it says ("try again", and not "I am sick"). That is
// [Ignored] as long as other calls succeed, and [Failure] once none has for 10 s:
// so a sick dependency gains nothing by refusing everything in this way.
//
// A success is noticed at the next refusal after it. After a time without refusals
// the 10 s begin with the first, if any call has succeeded since the one before. A
// breaker that was not made by [New] says Failure. It costs a clock reading and a
// short lock, and is safe for concurrent use.
func (b *Breaker) LimitedOutcome() Outcome {
	if !b.made() {
		return Failure
	}
	st := b.stats()
	if st == nil {
		return Failure
	}
	successes, now := st.successes(), b.now()
	e := b.limited.Load()
	if e == nil {
		b.limited.CompareAndSwap(nil, new(limitedEvidence))
		e = b.limited.Load()
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if successes > e.successes {
		e.successes, e.at = successes, max(now, e.at)
	}
	if e.successes == 0 || now-e.at > limitedFor {
		return Failure
	}
	return Ignored
}

// successes returns how many calls have succeeded.
func (s *stats) successes() (n uint64) {
	for i := range s.shards {
		n += s.shards[i].successes.Load()
	}
	return n
}
