package core_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/blackbox4/switchgear/core"
)

// What get_state, get_metrics and get_statistics told.
func TestSnapshot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(t, core.Config{FailureThreshold: 3, SuccessThreshold: 2, Timeout: time.Minute, SlowAfter: time.Second, CallTimeout: time.Minute})
		begin := time.Now()
		check := func(what string, want core.Snapshot) {
			t.Helper()
			got := b.Snapshot()
			for _, ts := range []struct {
				name      string
				got, want time.Time
			}{{"At", got.At, want.At}, {"Started", got.Started, begin}, {"Since", got.Since, want.Since}, {"RetryAt", got.RetryAt, want.RetryAt}} {
				if !ts.got.Equal(ts.want) {
					t.Errorf("%s: %s = %v, want %v", what, ts.name, ts.got, ts.want)
				}
			}
			got.At, got.Started, got.Since, got.RetryAt = want.At, want.Started, want.Since, want.RetryAt
			got.Transitions, got.Changes, got.TimeIn, got.Probes = nil, nil, core.TimeIn{}, core.Probes{} // see record_test.go
			if fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", want) {
				t.Errorf("%s:\n %+v, want\n %+v", what, got, want)
			}
		}
		check("new", core.Snapshot{Name: "test", At: begin, Since: begin})

		p := take(t, b)
		play(t, b, "SSFFI")
		lasting(t, b, 2*time.Second, core.Success)
		totals := core.Totals{Calls: 7, Successes: 3, Failures: 2, Ignored: 1, Slow: 1, InFlight: 1}
		check("closed", core.Snapshot{Name: "test", At: begin.Add(2 * time.Second), Since: begin, Window: core.Counts{Calls: 5, Failures: 2, Slow: 1}, Totals: totals})

		fail(t, b, 3)
		refusal(t, b)
		p.Settle(bg, core.Success)
		totals = core.Totals{Calls: 10, Successes: 4, Failures: 5, Ignored: 1, Refused: 1, Slow: 2, Late: 1}
		check("open", core.Snapshot{
			Name: "test", At: begin.Add(2 * time.Second), State: core.Open, Cause: core.CauseConsecutiveFailures,
			Since: begin.Add(2 * time.Second), RetryAt: begin.Add(62 * time.Second), Opens: 1, Totals: totals,
		})

		time.Sleep(60 * time.Second)
		_ = b.Do(bg, func(ctx context.Context) error { return nil })
		take(t, b)
		totals.Calls, totals.Successes, totals.InFlight = 12, 5, 1
		check("half-open", core.Snapshot{
			Name: "test", At: begin.Add(62 * time.Second), State: core.HalfOpen, Cause: core.CauseTimeoutElapsed,
			Since: begin.Add(62 * time.Second), Opens: 1, Window: core.Counts{Calls: 1, Consecutive: 1}, ProbesOut: 1, Totals: totals,
		})

		time.Sleep(time.Second)
		take(t, b).Settle(bg, core.Success)
		totals.Calls, totals.Successes = 13, 6
		check("closed again", core.Snapshot{Name: "test", At: begin.Add(63 * time.Second), Cause: core.CauseProbesPassed, Since: begin.Add(63 * time.Second), Totals: totals})
	})
}

// A percentile is off by at most 1/16, whatever the distribution.
func TestSnapshotPercentiles(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for name, draw := range map[string]func() time.Duration{
		"even": func() time.Duration { return time.Duration(rng.IntN(int(time.Second))) + time.Millisecond },
		"exponential": func() time.Duration {
			return time.Duration(rng.ExpFloat64()*float64(20*time.Millisecond)) + 10*time.Microsecond
		},
		"two humps": func() time.Duration { return []time.Duration{3 * time.Millisecond, 7 * time.Second}[rng.IntN(2)] },
		"constant":  func() time.Duration { return 123456789 },
		"hours":     func() time.Duration { return 4 * time.Hour },
	} {
		bubble(t, name, func(t *testing.T) {
			b := newBreaker(t, core.Config{Durations: true, FailureThreshold: -1})
			var took []time.Duration
			var sum time.Duration
			var out []*core.Permit
			for range 500 {
				took = append(took, draw())
			}
			slices.Sort(took)
			for range took {
				out = append(out, take(t, b)) // all begin now
			}
			begin := time.Now()
			shift := max(took[len(took)-1]-time.Minute, 0) // only the last minute is kept for sure
			if shift > 0 && took[0] < shift {
				t.Fatal("the distribution is too wide for the minute that is kept")
			}
			for i, p := range out {
				time.Sleep(took[i] - time.Since(begin))
				p.Settle(bg, []core.Outcome{core.Success, core.Failure}[i%2])
				sum += took[i]
			}
			d := b.Snapshot().Durations
			if d.Count != 500 {
				t.Fatalf("%d durations, want 500", d.Count)
			}
			near := func(what string, got, want time.Duration) {
				t.Helper()
				if diff := got - want; float64(diff.Abs()) > float64(want)/16 {
					t.Errorf("%s = %v, want %v within 6.25 %%", what, got, want)
				}
			}
			near("mean", d.Mean, sum/500)
			for _, q := range []struct {
				percent int
				got     time.Duration
			}{{50, d.P50}, {75, d.P75}, {90, d.P90}, {95, d.P95}, {99, d.P99}} {
				near(fmt.Sprintf("p%d", q.percent), q.got, took[(500*q.percent+99)/100-1])
			}
		})
	}
}

