package setup

import (
	"github.com/blackbox4/switchgear/otelexport"
	"github.com/blackbox4/switchgear/otelexport/sdkproducer"
)

// Options change what [OpenTelemetry] does. In each field zero is the stated
// default.
type Options struct {
	// MaxBreakers is how many breakers are exported at most. Zero means 300,
	// negative no limit. What the provider keeps of each instrument, also of the
	// application's own, is bounded accordingly.
	MaxBreakers int
	// Durations is the producer of durations, one with exemplars perhaps. Nil
	// means one of the same source, with explicit buckets.
	Durations *sdkproducer.Producer
	// Agents are exported, too: a *ralph.Supervisor. Nil means none. They are no
	// longer read once shutdown has returned, so the supervisor is closed after.
	Agents otelexport.Agents
}
