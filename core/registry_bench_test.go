package core_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/blackbox4/switchgear/core"
)

// BenchmarkRegistryGet finds names that are there, each goroutine all of them in
// turn.
func BenchmarkRegistryGet(b *testing.B) {
	for _, n := range []int{10_000, 1_000_000} {
		keys := sync.OnceValue(func() []string {
			keys := make([]string, n)
			for i := range keys {
				keys[i] = fmt.Sprint("host-", i, ".example")
			}
			return keys
		})
		filled := sync.OnceValue(func() *core.Registry {
			r := &core.Registry{Max: n}
			for _, key := range keys() {
				if _, err := r.Get(key); err != nil {
					b.Fatal(err)
				}
			}
			return r
		})
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			r, keys := filled(), keys()
			var started atomic.Int64
			b.SetParallelism(16)
			b.ReportAllocs()
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				i := int(started.Add(1)) * n / 64 % n
				for pb.Next() {
					if _, err := r.Get(keys[i]); err != nil {
						b.Error(err)
					}
					if i++; i == n {
						i = 0
					}
				}
			})
		})
	}
}

// BenchmarkRegistryUpdate updates 100,000 breakers while a new name comes each
// millisecond, and names that are there are asked for all the time.
func BenchmarkRegistryUpdate(b *testing.B) {
	const many = 100_000
	r := core.Registry{Max: 2 * many}
	for i := range many {
		if _, err := r.Get(fmt.Sprint("host-", i)); err != nil {
			b.Fatal(err)
		}
	}
	var stop atomic.Bool
	var wg sync.WaitGroup
	longest := func(every time.Duration, name func(i int) string) *time.Duration {
		most := new(time.Duration)
		wg.Go(func() {
			for i := 0; !stop.Load(); i++ {
				begun := time.Now()
				if _, err := r.Get(name(i)); err != nil {
					b.Error(err)
				}
				*most = max(*most, time.Since(begun))
				time.Sleep(every)
			}
		})
		return most
	}
	added := longest(time.Millisecond, func(i int) string { return fmt.Sprint("new-", i) })
	found := longest(100*time.Microsecond, func(i int) string { return fmt.Sprint("host-", i%many) })
	b.ResetTimer()
	for i := range b.N {
		if err := r.Update(func(string) core.Config { return core.Config{FailureThreshold: 1 + i%10} }); err != nil {
			b.Fatal(err)
		}
	}
	b.StopTimer()
	stop.Store(true)
	wg.Wait()
	b.ReportMetric(b.Elapsed().Seconds()/float64(b.N), "s/update")
	b.ReportMetric(float64(added.Microseconds())/1000, "longest-new-ms")
	b.ReportMetric(float64(found.Microseconds())/1000, "longest-get-ms")
}
