package main

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/blackbox4/switchgear/core"
)

func TestScreen(t *testing.T) {
	write := func(s *screen) string {
		var out bytes.Buffer
		s.out = &out
		s.line("a")
		s.replace("1 %s", s.state(core.Open, 5))
		s.line("b")
		s.replace("2")
		s.keep()
		s.keep()
		s.line("c")
		return out.String()
	}
	for _, c := range []struct {
		name   string
		screen *screen
		want   string
	}{
		{"plain", &screen{}, "a\n1 open \nb\n2\nc\n"},
		{"terminal", &screen{live: true}, "a\n\r\x1b[K1 open \r\x1b[Kb\n1 open \r\x1b[K2\nc\n"},
		{"colour", &screen{live: true, colour: true}, "a\n\r\x1b[K1 \x1b[31mopen \x1b[0m\r\x1b[Kb\n1 \x1b[31mopen \x1b[0m\r\x1b[K2\nc\n"},
	} {
		if got := write(c.screen); got != c.want {
			t.Errorf("%s:\n got %q\nwant %q", c.name, got, c.want)
		}
	}
}

func TestReason(t *testing.T) {
	cfg := breakerConfig(1)
	at := time.Now()
	for _, c := range []struct {
		t    core.Transition
		want string
	}{
		{core.Transition{To: core.Open, Cause: core.CauseSlowRate, At: at, RetryAt: at.Add(500 * time.Millisecond), Counts: core.Counts{Calls: 20, Slow: 10}}, "slow-call rate (50 %, 10 of 20 calls), so no calls for 500 ms"},
		{core.Transition{To: core.Open, Cause: core.CauseProbeFailed, At: at, RetryAt: at.Add(time.Second), Err: errors.New("no answer")}, "a probe failed: no answer, so no calls for 1.00 s"},
		{core.Transition{To: core.HalfOpen, Cause: core.CauseTimeoutElapsed}, "timeout elapsed, 2 probes at a time"},
		{core.Transition{To: core.Closed, Cause: core.CauseProbesPassed}, "the probes passed"},
	} {
		if got := reason(c.t, &cfg); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}

func TestPercentile(t *testing.T) {
	if d, ok := percentile(nil, 0.99); ok {
		t.Errorf("of nothing: %v", d)
	}
	var took []time.Duration
	for i := range 200 {
		took = append(took, time.Duration(200-i))
	}
	for q, want := range map[float64]time.Duration{0: 1, 0.5: 100, 0.99: 198, 1: 200} {
		if got, _ := percentile(took, q); got != want {
			t.Errorf("percentile %v is %d, want %d", q, got, want)
		}
	}
	if got := mean(took); got != 100 || mean(nil) != 0 {
		t.Errorf("mean is %d, and of nothing %d", got, mean(nil))
	}
}
