package core_test

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/blackbox4/switchgear/core"
)

// TestLimitHoldsUnderConcurrency: never more calls in flight than the limit, none
// below zero, none at rest, and every call counted once, whatever goes on.
func TestLimitHoldsUnderConcurrency(t *testing.T) {
	t.Parallel()
	const most, workers, each = 7, 8, 400
	low := core.WithPriority(bg, core.LowPriority)
	limit := newLimit(t, fixedAt(most))
	breaker := newBreaker(t, core.Config{FailureThreshold: -1, FailureRateThreshold: -1})
	gates := []core.Gate{limit, core.All(limit, breaker), core.All(breaker, limit)}
	var running, admitted, refused atomic.Int64
	var callers sync.WaitGroup
	for w := range workers {
		callers.Go(func() {
			random := rand.New(rand.NewPCG(uint64(w), 1))
			for range each {
				ctx := bg
				if random.IntN(3) == 0 {
					ctx = low
				}
				p, err := gates[random.IntN(len(gates))].Allow(ctx)
				if err != nil {
					refused.Add(1)
					continue
				}
				admitted.Add(1)
				if n := running.Add(1); n > most {
					t.Errorf("%d calls in flight, want %d at most", n, most)
				}
				if n := limit.Snapshot().InFlight; n < 1 || n > most {
					t.Errorf("the snapshot has %d calls in flight, want 1 to %d", n, most)
				}
				running.Add(-1)
				p.Settle(ctx, []core.Outcome{core.Success, core.Failure, core.Ignored}[random.IntN(3)])
			}
		})
	}
	callers.Wait()
	snap := limit.Snapshot()
	if snap.InFlight != 0 || int64(snap.Admitted) != admitted.Load() || int64(snap.Refused.Normal+snap.Refused.Low) != refused.Load() || admitted.Load()+refused.Load() != workers*each {
		t.Errorf("at rest %+v, want %d admitted and %d refused", snap, admitted.Load(), refused.Load())
	}
}

// One place, and a free one is always found: with one call at a time none is refused.
func TestLimitFindsAFreePlace(t *testing.T) {
	t.Parallel()
	limit := newLimit(t, fixedAt(2))
	var callers sync.WaitGroup
	for range 2 { // so never more than two calls, of which none may meet a full limit
		callers.Go(func() {
			for range 2000 {
				p, err := limit.Allow(bg)
				if err != nil {
					t.Errorf("Allow = %v, though a place is free", err)
					return
				}
				p.Settle(bg, core.Success)
			}
		})
	}
	callers.Wait()
}

// An adaptive limit stays within Min and Max while calls, updates, readers and hooks
// run at once.
func TestAdaptiveLimitUnderConcurrency(t *testing.T) {
	t.Parallel()
	var ticks atomic.Int64
	cfg := core.LimitConfig{
		Min: 2, Max: 50, Initial: 10,
		Now: func() time.Time { return simulationStart.Add(time.Duration(ticks.Add(1)) * time.Millisecond) },
	}
	cfg.Hooks.LimitChanged = func(_ context.Context, c core.LimitChange) {
		if c.To < 1 || c.To > 60 {
			t.Errorf("change %+v, want a limit from 1 to 60", c)
		}
	}
	limit := newLimit(t, cfg)
	g := core.All(limit, newBreaker(t, core.Config{Durations: true}))
	var callers sync.WaitGroup
	for w := range 4 {
		callers.Go(func() {
			for i := range 1000 {
				if p, err := g.Allow(bg); err == nil {
					p.Settle(bg, core.Success)
				}
				switch (i + w) % 250 {
				case 0:
					if err := limit.Update(core.LimitConfig{Min: 1, Max: 60 - w, Hooks: cfg.Hooks}); err != nil {
						t.Error(err)
					}
				case 100:
					if s := limit.Snapshot(); s.Limit < 1 || s.Limit > 60 || s.InFlight > 4 || limit.Explain() == "" {
						t.Errorf("snapshot %+v", s)
					}
				}
			}
		})
	}
	callers.Wait()
	if s := limit.Snapshot(); s.InFlight != 0 || s.Base == 0 {
		t.Errorf("at rest %+v, want no call in flight and a base latency", s)
	}
}

// FuzzLimit: the limit is within Min and Max whatever calls take and become.
func FuzzLimit(f *testing.F) {
	f.Add([]byte{1, 20, 200, 9, 255, 0, 3}, 1, 100)
	f.Fuzz(func(t *testing.T, script []byte, least, most int) {
		clock := newFakeClock()
		l, err := core.NewLimit("fuzz", core.LimitConfig{Min: least, Max: most, Now: clock.now})
		if err != nil {
			t.Skip() // not a configuration
		}
		cfg := l.Config()
		var permits []core.Permit
		for _, b := range script {
			for range int(b) * 2 {
				if p, err := l.Allow(bg); err == nil {
					permits = append(permits, p.Move())
				}
			}
			clock.advance(time.Duration(b) * time.Duration(b) * 10 * time.Millisecond)
			if b%7 == 0 {
				clock.advance(-time.Second)
			}
			for len(permits) > int(b)%5 {
				permits[0].Report(bg, core.Outcome(b%4), map[bool]error{true: context.DeadlineExceeded}[b%3 == 0])
				permits = permits[1:]
			}
			if s := l.Snapshot(); s.Limit < cfg.Min || s.Limit > cfg.Max || s.InFlight != len(permits) || s.Base < 0 || s.Latency < 0 {
				t.Fatalf("%+v with %d permits out, want a limit from %d to %d", s, len(permits), cfg.Min, cfg.Max)
			}
		}
	})
}
