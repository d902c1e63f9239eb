package core_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/blackbox4/switchgear/core"
)

// faultsOf returns the ConfigErrors joined in err.
func faultsOf(t *testing.T, err error) []*core.ConfigError {
	t.Helper()
	if err == nil {
		return nil
	}
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		t.Fatalf("%T %v, want joined ConfigErrors", err, err)
	}
	var faults []*core.ConfigError
	for _, one := range joined.Unwrap() {
		fault, ok := errors.AsType[*core.ConfigError](one)
		if !ok {
			t.Fatalf("%T %v, want a ConfigError", one, one)
		}
		faults = append(faults, fault)
	}
	return faults
}

// Every field out of its range is refused by a message that names the field,
// the value and what is allowed; NaN and the infinities included.
func TestConfigFaults(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	const huge = math.MaxInt
	for _, row := range []struct {
		field string
		cfg   core.Config
		shown string // part of the message
	}{
		{"FailureThreshold", core.Config{FailureThreshold: 1001}, "1001, allowed: at most 1000"},
		{"FailureThreshold", core.Config{FailureThreshold: huge}, "at most 1000"},
		{"FailureRateThreshold", core.Config{FailureRateThreshold: 1.0001}, "1.0001, allowed: in (0, 1]"},
		{"FailureRateThreshold", core.Config{FailureRateThreshold: 50}, "50, allowed: in (0, 1]"},
		{"FailureRateThreshold", core.Config{FailureRateThreshold: nan}, "NaN, allowed: in (0, 1]"},
		{"FailureRateThreshold", core.Config{FailureRateThreshold: inf}, "+Inf, allowed: in (0, 1]"},
		{"SlowRateThreshold", core.Config{SlowAfter: 1, SlowRateThreshold: 2}, "2, allowed: in (0, 1]"},
		{"SlowRateThreshold", core.Config{SlowAfter: 1, SlowRateThreshold: nan}, "NaN, allowed: in (0, 1]"},
		{"SlowRateThreshold", core.Config{SlowAfter: 1, SlowRateThreshold: inf}, "+Inf, allowed: in (0, 1]"},
		{"SlowAfter", core.Config{SlowRateThreshold: 0.5}, "0s, allowed: positive when SlowRateThreshold is set"},
		{"SlowAfter", core.Config{SlowRateThreshold: 0.5, SlowAfter: -time.Second}, "-1s, allowed: positive"},
		{"Window.Calls", core.Config{Window: core.Window{Calls: -1}}, "-1, allowed: 1 to 10000"},
		{"Window.Calls", core.Config{Window: core.Window{Calls: 10_001}}, "10001, allowed: 1 to 10000"},
		{"Window.Calls", core.Config{Window: core.Window{Calls: huge}}, "1 to 10000"},
		{"Window.For", core.Config{Window: core.Window{For: 9 * time.Millisecond}}, "9ms, allowed: 10ms to 24h"},
		{"Window.For", core.Config{Window: core.Window{For: -time.Second}}, "-1s, allowed: 10ms to 24h"},
		{"Window.For", core.Config{Window: core.Window{For: 24*time.Hour + 1}}, "24h0m0.000000001s, allowed: 10ms to 24h"},
		{"Window", core.Config{Window: core.Window{Calls: 20, For: time.Second}}, "either Calls or For, not both"},
		{"MinimumCalls", core.Config{MinimumCalls: 101}, "101, allowed: at most Window.Calls (100)"},
		{"MinimumCalls", core.Config{MinimumCalls: 11, Window: core.Window{Calls: 10}}, "11, allowed: at most Window.Calls (10)"},
		{"MinimumCalls", core.Config{MinimumCalls: huge}, "at most Window.Calls (100)"},
		{"Timeout", core.Config{Timeout: -time.Second}, "-1s, allowed: positive; 0 for 60s"},
		{"MaxTimeout", core.Config{MaxTimeout: time.Second}, "1s, allowed: at least Timeout (1m0s)"},
		{"MaxTimeout", core.Config{Timeout: time.Hour, MaxTimeout: time.Minute}, "1m0s, allowed: at least Timeout (1h0m0s)"},
		{"MaxTimeout", core.Config{MaxTimeout: -1}, "-1ns, allowed: at least Timeout"},
		{"TimeoutFactor", core.Config{TimeoutFactor: 0.5}, "0.5, allowed: 1 to 100"},
		{"TimeoutFactor", core.Config{TimeoutFactor: 101}, "101, allowed: 1 to 100"},
		{"TimeoutFactor", core.Config{TimeoutFactor: nan}, "NaN, allowed: 1 to 100"},
		{"TimeoutFactor", core.Config{TimeoutFactor: inf}, "+Inf, allowed: 1 to 100"},
		{"Jitter", core.Config{Jitter: 1}, "1, allowed: in (0, 1)"},
		{"Jitter", core.Config{Jitter: nan}, "NaN, allowed: in (0, 1)"},
		{"Jitter", core.Config{Jitter: inf}, "+Inf, allowed: in (0, 1)"},
		{"HalfOpenMaxCalls", core.Config{HalfOpenMaxCalls: -1}, "-1, allowed: 1 to 10000; 0 for 3"},
		{"HalfOpenMaxCalls", core.Config{HalfOpenMaxCalls: 10_001}, "10001, allowed: 1 to 10000"},
		{"SuccessThreshold", core.Config{SuccessThreshold: -1}, "-1, allowed: 1 to 10000; 0 for 2"},
		{"SuccessThreshold", core.Config{SuccessThreshold: 10_001}, "10001, allowed: 1 to 10000"},
		{"ProbeTimeout", core.Config{ProbeTimeout: -1}, "-1ns, allowed: positive; 0 for 30s; it cannot be off"},
		{"History", core.Config{History: time.Second}, "1s, allowed: 1m to 24h"},
		{"History", core.Config{History: 25 * time.Hour}, "25h0m0s, allowed: 1m to 24h"},
		{"Health.SuccessRate", core.Config{Health: &core.HealthLimits{SuccessRate: 1.5}}, "1.5, allowed: at most 1"},
		{"Health.SuccessRate", core.Config{Health: &core.HealthLimits{SuccessRate: nan}}, "NaN, allowed: at most 1"},
		{"Health.ErrorRate", core.Config{Health: &core.HealthLimits{ErrorRate: inf}}, "+Inf, allowed: at most 1"},
		{"Health.ErrorRate", core.Config{Health: &core.HealthLimits{ErrorRate: nan}}, "NaN, allowed: at most 1"},
		{"Health.Over", core.Config{Health: &core.HealthLimits{Over: -time.Minute}}, "-1m0s, allowed: positive; 0 for 5m"},
	} {
		t.Run(fmt.Sprintf("%s %s", row.field, row.shown), func(t *testing.T) {
			err := row.cfg.Validate()
			faults := faultsOf(t, err)
			if len(faults) != 1 {
				t.Fatalf("Validate = %v, want one fault, of %s", err, row.field)
			}
			if got := faults[0]; got.Field != row.field || got.Allowed == "" {
				t.Errorf("fault of %q, allowed %q; want one of %q", got.Field, got.Allowed, row.field)
			}
			if want := "switchgear: " + row.field + " is "; !strings.HasPrefix(err.Error(), want) || !strings.Contains(err.Error(), row.shown) {
				t.Errorf("message %q, want it to begin with %q and to say %q", err, want, row.shown)
			}
			b, newErr := core.New("test", row.cfg)
			if b != nil || newErr == nil || newErr.Error() != err.Error() {
				t.Errorf("New = %v, %v; want no breaker and Validate's error", b, newErr)
			}
		})
	}
}

