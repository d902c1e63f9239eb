package core

import (
	"time"
)

// lifetime is what a breaker counts over its life beside Totals. It lies in the ledger, which is made
// when there is something to record, for most breakers never, but is guarded by
// Breaker.mu.
type lifetime struct {
	changes [changeCount]uint64
	probes  Probes
	times   TimeIn        // until then
	then    time.Duration // on the breaker's clock; within the current stay, or its end was met late
}

// lifetimeLocked returns the breaker's lifetime counts.
func (b *Breaker) lifetimeLocked() *lifetime { return &b.ledgerOf().lifetime }

// countTransition counts a transition that took effect at a time.
func (r *lifetime) countTransition(from, to State, cause Cause, o Override, at time.Duration) {
	for i, c := range changes() {
		if c.From == from && c.To == to && c.Cause == cause {
			r.changes[i]++
		}
	}
	if o != ForcedOpen && o != Disabled {
		r.pass(from, at)
	}
}

// pass accounts the time until then for a state.
func (r *lifetime) pass(s State, at time.Duration) {
	r.times.add(s, max(at-r.then, 0))
	r.then = max(r.then, at)
}

// overriddenUntil accounts the time until then for an override, or, without one,
// for the state.
func (r *lifetime) overriddenUntil(o Override, s State, at time.Duration) {
	switch d := max(at-r.then, 0); o {
	case ForcedOpen:
		r.times.ForcedOpen += d
	case Disabled:
		r.times.Disabled += d
	case NoOverride, Shadow:
		r.times.add(s, d)
	}
	r.then = max(r.then, at)
}

// fill tells a Snapshot what is recorded and what v, the view of now, adds to it.
func (r *lifetime) fill(snap *Snapshot, v *view, now time.Duration) {
	all := changes()
	for i := range all {
		all[i].Count = r.changes[i]
	}
	snap.Changes = all[:]
	is := *r
	is.roll(snap.Override, v, now)
	snap.Probes, snap.TimeIn = is.probes, is.times
}

// roll adds to a copy of the record what v, the view of now, does.
func (r *lifetime) roll(o Override, v *view, now time.Duration) {
	if v.over && o != ForcedOpen && o != Disabled {
		r.pass(Open, v.since)
	}
	r.overriddenUntil(o, v.state, now)
}
