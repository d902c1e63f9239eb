package presets

import (
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"
)

// zeros refuses a zero that reads as "none" and would stand for a default.
func (d *decoder) zeros(p *Policy, path string, where places) {
	if n := where["Timeout"]; n != nil && p.Timeout == 0 && isZero(n) {
		d.fault(n, join(path, "timeout"), "is 0, which would stand for 60s; leave it out, or say how long the breaker stays open")
	}
	if n := where["Retry.Attempts"]; n != nil && p.Retry.Attempts == 0 && isZero(n) {
		d.fault(n, join(path, "retry.attempts"), "is 0, which would stand for 3; attempts: 1 makes the call once, and so does retry: false")
	}
}

// isZero reports whether n is a zero that was understood: 0, "0", 0s, 0ms.
func isZero(n *yaml.Node) bool {
	at := strings.Trim(n.Value, "+-")
	if d, err := time.ParseDuration(at); err == nil {
		return d == 0
	}
	v, err := strconv.Atoi(at)
	return err == nil && v == 0
}

// whether settles whether the calls of a policy are made again, once its fields are
// read: only where a file says so in this policy or in what it starts from. How they
// would be made again, without that, is told to be in vain if all else is sound.
func (d *decoder) whether(p *Policy, path string, where places, sound bool) {
	defer func() { p.RetriesEnabled = p.Retry.Enabled }()
	enabled, strategy := where["Retry.Enabled"], where["Retry.Strategy"]
	switch {
	case where.alone("Retry.Strategy") && p.Retry.Strategy == StrategyNone:
		p.Retry = Retry{} // what it starts from has no say in it
	case p.Retry.Enabled && strategy != nil && p.Retry.Strategy == StrategyNone:
		d.fault(strategy, join(path, "retry.strategy"), "is none while retries are enabled, allowed: fixed, linear, exponential or random; retry_enabled: false for no retries")
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
