package e2e

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	metrics "go.opentelemetry.io/proto/otlp/metrics/v1"
	"google.golang.org/grpc"

	"github.com/blackbox4/switchgear/otelexport"
)

// The replicas send, over OTLP, exactly what the contract says, and the numbers
// that they have counted themselves. This is the way to the collector without
// the collector.
func TestOTLP(t *testing.T) {
	t.Parallel()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	in := &receiver{seen: make(map[string]instrument), values: make(map[string]map[string]bool), arrived: make(arrived)}
	server := grpc.NewServer()
	collector.RegisterMetricsServiceServer(server, in)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)

	all := fleet(t, listener.Addr().String(), free(t, 1)[0])
	time.Sleep(time.Second) // of calls that succeed
	tell(t, all, "outage")
	time.Sleep(3 * time.Second) // of calls that do not
	counts := reports(t, all)

	eventually(t, 20*time.Second, func() error { return in.read().equals(counts) })
	in.fits(t)
}

// receiver keeps the last of what it is sent.
type receiver struct {
	collector.UnimplementedMetricsServiceServer

	mu      sync.Mutex
	seen    map[string]instrument      // as sent, with the labels of all points together
	values  map[string]map[string]bool // of labels, by metric and label
	arrived arrived
	faults  []string
}

func (r *receiver) Export(_ context.Context, req *collector.ExportMetricsServiceRequest) (*collector.ExportMetricsServiceResponse, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, from := range req.ResourceMetrics {
		about := pairs(from.Resource.GetAttributes())
		if about["service_name"] != job || about["service_version"] == "" {
			r.faults = append(r.faults, fmt.Sprintf("a resource is %v", about))
		}
		for _, scope := range from.ScopeMetrics {
			if scope.Scope.GetName() != otelexport.ScopeName {
				r.faults = append(r.faults, fmt.Sprintf("a scope is %q", scope.Scope.GetName()))
			}
			for _, m := range scope.Metrics {
				r.take(about["service_instance_id"], m)
			}
		}
	}
	return new(collector.ExportMetricsServiceResponse), nil
}

func (r *receiver) take(instance string, m *metrics.Metric) {
	kind := ""
	point := func(v float64, attributes []*common.KeyValue) {
		l := pairs(attributes)
		name := l["circuit_breaker_name"]
		delete(l, "circuit_breaker_name")
		var flat []string
		for _, label := range sorted(l) {
			flat = append(flat, label, l[label])
			of := m.Name + " " + label
			if r.values[of] == nil {
				r.values[of] = make(map[string]bool)
			}
			r.values[of][l[label]] = true
		}
		r.arrived.put(v, instance, name, key(m.Name, flat...))
	}
	number := func(p *metrics.NumberDataPoint) {
		v := p.GetAsDouble()
		if _, whole := p.Value.(*metrics.NumberDataPoint_AsInt); whole {
			v = float64(p.GetAsInt())
		}
		point(v, p.Attributes)
	}
	cumulative := true
	switch data := m.Data.(type) {
	case *metrics.Metric_Sum:
		kind = upDown
		if data.Sum.IsMonotonic {
			kind = counter
		}
		cumulative = data.Sum.AggregationTemporality == metrics.AggregationTemporality_AGGREGATION_TEMPORALITY_CUMULATIVE
		for _, p := range data.Sum.DataPoints {
			number(p)
		}
	case *metrics.Metric_Gauge:
		kind = gauge
		for _, p := range data.Gauge.DataPoints {
			number(p)
		}
	case *metrics.Metric_Histogram:
		kind = histogram
		cumulative = data.Histogram.AggregationTemporality == metrics.AggregationTemporality_AGGREGATION_TEMPORALITY_CUMULATIVE
		for _, p := range data.Histogram.DataPoints {
			point(float64(p.Count), p.Attributes)
			if len(p.ExplicitBounds) != len(bounds())-1 {
				r.faults = append(r.faults, fmt.Sprintf("%s has the bounds %v", m.Name, p.ExplicitBounds))
			}
		}
	}
	if !cumulative {
		r.faults = append(r.faults, m.Name+" is not cumulative")
	}
	r.seen[m.Name] = instrument{unit: m.Unit, kind: kind}
}

// pairs are attributes in the names that Prometheus gives them.
func pairs(attributes []*common.KeyValue) map[string]string {
	out := make(map[string]string, len(attributes))
	for _, a := range attributes {
		out[strings.ReplaceAll(a.Key, ".", "_")] = a.Value.GetStringValue()
	}
	return out
}

// read returns a copy of what has arrived.
func (r *receiver) read() arrived {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := make(arrived)
	for instance, all := range r.arrived {
		for breaker, values := range all {
			for k, v := range values {
				out.put(v, instance, breaker, k)
			}
		}
	}
	return out
}

// fits reports what was sent and is not in the contract, and the other way round.
func (r *receiver) fits(t *testing.T) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, fault := range r.faults {
		t.Error(fault)
	}
	for name, got := range r.seen {
		want, ok := contract[name]
		if !ok {
			t.Errorf("%s is sent, and not in the contract", name)
		} else if got.unit != want.unit || got.kind != want.kind {
			t.Errorf("%s is a %s in %s; the contract says a %s in %s", name, got.kind, got.unit, want.kind, want.unit)
		}
	}
	for name, want := range contract {
		if _, ok := r.seen[name]; !ok {
			t.Errorf("%s is never sent", name)
		}
		for label, values := range want.labels {
			if values == nil { // any
				continue
			}
			got := sorted(r.values[name+" "+label])
			if want := slices.Sorted(slices.Values(values)); !slices.Equal(got, want) {
				t.Errorf("%s of %s is one of %q; the contract says %q", label, name, got, want)
			}
		}
	}
	for of := range r.values {
		name, label, _ := strings.Cut(of, " ")
		if !has(contract[name].labels, label) {
			t.Errorf("%s has a label %s that is not in the contract", name, label)
		}
	}
}
