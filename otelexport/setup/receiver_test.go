package setup_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	collogs "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	colmetrics "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	logs "go.opentelemetry.io/proto/otlp/logs/v1"
	metrics "go.opentelemetry.io/proto/otlp/metrics/v1"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
)

// receiver is what a collector is to an exporter: it takes OTLP over gRPC or HTTP.
type receiver struct {
	colmetrics.UnimplementedMetricsServiceServer

	endpoint string
	mu       sync.Mutex
	metrics  []*metrics.ResourceMetrics // of the last export
	records  []*logs.LogRecord
}

func (r *receiver) Export(_ context.Context, in *colmetrics.ExportMetricsServiceRequest) (*colmetrics.ExportMetricsServiceResponse, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.metrics = in.GetResourceMetrics()
	return new(colmetrics.ExportMetricsServiceResponse), nil
}

// logReceiver is its other half.
type logReceiver struct {
	collogs.UnimplementedLogsServiceServer
	*receiver
}

func (r logReceiver) Export(_ context.Context, in *collogs.ExportLogsServiceRequest) (*collogs.ExportLogsServiceResponse, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, of := range in.GetResourceLogs() {
		for _, scope := range of.GetScopeLogs() {
			r.records = append(r.records, scope.GetLogRecords()...)
		}
	}
	return new(collogs.ExportLogsServiceResponse), nil
}

func newReceiver(t *testing.T, protocol string) *receiver {
	t.Helper()
	r := new(receiver)
	if protocol == "grpc" {
		listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		server := grpc.NewServer()
		colmetrics.RegisterMetricsServiceServer(server, r)
		collogs.RegisterLogsServiceServer(server, logReceiver{receiver: r})
		go server.Serve(listener)
		t.Cleanup(server.Stop)
		r.endpoint = "http://" + listener.Addr().String()
		return r
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/metrics", over(new(colmetrics.ExportMetricsServiceRequest), r.Export))
	mux.HandleFunc("POST /v1/logs", over(new(collogs.ExportLogsServiceRequest), logReceiver{receiver: r}.Export))
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	r.endpoint = server.URL
	return r
}

// over takes requests over HTTP.
func over[In, Out proto.Message](kind In, export func(context.Context, In) (Out, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, req *http.Request) {
		body, err := io.ReadAll(req.Body)
		in := proto.Clone(kind).(In)
		if err == nil {
			err = proto.Unmarshal(body, in)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		out, _ := export(req.Context(), in)
		answer, _ := proto.Marshal(out)
		w.Header().Set("Content-Type", "application/x-protobuf")
		_, _ = w.Write(answer)
	}
}

// points returns what was exported last as name{key="value",...} with the keys as
// in Prometheus, of a histogram its count, sum and buckets.
func (r *receiver) points(t *testing.T) map[string]float64 {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	all := map[string]float64{}
	add := func(name string, attributes []*common.KeyValue, v float64, more ...string) {
		for _, kv := range attributes {
			more = append(more, fmt.Sprintf("%s=%q", strings.ReplaceAll(kv.GetKey(), ".", "_"), kv.GetValue().GetStringValue()))
		}
		k := series(name, more)
		if _, twice := all[k]; twice {
			t.Errorf("%s is there twice", k)
		}
		all[k] = v
	}
	number := func(p *metrics.NumberDataPoint) float64 {
		if _, is := p.GetValue().(*metrics.NumberDataPoint_AsInt); is {
			return float64(p.GetAsInt())
		}
		return p.GetAsDouble()
	}
	for _, of := range r.metrics {
		for _, scope := range of.GetScopeMetrics() {
			for _, m := range scope.GetMetrics() {
				for _, p := range append(m.GetSum().GetDataPoints(), m.GetGauge().GetDataPoints()...) {
					add(m.GetName(), p.GetAttributes(), number(p))
				}
				for _, p := range m.GetHistogram().GetDataPoints() {
					add(m.GetName()+".count", p.GetAttributes(), float64(p.GetCount()))
					add(m.GetName()+".sum", p.GetAttributes(), p.GetSum())
					total := uint64(0)
					for i, n := range p.GetBucketCounts() {
						total += n
						le := "+Inf"
						if i < len(p.GetExplicitBounds()) {
							le = fmt.Sprint(p.GetExplicitBounds()[i])
						}
						add(m.GetName()+".bucket", p.GetAttributes(), float64(total), fmt.Sprintf("le=%q", le))
					}
				}
			}
		}
	}
	return all
}

// resource returns the attributes of the resource of the last export.
func (r *receiver) resource() map[string]string {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := map[string]string{}
	for _, of := range r.metrics {
		for _, kv := range of.GetResource().GetAttributes() {
			all[kv.GetKey()] = kv.GetValue().GetStringValue()
		}
	}
	return all
}

// listen takes connections and never answers.
func listen(t *testing.T) net.Listener {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	return listener
}

// black is an endpoint that is silent.
func black(t *testing.T) string {
	t.Helper()
	return "http://" + listen(t).Addr().String()
}

// freePort returns a port without a listener.
func freePort(t *testing.T) string {
	t.Helper()
	listener := listen(t)
	_ = listener.Close()
	return port(listener)
}

func port(l net.Listener) string {
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}
