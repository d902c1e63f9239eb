// Package sdkproducer exports the durations of the calls of circuit breakers as
// histograms, at no cost to the calls: the breakers count durations anyway, and a
// [Producer] hands these counts to the readers of OpenTelemetry's metrics SDK.
// That needs the SDK; all the other metrics do with the API, see otelexport.
//
//	producer, err := sdkproducer.New(registry, nil)
//	...
//	reader := sdkmetric.NewPeriodicReader(exporter, sdkmetric.WithProducer(producer))
//
// It is to be given to each reader of the provider, for Prometheus by
// WithProducer of exporters/prometheus. There is one metric:
//
//	circuit_breaker.call.duration  Histogram  s  circuit_breaker.name, circuit_breaker.result=success|failure
//
// Durations are exact to 1/16 (half a microsecond below 8 µs), so that a call that
// is as much from the bound of a bucket may be in the one beside; the sum is as
// exact. They are cumulative, from when the breaker was made, whatever temporality
// the reader prefers.
package sdkproducer