func TestSnapshotDurations(t *testing.T) {
	bubble(t, "a percentile is the call of that rank", func(t *testing.T) {
		b := newBreaker(t, core.Config{Durations: true})
		for _, took := range []time.Duration{time.Millisecond, 100 * time.Millisecond, 10 * time.Second} {
			lasting(t, b, took, core.Success)
		}
		d := b.Snapshot().Durations
		for name, got := range map[string][2]time.Duration{"p50": {d.P50, 100 * time.Millisecond}, "p75": {d.P75, 10 * time.Second}, "p99": {d.P99, 10 * time.Second}} {
			if diff := got[0] - got[1]; diff.Abs() > got[1]/16 {
				t.Errorf("%s = %v, want %v within 6.25 %%", name, got[0], got[1])
			}
		}
	})
	bubble(t, "off unless asked for", func(t *testing.T) {
		b := newBreaker(t, core.Config{SlowAfter: time.Second})
		lasting(t, b, time.Second, core.Success)
		if got := b.Snapshot().Durations; got != (core.Durations{}) {
			t.Errorf("durations = %+v, want none", got)
		}
	})
	bubble(t, "forgotten after two minutes", func(t *testing.T) {
		b := newBreaker(t, core.Config{Durations: true})
		lasting(t, b, time.Second, core.Success)
		time.Sleep(59 * time.Second)
		if got := b.Snapshot().Durations.Count; got != 1 {
			t.Errorf("%d durations after a minute, want 1", got)
		}
		time.Sleep(time.Minute)
		if got := b.Snapshot().Durations; got != (core.Durations{}) {
			t.Errorf("durations = %+v after two minutes, want none", got)
		}
	})
	bubble(t, "of ignored calls none", func(t *testing.T) {
		b := newBreaker(t, core.Config{Durations: true})
		lasting(t, b, time.Second, core.Ignored)
		if got := b.Snapshot().Durations; got != (core.Durations{}) {
			t.Errorf("durations = %+v, want none", got)
		}
	})
}

// Probes that are lost by now are lost, and a break that is over is over, also
// when no call has met it.
func TestSnapshotIsRolledToNow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := halfOpened(t, core.Config{SuccessThreshold: 3, ProbeTimeout: 10 * time.Second})
		if snap := b.Snapshot(); snap.State != core.HalfOpen || snap.Cause != core.CauseTimeoutElapsed || !snap.Since.Equal(time.Now()) {
			t.Errorf("after the break %+v, want half-open since now", snap)
		}
		succeed(t, b, 1)
		take(t, b)
		time.Sleep(10 * time.Second)
		want := time.Now().Add(time.Second)
		snap := b.Snapshot()
		if snap.State != core.HalfOpen || snap.ProbesOut != 0 || snap.ProbesLost != 1 || !snap.RetryAt.Equal(want) || snap.Window.Consecutive != 1 {
			t.Errorf("after the loss %+v, want one lost and the next probe at %v", snap, want)
		}
		time.Sleep(time.Minute)
		if snap = b.Snapshot(); snap.ProbesLost != 1 || !snap.RetryAt.IsZero() {
			t.Errorf("after the wait %+v, want one lost and no time to wait for", snap)
		}
	})
}

// The last 64 transitions are kept, oldest first.
func TestSnapshotTransitions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told diary
		b := newBreaker(t, core.Config{FailureThreshold: 1, SuccessThreshold: 1, Timeout: time.Second, Hooks: told.hooks()})
		for range 50 { // three transitions a round
			fail(t, b, 1)
			time.Sleep(time.Second)
			succeed(t, b, 1)
			want := told.transitions[max(len(told.transitions)-64, 0):]
			if got := b.Snapshot().Transitions; !slices.Equal(got, want) {
				t.Fatalf("%d transitions are kept, from %d; want the last %d", len(got), got[0].Seq, len(want))
			}
		}
		got := b.Snapshot().Transitions
		got[0].Name = "mine" // a copy: the reader may do what he likes
		if b.Snapshot().Transitions[0].Name != "test" {
			t.Error("Snapshot gave out the breaker's own transitions")
		}
	})
}

