package setup_test

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// series is how the tests write a series.
func series(name string, labels []string) string {
	slices.Sort(labels)
	return name + "{" + strings.Join(labels, ",") + "}"
}

// scrape returns the text that Prometheus would get.
func scrape(t *testing.T, port string, accept string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://localhost:"+port+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", accept)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("%s, %v\n%s", res.Status, err, body)
	}
	return string(body)
}

// parse returns the series in the text, without labels of the scope.
func parse(t *testing.T, text string) map[string]float64 {
	t.Helper()
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(text))
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	all := map[string]float64{}
	for name, family := range families {
		if name == "target_info" {
			continue
		}
		for _, m := range family.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				if !strings.HasPrefix(l.GetName(), "otel_scope_") {
					labels = append(labels, fmt.Sprintf("%s=%q", l.GetName(), l.GetValue()))
				}
			}
			switch family.GetType() { //nolint:exhaustive // there are no others
			case dto.MetricType_COUNTER:
				all[series(name, labels)] = m.GetCounter().GetValue()
			case dto.MetricType_GAUGE:
				all[series(name, labels)] = m.GetGauge().GetValue()
			case dto.MetricType_HISTOGRAM:
				h := m.GetHistogram()
				all[series(name+"_count", labels)] = float64(h.GetSampleCount())
				all[series(name+"_sum", labels)] = h.GetSampleSum()
				for _, b := range h.GetBucket() {
					all[series(name+"_bucket", append(slices.Clone(labels), fmt.Sprintf("le=%q", fmt.Sprint(b.GetUpperBound()))))] = float64(b.GetCumulativeCount())
				}
			default:
				t.Errorf("%s is a %v", name, family.GetType())
			}
		}
	}
	return all
}

// inPrometheus are the metrics' names there.
var inPrometheus = map[string]string{
	"circuit_breaker.calls":                "circuit_breaker_calls_total",
	"circuit_breaker.slow_calls":           "circuit_breaker_slow_calls_total",
	"circuit_breaker.timeouts":             "circuit_breaker_timeouts_total",
	"circuit_breaker.spared_calls":         "circuit_breaker_spared_calls_total",
	"circuit_breaker.active":               "circuit_breaker_active",
	"circuit_breaker.status":               "circuit_breaker_status",
	"circuit_breaker.state.time":           "circuit_breaker_state_time_seconds_total",
	"circuit_breaker.state.transitions":    "circuit_breaker_state_transitions_total",
	"circuit_breaker.trips":                "circuit_breaker_trips_total",
	"circuit_breaker.window.calls":         "circuit_breaker_window_calls",
	"circuit_breaker.window.failure_ratio": "circuit_breaker_window_failure_ratio",
	"circuit_breaker.failure.limit":        "circuit_breaker_failure_limit_ratio",
	"circuit_breaker.probes":               "circuit_breaker_probes_total",
	"circuit_breaker.open.remaining":       "circuit_breaker_open_remaining_seconds",
	"circuit_breaker.agent.status":         "circuit_breaker_agent_status",
	"circuit_breaker.agent.steps":          "circuit_breaker_agent_steps_total",
	"circuit_breaker.agent.escalations":    "circuit_breaker_agent_escalations_total",
	"circuit_breaker.agent.handoffs":       "circuit_breaker_agent_handoffs_total",
	"circuit_breaker.agent.confidence":     "circuit_breaker_agent_confidence_ratio",
	"circuit_breaker.lost_probes":          "circuit_breaker_lost_probes_total",
	"circuit_breaker.all.calls":            "circuit_breaker_all_calls_total",
	"circuit_breaker.all.breakers":         "circuit_breaker_all_breakers",
	"circuit_breaker.unguarded.calls":      "circuit_breaker_unguarded_calls_total",
	"circuit_breaker.export.skipped":       "circuit_breaker_export_skipped",
	"circuit_breaker.call.duration.count":  "circuit_breaker_call_duration_seconds_count",
	"circuit_breaker.call.duration.sum":    "circuit_breaker_call_duration_seconds_sum",
	"circuit_breaker.call.duration.bucket": "circuit_breaker_call_duration_seconds_bucket",
}

// renamed is what the points of an OTLP export are in Prometheus.
func renamed(t *testing.T, points map[string]float64) map[string]float64 {
	t.Helper()
	all := map[string]float64{}
	for k, v := range points {
		name, labels, _ := strings.Cut(k, "{")
		to, known := inPrometheus[name]
		if !known {
			t.Errorf("%s is not in the contract", name)
		}
		all[to+"{"+labels] = v
	}
	return all
}

// TestReadme compares the names in the README's table with those that
// TestAgainstSnapshot finds in a scrape.
func TestReadme(t *testing.T) {
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	for otel, prometheus := range inPrometheus {
		otel, part, _ := strings.Cut(otel, ".duration")
		if part != "" {
			otel += ".duration"
			prometheus = strings.TrimSuffix(prometheus, "_"+part[1:]) + "_bucket`, `_sum`, `_count"
		}
		found := false
		for line := range strings.Lines(string(readme)) {
			found = found || strings.HasPrefix(line, "| `"+otel+"` |") && strings.HasSuffix(line, "| `"+prometheus+"` |\n")
		}
		if !found {
			t.Errorf("README.md has no row for %s and %s", otel, prometheus)
		}
	}
}
