package core

import (
	"time"

	"github.com/blackbox4/switchgear/internal/enum"
)

// State is where a [Breaker] stands. The zero State is [Closed].
type State uint8

// The states of a breaker.
const (
	Closed   State = iota // calls are admitted and counted
	Open                  // calls are refused until the break is over
	HalfOpen              // a few probes are admitted; they decide
)

var stateNames = enum.Names[State]{Type: "State", Of: []string{Closed: "closed", Open: "open", HalfOpen: "half-open"}} //nolint:gochecknoglobals // a table

// String returns "closed", "open" or "half-open".
func (s State) String() string { return stateNames.String(s) }

// MarshalText makes a State readable in JSON and YAML. It never fails.
func (s State) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads what MarshalText wrote. The error is a [*ConfigError].
func (s *State) UnmarshalText(text []byte) error { return readEnum(stateNames, text, s) }

// view is where a breaker stands at a time: the phase as it is, or what time
// has made of it without a call.
type view struct {
	state        State
	cause        Cause
	since, until time.Duration
	opens        int
	lost         int  // probes that are lost by then and not yet counted
	over         bool // a break ended at since, and no call has met that yet
}

// viewLocked looks without changing anything: reading a breaker must not fire
// its hooks. It mirrors advanceLocked.
func (b *Breaker) viewLocked(ph *phase, s *settings, now time.Duration) view {
	v := view{state: ph.state, cause: ph.cause, since: ph.since, until: ph.until, opens: int(ph.opens)}
	switch {
	case v.state == HalfOpen:
		v.lost = ph.half.lostBy(now, s)
		v.until = ph.half.retryAt(v.lost, s)
	case v.state == Open && now >= v.until:
		v.state, v.cause, v.since, v.until, v.over = HalfOpen, CauseTimeoutElapsed, v.until, 0, true
	}
	return v
}

// State returns what a call would meet now: a break that is over reads
// [HalfOpen]. It changes nothing. An override is not a state; see
// [Snapshot.Override].
func (b *Breaker) State() State {
	if !b.made() {
		return Closed
	}
	ph := b.phase.Load()
	switch {
	case ph.state == Closed:
		return Closed
	case ph.state == Open && b.now() < ph.until:
		return Open
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.viewLocked(b.phase.Load(), b.settings.Load(), b.now()).state
}
