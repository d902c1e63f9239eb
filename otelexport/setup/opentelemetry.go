package setup

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"

	"go.opentelemetry.io/otel"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/otelexport"
	"github.com/blackbox4/switchgear/otelexport/sdkproducer"
)

// OpenTelemetry makes a MeterProvider, and a LoggerProvider if OTEL_LOGS_EXPORTER
// asks for one, as the environment says; makes them the global ones; and has the
// metrics, durations among them, of a source exported, and of agents if Options has
// any. See the package's comment for the variables. Nil options are the zero ones.
//
// It does no more than start: an endpoint that is down is no error, here or ever
// for a call. OpenTelemetry's error handler is told of it, once until it is up
// again or an hour has passed. What the environment has wrong is reported at
// once, joined, each fault as a [*core.ConfigError] with the variable as its
// Field; nothing has been started then.
//
// shutdown exports what there is a last time, within its ctx, and stops what was
// started; the global providers then do nothing. Call it once.
func OpenTelemetry(ctx context.Context, source otelexport.Source, o *Options) (shutdown func(context.Context) error, err error) {
	if o == nil {
		o = new(Options)
	}
	env, err := readEnvironment()
	if source == nil {
		err = errors.Join(&core.ConfigError{Field: "source", Value: source, Allowed: "a Source, such as a *core.Registry"}, err)
	}
	if v := reflect.ValueOf(o.Agents); v.Kind() == reflect.Pointer && v.IsNil() {
		err = errors.Join(&core.ConfigError{Field: "Options.Agents", Value: o.Agents, Allowed: "Agents that are not a nil pointer, or nil for none"}, err)
	}
	if err != nil {
		return nil, err
	}
	if env.disabled {
		return func(context.Context) error { return nil }, nil
	}
	durations := o.Durations
	if durations == nil {
		if durations, err = sdkproducer.New(source, &sdkproducer.Options{MaxBreakers: o.MaxBreakers}); err != nil {
			return nil, err
		}
	}
	res, err := resource.New(ctx, resource.WithService(), resource.WithTelemetrySDK(), resource.WithFromEnv())
	if err != nil {
		return nil, fmt.Errorf("switchgear: %w", err)
	}

	s := new(started)
	if err := errors.Join(s.metrics(ctx, env, res, durations, o.MaxBreakers), s.logs(ctx, env, res)); err != nil {
		s.abandon(ctx)
		return nil, err
	}
	otel.SetMeterProvider(s.meters)
	if s.loggers != nil {
		otel.SetLoggerProvider(s.loggers)
	}
	unregister, err := otelexport.Register(nil, source, &otelexport.Options{MaxBreakers: o.MaxBreakers})
	if err != nil {
		s.abandon(ctx)
		return nil, err
	}
	s.stops = append(s.stops, func(context.Context) error { return unregister() })
	if o.Agents != nil {
		unregister, err := otelexport.RegisterAgents(nil, o.Agents)
		if err != nil {
			s.abandon(ctx)
			return nil, err
		}
		s.stops = append(s.stops, func(context.Context) error { return unregister() })
	}
	return s.stop, nil
}

// started is what has been started so far.
type started struct {
	meters  *sdkmetric.MeterProvider
	loggers *sdklog.LoggerProvider
	last    atomic.Bool // exports are the last ones
	once    sync.Once
	stops   []func(context.Context) error // in this order
}

func (s *started) stop(ctx context.Context) (err error) {
	s.once.Do(func() {
		s.last.Store(true)
		var all []error
		for _, stop := range s.stops {
			all = append(all, stop(ctx))
		}
		err = errors.Join(all...)
	})
	return err
}

// abandon stops without a last export.
func (s *started) abandon(ctx context.Context) {
	done, cancel := context.WithCancel(ctx)
	cancel()
	_ = s.stop(done)
}

func (s *started) metrics(ctx context.Context, env environment, res *resource.Resource, durations sdkmetric.Producer, breakers int) (err error) {
	const usual, series = 2000, 5 // the SDK's own limit, and what a breaker has of one instrument at most
	limit := max(series*breakers+1, usual)
	if breakers < 0 {
		limit = 0
	}
	options := []sdkmetric.Option{sdkmetric.WithResource(res), sdkmetric.WithCardinalityLimit(limit)}
	for _, name := range env.metrics {
		reader, fault := s.reader(ctx, env, name, durations)
		if fault != nil {
			err = errors.Join(err, fmt.Errorf("switchgear: metrics exporter %s: %w", name, fault))
			continue
		}
		options = append(options, sdkmetric.WithReader(reader))
	}
	s.meters = sdkmetric.NewMeterProvider(options...)
	s.stops = slices.Insert(s.stops, 0, s.meters.Shutdown)
	return err
}

func (s *started) logs(ctx context.Context, env environment, res *resource.Resource) (err error) {
	if len(env.logs) == 0 {
		return nil
	}
	options := []sdklog.LoggerProviderOption{sdklog.WithResource(res)}
	for _, name := range env.logs {
		exporter, fault := s.logExporter(ctx, env, name)
		if fault != nil {
			err = errors.Join(err, fmt.Errorf("switchgear: logs exporter %s: %w", name, fault))
			continue
		}
		options = append(options, sdklog.WithProcessor(sdklog.NewBatchProcessor(exporter)))
	}
	s.loggers = sdklog.NewLoggerProvider(options...)
	s.stops = append(s.stops, s.loggers.Shutdown)
	return err
}
