package e2e

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

// Four replicas, a real collector, a real Prometheus and an outage: every query
// of the dashboard, every rule and every alert has something to say, the right
// thing where that is known, and in the end all numbers are those that the
// replicas have counted.
func TestStack(t *testing.T) {
	p, otlp, scraped := pipeline(t)
	all := fleet(t, otlp, scraped)
	known := panels(t)

	allClosed := shown{by: "circuit_breaker_state", only: true, want: map[string]span{
		"closed": exactly(36), "open": exactly(0), "half_open": exactly(0), "forced_open": exactly(0), "disabled": exactly(0),
	}}
	eventually(t, 30*time.Second, func() error {
		got, err := p.ask(`sum by (circuit_breaker_state) (circuit_breaker_status{job="` + job + `"})`)
		return errors.Join(err, allClosed.check(got))
	})
	if t.Failed() {
		t.Fatal("no use to go on")
	}
	time.Sleep(2 * time.Second) // so that there are calls from before

	tell(t, all, "outage")
	t.Run("outage", func(t *testing.T) {
		for _, q := range known {
			t.Run(q.where, func(t *testing.T) {
				t.Parallel()
				eventually(t, 30*time.Second, func() error { return p.says(chosen(q.expr, job, ".+", "1m")) })
			})
		}
		for _, q := range rules(t) {
			t.Run(q.where, func(t *testing.T) {
				t.Parallel()
				eventually(t, 30*time.Second, func() error {
					if err := p.says(q.expr); err != nil {
						return err
					}
					if q.record != "" {
						return p.says(q.record)
					}
					return p.says(fmt.Sprintf("ALERTS{alertname=%q}", q.where))
				})
			})
		}
		for _, s := range outage {
			t.Run(s.panel+" of "+s.breakers, func(t *testing.T) {
				t.Parallel()
				eventually(t, 30*time.Second, func() error { return p.shows(known, &s) })
			})
		}
		for alert, of := range alerted {
			t.Run(alert, func(t *testing.T) {
				t.Parallel()
				eventually(t, 30*time.Second, func() error { return p.alerts(alert, of.label, of.values) })
			})
		}
		t.Run("variables", func(t *testing.T) {
			t.Parallel()
			for label, selector := range variables(t) {
				want := map[string][]string{"job": {direct, job}, "circuit_breaker_name": breakers, "gen_ai_agent_name": agents}[label]
				if got, err := p.values(label, chosen(selector, job, "", "")); err != nil || !slices.Equal(got, want) {
					t.Errorf("%s is one of %q, %v; it should be %q", label, got, err, want)
				}
			}
		})
		t.Run("exemplars", func(t *testing.T) {
			t.Parallel()
			eventually(t, 30*time.Second, func() error {
				traces, err := p.exemplars(`circuit_breaker_call_duration_seconds_bucket{circuit_breaker_name="billing"}`)
				if err == nil && (len(traces) == 0 || len(traces[0]) != 32) {
					err = fmt.Errorf("exemplars have the traces %q", traces)
				}
				return err
			})
		})
		t.Run("label of older dashboards", func(t *testing.T) {
			t.Parallel()
			eventually(t, 30*time.Second, func() error { return p.says(`circuit_breaker_calls_total{result="rejected"} > 0`) })
		})
	})

	counts := reports(t, all)
	eventually(t, 20*time.Second, func() error {
		got, err := p.arrived(job)
		return errors.Join(err, got.equals(counts))
	})
	eventually(t, 20*time.Second, func() error {
		got, err := p.arrived(direct)
		return errors.Join(err, got.equals(map[string]report{scraped: counts["d"]}))
	})
	t.Run("contract", func(t *testing.T) { p.fits(t, job) })
	t.Run("contract of the program itself", func(t *testing.T) { p.fits(t, direct) })
	t.Run("rules are well", p.healthy)
}

// alerted are the breakers, and agents, of which alerts with a single cause tell: a
// label and its values.
var alerted = map[string]struct {
	label  string
	values []string
}{
	"CircuitBreakerOneReplicaOnly":      {"circuit_breaker_name", []string{"search"}},
	"CircuitBreakerFailuresWithoutTrip": {"circuit_breaker_name", []string{"ledger"}},
	"CircuitBreakerOverridden":          {"circuit_breaker_name", []string{"banned", "exempt"}},
	"AgentEscalated":                    {"job", []string{direct, job}},
	"AgentHandoffPingPong":              {"circuit_breaker_agent_source", []string{"critic", "writer"}},
	"AgentNoProgress":                   {"gen_ai_agent_name", []string{"coder", "critic", "runner", "writer"}},
	"AgentLowConfidence":                {"gen_ai_agent_name", []string{"doubter"}},
}

