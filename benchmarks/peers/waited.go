package main

import (
	"testing"
	"time"
)

// A parallel benchmark that gets one core of two shows no contention, and any
// that is held up shows the machine's other work. So each sample tells for what
// share of its time it was ready to run and had no core, and the driver leaves
// out those that waited long. It looks at nothing else: not at the time that
// came out, nor at the cores that were used, for a breaker that lets one core
// idle behind a lock is to be seen doing so.
const waitedMetric = "waited"

// watched runs a measured loop that can use so many cores, and reports the
// share of their time that it waited, where the system tells.
func watched(b *testing.B, cores int, loop func()) {
	before, known := waitedForCore()
	began := time.Now()
	loop()
	elapsed := time.Since(began)
	after, still := waitedForCore()
	if known && still && elapsed > 0 {
		waited := max(after-before, 0) // less, if a thread has ended
		b.ReportMetric(float64(waited)/float64(elapsed)/float64(cores), waitedMetric)
	}
}
