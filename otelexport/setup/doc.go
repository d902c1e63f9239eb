// Package setup exports the circuit breakers of an application with one call,
// to where the standard environment variables of OpenTelemetry say:
//
//	shutdown, err := setup.OpenTelemetry(ctx, registry, nil)
//	if err != nil {
//		return err
//	}
//	defer shutdown(context.Background())
//
// It is a module of its own, so that OpenTelemetry's exporters enter the build of
// that uses it and of no other program. A program that has a MeterProvider already needs
// otelexport and sdkproducer instead, which this package only puts together.
//
// The variables, all optional:
//
//	OTEL_SERVICE_NAME                    the service, "orders"
//	OTEL_RESOURCE_ATTRIBUTES             more about it; service.instance.id is made up unless it is there
//	OTEL_METRICS_EXPORTER                otlp (the default), prometheus, console, none; or several, with commas
//	OTEL_LOGS_EXPORTER                   otlp, console, none (the default, other than elsewhere)
//	OTEL_EXPORTER_OTLP_PROTOCOL          http/protobuf (the default), grpc; also _METRICS_PROTOCOL, _LOGS_PROTOCOL
//	OTEL_EXPORTER_OTLP_ENDPOINT          of the collector, and all else that OTLP exporters know
//	OTEL_EXPORTER_PROMETHEUS_HOST, _PORT where /metrics is served: localhost, 9464
//	OTEL_METRIC_EXPORT_INTERVAL          60000, in milliseconds; not for prometheus
//	OTEL_SDK_DISABLED                    true: nothing is exported
//
// Agents are exported, too, if Options has them. Metrics need nothing more. Events
// of transitions need a hook in the Config of the breakers, which is
// events.Hooks(nil, core.Hooks{}) of otelexport/events. Attributes on spans need
// otelexport.SpanHooks.
package setup
