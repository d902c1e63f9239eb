package core

import (
	"sync/atomic"
	"time"
)

// ramp thins out the calls of a breaker that has just closed, evenly instead of
// at random: each call earns the share now admitted, and whole units are calls.
type ramp struct {
	credit atomic.Uint64
}

const (
	rampUnit  = 1 << 20
	rampFloor = rampUnit/10 + 1 // so that ten calls make one
)

// admits reports whether the next call goes through, at a time elapsed into a
// ramp of the given length.
func (r *ramp) admits(elapsed, length time.Duration) bool {
	earn := uint64(rampUnit)
	if elapsed < length {
		earn = rampFloor + uint64(float64(rampUnit-rampFloor)*float64(max(elapsed, 0))/float64(length))
	}
	for {
		have := r.credit.Load()
		perturb()
		next, admitted := have+earn, false
		if next >= rampUnit {
			next, admitted = next-rampUnit, true
		}
		if r.credit.CompareAndSwap(have, next) {
			return admitted
		}
	}
}
