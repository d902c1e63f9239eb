package core_test

import (
	"testing"
	"time"

	"github.com/blackbox4/switchgear/core"
)

// BenchmarkLimit stands beside a closed breaker: a limit costs at most twice as much.
func BenchmarkLimit(b *testing.B) {
	breaker := core.MustNew("bench", core.Config{})
	window := core.MustNew("bench", core.Config{Window: core.Window{For: 10 * time.Second}})
	durations := core.MustNew("bench", core.Config{Durations: true})
	fixed := core.MustNewLimit("bench", core.LimitConfig{Min: 1000, Max: 1000})
	adaptive := core.MustNewLimit("bench", core.LimitConfig{})
	full := core.MustNewLimit("bench", core.LimitConfig{Min: 1, Max: 1})
	if _, err := full.Allow(bg); err != nil {
		b.Fatal(err)
	}
	for _, c := range []struct {
		name string
		gate core.Gate
	}{
		{"breaker", breaker},
		{"breaker, time window", window},
		{"fixed", fixed},
		{"adaptive", adaptive},
		{"refused", full},
		{"All(fixed, breaker)", core.All(fixed, breaker)},
		{"All(adaptive, breaker)", core.All(adaptive, breaker)},
		{"All(breaker, adaptive)", core.All(breaker, adaptive)},
		{"All(adaptive, breaker with durations)", core.All(adaptive, durations)},
	} {
		call := func() {
			if p, err := c.gate.Allow(bg); err == nil {
				p.Settle(bg, core.Success)
			}
		}
		b.Run(c.name+"/serial", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				call()
			}
		})
		b.Run(c.name+"/parallel", func(b *testing.B) {
			b.ReportAllocs()
			b.SetParallelism(16)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					call()
				}
			})
		})
	}
}