func TestConfigFaultsAllAtOnce(t *testing.T) {
	bad := core.Config{
		FailureThreshold: 2000, FailureRateThreshold: math.NaN(), SlowRateThreshold: 3, Window: core.Window{Calls: -1, For: 1},
		Timeout: -1, MaxTimeout: -2, TimeoutFactor: 0.1, Jitter: 2, HalfOpenMaxCalls: -3, SuccessThreshold: -4, ProbeTimeout: -5, History: 1,
		Health: &core.HealthLimits{SuccessRate: 2, ErrorRate: 3, Over: -1},
	}
	err := bad.Validate()
	named := map[string]bool{}
	for _, f := range faultsOf(t, err) {
		named[f.Field] = true
	}
	for _, field := range []string{
		"FailureThreshold", "FailureRateThreshold", "SlowRateThreshold", "SlowAfter", "Window.Calls", "Window.For", "Window", "Timeout", "MaxTimeout",
		"TimeoutFactor", "Jitter", "HalfOpenMaxCalls", "SuccessThreshold", "ProbeTimeout", "History", "Health.SuccessRate", "Health.ErrorRate", "Health.Over",
	} {
		if !named[field] {
			t.Errorf("%s is not among the faults:\n%v", field, err)
		}
	}
	if got := strings.Count(err.Error(), "\n") + 1; got != len(named) {
		t.Errorf("%d lines for %d faults:\n%v", got, len(named), err)
	}
}

