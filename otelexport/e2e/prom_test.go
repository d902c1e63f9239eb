package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// prom is a running Prometheus.
type prom struct{ address string }

// sample is one series of an answer and its last value.
type sample struct {
	labels map[string]string
	value  float64
}

// pipeline starts the collector and a Prometheus that scrapes it, each with the
// configuration that is shipped, but for addresses and intervals. It returns
// where the collector takes OTLP, and where Prometheus scrapes a program itself,
// as the job named direct.
func pipeline(t *testing.T) (p prom, otlp, scraped string) {
	t.Helper()
	dir := t.TempDir()
	otelcol := output(t, "../collector/run", "build")
	at := launch(t, "collector", "/metrics", 4, func(at []string) *exec.Cmd {
		_, port, _ := strings.Cut(at[2], ":")
		cmd := exec.CommandContext(t.Context(), otelcol, "--config", "../collector/config.yaml")
		cmd.Env = append(os.Environ(), "OTLP_GRPC="+at[0], "OTLP_HTTP="+at[1], "COLLECTOR_PORT="+port, "PROMETHEUS="+at[3])
		return cmd
	})
	otlp = at[0]

	data, err := os.ReadFile("../collector/prometheus.yml")
	if err != nil {
		t.Fatal(err)
	}
	rules, err := filepath.Abs("../dashboards")
	if err != nil {
		t.Fatal(err)
	}
	config := string(data)
	for _, change := range [][2]string{
		{"scrape_interval: 15s", "scrape_interval: 1s"},
		{"evaluation_interval: 15s", "evaluation_interval: 1s"},
		{"../dashboards/", rules + "/"},
		{"localhost:8889", at[3]},
	} {
		if !strings.Contains(config, change[0]) {
			t.Fatalf("prometheus.yml has no %q to replace", change[0])
		}
		config = strings.ReplaceAll(config, change[0], change[1])
	}
	scraped = free(t, 1)[0]
	config += "  - {job_name: " + direct + ", static_configs: [{targets: [\"" + scraped + "\"]}]}\n"
	file := filepath.Join(dir, "prometheus.yml")
	if err := os.WriteFile(file, []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	bin := output(t, "prometheus")
	at = launch(t, "prometheus", "/-/ready", 1, func(at []string) *exec.Cmd {
		return exec.CommandContext(t.Context(), filepath.Join(bin, "prometheus"), "--config.file", file,
			"--storage.tsdb.path", filepath.Join(dir, "data"), "--web.listen-address", at[0], "--enable-feature", "exemplar-storage")
	})
	return prom{at[0]}, otlp, scraped
}

// api asks the HTTP API and decodes the data of its answer.
func (p prom) api(path string, form url.Values, data any) error {
	resp, err := http.Get("http://" + p.address + "/api/v1/" + path + "?" + form.Encode())
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	var answer struct {
		Status, Error string
		Data          json.RawMessage
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return fmt.Errorf("%s: %s: %w", path, resp.Status, err)
	}
	if answer.Status != "success" {
		return errors.New(answer.Error)
	}
	return json.Unmarshal(answer.Data, data)
}

// ask evaluates an expression now.
func (p prom) ask(expr string) ([]sample, error) {
	var data struct {
		ResultType string
		Result     []struct {
			Metric map[string]string
			Value  [2]any
		}
	}
	if err := p.api("query", url.Values{"query": {expr}}, &data); err != nil {
		return nil, fmt.Errorf("%s: %w", expr, err)
	}
	out := make([]sample, len(data.Result))
	for i, r := range data.Result {
		text, _ := r.Value[1].(string)
		v, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", expr, err)
		}
		out[i] = sample{r.Metric, v}
	}
	return out, nil
}

// hasData reports an answer without a number.
func hasData(got []sample) error {
	for _, s := range got {
		if !math.IsNaN(s.value) && !math.IsInf(s.value, 0) {
			return nil
		}
	}
	return fmt.Errorf("no data: %v", got)
}

// exemplars returns the trace ids of exemplars.
func (p prom) exemplars(selector string) (traces []string, err error) {
	var data []struct {
		Exemplars []struct{ Labels map[string]string }
	}
	err = p.api("query_exemplars", url.Values{
		"query": {selector}, "start": {unix(time.Now().Add(-time.Minute))}, "end": {unix(time.Now().Add(time.Minute))},
	}, &data)
	for _, s := range data {
		for _, e := range s.Exemplars {
			traces = append(traces, e.Labels["trace_id"])
		}
	}
	return traces, err
}

func unix(at time.Time) string { return strconv.FormatInt(at.Unix(), 10) }
