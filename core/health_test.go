package core_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/blackbox4/switchgear/core"
)

// Healthy when at least 80 % of calls succeeded, less than 20 %
// failed in the last five minutes, and they took less than 5 s on average.
func TestHealth(t *testing.T) {
	cfg := core.Config{FailureThreshold: -1, Durations: true, History: 10 * time.Minute}
	with := func(l core.HealthLimits) core.Config { c := cfg; c.Health = &l; return c }
	for _, row := range []struct {
		name    string
		cfg     core.Config
		calls   string
		took    time.Duration
		reasons []string
	}{
		{"no calls", cfg, "", 0, nil},
		{"nothing but successes", cfg, "SSS", 0, nil},
		{"81 % succeed, 19 % fail", cfg, "SSSSSSSSSSSSSSSSSFFFF", 0, nil},
		{"exactly 80 % succeed: the error rate is not less than 20 %", cfg, "SSSSF", 0, []string{"20 % of the calls failed lately, less than 20 % should"}},
		{"less than 80 %", cfg, "SSSF", 0, []string{"75 % of all calls succeeded, at least 80 % should", "25 % of the calls failed lately, less than 20 % should"}},
		{"ignored calls do not matter", cfg, "SSSSSIIIIIIIII", 0, nil},
		{"just below 5 s", cfg, "SSSSSS", 4500 * time.Millisecond, nil},
		{"success rate off", with(core.HealthLimits{SuccessRate: -1, ErrorRate: 1}), "SF", 0, nil},
		{"both rates off", with(core.HealthLimits{SuccessRate: -1, ErrorRate: -1}), "FFFF", 0, nil},
		{"stricter success rate", with(core.HealthLimits{SuccessRate: 0.95}), "SSSSSSSSSF", 0, []string{"90 % of all calls succeeded, at least 95 % should"}},
		{"stricter error rate", with(core.HealthLimits{ErrorRate: 0.1}), "SSSSSSSSSF", 0, []string{"10 % of the calls failed lately, less than 10 % should"}},
		{"laxer both", with(core.HealthLimits{SuccessRate: 0.5, ErrorRate: 0.6}), "SF", 0, nil},
		{"mean off", with(core.HealthLimits{Mean: -1}), "SSS", time.Minute, nil},
		{"mean set", with(core.HealthLimits{Mean: time.Minute}), "SSS", 30 * time.Second, nil},
	} {
		bubble(t, row.name, func(t *testing.T) {
			b := newBreaker(t, row.cfg)
			for _, c := range row.calls {
				lasting(t, b, row.took, map[rune]core.Outcome{'S': core.Success, 'F': core.Failure, 'I': core.Ignored}[c])
			}
			h := b.Health()
			if h.Healthy != (len(row.reasons) == 0) || !slices.Equal(h.Reasons, row.reasons) {
				t.Errorf("healthy %t, because %q; want because %q", h.Healthy, h.Reasons, row.reasons)
			}
		})
	}
	bubble(t, "the mean is about 5 s or more", func(t *testing.T) {
		b := newBreaker(t, cfg)
		for range 3 {
			lasting(t, b, 6*time.Second, core.Success)
		}
		if h := b.Health(); h.Healthy || len(h.Reasons) != 1 || h.Mean < 5600*time.Millisecond || h.Mean > 6400*time.Millisecond {
			t.Errorf("health = %+v, want unhealthy for a mean of about 6s", h)
		}
	})
	bubble(t, "the error rate is of the last five minutes", func(t *testing.T) {
		b := newBreaker(t, cfg)
		play(t, b, "FFFFF")
		time.Sleep(5*time.Minute + 10*time.Second) // an interval is 10 s
		succeed(t, b, 45)
		h := b.Health()
		if h.ErrorRate != 0 || h.SuccessRate != 0.9 || !h.Healthy {
			t.Errorf("health = %+v, want an error rate of 0 and a success rate of 0.9", h)
		}
		fail(t, b, 15)
		if h := b.Health(); h.ErrorRate != 0.25 || h.Healthy {
			t.Errorf("health = %+v, want an error rate of 0.25", h)
		}
	})
	bubble(t, "the time looked back is settable", func(t *testing.T) {
		b := newBreaker(t, with(core.HealthLimits{Over: time.Minute}))
		fail(t, b, 1)
		succeed(t, b, 9)
		time.Sleep(50 * time.Second)
		if got := b.Health().ErrorRate; got != 0.1 {
			t.Errorf("error rate %v within the minute, want 0.1", got)
		}
		time.Sleep(20 * time.Second)
		if got := b.Health().ErrorRate; got != 0 {
			t.Errorf("error rate %v past the minute, want 0", got)
		}
	})
	bubble(t, "without a history the window is asked", func(t *testing.T) {
		b := newBreaker(t, core.Config{FailureThreshold: -1, Window: core.Window{Calls: 4}})
		play(t, b, "SSSSSSSSSSSSSSSSSSSS"+"FSSS")
		if h := b.Health(); h.ErrorRate != 0.25 || h.Healthy {
			t.Errorf("health = %+v, want an error rate of 0.25", h)
		}
	})
	bubble(t, "limits can be updated, and are the breaker's own copy", func(t *testing.T) {
		limits := core.HealthLimits{SuccessRate: 0.5, ErrorRate: 0.9}
		b := newBreaker(t, with(limits))
		play(t, b, "SSF")
		if h := b.Health(); !h.Healthy {
			t.Fatalf("health = %+v, want healthy", h)
		}
		mine := &core.HealthLimits{SuccessRate: 0.9, ErrorRate: -1}
		c := cfg
		c.Health = mine
		if err := b.Update(c); err != nil {
			t.Fatal(err)
		}
		mine.SuccessRate = 0.1
		if h := b.Health(); h.Healthy {
			t.Errorf("health = %+v, want unhealthy by the limit as it was given", h)
		}
	})
}