// The edges of each range are allowed.
func TestConfigEdges(t *testing.T) {
	negInf := math.Inf(-1)
	for name, cfg := range map[string]core.Config{
		"zero":                  {},
		"all at the least":      {FailureThreshold: 1, FailureRateThreshold: 1e-300, SlowRateThreshold: 1e-300, SlowAfter: 1, MinimumCalls: 1, Window: core.Window{Calls: 1}, Timeout: 1, MaxTimeout: 1, TimeoutFactor: 1, Jitter: 1e-300, HalfOpenMaxCalls: 1, SuccessThreshold: 1, ProbeTimeout: 1, RampUp: 1, CallTimeout: 1, History: time.Minute},
		"all at the most":       {FailureThreshold: 1000, FailureRateThreshold: 1, SlowRateThreshold: 1, SlowAfter: math.MaxInt64, MinimumCalls: 10_000, Window: core.Window{Calls: 10_000}, Timeout: math.MaxInt64, MaxTimeout: math.MaxInt64, TimeoutFactor: 100, Jitter: 0.999999, HalfOpenMaxCalls: 10_000, SuccessThreshold: 10_000, ProbeTimeout: math.MaxInt64, RampUp: math.MaxInt64, CallTimeout: math.MaxInt64, History: 24 * time.Hour, Durations: true},
		"all off":               {FailureThreshold: math.MinInt, FailureRateThreshold: negInf, SlowRateThreshold: negInf, SlowAfter: math.MinInt64, MinimumCalls: math.MinInt, TimeoutFactor: negInf, Jitter: negInf, RampUp: math.MinInt64, CallTimeout: math.MinInt64, History: math.MinInt64},
		"shortest time window":  {Window: core.Window{For: 10 * time.Millisecond}, MinimumCalls: math.MaxInt},
		"longest time window":   {Window: core.Window{For: 24 * time.Hour}},
		"health off":            {Health: &core.HealthLimits{SuccessRate: negInf, ErrorRate: -1, Mean: -1}},
		"Timeout above 10 min":  {Timeout: time.Hour},
		"smaller default count": {Window: core.Window{Calls: 5}, FailureRateThreshold: 0.5},
	} {
		bubble(t, name, func(t *testing.T) {
			if err := cfg.Validate(); err != nil {
				t.Fatalf("Validate = %v, want nil", err)
			}
			b := newBreaker(t, cfg)
			for range 3 { // and it works
				_ = b.Do(bg, func(context.Context) error { return nil })
				_ = b.Do(bg, func(context.Context) error { return errSick })
				_, _, _ = b.Snapshot(), b.Health(), b.Explain()
				time.Sleep(time.Second)
			}
			update(t, b, cfg)
			b.Reset()
		})
	}
}

func TestConfigDefaults(t *testing.T) {
	bubble(t, "MaxTimeout is Timeout if that is more than 10 min", func(t *testing.T) {
		b := newBreaker(t, core.Config{FailureThreshold: 1, Timeout: time.Hour, TimeoutFactor: 2})
		take(t, b).Report(bg, core.Failure, core.RetryAfter(errSick, 100*time.Hour))
		if got := breakOf(t, b); got != time.Hour {
			t.Errorf("the break lasts %v, want 1h", got)
		}
	})
	bubble(t, "MaxTimeout is 10 min", func(t *testing.T) {
		b := newBreaker(t, core.Config{FailureThreshold: 1})
		take(t, b).Report(bg, core.Failure, core.RetryAfter(errSick, 100*time.Hour))
		if got := breakOf(t, b); got != 10*time.Minute {
			t.Errorf("the break lasts %v, want 10m", got)
		}
	})
	bubble(t, "the window holds 100 calls, 20 are the minimum", func(t *testing.T) {
		b := newBreaker(t, core.Config{FailureThreshold: -1})
		succeed(t, b, 150)
		wantWindow(t, b, core.Counts{Calls: 100})
		update(t, b, core.Config{FailureThreshold: -1, FailureRateThreshold: 1})
		c := newBreaker(t, core.Config{FailureThreshold: -1, FailureRateThreshold: 1})
		fail(t, c, 19)
		wantState(t, c, core.Closed)
		fail(t, c, 1)
		wantState(t, c, core.Open)
	})
	bubble(t, "a window smaller than 20 is its own minimum", func(t *testing.T) {
		b := newBreaker(t, core.Config{FailureThreshold: -1, FailureRateThreshold: 1, Window: core.Window{Calls: 5}})
		fail(t, b, 4)
		wantState(t, b, core.Closed)
		fail(t, b, 1)
		wantState(t, b, core.Open)
	})
}

