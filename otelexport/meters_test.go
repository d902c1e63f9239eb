package otelexport

import (
	"testing"

	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"
)

// counted is an exporter that knows how often it was observed.
type counted struct{ observations, ends int }

func (c *counted) Unregister() error             { c.ends++; return nil }
func (c *counted) observed(_ metric.Meter) error { c.observations++; return nil }

// numbered is a meter that can be told from others.
type numbered struct {
	noop.Meter

	number int
}

// The last few exporters without users are kept, and observed again when their meter
// is registered with; those before them are let go.
func TestFormerExportersAreKeptForAWhile(t *testing.T) {
	m := meters[*counted]{create: func(metric.Meter) (*counted, error) { return &counted{observations: 1}, nil }}
	use := func(number int) (used *counted) {
		t.Helper()
		unregister, err := m.join(numbered{number: number}, func(c *counted) func() { used = c; return func() {} })
		if err != nil {
			t.Fatal(err)
		}
		if err := unregister(); err != nil {
			t.Fatal(err)
		}
		return used
	}
	var all []*counted
	for i := range maxFormer + 2 {
		all = append(all, use(i))
	}
	if len(m.former) != maxFormer || len(m.exporters) != 0 {
		t.Errorf("%d are kept and %d in use, want %d and none", len(m.former), len(m.exporters), maxFormer)
	}
	for i := 2; i < len(all); i++ { // first the one that was first
		if again := use(i); again != all[i] || again.observations != 2 || again.ends != 2 {
			t.Errorf("%d is another exporter, or it was observed %d times and ended %d times", i, again.observations, again.ends)
		}
	}
	if use(0) == all[0] || use(1) == all[1] {
		t.Error("the first ones are kept as well")
	}
}
