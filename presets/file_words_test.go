package presets_test

import (
	"strings"
	"testing"
	"time"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/presets"
)

// faultOf returns the error of a file with a policy of these fields.
func faultOf(t *testing.T, fields string) string {
	t.Helper()
	_, err := presets.Decode(strings.NewReader("policies: {payments: {" + fields + "}}"))
	if err == nil {
		t.Fatalf("%s: no error", fields)
	}
	return err.Error()
}

func TestErrorsOfAFileUseTheNamesOfTheFile(t *testing.T) {
	for fields, want := range map[string]string{
		"slow_rate_threshold: 0.5":                                 "positive when slow_rate_threshold is set",
		"timeout: 20m, max_timeout: 1m":                            "at least timeout (20m0s)",
		"call_timeout: 40s, probe_timeout: 30s":                    "at least call_timeout (40s)",
		"minimum_calls: 50, window: {calls: 10}":                   "at most window.calls (10)",
		"minimum_calls: 50, sliding_window_size: 10":               "at most window.calls (10)",
		"window: {calls: 10, for: 1m}":                             "either calls or for",
		"sliding_window_size: -5":                                  "payments.sliding_window_size is -5",
		"retry: {enabled: true, initial_delay: 5s, max_delay: 1s}": "at least initial_delay",
		"history: 1m, health: {over: 1h}":                          "at most history",
	} {
		got := faultOf(t, fields)
		if !strings.Contains(got, want) || strings.Contains(got, "Threshold") || strings.Contains(got, "Timeout") {
			t.Errorf("%s: %s\nwant %q and no name of a Go field", fields, got, want)
		}
	}
}

func TestAPercentageIsToldFromAShare(t *testing.T) {
	for _, fields := range []string{"failure_rate_threshold: 50", "slow_rate_threshold: 20, slow_after: 1s"} {
		if got := faultOf(t, fields); !strings.Contains(got, "a share between 0 and 1: 0.5 is half") {
			t.Errorf("%s: %s", fields, got)
		}
	}
	if got := faultOf(t, "failure_threshold: 5000"); strings.Contains(got, "share") {
		t.Errorf("a number of calls is taken for a share: %s", got)
	}
}

func TestAPartOfAKnownNameIsSuggested(t *testing.T) {
	for field, want := range map[string]string{
		"sliding_window":   "sliding_window_size",
		"recovery_timeout": "timeout",
		"failure_rate":     "failure_rate_threshold",
		"retries":          "retry",
		"max_failures":     "failure_threshold",
		"callTimeout":      "call_timeout",
	} {
		if got := faultOf(t, field+": 1"); !strings.Contains(got, `did you mean "`+want+`"?`) {
			t.Errorf("%s: %s, want %s to be suggested", field, got, want)
		}
	}
	if got := faultOf(t, "colour: 1"); strings.Contains(got, "did you mean") {
		t.Errorf("a name that is like none: %s", got)
	}
}

func TestAZeroThatWouldStandForADefaultIsRefused(t *testing.T) {
	for fields, want := range map[string]string{
		"timeout: 0s":                 "timeout is 0, which would stand for 60s",
		"open_for: 0s":                "open_for is 0, which would stand for 60s",
		"failure_threshold: 0":        "which would stand for 5; leave it out, or -1 switches it off",
		"failure_rate_threshold: 0":   "which would stand for 0.5; leave it out, or -1 switches it off",
		"failure_rate_threshold: 0.0": "which would stand for 0.5",
		"sliding_window_size: 0":      "sliding_window_size is 0, which would stand for 100",
		"window: {calls: 0}":          "window.calls is 0, which would stand for 100",
		"success_threshold: 0":        "which would stand for 2; leave it out",
		"half_open_max_calls: 0":      "which would stand for 3; leave it out",
	} {
		if got := faultOf(t, fields); !strings.Contains(got, want) {
			t.Errorf("%s: %s\nwant %q", fields, got, want)
		}
	}
}

func TestADurationWithoutAUnitIsRefused(t *testing.T) {
	for field, p := range map[string]presets.Policy{
		"Timeout":     {Config: core.Config{Timeout: 60000}},
		"CallTimeout": {Config: core.Config{CallTimeout: 5000}},
		"Window.For":  {Config: core.Config{Window: core.Window{For: 60000}}},
	} {
		err := p.Validate()
		if err == nil || !strings.Contains(err.Error(), field) || !strings.Contains(err.Error(), "time.Millisecond") {
			t.Errorf("%s: %v, want an error that shows how to write a unit", field, err)
		}
	}
	if err := (presets.Policy{Config: core.Config{Timeout: time.Millisecond, CallTimeout: time.Millisecond}}).Validate(); err != nil {
		t.Errorf("one millisecond: %v", err)
	}
}

func TestAPresetInGosWordsIsSuggested(t *testing.T) {
	if got := faultOf(t, "preset: ExternalAPI"); !strings.Contains(got, `did you mean "external_api"?`) {
		t.Error(got)
	}
}

func TestTimeoutIsOpenForToo(t *testing.T) {
	for fields, want := range map[string]time.Duration{"open_for: 7s": 7 * time.Second, "open_for_ms: 70": 70 * time.Millisecond} {
		f, err := presets.Decode(strings.NewReader("policies: {payments: {" + fields + "}}"))
		if err != nil {
			t.Fatal(err)
		}
		if got := f.Policy("payments").Timeout; got != want {
			t.Errorf("%s: Timeout = %v, want %v", fields, got, want)
		}
	}
	if got := faultOf(t, "timeout: 5s, open_for: 7s"); !strings.Contains(got, "open_for") {
		t.Errorf("both: %s", got)
	}
}

func TestRetriesAreSwitchedOffInOneWord(t *testing.T) {
	for _, word := range []string{"none", "false", "{strategy: none}"} {
		fields := "preset: external_api, retry: " + word
		f, err := presets.Decode(strings.NewReader("policies: {payments: {" + fields + "}}"))
		if err != nil {
			t.Fatal(err)
		}
		if p := f.Policy("payments"); p.Retry.Enabled || p.RetriesEnabled || p.Retry.WithDefaults().Attempts != 1 {
			t.Errorf("%s: %+v, want no retries", fields, p.Retry)
		}
	}
	if p := presets.ExternalAPI().WithRetry().WithoutRetry(); p.Retry.Enabled || p.Retry.Attempts != 0 || p.RetriesEnabled || p.Validate() != nil {
		t.Errorf("WithoutRetry: %+v, %v", p.Retry, p.Validate())
	}
	for field, change := range map[string]func(*presets.Policy){
		"Attempts": func(p *presets.Policy) { p.Retry.Attempts = 0 },
		"Strategy": func(p *presets.Policy) { p.Retry.Strategy = presets.StrategyNone },
	} {
		if err := presets.ExternalAPI().WithRetry().With(change).Validate(); err == nil || !strings.Contains(err.Error(), "Retry."+field) || !strings.Contains(err.Error(), "WithoutRetry") {
			t.Errorf("%s zero on a preset with retries: %v, want it refused with that hint", field, err)
		}
	}
}