// The caller's Config stays his: New and Update copy what they keep.
func TestConfigIsCopied(t *testing.T) {
	cfg := core.Config{FailureThreshold: 2}
	b := newBreaker(t, cfg)
	cfg.FailureThreshold = 1
	fail(t, b, 1)
	wantState(t, b, core.Closed)
	update(t, b, cfg)
	cfg.FailureThreshold = 1000
	fail(t, b, 1)
	wantState(t, b, core.Open)
}

func TestMustNew(t *testing.T) {
	if got := core.MustNew("db", core.Config{}).Name(); got != "db" {
		t.Errorf("name = %q, want db", got)
	}
	defer func() {
		if _, ok := recover().(error); !ok {
			t.Error("MustNew with a bad Config did not panic with its error")
		}
	}()
	core.MustNew("db", core.Config{Jitter: 5})
}

// Negative lengths are off, and read back as off.
func TestNegativeLengthsAreOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(t, core.Config{FailureRateThreshold: -1, SlowRateThreshold: -1, SlowAfter: -1, TimeoutFactor: -1, Jitter: -1, RampUp: -1, CallTimeout: -1, History: -time.Hour, MinimumCalls: -1})
		got := b.Config()
		if got.SlowAfter != 0 || got.RampUp != 0 || got.CallTimeout != 0 || got.History != 0 || got.TimeoutFactor != 1 || got.Jitter != 0 || got.MinimumCalls != 0 || got.Window != (core.Window{}) || got.FailureRateThreshold != -1 || got.SlowRateThreshold != 0 {
			t.Errorf("in force: %+v", got)
		}
		succeed(t, b, 3)
		time.Sleep(time.Hour)
		if h := b.Snapshot().History; h != nil {
			t.Errorf("a history of %d intervals", len(h))
		}
	})
}

// Half of the last hundred calls open, though no five fail in a row.
func TestTheWindowDecidesByDefault(t *testing.T) {
	b := newBreaker(t, core.Config{})
	play(t, b, "SF"+"SF"+"SF"+"SF"+"SF"+"SF"+"SF"+"SF"+"SF"+"S")
	wantState(t, b, core.Closed)
	fail(t, b, 1)
	wantState(t, b, core.Open)
	if got := b.Snapshot().Transitions; len(got) != 1 || got[0].Reason() != "failure rate (50 %, 10 of 20 calls)" {
		t.Errorf("%v", got)
	}
	off := newBreaker(t, core.Config{FailureRateThreshold: -1})
	for range 500 {
		play(t, off, "SF")
	}
	wantState(t, off, core.Closed)
}

// What Config returns is accepted, whatever is off.
func TestConfigIsAcceptedAgain(t *testing.T) {
	for _, cfg := range []core.Config{
		{},
		{FailureRateThreshold: -1},
		{FailureThreshold: -1, FailureRateThreshold: -2, SlowRateThreshold: -1},
		{FailureRateThreshold: -1, SlowRateThreshold: 0.5, SlowAfter: 1, Window: core.Window{For: time.Minute}, MinimumCalls: 3},
		{Window: core.Window{Calls: 7}, History: -1, RecentCalls: -1},
	} {
		b := newBreaker(t, cfg)
		got := b.Config()
		update(t, b, got)
		if again := b.Config(); fmt.Sprint(again) != fmt.Sprint(got) {
			t.Errorf("%+v read back as %+v", got, again)
		}
	}
}

func TestWindowWithoutARule(t *testing.T) {
	for field, cfg := range map[string]core.Config{
		"Window":       {FailureRateThreshold: -1, Window: core.Window{For: time.Minute}},
		"MinimumCalls": {FailureRateThreshold: -1, MinimumCalls: 5},
	} {
		err := cfg.Validate()
		fault, ok := errors.AsType[*core.ConfigError](err)
		if !ok || fault.Field != field {
			t.Errorf("%+v: %v, want a fault of %s", cfg, err, field)
		}
		cfg.SlowRateThreshold, cfg.SlowAfter = 0.5, time.Second
		if err := cfg.Validate(); err != nil {
			t.Errorf("with a rate of slow calls: %v", err)
		}
	}
}
