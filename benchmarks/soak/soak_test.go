package main

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/otelexport"
)

func wants(t *testing.T, got []string, parts ...string) {
	t.Helper()
	text := strings.Join(got, "\n")
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("it does not say %q:\n%s", part, text)
		}
	}
	if len(parts) == 0 && len(got) > 0 {
		t.Errorf("it found what is not there:\n%s", text)
	}
}

// TestSoak drives everything for a moment: all rows are there, and the command
// fails exactly if one of them is wrong. Whether one is, is for the command to say,
// which CI runs for longer.
func TestSoak(t *testing.T) {
	var out strings.Builder
	err := soak(t.Context(), 500*time.Millisecond, &out, io.Discard)
	if (err != nil) != strings.Contains(out.String(), "WRONG") {
		t.Errorf("the error is %v, the table:\n%s", err, out.String())
	}
	for _, want := range []string{"HTTP client", "HTTP server", "gRPC client", "gRPC server", "functions", "names", "agents (ralph), iterations", "agents (ralph), steps", "resources"} {
		if !strings.Contains(out.String(), "\n"+want) {
			t.Errorf("there is no row %q:\n%s", want, out.String())
		}
	}
}

// TestCompareFindsEveryDifference: one call more or less in any of the counts.
func TestCompareFindsEveryDifference(t *testing.T) {
	right := core.Totals{Calls: 12, Successes: 4, Failures: 4, Ignored: 4, Refused: 2}
	driver := new(tally)
	driver.successes.Store(4)
	driver.failures.Store(3)
	driver.ignored.Store(3)
	driver.either.Store(2)
	driver.refused.Store(2)
	wants(t, driver.compare("breakers", right))
	for name, change := range map[string]func(*core.Totals){
		"calls of the driver 12, of the breakers 13":                    func(g *core.Totals) { g.Calls++ },
		"successes of the driver 4, of the breakers 5":                  func(g *core.Totals) { g.Successes++ },
		"refusals of the driver 2, of the breakers 1":                   func(g *core.Totals) { g.Refused-- },
		"failures and ignored calls of the driver 8, of the breakers 9": func(g *core.Totals) { g.Ignored++ },
		"failures of the driver 3 to 5, of the breakers 6":              func(g *core.Totals) { g.Failures, g.Ignored = 6, 2 },
		"failures of the driver 3 to 5, of the breakers 2":              func(g *core.Totals) { g.Failures, g.Ignored = 2, 6 },
		"1 in flight in the breakers":                                   func(g *core.Totals) { g.InFlight = 1 },
		"calls in the breakers are 12, but all outcomes 13":             func(g *core.Totals) { g.Failures++ },
		"calls in the breakers are 12, but all outcomes 11":             func(g *core.Totals) { g.InFlight = -1 },
		"failures and ignored calls of the driver 8, of the breakers 7": func(g *core.Totals) { g.Failures-- },
		"successes of the driver 4, of the breakers 3":                  func(g *core.Totals) { g.Successes-- },
		"refusals of the driver 2, of the breakers 3":                   func(g *core.Totals) { g.Refused++ },
		"calls of the driver 12, of the breakers 11":                    func(g *core.Totals) { g.Calls-- },
		"-1 in flight in the breakers":                                  func(g *core.Totals) { g.InFlight = -1 },
	} {
		got := right
		change(&got)
		wants(t, driver.compare("breakers", got), name)
	}
}

// TestALayerWhoseMetricsDifferIsWrong: the row compares driver, breakers and both
// readers, and a layer that was not called is wrong too.
func TestALayerWhoseMetricsDifferIsWrong(t *testing.T) {
	b := core.MustNew("b", core.Config{})
	l := &layer{name: "layer", tally: new(tally), source: otelexport.Breakers(b)}
	m, err := newMetrics([]*layer{l})
	if err != nil {
		t.Fatal(err)
	}
	defer m.close()
	wants(t, l.row(m).wrong, "there were no calls")
	l.tally.successes.Add(1)
	wants(t, l.row(m).wrong, "successes of the driver 1, of the breakers 0", "of the cumulative metrics 0", "of the delta metrics 0")
	_ = b.Do(t.Context(), func(context.Context) error { return nil })
	wants(t, l.row(m).wrong)
	_ = b.Do(t.Context(), func(context.Context) error { return errWork })
	wants(t, l.row(m).wrong, "failures of the driver 0 to 0, of the delta metrics 1")
	l.tally.failures.Add(1)
	l.extra = func() []string { return []string{"something else"} }
	wants(t, l.row(m).wrong, "something else")
}

