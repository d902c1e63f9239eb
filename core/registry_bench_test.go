package core_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

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
