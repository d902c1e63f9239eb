package otelexport

// Options change what [Register] does. In each field zero is the stated default.
type Options struct {
	// MaxBreakers is how many breakers are exported at most, of all sources
	// that are registered with the meter; if these say different numbers, the
	// largest holds. Those that are not closed are exported first, then those
	// that are overridden, then those that fail and are called most. Zero means
	// 300, negative no limit. The metrics SDK keeps 2000 series of an instrument,
	// unless it is told otherwise, and lumps together what is more; a breaker has
	// up to 5 of one instrument, so from 400 on the provider needs
	// sdk/metric.WithCardinalityLimit.
	MaxBreakers int
}
