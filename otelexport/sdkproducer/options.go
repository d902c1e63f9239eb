package sdkproducer

// Options change what [New] makes. In each field zero is the stated default.
type Options struct {
	// Exponential makes base-2 exponential histograms, of scale 3, which has
	// eight buckets to a doubling, as the breaker has. The default is 17
	// explicit buckets, from 5 ms to a minute. A scrape in Prometheus' text
	// format has no exponential ones: all it tells is the count and the sum.
	Exponential bool
	// Everything produces all that [otelexport.Register] exports too, in a tenth
	// of the time, for thousands of breakers. It is in place of that: with both,
	// everything is there twice. A producer is beyond the reach of the provider's
	// views, and cumulative whatever the reader prefers.
	Everything bool
	// MaxBreakers is how many breakers are exported at most. Zero means 300,
	// as in [otelexport.Options], negative no limit.
	MaxBreakers int
}
