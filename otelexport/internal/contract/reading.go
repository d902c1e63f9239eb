package contract

import (
	"time"

	"github.com/blackbox4/switchgear/core"
)

// Reading is what the metrics of one breaker are at a time. Its zero value is
// ready, and it can be used again.
type Reading struct {
	At      time.Time
	Started time.Time // when the breaker began to count
	// Start is the start time of the counters, and Restart that of all else that the
	// breaker has counted, of which nothing is known from breakers before it. Both
	// are set by [Counters].
	Start, Restart time.Time

	counts

	window [2]int64
	active [1]int64
	status [len(states)]int64

	remaining                        [1]float64
	failureRatio, failureLimit       [1]float64
	hasFailureRatio, hasFailureLimit int // 1 if they are there
}

// Read fills r.
func (r *Reading) Read(b *core.Breaker) {
	snap, cfg := b.Snapshot(), b.Config()
	*r = Reading{At: snap.At, Started: snap.Started}

	t := &snap.Totals
	r.calls = [...]int64{int64(t.Successes), int64(t.Failures), int64(t.Ignored), int64(t.Refused)}
	r.slow[0], r.timeouts[0], r.spared[0], r.lost[0] = int64(t.Slow), int64(t.Timeouts), int64(t.ShadowAdmitted), int64(t.Lost)
	r.active[0] = t.InFlight
	r.probes = [...]int64{int64(snap.Probes.Successes), int64(snap.Probes.Failures), int64(snap.Probes.Ignored)}

	r.status[r.state(&snap)] = 1
	for i, d := range [...]time.Duration{
		snap.TimeIn.Closed, snap.TimeIn.Open, snap.TimeIn.HalfOpen, snap.TimeIn.ForcedOpen, snap.TimeIn.Disabled,
	} {
		r.times[i] = d.Seconds()
	}
	for _, c := range snap.Changes {
		for i, path := range transitions {
			if c.From == path.from && c.To == path.to {
				r.transitions[i] += int64(c.Count)
			}
		}
		for i, cause := range trips {
			if c.Cause == cause {
				r.trips[i] += int64(c.Count)
			}
		}
	}

	switch snap.State {
	case core.Open:
		r.remaining[0] = snap.RetryAt.Sub(snap.At).Seconds()
	case core.Closed:
		w := snap.Window
		r.window = [...]int64{int64(w.Calls - w.Failures), int64(w.Failures)}
		if w.Calls >= max(cfg.MinimumCalls, 1) {
			r.failureRatio[0], r.hasFailureRatio = w.FailureRate(), 1
		}
	case core.HalfOpen:
	}
	if cfg.FailureRateThreshold > 0 {
		r.failureLimit[0], r.hasFailureLimit = cfg.FailureRateThreshold, 1
	}
}

// state returns the index in states.
func (r *Reading) state(snap *core.Snapshot) int {
	const forcedOpen, disabled = 3, 4
	switch snap.Override {
	case core.ForcedOpen:
		return forcedOpen
	case core.Disabled:
		return disabled
	case core.NoOverride, core.Shadow:
	}
	return int(snap.State)
}
