// Metrics-export shows what circuit breakers tell of an outage through
// OpenTelemetry. Two dependencies are called for two seconds; one of them is down
// in the middle of it. Then it prints
//
//   - what Prometheus scrapes: the text of /metrics, which it serves meanwhile;
//   - the same as JSON, by OpenTelemetry's exporter for that;
//   - the history as JSON: the last calls, the transitions and a time series of
//     each breaker. That is not metrics; it comes from the breakers themselves.
//
// It needs nothing but Go and the loopback interface, and is a module of its own,
// for the exporters:
//
//	go -C examples/metrics-export run .
//
// With -listen localhost:9464 it goes on, with the calls and with serving /metrics
// there, until it is interrupted.
//
// To read the code, begin with export below, which is all that a program needs.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	promexporter "go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/exporters/stdout/stdoutmetric"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/otelexport"
	"github.com/blackbox4/switchgear/otelexport/sdkproducer"
)

func main() { os.Exit(start()) }

// start is main with an exit status, so that what it defers runs.
func start() int {
	listen := flag.String("listen", "", "serve /metrics at this address until interrupted")
	flag.Parse()
	if flag.NArg() > 0 {
		fmt.Fprintln(os.Stderr, "metrics-export takes no arguments but -listen")
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Stdout, *listen); err != nil {
		fmt.Fprintln(os.Stderr, "metrics-export:", err)
		return 1
	}
	return 0
}

// exported is what export makes.
type exported struct {
	provider *sdkmetric.MeterProvider
	metrics  http.Handler            // for Prometheus
	reader   *sdkmetric.ManualReader // for JSON; a program that pushes has a PeriodicReader
}

// export has the breakers of a registry exported. The readers get the durations
// from the producer, and all else from Register.
func export(registry *core.Registry) (*exported, error) {
	durations, err := sdkproducer.New(registry, nil)
	if err != nil {
		return nil, err
	}
	scraped := prometheus.NewRegistry()
	scraper, err := promexporter.New(promexporter.WithRegisterer(scraped), promexporter.WithProducer(durations),
		promexporter.WithoutScopeInfo()) // three labels less on each line
	if err != nil {
		return nil, err
	}
	reader := sdkmetric.NewManualReader(sdkmetric.WithProducer(durations))
	provider := sdkmetric.NewMeterProvider(sdkmetric.WithReader(scraper), sdkmetric.WithReader(reader))
	if _, err := otelexport.Register(provider.Meter(otelexport.ScopeName), registry, nil); err != nil {
		return nil, err
	}
	return &exported{provider, promhttp.HandlerFor(scraped, promhttp.HandlerOpts{EnableOpenMetrics: true}), reader}, nil
}

// run tells to out. If it is to listen, it does so until ctx is done. When it
// returns, everything it started has ended.
func run(ctx context.Context, out io.Writer, listen string) error {
	calls := new(lastCalls)
	registry := &core.Registry{Config: func(string) core.Config {
		return core.Config{
			FailureThreshold: 5, Timeout: 200 * time.Millisecond, SuccessThreshold: 2, // short, for a short story
			Durations: true, History: time.Minute,
			Hooks: core.Hooks{Settled: calls.note}, // for the history only, see there
		}
	}}
	telemetry, err := export(registry)
	if err != nil {
		return err
	}
	defer func() { _ = telemetry.provider.Shutdown(context.WithoutCancel(ctx)) }()

	address := listen
	if listen == "" {
		address = "127.0.0.1:0"
	}
	served, stop, err := serve(ctx, address, telemetry.metrics)
	if err != nil {
		return err
	}
	defer stop()

	if err := traffic(ctx, registry); err != nil {
		return err
	}
	if err := report(ctx, out, served, telemetry.reader, registry, calls); err != nil {
		return err
	}
	if listen == "" {
		return nil
	}
	fmt.Fprintf(out, "\nserving %s\n", served)
	for traffic(ctx, registry) == nil { // until it is interrupted
	}
	return nil
}

// report prints all there is to see.
func report(ctx context.Context, out io.Writer, url string, reader sdkmetric.Reader, registry *core.Registry, calls *lastCalls) error {
	fmt.Fprintln(out, "Prometheus:")
	if err := scrape(ctx, out, url); err != nil {
		return err
	}
	fmt.Fprintln(out, "\nJSON:")
	exporter, err := stdoutmetric.New(stdoutmetric.WithWriter(out))
	if err != nil {
		return err
	}
	var metrics metricdata.ResourceMetrics
	if err := reader.Collect(ctx, &metrics); err != nil {
		return err
	}
	if err := exporter.Export(ctx, &metrics); err != nil {
		return err
	}
	fmt.Fprintln(out, "\nHistory:")
	return printHistory(out, registry, calls)
}

// serve serves /metrics and returns its URL.
func serve(ctx context.Context, address string, metrics http.Handler) (url string, stop func(), err error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return "", nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", metrics)
	server, done := &http.Server{Handler: mux}, make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(listener) // until stop
	}()
	return "http://" + listener.Addr().String() + "/metrics", func() { _ = server.Close(); <-done }, nil
}

// scrape does what Prometheus does.
func scrape(ctx context.Context, out io.Writer, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	_, err = io.Copy(out, res.Body)
	return err
}
