package core_test

import (
	"strings"
	"testing"
	"time"

	"github.com/blackbox4/switchgear/core"
)

// The texts are read by people at night: they are compared word by word.
func TestExplain(t *testing.T) {
	rates := core.Config{FailureThreshold: 5, FailureRateThreshold: 0.5, MinimumCalls: 20, Timeout: time.Minute}
	for _, row := range []struct {
		name  string
		story func(t *testing.T) *core.Breaker
		want  string
	}{
		{
			"new", func(t *testing.T) *core.Breaker { return newBreaker(t, core.Config{}) },
			"closed: 0 of 5 consecutive failures; failure rate 0 % of 50 %, but only 0 of 20 calls",
		},
		{"closed with a rate, below the minimum", func(t *testing.T) *core.Breaker {
			b := newBreaker(t, rates)
			play(t, b, "SSSSFFF")
			return b
		}, "closed: 3 of 5 consecutive failures; failure rate 42.86 % of 50 %, but only 7 of 20 calls"},
		{"closed with a rate, above the minimum", func(t *testing.T) *core.Breaker {
			b := newBreaker(t, rates)
			play(t, b, strings.Repeat("SSSSF", 4))
			return b
		}, "closed: 1 of 5 consecutive failures; failure rate 20 % of 50 %"},
		{"closed with both rates", func(t *testing.T) *core.Breaker {
			b := newBreaker(t, core.Config{FailureThreshold: -1, FailureRateThreshold: 0.5, SlowRateThreshold: 0.25, SlowAfter: 2 * time.Second, MinimumCalls: 2})
			for range 4 {
				succeed(t, b, 1)
			}
			lasting(t, b, 3*time.Second, core.Success)
			return b
		}, "closed: failure rate 0 % of 50 %; slow-call rate (over 2s) 20 % of 25 %"},
		{
			"no rule", func(t *testing.T) *core.Breaker {
				return newBreaker(t, core.Config{FailureThreshold: -1, FailureRateThreshold: -1})
			},
			"closed: no rule is on, it will never open",
		},
		{"ramping up", func(t *testing.T) *core.Breaker {
			b := ramped(t, core.Config{FailureRateThreshold: -1, RampUp: time.Minute})
			time.Sleep(15 * time.Second)
			return b
		}, "closed: 0 of 1 consecutive failures; ramping up, every call is admitted in 45s"},
		{"ramped up, not yet met by a call", func(t *testing.T) *core.Breaker {
			b := ramped(t, core.Config{FailureRateThreshold: -1, RampUp: time.Minute})
			time.Sleep(time.Minute)
			return b
		}, "closed: 0 of 1 consecutive failures"},
		{"open by consecutive failures", func(t *testing.T) *core.Breaker {
			b := newBreaker(t, rates)
			fail(t, b, 5)
			time.Sleep(1500 * time.Millisecond)
			return b
		}, "open: consecutive failures (5); probes are let through in 58.5s, 2 successes then close it"},
		{"open by the failure rate", func(t *testing.T) *core.Breaker {
			b := newBreaker(t, rates)
			play(t, b, strings.Repeat("SF", 10))
			return b
		}, "open: failure rate (50 %, 10 of 20 calls); probes are let through in 1m0s, 2 successes then close it"},
		{"open by the slow-call rate", func(t *testing.T) *core.Breaker {
			b := newBreaker(t, core.Config{SlowRateThreshold: 0.25, SlowAfter: 2 * time.Second, MinimumCalls: 4})
			succeed(t, b, 3)
			lasting(t, b, 3*time.Second, core.Success)
			return b
		}, "open: slow-call rate (25 %, 1 of 4 calls); probes are let through in 1m0s, 2 successes then close it"},
		{"opened again", func(t *testing.T) *core.Breaker {
			b := halfOpened(t, core.Config{})
			fail(t, b, 1)
			return b
		}, "open: a probe failed; opened 2 times without closing; probes are let through in 1s, 2 successes then close it"},
		{"a probe was lost, which no call has met yet", func(t *testing.T) *core.Breaker {
			b := halfOpened(t, core.Config{Timeout: 20 * time.Second})
			take(t, b)
			time.Sleep(31 * time.Second)
			return b
		}, "half-open: timeout elapsed; 0 of 3 probes are out; 0 of 2 needed successes are in; 1 more took longer than 30s, and counts if it succeeds after all; the next probe goes out in 19s; a failure opens it again"},
		{"half-open, slow probes reopen", func(t *testing.T) *core.Breaker {
			return halfOpened(t, core.Config{SlowRateThreshold: 0.5, SlowAfter: time.Second})
		}, "half-open: timeout elapsed; 0 of 3 probes are out; 0 of 2 needed successes are in; a failure opens it again, and so does a probe slower than 1s"},
		{"half-open", func(t *testing.T) *core.Breaker {
			b := halfOpened(t, core.Config{HalfOpenMaxCalls: 4, SuccessThreshold: 3})
			succeed(t, b, 1)
			take(t, b)
			take(t, b)
			return b
		}, "half-open: timeout elapsed; 2 of 4 probes are out; 1 of 3 needed successes are in; a failure opens it again"},
		{
			"half-open, not yet met by a call", func(t *testing.T) *core.Breaker { return halfOpened(t, core.Config{}) },
			"half-open: timeout elapsed; 0 of 3 probes are out; 0 of 2 needed successes are in; a failure opens it again",
		},
		{"forced open", func(t *testing.T) *core.Breaker {
			b := newBreaker(t, core.Config{FailureRateThreshold: -1})
			fail(t, b, 2)
			force(t, b, core.ForcedOpen)
			return b
		}, "forced open by hand: every call is refused until Release; below it closed: 2 of 5 consecutive failures"},
		{"disabled", func(t *testing.T) *core.Breaker {
			b := newBreaker(t, core.Config{FailureRateThreshold: -1})
			force(t, b, core.Disabled)
			return b
		}, "disabled: every call is admitted and none is counted until Release; below it closed: 0 of 5 consecutive failures"},
		{"shadow", func(t *testing.T) *core.Breaker {
			b := opened(t, core.Config{})
			force(t, b, core.Shadow)
			succeed(t, b, 3)
			return b
		}, "in shadow: every call is admitted, 3 would have been refused so far; below it open: consecutive failures (1); probes are let through in 1m0s, 2 successes then close it"},
	} {
		bubble(t, row.name, func(t *testing.T) {
			if got := row.story(t).Explain(); got != row.want {
				t.Errorf("Explain:\n %s\nwant:\n %s", got, row.want)
			}
		})
	}
}

