package presets_test

import (
	"context"
	"runtime"
	"testing"
	"time"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/presets"
)

// BenchmarkProtect is a protected function beside core.Do of the same breaker:
// what differs is the lookup of the name.
func BenchmarkProtect(b *testing.B) {
	ctx := context.Background()
	double := func(_ context.Context, in int) (int, error) { return 2 * in, nil }
	policy := func(callTimeout time.Duration, retry presets.Retry) presets.Policy {
		return presets.Policy{
			Config: core.Config{FailureThreshold: 1, Timeout: time.Hour, CallTimeout: callTimeout},
			Retry:  retry, Registry: new(presets.Registry),
		}
	}
	do := func(callTimeout time.Duration) func() (int, error) {
		breaker := core.MustNew("x", policy(callTimeout, presets.Retry{}).Config)
		return func() (int, error) {
			return core.Do(ctx, breaker, func(ctx context.Context) (int, error) { return double(ctx, 21) })
		}
	}
	protect := func(p presets.Policy) func() (int, error) {
		call := presets.MustProtect("x", p, double)
		return func() (int, error) { return call(ctx, 21) }
	}
	refused := func(p presets.Policy) func() (int, error) {
		call := protect(p)
		breaker, err := p.Registry.Breakers().Get("x")
		if err != nil {
			b.Fatal(err)
		}
		_ = breaker.Do(ctx, func(context.Context) error { return errDown })
		return call
	}
	backoff := presets.Retry{Enabled: true, Strategy: presets.StrategyExponential}
	for _, c := range []struct {
		name string
		want int
		call func() (int, error)
	}{
		{"do", 42, do(0)},
		{"protect", 42, protect(policy(0, presets.Retry{}))},
		{"protect with retry policy", 42, protect(policy(0, backoff))},
		{"refused", 0, refused(policy(0, presets.Retry{}))},
		{"refused with retry policy", 0, refused(policy(0, backoff))},
		{"call timeout do", 42, do(time.Minute)},
		{"call timeout protect", 42, protect(policy(time.Minute, presets.Retry{}))},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if out, _ := c.call(); out != c.want {
					b.Fatalf("a call = %d, want %d", out, c.want)
				}
			}
		})
		b.Run(c.name+", parallel", func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if out, _ := c.call(); out != c.want {
						b.Errorf("a call = %d, want %d", out, c.want)
					}
				}
			})
		})
	}
}

// BenchmarkRetry is a call that fails once and succeeds then, after a wait of a
// nanosecond.
func BenchmarkRetry(b *testing.B) {
	ctx := context.Background()
	p := presets.Policy{
		Config: core.Config{FailureThreshold: -1, FailureRateThreshold: -1}, Registry: new(presets.Registry),
		Retry: presets.Retry{Enabled: true, Strategy: presets.StrategyFixed, InitialDelay: 1},
	}
	fails := false
	call := presets.MustProtectFunc("x", p, func(context.Context) error {
		if fails = !fails; fails {
			return errDown
		}
		return nil
	})
	b.ReportAllocs()
	for b.Loop() {
		if err := call(ctx); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkStatistics is a call of a breaker by the moderate preset, with the statistics
// that every preset keeps, with one of them, and without.
func BenchmarkStatistics(b *testing.B) {
	ctx := context.Background()
	ok := func(context.Context) error { return nil }
	for _, c := range []struct {
		name string
		keep func(p *presets.Policy)
	}{
		{"none", func(p *presets.Policy) { p.Durations, p.History, p.RecentCalls = false, 0, 0 }},
		{"durations", func(p *presets.Policy) { p.History, p.RecentCalls = 0, 0 }},
		{"history", func(p *presets.Policy) { p.Durations, p.RecentCalls = false, 0 }},
		{"recent calls", func(p *presets.Policy) { p.Durations, p.History = false, 0 }},
		{"all", func(*presets.Policy) {}},
	} {
		policy := presets.Moderate().With(func(p *presets.Policy) { p.CallTimeout = 0 }).With(c.keep) // a deadline would cost more than all
		breaker := func(b *testing.B) *core.Breaker {
			b.Helper()
			breaker, err := policy.Breaker("x")
			if err != nil {
				b.Fatal(err)
			}
			return breaker
		}
		b.Run(c.name, func(b *testing.B) {
			breaker := breaker(b)
			b.ReportAllocs()
			for b.Loop() {
				if err := breaker.Do(ctx, ok); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(c.name+", parallel", func(b *testing.B) {
			breaker := breaker(b)
			b.ReportAllocs()
			b.SetParallelism(32 / runtime.GOMAXPROCS(0))
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if err := breaker.Do(ctx, ok); err != nil {
						b.Errorf("a call = %v", err)
					}
				}
			})
		})
		b.Run(c.name+", memory", func(b *testing.B) { // of a breaker that has been called
			for b.Loop() {
				const many = 1000
				var before, after runtime.MemStats
				breakers := make([]*core.Breaker, many)
				runtime.GC()
				runtime.ReadMemStats(&before)
				for i := range breakers {
					breakers[i] = breaker(b)
					for range 200 {
						_ = breakers[i].Do(ctx, ok)
					}
				}
				runtime.GC()
				runtime.ReadMemStats(&after)
				b.ReportMetric(float64(int64(after.HeapAlloc)-int64(before.HeapAlloc))/many, "B/breaker")
				runtime.KeepAlive(breakers)
			}
		})
	}
}
