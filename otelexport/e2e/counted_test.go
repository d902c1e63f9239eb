package e2e

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// counted returns what must have arrived of a breaker's snapshot: the value of
// every series that is exact, by metric and labels but the name, as key writes
// them; of histograms the count.
func counted(name string, s *snapshot) map[string]float64 {
	out := make(map[string]float64)
	set := func(v float64, metric string, labels ...string) { out[key(metric, labels...)] = v }

	t := s.Totals
	set(t.Successes, "circuit_breaker.calls", "circuit_breaker_result", "success")
	set(t.Failures, "circuit_breaker.calls", "circuit_breaker_result", "failure")
	set(t.Ignored, "circuit_breaker.calls", "circuit_breaker_result", "ignored")
	set(t.Refused, "circuit_breaker.calls", "circuit_breaker_result", "rejected")
	set(t.Slow, "circuit_breaker.slow_calls")
	set(t.Timeouts, "circuit_breaker.timeouts")
	set(t.ShadowAdmitted, "circuit_breaker.spared_calls")
	set(t.InFlight, "circuit_breaker.active")

	is := strings.NewReplacer("-", "_", " ", "_").Replace(s.State)
	if s.Override == "forced-open" || s.Override == "disabled" {
		is = strings.ReplaceAll(s.Override, "-", "_")
	}
	for _, state := range states {
		v := 0.0
		if state == is {
			v = 1
		}
		set(v, "circuit_breaker.status", "circuit_breaker_state", state)
	}

	reason := map[string]string{
		"consecutive failures": "consecutive_failures", "failure rate": "failure_rate", "slow-call rate": "slow_rate",
		"a probe failed": "probe_failed", "a probe was slow": "probe_slow",
	}
	for _, c := range s.Changes {
		from, to := strings.ReplaceAll(c.From, "-", "_"), strings.ReplaceAll(c.To, "-", "_")
		out[key("circuit_breaker.state.transitions", "circuit_breaker_state", to, "circuit_breaker_state_previous", from)] += c.Count
		if r := reason[c.Cause]; r != "" {
			set(c.Count, "circuit_breaker.trips", "circuit_breaker_transition_reason", r)
		}
	}

	set(t.Lost, "circuit_breaker.lost_probes")
	set(s.Probes.Successes, "circuit_breaker.probes", "circuit_breaker_result", "success")
	set(s.Probes.Failures, "circuit_breaker.probes", "circuit_breaker_result", "failure")
	set(s.Probes.Ignored, "circuit_breaker.probes", "circuit_breaker_result", "ignored")

	window := s.Window
	if s.State != "closed" {
		window.Calls, window.Failures = 0, 0
	}
	set(window.Calls-window.Failures, "circuit_breaker.window.calls", "circuit_breaker_result", "success")
	set(window.Failures, "circuit_breaker.window.calls", "circuit_breaker_result", "failure")

	if timed[name] {
		set(t.Successes, "circuit_breaker.call.duration", "circuit_breaker_result", "success")
		set(t.Failures, "circuit_breaker.call.duration", "circuit_breaker_result", "failure")
	}
	return out
}

// timed are the breakers with Config.Durations.
var timed = map[string]bool{"billing": true, "quotes": true}

// arrived is what came out at the other end: the last value of each series, of a
// histogram its count, by instance, breaker and key. What is not of a breaker has
// none.
type arrived map[string]map[string]map[string]float64

func (a arrived) put(v float64, instance, breaker, key string) {
	if a[instance] == nil {
		a[instance] = make(map[string]map[string]float64)
	}
	if a[instance][breaker] == nil {
		a[instance][breaker] = make(map[string]float64)
	}
	a[instance][breaker][key] = v
}

// equals reports where what arrived is not what the replicas have counted.
func (a arrived) equals(reports map[string]report) error {
	var faults []error
	for instance, all := range reports {
		faults = append(faults, agentsEqual(instance, all.Agents, a[instance][""]))
		for name, s := range all.Breakers {
			want, got := counted(name, &s), a[instance][name]
			for _, key := range sorted(want) {
				if v, ok := got[key]; !ok || v != want[key] {
					faults = append(faults, fmt.Errorf("replica %s, breaker %s: %s is %v (there: %t), and %v was counted", instance, name, key, v, ok, want[key]))
				}
			}
			faults = append(faults, timesFit(instance, name, s.TimeIn, got))
		}
	}
	return errors.Join(faults...)
}

// agentsEqual reports where what arrived of agents is not what was counted, or zero
// if nothing was.
func agentsEqual(instance string, want, got map[string]float64) error {
	var faults []error
	for _, key := range sorted(got) {
		if strings.HasPrefix(key, "circuit_breaker.agent.") && got[key] != want[key] {
			faults = append(faults, fmt.Errorf("replica %s: %s is %v, and %v was counted", instance, key, got[key], want[key]))
		}
	}
	for _, key := range sorted(want) {
		if _, ok := got[key]; !ok {
			faults = append(faults, fmt.Errorf("replica %s: %s is not there, and %v was counted", instance, key, want[key]))
		}
	}
	return errors.Join(faults...)
}

// timesFit reports times in state that are not those of the report, or a little
// later for the state that goes on.
func timesFit(instance, name string, want times, got map[string]float64) error {
	const slack = 60 // seconds from the report to the last export, at most
	var faults []error
	total := 0.0
	for state, d := range map[string]time.Duration{
		"closed": want.Closed, "open": want.Open, "half_open": want.HalfOpen, "forced_open": want.ForcedOpen, "disabled": want.Disabled,
	} {
		v, ok := got[key("circuit_breaker.state.time", "circuit_breaker_state", state)]
		if !ok || v < d.Seconds()-1e-6 || v > d.Seconds()+slack {
			faults = append(faults, fmt.Errorf("replica %s, breaker %s: %v s (there: %t) in %s, and it was %v", instance, name, v, ok, state, d))
		}
		total += v - d.Seconds()
	}
	if total < 0 || total > slack {
		faults = append(faults, fmt.Errorf("replica %s, breaker %s: times are %v s more than the report's", instance, name, total))
	}
	return errors.Join(faults...)
}

// key writes a metric and pairs of label and value, which come sorted.
func key(metric string, labels ...string) string {
	return metric + "{" + strings.Join(labels, ",") + "}"
}
