package setup

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// again is how long a fault that goes on is not told again.
const again = time.Hour

// fault keeps errors of one exporter from OpenTelemetry's error handler, which is
// told of each that an exporter returns: an endpoint that is down fails every
// export.
type fault struct {
	what  string
	until atomic.Pointer[time.Time] // nil while all is well
}

// pass returns err, or nil if one was told lately. An export that was given up,
// for a last one when all is shut down, is no fault.
func (f *fault) pass(ctx context.Context, err error) error {
	if err == nil {
		f.until.Store(nil)
		return nil
	}
	now, until := time.Now(), f.until.Load()
	if errors.Is(ctx.Err(), context.Canceled) || until != nil && now.Before(*until) {
		return nil
	}
	next := now.Add(again)
	if !f.until.CompareAndSwap(until, &next) {
		return nil
	}
	return fmt.Errorf("switchgear: cannot export %s; this is told once until it goes well or an hour has passed: %w", f.what, err)
}

type metricExporter struct {
	sdkmetric.Exporter

	fault *fault
	// last is set when all is shut down: the error is then the caller's.
	last *atomic.Bool
}

func (e metricExporter) Export(ctx context.Context, rm *metricdata.ResourceMetrics) error {
	err := e.Exporter.Export(ctx, rm)
	if err != nil && e.last.Load() && !errors.Is(ctx.Err(), context.Canceled) {
		return fmt.Errorf("switchgear: cannot export %s: %w", e.fault.what, err)
	}
	return e.fault.pass(ctx, err)
}

type logExporter struct {
	sdklog.Exporter

	fault *fault
}

func (e logExporter) Export(ctx context.Context, records []sdklog.Record) error {
	return e.fault.pass(ctx, e.Exporter.Export(ctx, records))
}
