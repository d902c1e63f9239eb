package core_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/blackbox4/switchgear/core"
)

// callers are n goroutines, each of which calls g again and again, every call
// taking as long as takes says at the time; they end after a time.
func callers(g core.Gate, n int, until time.Time, takes func() (time.Duration, core.Outcome)) {
	for range n {
		go func() {
			for time.Now().Before(until) {
				p, err := g.Allow(bg)
				if err != nil {
					time.Sleep(time.Second)
					continue
				}
				d, o := takes()
				time.Sleep(d)
				p.Settle(bg, o)
			}
		}()
	}
}

// A dependency that is well but takes longer than ProbeTimeout is let back.
func TestASlowDependencyIsLetBack(t *testing.T) {
	for name, cfg := range map[string]core.Config{
		"the zero Config":                    {},
		"a CallTimeout of a minute":          {FailureThreshold: 3, SuccessThreshold: 3, Timeout: 2 * time.Minute, CallTimeout: time.Minute},
		"one probe at a time":                {HalfOpenMaxCalls: 1, SuccessThreshold: 3},
		"probes that are lost at once":       {ProbeTimeout: time.Second},
		"breaks that grow":                   {TimeoutFactor: 3, Jitter: 0.5},
		"more successes than are out":        {HalfOpenMaxCalls: 2, SuccessThreshold: 5},
		"a Timeout that is shorter":          {Timeout: time.Second, ProbeTimeout: time.Second},
		"a time window":                      {Window: core.Window{For: 10 * time.Second}},
		"history, durations and a SlowAfter": {History: time.Hour, Durations: true, SlowAfter: time.Second},
	} {
		for _, takes := range []time.Duration{45 * time.Second, 5 * time.Minute} {
			for _, crowd := range []int{1, 20} {
				bubble(t, name+", "+takes.String(), func(t *testing.T) {
					b := newBreaker(t, cfg)
					trip(t, b)
					begun := time.Now()
					callers(b, crowd, begun.Add(2*time.Hour), func() (time.Duration, core.Outcome) { return takes, core.Success })
					for b.State() != core.Closed {
						if time.Since(begun) > time.Hour {
							t.Fatalf("%d callers, after an hour: %s", crowd, b.Explain())
						}
						time.Sleep(time.Second)
					}
					if got := b.Snapshot().Opens; got != 0 {
						t.Errorf("%d openings", got)
					}
					time.Sleep(3 * time.Hour) // for the callers to end
				})
			}
		}
	}
}

// A dependency that hung for some probes and is well again is let back no later
// than after a failed probe and one more Timeout, although the hung ones never
// return; and then a caller that comes alone is enough.
func TestAfterProbesThatHung(t *testing.T) {
	for _, cfg := range []core.Config{
		{},
		{SuccessThreshold: 3},
		{HalfOpenMaxCalls: 1, SuccessThreshold: 3},
		{FailureThreshold: 2, SuccessThreshold: 3, Timeout: 3 * time.Minute, CallTimeout: 90 * time.Second},
	} {
		for hung := 1; hung <= 3; hung++ {
			bubble(t, "", func(t *testing.T) {
				b := newBreaker(t, cfg)
				trip(t, b)
				effective := b.Config()
				time.Sleep(effective.Timeout)
				for range min(hung, effective.HalfOpenMaxCalls) {
					take(t, b) // never settled
				}
				time.Sleep(effective.ProbeTimeout)
				well := time.Now()
				for b.State() != core.Closed {
					if p, err := b.Allow(bg); err == nil {
						p.Settle(bg, core.Success)
					}
					time.Sleep(100 * time.Millisecond)
					if got := time.Since(well); got > 2*effective.Timeout {
						t.Fatalf("%d hung, well for %v: %s", hung, got, b.Explain())
					}
				}
			})
		}
	}
}

