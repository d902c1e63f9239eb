package core

import "runtime"

// FailAtOnce adds failures to the tenth that runs of a time window.
func FailAtOnce(b *Breaker, failures uint64) {
	w := b.phase.Load().window.time
	w.put(w.tenthOf(b.now()), [4]uint64{markFailed: failures})
}

// AgeWindow counts on in a count window, at rest, as if calls had filled it so many
// times with what is in it.
func AgeWindow(b *Breaker, times int) {
	ph := b.phase.Load()
	ph.tally.Add(uint64(times) * uint64(ph.window.count.calls) << posShift)
}

// SwitchRatesOff leaves the window to be read; a Config with a window of its own and
// no rate is refused.
func SwitchRatesOff(b *Breaker) {
	cfg := b.settings.Load().Config
	cfg.FailureRateThreshold, cfg.SlowRateThreshold = -1, -1
	b.settings.Store(newSettings(cfg, NoOverride))
}

// WaitForHooks returns when every hook of an event so far has returned, also one
// that a goroutine runs because its caller was held for long enough.
func (b *Breaker) WaitForHooks() {
	if !b.made() {
		return
	}
	l := b.ledger.Load()
	for l != nil {
		if l.queue.Idle() {
			return
		}
		runtime.Gosched()
	}
}

// LimitState returns an adaptive limit and its base latency in seconds, unrounded, and
// whether every call is timed.
func LimitState(l *Limit) (limit, base float64, all bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.adapt.limit, l.adapt.base, terms(l.terms.Load()).shift() == 0
}