// Without a history a breaker that is not closed is as sick as what opened it.
func TestHealthWhileOpen(t *testing.T) {
	bubble(t, "until it has closed", func(t *testing.T) {
		b := newBreaker(t, core.Config{FailureThreshold: -1, FailureRateThreshold: 0.5, SuccessThreshold: 1, Timeout: time.Second})
		want := func(state core.State, rate float64) {
			t.Helper()
			wantState(t, b, state)
			h := b.Health()
			if h.ErrorRate != rate || h.Healthy != (rate < 0.2) || h.SuccessRate < 0.9 {
				t.Errorf("%v: health = %+v, want an error rate of %v", state, h, rate)
			}
		}
		succeed(t, b, 1000)
		want(core.Closed, 0)
		fail(t, b, 50)
		want(core.Open, 0.5)
		time.Sleep(time.Second)
		want(core.HalfOpen, 0.5) // not yet met by a call
		take(t, b).Settle(bg, core.Ignored)
		want(core.HalfOpen, 0.5)
		succeed(t, b, 1)
		want(core.Closed, 0)
	})
	bubble(t, "the last opening counts", func(t *testing.T) {
		b := newBreaker(t, core.Config{FailureThreshold: -1, FailureRateThreshold: 0.5, SuccessThreshold: 9, Timeout: time.Second})
		succeed(t, b, 1000)
		fail(t, b, 50)
		time.Sleep(time.Second)
		play(t, b, "SSSF")
		if got := b.Health().ErrorRate; got != 0.25 {
			t.Errorf("error rate %v, want 0.25: one of four probes failed", got)
		}
	})
}

// The error rate cannot look back further than the history does.
func TestHealthOverIsWithinHistory(t *testing.T) {
	for _, row := range []struct {
		over, history time.Duration
		ok            bool
	}{
		{time.Hour, time.Hour, true},
		{time.Hour + 1, time.Hour, false},
		{0, time.Minute, true},
		{time.Hour, 0, true},
		{time.Hour, -1, true},
	} {
		cfg := core.Config{History: row.history, Health: &core.HealthLimits{Over: row.over}}
		fault, _ := errors.AsType[*core.ConfigError](cfg.Validate())
		if ok := fault == nil; ok != row.ok || !ok && (fault.Field != "Health.Over" || fault.Value != row.over) {
			t.Errorf("over %v of a history of %v: %v, want it allowed: %t", row.over, row.history, fault, row.ok)
		}
	}
}

// The rates of Health as numbers: of no calls, of some, and without those ignored.
func TestHealthRates(t *testing.T) {
	for calls, want := range map[string][2]float64{"": {1, 0}, "III": {1, 0}, "SSSF": {0.75, 0.25}, "FFIF": {0, 1}} {
		for name, cfg := range map[string]core.Config{
			"window": {FailureThreshold: -1}, "history": {FailureThreshold: -1, History: 10 * time.Minute},
		} {
			bubble(t, calls+" by "+name, func(t *testing.T) {
				b := newBreaker(t, cfg)
				play(t, b, calls)
				if h := b.Health(); h.SuccessRate != want[0] || h.ErrorRate != want[1] || h.Mean != 0 {
					t.Errorf("%+v, want %v", h, want)
				}
			})
		}
	}
}

// What was not looked at is told, and looks neither well nor ill.
func TestHealthTellsWhatItDidNotLookAt(t *testing.T) {
	for name, row := range map[string]struct {
		cfg  core.Config
		want []string
	}{
		"neither":  {core.Config{}, []string{"the error rate over 5m0s: set History; the rate of the window stands in for it", "the mean duration: set Durations"}},
		"both":     {core.Config{Durations: true, History: 5 * time.Minute}, nil},
		"shorter":  {core.Config{Durations: true, History: time.Minute}, []string{"the error rate over 5m0s: History remembers 1m0s"}},
		"as asked": {core.Config{Durations: true, History: time.Minute, Health: &core.HealthLimits{Over: time.Minute}}, nil},
		"off":      {core.Config{Health: &core.HealthLimits{ErrorRate: -1, Mean: -1}}, nil},
	} {
		b := newBreaker(t, row.cfg)
		if h := b.Health(); !h.Healthy || !slices.Equal(h.NotLookedAt, row.want) {
			t.Errorf("%s: %+v, want %q", name, h, row.want)
		}
	}
}

// Calls that take a little less than the limit are healthy, however coarse the
// buckets of durations are.
func TestAMeanJustBelowTheLimitIsHealthy(t *testing.T) {
	for name, cfg := range map[string]core.Config{
		"with a history": {Durations: true, History: 5 * time.Minute},
		"without":        {Durations: true},
	} {
		for took := 4700 * time.Millisecond; took < 5*time.Second; took += 10 * time.Millisecond {
			b := newBreaker(t, cfg)
			for range 50 {
				b.Record(bg, core.Success, nil, took)
			}
			if h := b.Health(); !h.Healthy {
				t.Errorf("%s, %v: %q", name, took, h.Reasons)
			}
		}
		b := newBreaker(t, cfg)
		b.Record(bg, core.Success, nil, 6*time.Second)
		if h := b.Health(); h.Healthy {
			t.Errorf("%s, 6 s: %+v", name, h)
		}
	}
}
