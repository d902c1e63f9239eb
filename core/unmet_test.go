package core_test

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/blackbox4/switchgear/core"
)

func TestSnapshotCountsALossOnce(t *testing.T) {
	var clock handClock
	b := newBreaker(t, core.Config{FailureThreshold: 1, HalfOpenMaxCalls: 1, SuccessThreshold: 1, Timeout: time.Second, ProbeTimeout: time.Second, Now: clock.now})
	fail(t, b, 1)
	var wg sync.WaitGroup
	var stop atomic.Bool
	bad := atomic.Int64{}
	wg.Go(func() {
		var last core.Totals
		for !stop.Load() {
			s := b.Snapshot().Totals
			if s.Lost < last.Lost || s.InFlight < 0 {
				bad.Add(1)
			}
			last = s
		}
	})
	rounds := 100_000
	if testing.Short() {
		rounds = 20_000
	}
	for range rounds {
		clock.advance(time.Second)
		_, _ = b.Allow(bg)
		clock.advance(time.Second)
		_, _ = b.Allow(bg)
	}
	stop.Store(true)
	wg.Wait()
	if n := bad.Load(); n > 0 {
		t.Errorf("in %d snapshots the lost went back, or fewer than no calls were in flight", n)
	}
}

func TestLoggerForcedOnceOverUpdates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &logbook{}
		cfg := core.Config{Logger: slog.New(log)}
		b := newBreaker(t, cfg)
		force(t, b, core.ForcedOpen)
		for range 5 {
			refusal(t, b)
			refusal(t, b)
			update(t, b, cfg)
		}
		if n := log.count("refuses"); n != 1 {
			t.Errorf("%d lines about refusals of one Force, want 1", n)
		}
	})
}

func TestLoggerFloodKeepsWhatIsRare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &logbook{}
		cfg := core.Config{FailureThreshold: 1, Timeout: time.Hour, Logger: slog.New(log), Hooks: core.Hooks{Settled: func(context.Context, core.Settlement) { time.Sleep(time.Millisecond) }}}
		b := newBreaker(t, cfg)
		var wg sync.WaitGroup
		wg.Go(func() { succeed(t, b, 1) })
		synctest.Wait()
		succeed(t, b, 2000)
		force(t, b, core.ForcedOpen)
		b.Release()
		fail(t, b, 1)
		refusal(t, b)
		wg.Wait()
		refusal(t, b)
		time.Sleep(time.Minute) // for what is queued
		synctest.Wait()
		if overrides, refusals := log.count("override"), log.count("refuses"); overrides != 2 || refusals != 1 {
			t.Errorf("%d lines about overrides and %d about refusals, want 2 and 1", overrides, refusals)
		}
	})
}

func TestRegistryStatsCountUnmetLosses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r core.Registry
		b := get(t, &r, "a")
		update(t, b, core.Config{FailureThreshold: 1, Timeout: time.Second, History: time.Hour})
		fail(t, b, 1)
		time.Sleep(time.Second)
		take(t, b)
		time.Sleep(time.Hour / 2)
		s := b.Snapshot()
		if got := r.Stats(); got.Totals != s.Totals || got.Totals.Lost != 1 {
			t.Errorf("Stats %+v, want the totals %+v with a lost probe", got, s.Totals)
		}
	})
}
