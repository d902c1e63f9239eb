package presets

import (
	"reflect"
	"strconv"
	"time"

	"go.yaml.in/yaml/v4"
)

// zeros refuses a zero that reads as "none" and would stand for a default.
func (d *decoder) zeros(p *Policy, path string, where positions) {
	const omit, orOff = "leave it out", "leave it out, or -1 switches it off"
	for _, z := range []struct {
		field         string
		zero          bool
		means, remedy string
	}{
		{"Timeout", p.Timeout == 0, "60s", "leave it out, or say how long the breaker stays open"},
		{"FailureThreshold", p.FailureThreshold == 0, "5", orOff},
		{"FailureRateThreshold", p.FailureRateThreshold == 0, "0.5", orOff},
		{"Window.Calls", p.Window.Calls == 0, "100", omit + "; failure_rate_threshold: -1 switches the rate off"},
		{"SuccessThreshold", p.SuccessThreshold == 0, "2", omit},
		{"HalfOpenMaxCalls", p.HalfOpenMaxCalls == 0, "3", omit},
		{"Retry.Attempts", p.Retry.Attempts == 0, "3", "attempts: 1 makes the call once, and so does retry: false"},
	} {
		n := where[z.field]
		if n == nil || !z.zero || !isZero(n) {
			continue
		}
		d.fault(n, join(path, d.writtenName(n, z.field)), "is 0, which would stand for "+z.means+"; "+z.remedy)
		if z.field == "Retry.Attempts" {
			p.Retry.Attempts = defaultAttempts // told once
		}
	}
}

// writtenName is the name that the field of a policy with the value n has in the file.
func (d *decoder) writtenName(n *yaml.Node, field string) string {
	named := fileName(reflect.TypeFor[Policy](), field)
	if by, ok := d.others[n]; ok {
		named = by.in(named)
	}
	return named
}

// isZero reports whether n is a zero that was understood: 0, "0", 0.0, 0s, 0ms.
func isZero(n *yaml.Node) bool {
	if d, err := time.ParseDuration(n.Value); err == nil {
		return d == 0
	}
	v, err := strconv.ParseFloat(n.Value, 64)
	return err == nil && v == 0
}

// whether settles whether the calls of a policy are made again, once its fields are
// read: only where a file says so in this policy or in what it starts from. How they
// would be made again, without that, is told to be in vain if all else is sound.
func (d *decoder) whether(p *Policy, path string, where positions, sound bool) {
	defer func() { p.RetriesEnabled = p.Retry.Enabled }()
	enabled, strategy := where["Retry.Enabled"], where["Retry.Strategy"]
	switch {
	case where.onlyFieldSet("Retry.Strategy") && p.Retry.Strategy == StrategyNone:
		p.Retry = Retry{} // what it starts from has no say in it
	case p.Retry.Enabled && strategy != nil && p.Retry.Strategy == StrategyNone:
		d.fault(strategy, join(path, d.writtenName(strategy, "Retry.Strategy")), "is none while retries are enabled, allowed: fixed, linear, exponential or random; retry_enabled: false for no retries")
		p.Retry = p.Retry.enabled() // told once
	case p.Retry.Enabled:
		p.Retry = p.Retry.enabled()
	case enabled != nil: // what else is given is for the day on which it is enabled
		p.Retry = retryOf(p.Preset)
	default:
		in := where.firstIn("Retry")
		switch {
		case in == nil:
		case p.Retry.faults() != nil:
			p.Retry.Enabled = true // those are told first
		case sound:
			d.fault(in, join(path, "retry"), "says how calls are made again, which they are not; add retry_enabled: true if they may be made more than once, else take it out")
			fallthrough
		default:
			p.Retry = Retry{}
		}
	}
}
