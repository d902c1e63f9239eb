package main

import (
	"fmt"
	"os"
	"runtime"
	"time"
)

// resources are what a process must give back.
type resources struct {
	goroutines  int
	descriptors int // -1 where the system does not tell
	heap        uint64
}

// slack is how much more heap there may be: what the runtime, pools and the
// metrics SDK keep for the next time.
const slack = 4 << 20

// settled reads the resources once they are as low as those of before, or
// patience is over: goroutines need a moment to be gone.
func settled(before *resources, patience time.Duration) resources {
	const pause = 20 * time.Millisecond
	for waited := time.Duration(0); ; waited += pause {
		now := read()
		if waited >= patience || before != nil && before.leaked(now) == nil {
			return now
		}
		time.Sleep(pause)
	}
}

func read() resources {
	for range 3 { // finalizers and pools give way in turns
		runtime.GC()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	r := resources{goroutines: runtime.NumGoroutine(), descriptors: -1, heap: m.HeapAlloc}
	if open, err := os.ReadDir("/proc/self/fd"); err == nil {
		r.descriptors = len(open)
	}
	return r
}

// leaked says what there is more of than before.
func (r *resources) leaked(now resources) (wrong []string) {
	if now.goroutines > r.goroutines {
		wrong = append(wrong, fmt.Sprintf("%d goroutines, %d before", now.goroutines, r.goroutines))
	}
	if now.descriptors > r.descriptors {
		wrong = append(wrong, fmt.Sprintf("%d descriptors, %d before", now.descriptors, r.descriptors))
	}
	if now.heap > r.heap+slack {
		wrong = append(wrong, fmt.Sprintf("heap of %d KiB, %d KiB before", now.heap>>10, r.heap>>10))
	}
	return wrong
}