func TestSnapshotAndConfigAsJSON(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(t, core.Config{FailureThreshold: 1, History: time.Minute})
		fail(t, b, 1)
		force(t, b, core.Shadow)
		text, err := json.Marshal(b.Snapshot())
		if err != nil {
			t.Fatalf("marshal: %v", err)
		}
		for _, want := range []string{`"state":"open"`, `"override":"shadow"`, `"cause":"consecutive failures"`, `"from":"closed"`} {
			if !strings.Contains(string(text), want) {
				t.Errorf("the snapshot as JSON lacks %s: %s", want, text)
			}
		}
		cfg := core.Config{
			FailureThreshold: 3, FailureRateThreshold: 0.5, SlowRateThreshold: 0.25, SlowAfter: time.Second, MinimumCalls: 4,
			Window: core.Window{For: time.Minute}, Timeout: 2 * time.Second, MaxTimeout: time.Hour, TimeoutFactor: 2, Jitter: 0.1,
			HalfOpenMaxCalls: 5, SuccessThreshold: 6, ProbeTimeout: 7 * time.Second, RampUp: 8 * time.Second, CallTimeout: 9 * time.Second,
			Durations: true, History: time.Hour, Health: &core.HealthLimits{SuccessRate: 0.9},
		}
		text, err = json.Marshal(cfg)
		if err != nil {
			t.Fatalf("marshal %+v: %v", cfg, err)
		}
		var back core.Config
		if err := json.Unmarshal(text, &back); err != nil {
			t.Fatalf("unmarshal %s: %v", text, err)
		}
		if again, _ := json.Marshal(back); string(again) != string(text) || back.Health.SuccessRate != 0.9 || back.Window != cfg.Window {
			t.Errorf("through JSON %s became %s", text, again)
		}
		if zero, _ := json.Marshal(core.Config{}); string(zero) != "{}" {
			t.Errorf("the zero Config as JSON is %s, want {}", zero)
		}
	})
}

// A lost probe is in the totals from the instant of its loss, and once.
func TestSnapshotCountsALossThatNobodyHasMet(t *testing.T) {
	for name, wait := range map[string]time.Duration{"at once": 0, "long before": 9 * time.Second} {
		bubble(t, name, func(t *testing.T) {
			b := halfOpened(t, core.Config{HalfOpenMaxCalls: 3, ProbeTimeout: 10 * time.Second, Timeout: time.Minute})
			forgotten := []*core.Permit{take(t, b), take(t, b)}
			time.Sleep(10*time.Second - time.Nanosecond)
			late := take(t, b)
			wantTotals(t, b, core.Totals{Calls: 4, Failures: 1, InFlight: 3})
			time.Sleep(time.Nanosecond)
			time.Sleep(wait)
			want := core.Totals{Calls: 4, Failures: 1, Lost: 2, InFlight: 3}
			wantTotals(t, b, want)
			wantTotals(t, b, want)
			if got := len(b.Snapshot().Transitions); got != 2 {
				t.Fatalf("%d transitions, want 2: a look makes none", got)
			}
			b.Reset() // meets it
			wantTotals(t, b, want)
			late.Settle(bg, core.Success)
			want.Successes, want.Late, want.InFlight = 1, 1, 2
			wantTotals(t, b, want)
			for _, p := range forgotten {
				p.Settle(bg, core.Failure)
			}
			want.Late, want.Failures, want.InFlight = 3, 3, 0
			wantTotals(t, b, want)
		})
	}
}

// The transitions in a Snapshot are those up to its time.
func TestSnapshotHoldsNoLaterTransition(t *testing.T) {
	b := newBreaker(t, core.Config{FailureThreshold: 1, SuccessThreshold: 1, Timeout: time.Nanosecond})
	hammer(4, scaled(20_000), func(g, i int) {
		if g > 0 {
			if p, err := b.Allow(bg); err == nil {
				p.Settle(bg, core.Outcome(1+i%2))
			}
			return
		}
		snap := b.Snapshot()
		if n := len(snap.Transitions); n > 0 && snap.Transitions[n-1].At.After(snap.At) {
			t.Errorf("a snapshot of %v has a transition of %v", snap.At, snap.Transitions[n-1].At)
		}
	})
}

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
