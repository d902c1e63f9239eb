package core_test

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/blackbox4/switchgear/core"
)

// changesOf are the changes that were made, in the order of the list.
func changesOf(b *core.Breaker) (made []string) {
	for _, c := range b.Snapshot().Changes {
		if c.Count > 0 {
			made = append(made, fmt.Sprintf("%v>%v by %v: %d", c.From, c.To, c.Cause, c.Count))
		}
	}
	return made
}

func TestChanges(t *testing.T) {
	bubble(t, "all are there from the start, each once", func(t *testing.T) {
		all := newBreaker(t, core.Config{}).Snapshot().Changes
		if len(all) != 11 || len(slices.Compact(slices.Clone(all))) != 11 {
			t.Errorf("changes %+v, want eleven different ones", all)
		}
	})
	bubble(t, "each is counted as what it is", func(t *testing.T) {
		check := func(b *core.Breaker, want ...string) {
			t.Helper()
			if got := changesOf(b); !slices.Equal(got, want) {
				t.Errorf("changes\n %q, want\n %q", got, want)
			}
		}
		fast := core.Config{Timeout: time.Second, ProbeTimeout: time.Second, SuccessThreshold: 1}
		b := opened(t, fast)
		time.Sleep(time.Second)
		check(b, "closed>open by consecutive failures: 1") // no call has met the end of the break
		fail(t, b, 1)
		time.Sleep(time.Second)
		take(t, b) // lost, which changes nothing
		time.Sleep(2 * time.Second)
		succeed(t, b, 1)
		check(b, "closed>open by consecutive failures: 1", "open>half-open by timeout elapsed: 2",
			"half-open>open by a probe failed: 1", "half-open>closed by the probes passed: 1")
		fail(t, b, 1)
		if err := b.CheckHealth(bg, func(context.Context) error { return nil }); err != nil {
			t.Fatal(err)
		}
		b.Reset()
		fail(t, b, 1)
		b.Reset()
		check(b, "closed>open by consecutive failures: 3", "open>half-open by timeout elapsed: 2", "open>half-open by a health check passed: 1",
			"half-open>open by a probe failed: 1", "half-open>closed by the probes passed: 1",
			"open>closed by reset by hand: 1", "half-open>closed by reset by hand: 1")

		rates := fast
		rates.FailureThreshold, rates.FailureRateThreshold, rates.SlowRateThreshold, rates.SlowAfter, rates.MinimumCalls = -1, 1, 1, time.Millisecond, 1
		b = newBreaker(t, rates)
		fail(t, b, 1)
		time.Sleep(time.Second)
		lasting(t, b, 2*time.Millisecond, core.Success)
		b.Reset()
		lasting(t, b, 2*time.Millisecond, core.Success)
		check(b, "closed>open by failure rate: 1", "closed>open by slow-call rate: 1", "open>half-open by timeout elapsed: 1",
			"half-open>open by a probe was slow: 1", "open>closed by reset by hand: 1")
	})
}

// The times are those of what a call would have met, whether or not one
// called, and add up to the age.
func TestTimeIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(t, core.Config{FailureThreshold: 1, Timeout: 200 * time.Millisecond, ProbeTimeout: time.Second})
		check := func(what string, want core.TimeIn) {
			t.Helper()
			if got := b.Snapshot().TimeIn; got != want {
				t.Errorf("%s: %+v, want %+v", what, got, want)
			}
		}
		want := core.TimeIn{}
		check("new", want)
		time.Sleep(time.Second)
		want.Closed = time.Second
		check("never called", want)

		fail(t, b, 1)
		time.Sleep(3 * time.Second)
		want.Open, want.HalfOpen = 200*time.Millisecond, 2800*time.Millisecond
		check("a break that no call met", want)
		take(t, b) // lost in a second
		time.Sleep(3 * time.Second)
		want.HalfOpen += 3 * time.Second
		check("a loss that no call met", want)

		force(t, b, core.ForcedOpen)
		time.Sleep(time.Minute)
		want.ForcedOpen = time.Minute
		check("forced open", want)
		force(t, b, core.Disabled)
		time.Sleep(time.Hour)
		want.Disabled = time.Hour
		check("disabled", want)
		force(t, b, core.Shadow)
		time.Sleep(time.Second)
		want.HalfOpen += time.Second
		check("in shadow", want)
		b.Release()
		succeed(t, b, 2)
		fail(t, b, 1)
		force(t, b, core.ForcedOpen)
		time.Sleep(time.Second) // the break ends below
		want.ForcedOpen += time.Second
		check("a break that ended below an override", want)
		b.Release()
		check("released", want)
		time.Sleep(time.Second)
		want.HalfOpen += time.Second
		check("half-open since", want)
		snap := b.Snapshot()
		if sum, age := want.Closed+want.Open+want.HalfOpen+want.ForcedOpen+want.Disabled, snap.At.Sub(snap.Transitions[0].At)+time.Second; sum != age {
			t.Errorf("the times add up to %v, the age is %v", sum, age)
		}
	})
}