// says reports an expression without data.
func (p prom) says(expr string) error {
	got, err := p.ask(expr)
	if err != nil {
		return err
	}
	if err := hasData(got); err != nil {
		return fmt.Errorf("%s: %w", expr, err)
	}
	return nil
}

// shows reports a panel that does not show what it should.
func (p prom) shows(known []query, s *shown) error {
	i := slices.IndexFunc(known, func(q query) bool { return q.where == s.panel })
	if i < 0 {
		return fmt.Errorf("there is no panel %q", s.panel)
	}
	got, err := p.ask(chosen(known[i].expr, job, s.breakers, cmp.Or(s.over, "5s")))
	if err != nil {
		return err
	}
	return s.check(got)
}

// alerts reports an alert that is not of these values of a label, exactly.
func (p prom) alerts(alert, label string, of []string) error {
	got, err := p.ask(fmt.Sprintf("count by (%s) (ALERTS{alertname=%q})", label, alert))
	if err != nil {
		return err
	}
	var names []string
	for _, s := range got {
		names = append(names, s.labels[label])
	}
	if slices.Sort(names); !slices.Equal(names, of) {
		return fmt.Errorf("%s is of %q, not of %q", alert, names, of)
	}
	return nil
}

// values are what Grafana offers for label_values.
func (p prom) values(label, selector string) (out []string, err error) {
	err = p.api("label/"+label+"/values", url.Values{"match[]": {selector}}, &out)
	return out, err
}

// arrived reads all that the contract names of a job.
func (p prom) arrived(job string) (arrived, error) {
	out := make(arrived)
	for name, i := range contract {
		metric := i.prom
		if i.kind == histogram {
			metric += "_count"
		}
		got, err := p.ask(metric + `{job="` + job + `"}`)
		if err != nil {
			return nil, err
		}
		for _, s := range got {
			var flat []string
			for _, label := range sorted(i.labels) {
				if label != "circuit_breaker_name" {
					flat = append(flat, label, s.labels[label])
				}
			}
			out.put(s.value, s.labels["instance"], s.labels["circuit_breaker_name"], key(name, flat...))
		}
	}
	return out, nil
}

// fits reports series that Prometheus has of a job and the contract has not, by
// metric, label or value, and the other way round.
func (p prom) fits(t *testing.T, job string) {
	t.Helper()
	var all []map[string]string
	if err := p.api("series", url.Values{"match[]": {`{job="` + job + `",__name__!~"ALERTS.*|.+:.+|up|scrape_.+"}`}, "start": {unix(time.Now().Add(-time.Minute))}}, &all); err != nil {
		t.Fatal(err)
	}
	got := make(map[string]map[string]map[string]bool) // metric, label, value
	for _, s := range all {
		metric := got[s["__name__"]]
		if metric == nil {
			metric = make(map[string]map[string]bool)
			got[s["__name__"]] = metric
		}
		for label, value := range s {
			if metric[label] == nil {
				metric[label] = make(map[string]bool)
			}
			metric[label][value] = true
		}
	}
	for _, q := range rules(t) { // what compat.rules.yml makes
		delete(got, q.record)
	}
	want := series()
	for metric, labels := range got {
		if want[metric] == nil {
			t.Errorf("%s is exported, and not in the contract", metric)
			continue
		}
		for label := range labels {
			switch {
			case label == "__name__", strings.HasPrefix(label, "otel_scope_"):
			case metric == "circuit_breaker_calls_total" && label == "result": // for older dashboards
			case metric == "target_info":
			case !has(want[metric], label):
				t.Errorf("%s has a label %s that is not in the contract", metric, label)
			}
		}
	}
	for metric, labels := range want {
		for label, values := range labels {
			have := sorted(got[metric][label])
			if len(have) == 0 {
				t.Errorf("%s without %s is exported", metric, label)
			}
			if values != nil && !slices.Equal(have, slices.Sorted(slices.Values(values))) {
				t.Errorf("%s of %s is one of %q; the contract says %q", label, metric, have, values)
			}
		}
	}
}

// healthy reports rules that Prometheus could not evaluate.
func (p prom) healthy(t *testing.T) {
	var data struct {
		Groups []struct {
			Rules []struct{ Name, Health, LastError string }
		}
	}
	if err := p.api("rules", nil, &data); err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, g := range data.Groups {
		for _, r := range g.Rules {
			n++
			if r.Health != "ok" {
				t.Errorf("%s is %s: %s", r.Name, r.Health, r.LastError)
			}
		}
	}
	if want := len(rules(t)); n != want {
		t.Errorf("Prometheus has %d rules, of %d", n, want)
	}
}
