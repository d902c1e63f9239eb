package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/blackbox4/switchgear/internal/exampletest"
)

// section returns what follows a heading.
func section(t *testing.T, out, heading string) string {
	t.Helper()
	_, after, found := strings.Cut("\n"+out, "\n"+heading+":\n")
	if !found {
		t.Fatalf("no section %s in\n%s", heading, out)
	}
	for _, next := range []string{"JSON", "History"} {
		after, _, _ = strings.Cut(after, "\n"+next+":\n")
	}
	after, _, _ = strings.Cut(after, "\nserving ")
	return after
}

// check reports what is missing in what the program prints.
func check(t *testing.T, out string) {
	t.Helper()
	checkPrometheus(t, section(t, out, "Prometheus"))
	checkJSON(t, section(t, out, "JSON"))
	checkHistory(t, section(t, out, "History"))
}

func checkPrometheus(t *testing.T, text string) {
	t.Helper()
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(text))
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	value := func(name string, labels ...string) float64 {
		t.Helper()
	metrics:
		for _, m := range families[name].GetMetric() {
			has := map[string]bool{}
			for _, l := range m.GetLabel() {
				has[l.GetName()+"="+l.GetValue()] = true
			}
			for _, l := range labels {
				if !has["circuit_breaker_"+l] {
					continue metrics
				}
			}
			switch families[name].GetType() { //nolint:exhaustive // there are no others
			case dto.MetricType_COUNTER:
				return m.GetCounter().GetValue()
			case dto.MetricType_GAUGE:
				return m.GetGauge().GetValue()
			case dto.MetricType_HISTOGRAM:
				return float64(m.GetHistogram().GetSampleCount())
			}
		}
		t.Errorf("no %s with %v", name, labels)
		return 0
	}
	for name, few := range map[string]float64{"orders": 0, "payments": 5} {
		of := "name=" + name
		if n := value("circuit_breaker_calls_total", of, "result=success"); n < 10 {
			t.Errorf("%v successes of %s", n, name)
		}
		failures, rejected := value("circuit_breaker_calls_total", of, "result=failure"), value("circuit_breaker_calls_total", of, "result=rejected")
		trips := value("circuit_breaker_trips_total", of, "transition_reason=consecutive_failures")
		if few == 0 && failures+rejected+trips > 0 || failures < few || rejected < few || trips < min(few, 1) {
			t.Errorf("%s: %v failures, %v rejected, %v trips", name, failures, rejected, trips)
		}
		if n := value("circuit_breaker_call_duration_seconds", of, "result=failure"); n != failures {
			t.Errorf("durations of %v failures of %s, want %v", n, name, failures)
		}
		if n := value("circuit_breaker_status", of, "state=closed"); n != 1 {
			t.Errorf("%s is not closed", name)
		}
	}
}

func checkJSON(t *testing.T, text string) {
	t.Helper()
	var metrics struct {
		ScopeMetrics []struct {
			Metrics []struct {
				Name string
				Data struct{ DataPoints []json.RawMessage }
			}
		}
	}
	if err := json.Unmarshal([]byte(text), &metrics); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	points := map[string]int{}
	for _, scope := range metrics.ScopeMetrics {
		for _, m := range scope.Metrics {
			points[m.Name] = len(m.Data.DataPoints)
		}
	}
	for name, want := range map[string]int{
		"circuit_breaker.calls": 8, "circuit_breaker.status": 10, "circuit_breaker.trips": 10, "circuit_breaker.call.duration": 4,
	} {
		if points[name] != want {
			t.Errorf("%d points of %s, want %d", points[name], name, want)
		}
	}
}

func checkHistory(t *testing.T, text string) {
	t.Helper()
	var all []struct {
		Breaker, State     string
		Calls, Transitions []struct{ Outcome, From, To, Reason, Error string }
		Series             []struct{ Calls, Failures int }
	}
	if err := json.Unmarshal([]byte(text), &all); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	if len(all) != 2 || all[0].Breaker != "orders" || all[1].Breaker != "payments" {
		t.Fatalf("of %d breakers", len(all))
	}
	orders, payments := all[0], all[1]
	if n := len(orders.Calls) + len(payments.Calls); n != 100 {
		t.Errorf("%d calls, want the last 100", n)
	}
	if len(orders.Transitions) > 0 || len(orders.Series) == 0 || orders.Series[0].Failures > 0 {
		t.Errorf("orders: %+v", orders)
	}
	if len(payments.Transitions) < 3 {
		t.Fatalf("payments: %+v", payments.Transitions)
	}
	first, last := payments.Transitions[0], payments.Transitions[len(payments.Transitions)-1]
	if first.From != "closed" || first.To != "open" || first.Reason != "consecutive failures (5)" || first.Error != errDown.Error() || last.To != "closed" {
		t.Errorf("payments: %+v", payments.Transitions)
	}
}

func TestRun(t *testing.T) {
	var out bytes.Buffer
	if err := run(t.Context(), &out, ""); err != nil {
		t.Fatalf("%v\n%s", err, &out)
	}
	check(t, out.String())
}

func TestInterrupted(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := run(ctx, new(bytes.Buffer), ""); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v, want %v", err, context.DeadlineExceeded)
	}
}

// TestProgram builds the program and runs it as a person would.
func TestProgram(t *testing.T) {
	program := exampletest.Build(t)
	check(t, program.Output())
	for _, arg := range []string{"orders", "-fast"} {
		program.WantExit(2, "", arg)
	}
	program.WantExit(1, "nowhere", "-listen", "nowhere")
	testListen(t, program)
}

// testListen scrapes the program while it serves, and interrupts it.
func testListen(t *testing.T, program *exampletest.Program) {
	t.Helper()
	cmd := program.Command("-listen", "127.0.0.1:0")
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(stdout)
	lines.Buffer(nil, 1<<20)
	url := ""
	for url == "" && lines.Scan() {
		url, _ = strings.CutPrefix(lines.Text(), "serving ")
		if url == lines.Text() {
			url = ""
		}
	}
	var text bytes.Buffer
	if err := scrape(t.Context(), &text, url); err != nil || !strings.Contains(text.String(), "circuit_breaker_calls_total{") {
		t.Errorf("%v\n%s", err, &text)
	}
	if runtime.GOOS == "windows" { // where a process cannot interrupt another
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		return
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("after an interrupt: %v", err)
	}
}
