package core

import (
	"fmt"
	"strings"
	"time"
)

// Explain tells a person, in one paragraph, where the breaker stands, why, and
// what would change it.
func (b *Breaker) Explain() string {
	if !b.made() {
		return errNoBreaker.Error()
	}
	snap, s := b.snapshot()
	var parts []string
	switch s.override {
	case ForcedOpen:
		parts = append(parts, "forced open by hand: every call is refused until Release; below it")
	case Disabled:
		parts = append(parts, "disabled: every call is admitted and none is counted until Release; below it")
	case Shadow:
		parts = append(parts, fmt.Sprintf("in shadow: every call is admitted, %d would have been refused so far; below it", snap.Totals.ShadowAdmitted))
	case NoOverride:
	}
	switch snap.State {
	case Closed:
		parts = append(parts, "closed: "+snap.explainClosed(s))
	case Open:
		parts = append(parts, snap.explainOpen(s))
	case HalfOpen:
		parts = append(parts, snap.explainHalfOpen(s))
	}
	return strings.Join(parts, " ")
}

func (s *Snapshot) explainClosed(cfg *settings) string {
	var rules []string
	if cfg.FailureThreshold > 0 {
		rules = append(rules, fmt.Sprintf("%d of %d consecutive failures", s.Window.Consecutive, cfg.FailureThreshold))
	}
	few := ""
	if s.Window.Calls < cfg.MinimumCalls {
		few = fmt.Sprintf(", but only %d of %d calls", s.Window.Calls, cfg.MinimumCalls)
	}
	if cfg.FailureRateThreshold > 0 {
		rules = append(rules, fmt.Sprintf("failure rate %s of %s%s", percent(s.Window.FailureRate()), percent(cfg.FailureRateThreshold), few))
	}
	if cfg.SlowRateThreshold > 0 {
		rules = append(rules, fmt.Sprintf("slow-call rate (over %v) %s of %s%s", cfg.SlowAfter, percent(s.Window.SlowRate()), percent(cfg.SlowRateThreshold), few))
	}
	if len(rules) == 0 {
		return "no rule is on, it will never open"
	}
	out := strings.Join(rules, "; ")
	if !s.RetryAt.IsZero() {
		out += fmt.Sprintf("; ramping up, every call is admitted in %v", about(s.RetryAt.Sub(s.At)))
	}
	return out
}

func (s *Snapshot) explainOpen(cfg *settings) string {
	out := "open: " + s.Cause.String()
	if n := len(s.Transitions); n > 0 && s.Transitions[n-1].Cause == s.Cause {
		out = "open: " + s.Transitions[n-1].Reason()
	}
	if s.Opens > 1 {
		out += fmt.Sprintf("; opened %d times without closing", s.Opens)
	}
	return out + fmt.Sprintf("; probes are let through in %v, %d successes then close it", about(s.RetryAt.Sub(s.At)), cfg.SuccessThreshold)
}

func (s *Snapshot) explainHalfOpen(cfg *settings) string {
	out := fmt.Sprintf("half-open: %s; %d of %d probes are out; %d of %d needed successes are in", s.Cause, s.ProbesOut, cfg.HalfOpenMaxCalls, s.Window.Consecutive, cfg.SuccessThreshold)
	if s.ProbesLost > 0 {
		counts := "counts if it succeeds"
		if s.ProbesLost > 1 {
			counts = "count if they succeed"
		}
		out += fmt.Sprintf("; %d more took longer than %v, and %s after all", s.ProbesLost, cfg.ProbeTimeout, counts)
	}
	if !s.RetryAt.IsZero() {
		out += fmt.Sprintf("; the next probe goes out in %v", about(s.RetryAt.Sub(s.At)))
	}
	out += "; a failure opens it again"
	if cfg.SlowRateThreshold > 0 {
		out += fmt.Sprintf(", and so does a probe slower than %v", cfg.SlowAfter)
	}
	return out
}

// about rounds a time to wait to what a person wants to know of it.
func about(d time.Duration) time.Duration {
	if d >= 10*time.Second {
		return d.Round(100 * time.Millisecond)
	}
	return d.Round(time.Millisecond)
}
