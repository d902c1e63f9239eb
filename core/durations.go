package core

import (
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