// TestACounterThatGoesBackIsFound: but not one that begins anew, and its sum is
// that of all its beginnings.
func TestACounterThatGoesBackIsFound(t *testing.T) {
	first := time.Unix(1, 0)
	c := new(total)
	for _, p := range []struct {
		value   float64
		started time.Time
		fault   bool
	}{{5, first, false}, {7, first, false}, {2, first.Add(time.Second), false}, {3, first.Add(time.Second), false}, {1, first.Add(time.Second), true}} {
		if why := c.take(p.value, p.started, true, metricdata.CumulativeTemporality); (why != "") != p.fault {
			t.Errorf("%v: %q", p, why)
		}
	}
	if sum := c.before + c.last; sum != 7+3+1 {
		t.Errorf("the sum is %v", sum)
	}
	d := new(total)
	for value, fault := range map[float64]bool{3: false, 0: false, -1: true} {
		if why := d.take(value, first, true, metricdata.DeltaTemporality); (why != "") != fault {
			t.Errorf("delta %v: %q", value, why)
		}
	}
	if d.last != 2 {
		t.Errorf("the sum of deltas is %v", d.last)
	}
	g := new(total)
	if why := g.take(5, first, false, metricdata.CumulativeTemporality) + g.take(1, first, false, metricdata.CumulativeTemporality); why != "" || g.last != 1 {
		t.Errorf("what may go down is %v, %q", g.last, why)
	}
}

func TestATornReadingIsFound(t *testing.T) {
	for w, want := range map[core.Counts]bool{{Calls: 3, Failures: 3, Slow: 3}: false, {Calls: 3, Failures: 4}: true, {Calls: 3, Slow: 4}: true} {
		if got := torn(core.Snapshot{Window: w}); (got != "") != want {
			t.Errorf("%+v: %q", w, got)
		}
	}
}

func TestLeaksAreFound(t *testing.T) {
	before := resources{goroutines: 3, descriptors: 7, heap: 1 << 20}
	wants(t, before.leaked(before))
	wants(t, before.leaked(resources{goroutines: 2, descriptors: 6, heap: before.heap + slack}))
	wants(t, before.leaked(resources{goroutines: 4, descriptors: 8, heap: before.heap + slack + 1}), "4 goroutines, 3 before", "8 descriptors, 7 before", "heap of")
}

// TestTheWrongRowIsNamed: by the error, and beside its numbers.
func TestTheWrongRowIsNamed(t *testing.T) {
	var out strings.Builder
	if err := write(&out, []row{{layer: "good", calls: 1}}); err != nil || !strings.Contains(out.String(), "ok") {
		t.Errorf("%v:\n%s", err, out.String())
	}
	err := write(&out, []row{{layer: "good", calls: 1}, {layer: "bad", calls: 42, wrong: []string{"this", "that"}}})
	if err == nil || err.Error() != `row "bad" is wrong: this; that` {
		t.Errorf("the error is %v", err)
	}
	wants(t, []string{out.String()}, "42", "WRONG: this; that")
}

func TestArguments(t *testing.T) {
	for _, args := range [][]string{{"-for", "0s"}, {"-for", "-1s"}, {"-for", "soon"}, {"more"}, {"-unknown"}} {
		if err := run(t.Context(), args, io.Discard, io.Discard); err == nil {
			t.Errorf("%v are accepted", args)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := run(ctx, []string{"-for", "1h"}, io.Discard, io.Discard); !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v", err)
	}
}
