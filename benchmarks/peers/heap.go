package main

import (
	"fmt"
	"io"
	"runtime"
)

const (
	manyInstances = 100_000
	fewInstances  = 500
	heapBudget    = 512 << 20 // big ones are made in smaller number
	usedCalls     = 200
)

// weight is the heap of one breaker in bytes, never called and after 200
// successes.
type weight struct {
	fresh, used float64
	instances   int
}

// weighAll weighs every breaker once: bytes do not move with the machine's load.
// A breaker that panics is a row that failed, and ends the weighing.
func weighAll(instances int, progress io.Writer) (all map[string]weight, failed *failure) {
	fmt.Fprintf(progress, "heap of up to %d instances\n", instances)
	all = make(map[string]weight)
	for _, s := range subjects() {
		err := recovered(func() error {
			all[s.name] = weighed(s, instances)
			return nil
		})
		if err != nil {
			fmt.Fprintf(progress, "FAILED: heap of %s: %v\n", s.name, err)
			return all, &failure{row: key{"Heap", s.name}, passes: []int{1}, err: err}
		}
	}
	return all, nil
}

func weighed(s *subject, n int) weight {
	if s.noCreate {
		n = min(n, 2000) // they stay for good, with their goroutines
	}
	const probe = 200
	if big := weigh(s, probe, usedCalls); big > 0 {
		n = min(n, max(probe, int(heapBudget/big)))
	}
	return weight{weigh(s, n, 0), weigh(s, n, usedCalls), n}
}

// weigh returns the heap bytes of one of n breakers after so many calls.
func weigh(s *subject, n, calls int) float64 {
	held := make([]any, n)
	before := heapInUse()
	for i := range held {
		held[i] = s.create(calls)
	}
	after := heapInUse()
	runtime.KeepAlive(held)
	return (float64(after) - float64(before)) / float64(n)
}

// heapInUse collects more than once: finalizers and pools give way in turns.
func heapInUse() uint64 {
	for range 3 {
		runtime.GC()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
