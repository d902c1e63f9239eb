package otelexport_test

import (
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/instrumentation"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/blackbox4/switchgear/otelexport"
)

func attributes(set attribute.Set) text {
	return text(set.Encoded(attribute.DefaultEncoder()))
}

func each[N int64 | float64](points []metricdata.DataPoint[N], f func(text, float64)) {
	for _, p := range points {
		f(attributes(p.Attributes), float64(p.Value))
	}
}

func scope() instrumentation.Scope { return instrumentation.Scope{Name: otelexport.ScopeName} }

func onlyResult(kv attribute.KeyValue) bool { return kv.Key == "circuit_breaker.result" }
