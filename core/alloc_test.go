package core_test

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"time"

	"github.com/blackbox4/switchgear/core"
)

var errAlloc = errors.New("sick")

// TestAllocs: the paths that calls take allocate nothing.
func TestAllocs(t *testing.T) {
	ctx := context.Background()
	closed := func(cfg core.Config) *core.Breaker { return core.MustNew("alloc", neverOpens(cfg)) }
	count, span := closed(core.Config{}), closed(core.Config{FailureRateThreshold: 1, Window: core.Window{For: time.Minute}})
	durations := closed(core.Config{FailureRateThreshold: 1, Durations: true, SlowAfter: time.Hour, Window: core.Window{For: time.Minute}})
	history := closed(core.Config{Durations: true, History: time.Hour})
	sick := closed(core.Config{FailureRateThreshold: 1}) // a success between keeps it closed
	opened := core.MustNew("open", core.Config{FailureThreshold: 1, Timeout: time.Hour})
	settleOne(t, opened, core.Failure)

	var clock handClock
	half := core.MustNew("half", core.Config{FailureThreshold: 1, Timeout: time.Second, HalfOpenMaxCalls: 1, Now: clock.now})
	settleOne(t, half, core.Failure)
	clock.advance(time.Second)
	if _, err := half.Allow(ctx); err != nil {
		t.Fatal(err)
	}
	ramp := core.MustNew("ramp", core.Config{FailureThreshold: 1, Timeout: time.Second, SuccessThreshold: 1, RampUp: time.Hour, Now: clock.now})
	settleOne(t, ramp, core.Failure)
	clock.advance(time.Second)
	settleOne(t, ramp, core.Success)

	var registry core.Registry
	if _, err := registry.Get("host"); err != nil {
		t.Fatal(err)
	}
	shadow := core.MustNew("shadow", core.Config{FailureThreshold: 1, Timeout: time.Hour})
	settleOne(t, shadow, core.Failure)
	disabled := closed(core.Config{})
	forced := closed(core.Config{})
	for b, o := range map[*core.Breaker]core.Override{shadow: core.Shadow, disabled: core.Disabled, forced: core.ForcedOpen} {
		if err := b.Force(o); err != nil {
			t.Fatal(err)
		}
	}

	call := func(g core.Gate, o core.Outcome) {
		p, err := g.Allow(ctx)
		if err != nil {
			t.Fatal(err)
		}
		p.Settle(ctx, o)
	}
	both := func(g core.Gate, o core.Outcome) func() { return func() { call(g, o) } }
	refused := func(g core.Gate) func() {
		return func() {
			if _, err := g.Allow(ctx); err == nil {
				t.Fatal("admitted")
			}
		}
	}
	calls := 0
	var shared core.Permit
	for _, c := range []struct {
		name string
		f    func()
	}{
		{"count window, success", both(count, core.Success)},
		{"count window, failure", func() { call(sick, core.Failure); call(sick, core.Success) }},
		{"count window, ignored", both(count, core.Ignored)},
		{"time window, success", both(span, core.Success)},
		{"time window, failure", func() { call(span, core.Failure); call(span, core.Success) }},
		{"durations", both(durations, core.Success)},
		{"durations, failure", both(durations, core.Failure)},
		{"history", both(history, core.Success)},
		{"1 % failures", func() {
			if calls++; calls%100 == 0 {
				call(sick, core.Failure)
				return
			}
			call(sick, core.Success)
		}},
		{"Done", func() {
			p, err := count.Allow(ctx)
			if err != nil {
				t.Fatal(err)
			}
			p.Done(ctx, nil)
		}},
		{"Done with an error", func() {
			call(sick, core.Success)
			p, err := sick.Allow(ctx)
			if err != nil {
				t.Fatal(err)
			}
			p.Done(ctx, errAlloc)
		}},
		{"settled twice", func() {
			p, err := count.Allow(ctx)
			if err != nil {
				t.Fatal(err)
			}
			p.Settle(ctx, core.Success)
			p.Settle(ctx, core.Failure)
			p.Done(ctx, errAlloc)
		}},
		{"deferred", func() {
			p, err := count.Allow(ctx)
			if err != nil {
				t.Fatal(err)
			}
			defer p.Settle(ctx, core.Failure)
			p.Done(ctx, nil)
		}},
		{"the zero permit", func() { shared.Settle(ctx, core.Failure) }},
		{"refused, open", refused(opened)},
		{"refused, half-open", refused(half)},
		{"refused, forced", refused(forced)},
		{"errors.Is of a refusal", func() {
			if _, err := opened.Allow(ctx); !errors.Is(err, core.ErrOpen) {
				t.Fatal(err)
			}
		}},
		{"ramp", func() {
			if p, err := ramp.Allow(ctx); err == nil {
				p.Settle(ctx, core.Success)
			}
		}},
		{"shadow", both(shadow, core.Failure)},
		{"disabled", both(disabled, core.Failure)},
		{"Breaker.Do", func() {
			if err := count.Do(ctx, func(context.Context) error { return nil }); err != nil {
				t.Fatal(err)
			}
		}},
		{"Breaker.Do, failure", func() {
			call(sick, core.Success)
			if err := sick.Do(ctx, func(context.Context) error { return errAlloc }); err == nil {
				t.Fatal("no error")
			}
		}},
		{"Breaker.Do, refused", func() {
			if err := opened.Do(ctx, func(context.Context) error { return nil }); err == nil {
				t.Fatal("admitted")
			}
		}},
		{"Do", func() {
			if v, err := core.Do(ctx, count, func(context.Context) (int, error) { return 7, nil }); v != 7 || err != nil {
				t.Fatal(v, err)
			}
		}},
		{"Registry.Get, then a call", func() {
			b, err := registry.Get("host")
			if err != nil {
				t.Fatal(err)
			}
			call(b, core.Success)
		}},
		{"State", func() { _, _, _ = count.State(), opened.State(), half.State() }},
	} {
		c.f() // what is made at the first call
		if n := testing.AllocsPerRun(300, c.f); n != 0 {
			t.Errorf("%s: %v allocations", c.name, n)
		}
	}
}

func settleOne(t *testing.T, g core.Gate, o core.Outcome) {
	t.Helper()
	p, err := g.Allow(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	p.Settle(context.Background(), o)
}

// However many processors there are, a breaker has 32 shards at most.
func TestShardsAreBounded(t *testing.T) {
	if underRace() {
		return // which has a cost of its own for each allocation
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(256))
	const n = 200
	breakers := make([]*core.Breaker, n)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for i := range breakers {
		breakers[i] = core.MustNew("shards", core.Config{Window: core.Window{For: time.Minute}})
		p, _ := breakers[i].Allow(context.Background())
		p.Settle(context.Background(), core.Success)
	}
	runtime.ReadMemStats(&after)
	if each, most := (after.TotalAlloc-before.TotalAlloc)/n, uint64(32*(64+128)+6<<10); each > most || each < 32*(64+128) {
		t.Errorf("%d B a breaker, want more than 32 shards of 192 B and at most %d B", each, most)
	}
}
