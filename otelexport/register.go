package otelexport

import (
	"go.opentelemetry.io/otel/metric"

	"github.com/blackbox4/switchgear/core"
)

// Register makes every collection of a meter read the breakers of a source. It
// costs their calls nothing: there is no hook, and instruments are observed only
// when a reader collects. That takes a microsecond or four for a breaker, and
// thirty in the metrics SDK; sdkproducer can do with a tenth. The package's comment
// has the metrics.
//
// A nil meter means one of the global provider, also of one that is set later. Nil
// options are the zero ones. The names of breakers are unique within a meter,
// over all sources registered with it: a breaker whose name is taken is left out.
// It and those above MaxBreakers are counted by circuit_breaker.export.skipped,
// and OpenTelemetry's error handler is told, as it is when a source panics, which
// ends neither the collection nor the program.
//
// The source is exported until unregister is called, which may be more than once.
// A provider that is shut down reads no more, but only unregister lets go of the
// source. Register fails if the source is nil, with a [*core.ConfigError], and
// with whatever the meter reports.
func Register(meter metric.Meter, source Source, o *Options) (unregister func() error, err error) {
	if source == nil {
		return nil, &core.ConfigError{Field: "source", Value: source, Allowed: "a Source, such as a *core.Registry"}
	}
	if o == nil {
		o = new(Options)
	}
	return registered.join(meter, func(e *exporter) func() { return e.roster.Add(source, o.MaxBreakers) })
}

//nolint:gochecknoglobals // the names in a meter are unique, whichever package registers
var registered = meters[*exporter]{create: newExporter}
