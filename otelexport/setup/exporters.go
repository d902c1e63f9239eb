package setup

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	prom "github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploggrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploghttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetricgrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	promexporter "go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/exporters/stdout/stdoutlog"
	"go.opentelemetry.io/otel/exporters/stdout/stdoutmetric"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
)

// reader makes the reader of an exporter for metrics.
func (s *started) reader(ctx context.Context, env environment, name string, durations sdkmetric.Producer) (sdkmetric.Reader, error) {
	if name == prometheus {
		return s.servePrometheus(ctx, env, durations)
	}
	var exporter sdkmetric.Exporter
	var err error
	switch {
	case name == console:
		exporter, err = stdoutmetric.New()
	case env.metricsProtocol == overGRPC:
		exporter, err = otlpmetricgrpc.New(ctx)
	default:
		exporter, err = otlpmetrichttp.New(ctx)
	}
	if err != nil {
		return nil, err
	}
	return sdkmetric.NewPeriodicReader(metricExporter{exporter, &fault{what: "metrics to " + name}, &s.last}, sdkmetric.WithProducer(durations)), nil
}

func (s *started) logExporter(ctx context.Context, env environment, name string) (sdklog.Exporter, error) {
	var exporter sdklog.Exporter
	var err error
	switch {
	case name == console:
		exporter, err = stdoutlog.New()
	case env.logsProtocol == overGRPC:
		exporter, err = otlploggrpc.New(ctx)
	default:
		exporter, err = otlploghttp.New(ctx)
	}
	if err != nil {
		return nil, err
	}
	return logExporter{exporter, &fault{what: "logs to " + name}}, nil
}

// servePrometheus serves /metrics and nothing else.
func (s *started) servePrometheus(ctx context.Context, env environment, durations sdkmetric.Producer) (sdkmetric.Reader, error) {
	registry := prom.NewRegistry()
	reader, err := promexporter.New(promexporter.WithRegisterer(registry), promexporter.WithProducer(durations))
	if err != nil {
		return nil, err
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", net.JoinHostPort(env.prometheusHost, env.prometheusPort))
	if err != nil {
		return nil, fmt.Errorf("%w; see OTEL_EXPORTER_PROMETHEUS_HOST and OTEL_EXPORTER_PROMETHEUS_PORT", err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{EnableOpenMetrics: true, MaxRequestsInFlight: 4}))
	server := &http.Server{
		Handler: mux, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 5 * time.Second, WriteTimeout: 30 * time.Second, IdleTimeout: 2 * time.Minute,
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			otel.Handle(fmt.Errorf("switchgear: serving /metrics: %w", err))
		}
	}()
	s.stops = append(s.stops, func(ctx context.Context) error {
		err := server.Shutdown(ctx)
		if err != nil {
			err = errors.Join(err, server.Close())
		}
		<-done
		return err
	})
	return reader, nil
}