// Calls that never return keep no other from being let back, and few are out.
func TestProbesThatNeverReturn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(t, core.Config{})
		trip(t, b)
		time.Sleep(time.Minute)
		const awaited = 10 * time.Minute
		var out []time.Time
		for range 3600 {
			if _, err := b.Allow(bg); err == nil {
				out = append(out, time.Now())
			}
			if snap := b.Snapshot(); snap.ProbesOut > 3 || snap.ProbesOut+snap.ProbesLost > min(len(out), 6) {
				t.Fatalf("%d are out and %d lost, of %d", snap.ProbesOut, snap.ProbesLost, len(out))
			}
			if n := len(out); n > 6 && out[n-1].Sub(out[n-7]) < awaited {
				t.Fatalf("seven probes went out within %v", out[n-1].Sub(out[n-7]))
			}
			time.Sleep(time.Second)
		}
		time.Sleep(awaited)
		succeed(t, b, 2)
		wantState(t, b, core.Closed)
	})
}

// A probe that is given up for a newer one holds up none any more, and still tells
// how the dependency is.
func TestALostProbeIsGivenUpForANewerOne(t *testing.T) {
	for o, want := range map[core.Outcome]core.State{core.Success: core.HalfOpen, core.Failure: core.Open, core.Ignored: core.HalfOpen} {
		bubble(t, o.String(), func(t *testing.T) {
			b := halfOpened(t, core.Config{HalfOpenMaxCalls: 1, SuccessThreshold: 9, ProbeTimeout: time.Second})
			oldest := take(t, b)
			time.Sleep(2 * time.Second) // ProbeTimeout, and the wait
			take(t, b)
			time.Sleep(10 * time.Minute)
			take(t, b)
			time.Sleep(time.Second)
			if got := b.Snapshot().ProbesLost; got != 2 {
				t.Fatalf("%d are lost, want the newest 2", got)
			}
			oldest.Settle(bg, o)
			wantState(t, b, want)
			snap := b.Snapshot()
			if passed := o == core.Success; snap.Totals.Late != 0 || passed && snap.Window.Consecutive != 1 || want == core.HalfOpen && snap.ProbesLost != 2 {
				t.Errorf("after the oldest: %+v", snap)
			}
		})
	}
}

// A success lifts the wait that a loss has begun, and slow successes reopen
// while the rule about slow calls is on, however late they come.
func TestLostProbesThatReturn(t *testing.T) {
	bubble(t, "a success lifts the wait", func(t *testing.T) {
		b := halfOpened(t, core.Config{Timeout: time.Minute, SuccessThreshold: 3})
		p := take(t, b)
		time.Sleep(31 * time.Second)
		refusal(t, b)
		p.Settle(bg, core.Success)
		succeed(t, b, 2)
		wantState(t, b, core.Closed)
	})
	bubble(t, "an ignored one does not", func(t *testing.T) {
		b := halfOpened(t, core.Config{Timeout: time.Minute})
		p := take(t, b)
		time.Sleep(31 * time.Second)
		p.Settle(bg, core.Ignored)
		if got := refusal(t, b).Cause; got != core.CauseProbeLost {
			t.Errorf("refused because of %v, want %v", got, core.CauseProbeLost)
		}
	})
	bubble(t, "a further probe that is ignored has used up no wait", func(t *testing.T) {
		b := halfOpened(t, core.Config{Timeout: time.Minute, TimeoutFactor: 2, SuccessThreshold: 1})
		take(t, b)
		time.Sleep(30*time.Second + 2*time.Minute) // lost, and the wait
		for range 5 {
			p := take(t, b)
			time.Sleep(10 * time.Second)
			refusal(t, b)
			p.Settle(bg, core.Ignored)
		}
		take(t, b)
		if got, want := time.Until(refusal(t, b).RetryAt), 4*time.Minute; got != want {
			t.Errorf("the next goes out in %v, want %v", got, want)
		}
	})
	bubble(t, "a further probe that is ignored once it is lost has", func(t *testing.T) {
		b := halfOpened(t, core.Config{Timeout: time.Minute})
		take(t, b)
		time.Sleep(30*time.Second + time.Minute)
		p := take(t, b)
		time.Sleep(31 * time.Second)
		p.Settle(bg, core.Ignored)
		if got, want := time.Until(refusal(t, b).RetryAt), 29*time.Second; got != want {
			t.Errorf("the next goes out in %v, want %v", got, want)
		}
	})
	bubble(t, "a slow one reopens", func(t *testing.T) {
		b := halfOpened(t, core.Config{SlowRateThreshold: 0.5, SlowAfter: 10 * time.Second})
		p := take(t, b)
		time.Sleep(time.Hour)
		p.Settle(bg, core.Success)
		wantState(t, b, core.Open)
		if got := b.Snapshot().Cause; got != core.CauseProbeSlow {
			t.Errorf("open because of %v, want %v", got, core.CauseProbeSlow)
		}
	})
	bubble(t, "fewer may be out after an Update", func(t *testing.T) {
		b := halfOpened(t, core.Config{HalfOpenMaxCalls: 5, SuccessThreshold: 9})
		out := []*core.Permit{take(t, b), take(t, b), take(t, b), take(t, b), take(t, b)}
		time.Sleep(time.Minute)
		update(t, b, core.Config{HalfOpenMaxCalls: 1, SuccessThreshold: 9})
		for _, p := range out[:4] {
			refusal(t, b)
			p.Settle(bg, core.Success)
		}
		take(t, b)
	})
}

