package e2e

import (
	"slices"
	"strings"
	"testing"
)

// Every query asks only for metrics, labels and values that are exported, and
// every legend and text only for labels that the query returns.
func TestQueriesAskForWhatIsExported(t *testing.T) {
	known := series()
	for _, q := range append(rules(t), panels(t)...) { // the panels use what the rules record
		expr := chosen(q.expr, ".+", ".+", "1m")
		if strings.Contains(expr, "$") {
			t.Errorf("%s: a variable is left in %s", q.where, expr)
			continue
		}
		out, err := check(expr, known)
		if err != nil {
			t.Errorf("%s: %v", q.where, err)
			continue
		}
		for _, name := range mentioned(q.legend) {
			if !has(out, name) {
				t.Errorf("%s tells of %s, and the query returns only %q", q.where, name, sorted(out))
			}
		}
		if q.record == "" {
			continue
		}
		if _, taken := known[q.record]; taken {
			t.Errorf("%s is exported already: a rule would write into it", q.record)
		}
		known[q.record] = out
	}
	for label, selector := range variables(t) {
		out, err := check(chosen(selector, ".+", ".+", ""), known)
		if err != nil || !has(out, label) {
			t.Errorf("the variable of %s asks for %s: %v, %q", label, selector, err, sorted(out))
		}
	}
}

// Whatever is exported is on the dashboard or in a rule; else why export it?
func TestAllThatIsExportedIsAskedFor(t *testing.T) {
	var all strings.Builder
	for _, q := range append(panels(t), rules(t)...) {
		all.WriteString(q.expr + "\n")
	}
	for name := range series() {
		if !strings.Contains(all.String(), name) {
			t.Errorf("no panel and no rule asks for %s", name)
		}
	}
}

// The checks above find what they are there to find.
func TestCheckFindsFaults(t *testing.T) {
	known := series()
	for expr, want := range map[string]string{
		`sum(rate(circuit_breaker_calls_total[5m])`:                                                                          "unclosed",
		`rate(circuit_breaker_calls_total)`:                                                                                  "expected type range vector",
		`circuit_breaker_max_buffered_calls`:                                                                                 `no exporter has "circuit_breaker_max_buffered_calls"`,
		`1 + sum(rate(circuit_breaker_calls[5m]))`:                                                                           `no exporter has "circuit_breaker_calls"`,
		`count({__name__=~"circuit_breaker_(agent|agents)"})`:                                                                "no exporter has what",
		`sum by (circuit_breaker_name) ({__name__=~"circuit_breaker_(agent_)?status"})`:                                      "groups by circuit_breaker_name",
		`circuit_breaker_agent_status{circuit_breaker_agent_state="resuming"}`:                                               "never as in",
		`circuit_breaker_status{state="open"}`:                                                                               "no label state",
		`circuit_breaker_status{circuit_breaker_state="half-open"}`:                                                          "never as in",
		`circuit_breaker_status{circuit_breaker_state=~"open|forced"}`:                                                       `never "forced"`,
		`sum by (result) (circuit_breaker_calls_total)`:                                                                      "groups by result",
		`sum by (circuit_breaker_name) (sum by (job) (circuit_breaker_active))`:                                              "groups by circuit_breaker_name",
		`circuit_breaker_active * on (pod) group_left () target_info`:                                                        "matches on pod",
		`circuit_breaker_active * on (job) group_left (pod) target_info`:                                                     "adds pod",
		`circuit_breaker_status / circuit_breaker_active`:                                                                    "never match",
		`histogram_quantile(0.5, sum by (job) (circuit_breaker_call_duration_seconds_bucket))`:                               "no buckets",
		`circuit_breaker_call_duration_seconds_bucket{le="7"}`:                                                               "never as in",
		`topk(3, sum by (le) (circuit_breaker_call_duration_seconds_count))`:                                                 "groups by le",
		`sum by (job) (circuit_breaker_active) and on (job) sum by (job) (circuit_breaker_trips_total{instance="a",to="b"})`: "no label to",
	} {
		if _, err := check(expr, known); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v; it should say %q", expr, err, want)
		}
	}
	out, err := check(`sum by (job, le) (circuit_breaker_call_duration_seconds_bucket)`, known)
	if err != nil || !slices.Equal(sorted(out), []string{"job", "le"}) {
		t.Errorf("labels are %q, %v", sorted(out), err)
	}
}
