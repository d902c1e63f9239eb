package presets_test

import (
	"context"
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
		call := presets.Protect("x", p, double)
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
	backoff := presets.Retry{Enabled: true, Strategy: presets.Exponential}
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
		Retry: presets.Retry{Enabled: true, Strategy: presets.Fixed, InitialDelay: 1},
	}
	fails := false
	call := presets.ProtectFunc("x", p, func(context.Context) error {
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