// While all places are taken after a loss, all readings tell the same time of the
// next probe: that by which a place is free again.
func TestTheNextProbeAfterALossNeedsAPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := halfOpened(t, core.Config{HalfOpenMaxCalls: 1, ProbeTimeout: 5 * time.Minute})
		take(t, b)
		time.Sleep(5*time.Minute + time.Second) // lost, and the wait
		take(t, b)
		want := time.Now().Add(5 * time.Minute)
		for range 5 {
			refused, snap := refusal(t, b), b.Snapshot()
			if refused.Cause != core.CauseProbesOut || !refused.RetryAt.Equal(want) || !snap.RetryAt.Equal(want) {
				t.Errorf("%v, retry at %v; Snapshot has %v; want %v", refused.Cause, refused.RetryAt, snap.RetryAt, want)
			}
			if got := "the next probe goes out in " + time.Until(want).String(); !strings.Contains(b.Explain(), got) {
				t.Errorf("%q; want %q", b.Explain(), got)
			}
			time.Sleep(time.Second)
		}
		time.Sleep(time.Until(want))
		take(t, b)
	})
}

// ProbeTimeout knows CallTimeout: a probe may take as long as a call.
func TestProbeTimeoutIsNoLessThanCallTimeout(t *testing.T) {
	for call, want := range map[time.Duration]time.Duration{0: 30 * time.Second, time.Second: 30 * time.Second, time.Minute: time.Minute} {
		if got := newBreaker(t, core.Config{CallTimeout: call}).Config().ProbeTimeout; got != want {
			t.Errorf("CallTimeout %v: ProbeTimeout %v, want %v", call, got, want)
		}
	}
	wantFault(t, core.Config{CallTimeout: time.Minute, ProbeTimeout: time.Minute - 1}, "ProbeTimeout")
	wantFault(t, core.Config{CallTimeout: time.Minute, SlowAfter: time.Minute + 1, SlowRateThreshold: 0.5}, "SlowAfter")
	for _, fine := range []core.Config{
		{CallTimeout: time.Minute, ProbeTimeout: time.Minute},
		{CallTimeout: -1, ProbeTimeout: time.Nanosecond},
		{CallTimeout: time.Minute, SlowAfter: time.Hour},
		{CallTimeout: time.Minute, SlowAfter: time.Minute, SlowRateThreshold: 0.5},
	} {
		if err := fine.Validate(); err != nil {
			t.Errorf("%+v: %v", fine, err)
		}
	}
}

func wantFault(t *testing.T, cfg core.Config, field string) {
	t.Helper()
	var fault *core.ConfigError
	if err := cfg.Validate(); !errors.As(err, &fault) || fault.Field != field {
		t.Errorf("Validate = %v, want a fault of %s", err, field)
	}
}