// OpenError tells a person what happened and what to do, in each state.
func TestOpenErrorText(t *testing.T) {
	for _, row := range []struct {
		name  string
		story func(t *testing.T) *core.Breaker
		want  string
	}{
		{
			"open", func(t *testing.T) *core.Breaker { return opened(t, core.Config{}) },
			`circuit breaker "test" refused the call: it is open (consecutive failures); do not retry before 2000-01-01T00:01:00Z`,
		},
		{"half-open, a probe was lost", func(t *testing.T) *core.Breaker {
			b := halfOpened(t, core.Config{ProbeTimeout: 500 * time.Millisecond})
			take(t, b)
			time.Sleep(500 * time.Millisecond)
			return b
		}, `circuit breaker "test" refused the call: it is half-open and a probe is taking long; the next goes out at 2000-01-01T00:00:02.5Z`},
		{"half-open", func(t *testing.T) *core.Breaker {
			b := halfOpened(t, core.Config{HalfOpenMaxCalls: 1})
			take(t, b)
			return b
		}, `circuit breaker "test" refused the call: it is half-open and all probes are out; try again when one is settled; the oldest is lost at 2000-01-01T00:00:31Z`},
		{"ramping up", func(t *testing.T) *core.Breaker {
			return ramped(t, core.Config{FailureRateThreshold: -1, RampUp: time.Minute})
		}, `circuit breaker "test" refused the call: it has just closed and admits a growing share of calls; try again, every call is admitted from 2000-01-01T00:01:01Z`},
		{"forced open", func(t *testing.T) *core.Breaker {
			b := newBreaker(t, core.Config{FailureRateThreshold: -1})
			force(t, b, core.ForcedOpen)
			return b
		}, `circuit breaker "test" refused the call: forced open by hand; only Release lets calls through again`},
	} {
		bubble(t, row.name, func(t *testing.T) {
			b := row.story(t)
			var err error
			for range 11 { // a ramp lets one in ten through
				var p core.Permit
				if p, err = b.Allow(bg); err != nil {
					break
				}
				p.Settle(bg, core.Ignored)
			}
			if err == nil || err.Error() != row.want {
				t.Errorf("refusal:\n %v\nwant:\n %s", err, row.want)
			}
		})
	}
}

func TestNamesOfConstants(t *testing.T) {
	for _, row := range []struct {
		v    interface{ String() string }
		want string
	}{
		{core.Closed, "closed"},
		{core.Open, "open"},
		{core.HalfOpen, "half-open"},
		{core.State(9), "State(9)"},
		{core.Success, "success"},
		{core.Failure, "failure"},
		{core.Ignored, "ignored"},
		{core.Outcome(0), "Outcome(0)"},
		{core.NoOverride, "none"},
		{core.ForcedOpen, "forced-open"},
		{core.Disabled, "disabled"},
		{core.Shadow, "shadow"},
		{core.Override(7), "Override(7)"},
		{core.NoCause, "none"},
		{core.CauseConsecutiveFailures, "consecutive failures"},
		{core.CauseFailureRate, "failure rate"},
		{core.CauseSlowRate, "slow-call rate"},
		{core.CauseProbeFailed, "a probe failed"},
		{core.CauseProbeSlow, "a probe was slow"},
		{core.CauseProbeLost, "a probe was lost"},
		{core.CauseTimeoutElapsed, "timeout elapsed"},
		{core.CauseProbesPassed, "the probes passed"},
		{core.CauseManualReset, "reset by hand"},
		{core.CauseProbesOut, "all probes are out"},
		{core.CauseRampingUp, "ramping up"},
		{core.CauseForcedOpen, "forced open by hand"},
		{core.Cause(99), "Cause(99)"},
	} {
		if got := row.v.String(); got != row.want {
			t.Errorf("%T: %q, want %q", row.v, got, row.want)
		}
		text, err := row.v.(interface{ MarshalText() ([]byte, error) }).MarshalText()
		if err != nil || string(text) != row.want {
			t.Errorf("%T as text: %q, %v; want %q", row.v, text, err, row.want)
		}
	}
}