func TestProbes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := halfOpened(t, core.Config{HalfOpenMaxCalls: 5, SuccessThreshold: 9, ProbeTimeout: 10 * time.Second})
		check := func(what string, want core.Probes) {
			t.Helper()
			if got := b.Snapshot().Probes; got != want {
				t.Errorf("%s: %+v, want %+v", what, got, want)
			}
		}
		play(t, b, "SSI")
		check("settled", core.Probes{Successes: 2, Ignored: 1})
		lost, late := take(t, b), take(t, b)
		time.Sleep(9 * time.Second)
		late2 := take(t, b)
		time.Sleep(time.Second)
		check("two lost, met by no call", core.Probes{Successes: 2, Ignored: 1})
		lost.Settle(bg, core.Success)
		late.Settle(bg, core.Failure)
		check("lost ones are counted when they are settled", core.Probes{Successes: 3, Ignored: 1, Failures: 1})
		late2.Settle(bg, core.Success)
		check("one that is late is counted", core.Probes{Successes: 4, Ignored: 1, Failures: 1})
	})
}

func TestHooksProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type key struct{}
		var told []string
		b := halfOpened(t, core.Config{HalfOpenMaxCalls: 2, Hooks: core.Hooks{Probe: func(ctx context.Context, name string) {
			told = append(told, fmt.Sprint(name, ctx.Value(key{})))
		}}})
		for i := range 3 {
			_, _ = b.Allow(context.WithValue(bg, key{}, i)) // the third is refused
		}
		if want := []string{"test0", "test1"}; !slices.Equal(told, want) {
			t.Errorf("told of probes %q, want %q", told, want)
		}
	})
}

func TestConfigInForce(t *testing.T) {
	b := newBreaker(t, core.Config{FailureRateThreshold: 0.5, Health: &core.HealthLimits{}})
	c := b.Config()
	if c.FailureThreshold != 5 || c.MinimumCalls != 20 || c.Window.Calls != 100 || c.Timeout != time.Minute || c.FailureRateThreshold != 0.5 {
		t.Errorf("config %+v, want the defaults filled in", c)
	}
	c.Health.SuccessRate = 0.99
	if b.Config().Health.SuccessRate == 0.99 {
		t.Error("what Config returns is the breaker's own")
	}
	update(t, b, core.Config{FailureThreshold: 7})
	if got := b.Config().FailureThreshold; got != 7 {
		t.Errorf("FailureThreshold %d after Update, want 7", got)
	}
	if err := b.Config().Validate(); err != nil {
		t.Errorf("what Config returns is refused: %v", err)
	}
}

func TestBuckets(t *testing.T) {
	bubble(t, "by outcome, for ever", func(t *testing.T) {
		b := newBreaker(t, core.Config{Durations: true, FailureThreshold: -1})
		read := func(o core.Outcome) map[time.Duration]uint64 {
			got := make(map[time.Duration]uint64)
			var last time.Duration
			for middle, n := range b.Buckets(o) {
				if middle <= last {
					t.Errorf("bucket %v after %v", middle, last)
				}
				last = middle
				for _, took := range []time.Duration{3 * time.Millisecond, 2 * time.Second, time.Minute} {
					if diff := took - middle; diff.Abs() <= took/16 {
						got[took] += n
					}
				}
			}
			return got
		}
		for range 3 {
			lasting(t, b, 3*time.Millisecond, core.Success)
			lasting(t, b, time.Minute, core.Success)
			lasting(t, b, 2*time.Second, core.Failure)
			lasting(t, b, 2*time.Second, core.Ignored)
			time.Sleep(time.Hour)
		}
		for o, want := range map[core.Outcome]map[time.Duration]uint64{
			core.Success: {3 * time.Millisecond: 3, time.Minute: 3},
			core.Failure: {2 * time.Second: 3},
			core.Ignored: {},
		} {
			if got := read(o); !reflect.DeepEqual(got, want) {
				t.Errorf("%v: %v, want %v", o, got, want)
			}
		}
		for range b.Buckets(core.Success) {
			break // may be left early
		}
	})
	bubble(t, "none", func(t *testing.T) {
		for name, b := range map[string]*core.Breaker{"never called": newBreaker(t, core.Config{Durations: true}), "off": opened(t, core.Config{})} {
			for middle, n := range b.Buckets(core.Success) {
				t.Errorf("%s: %d of %v, want none", name, n, middle)
			}
		}
	})
}
