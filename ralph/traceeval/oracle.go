package main

import (
	"hash/maphash"
)

// loops reports whether a run plainly loops, by a rule that knows nothing of ours: six
// equal calls with equal outcomes among twelve, four in a row, a cycle of two to four
// calls three times, or the same error five times, always to the letter.
func (t *trace) loops() bool {
	var keys, failures []uint64
	for i := range t.events {
		s := t.events[i].step
		if s == nil || s.Tool == "" {
			continue
		}
		key := maphash.Comparable(oracleSeed, [3]string{s.Tool, s.Args, s.Output})
		failure := uint64(0)
		if s.Failed {
			failure = maphash.Comparable(oracleSeed, [3]string{s.Tool, s.Output, s.Err})
		}
		keys, failures = append(keys, key), append(failures, failure)
		if equal(keys, 12) >= 6 || equal(keys, 4) >= 4 || failure != 0 && equal(failures, 12) >= 5 {
			return true
		}
		for p := 2; p <= 4; p++ {
			if cycles(keys, p, 3) {
				return true
			}
		}
	}
	return false
}

var oracleSeed = maphash.MakeSeed() //nolint:gochecknoglobals // a constant

// equal is how many of the last n keys are the last one.
func equal(keys []uint64, n int) (same int) {
	last := keys[len(keys)-1]
	for _, k := range keys[max(len(keys)-n, 0):] {
		if k == last {
			same++
		}
	}
	return same
}

// cycles reports whether the last keys are the same p of them so many times.
func cycles(keys []uint64, p, times int) bool {
	if len(keys) < p*times {
		return false
	}
	keys = keys[len(keys)-p*times:]
	for i := p; i < len(keys); i++ {
		if keys[i] != keys[i-p] {
			return false
		}
	}
	return true
}
