package core

import "time"

// LimitSnapshot is one reading of a [Limit]. As JSON it has its times in RFC 3339
// and its durations in nanoseconds, and json.Unmarshal reads what json.Marshal wrote.
type LimitSnapshot struct {
	Name     string        `json:"name"`
	At       time.Time     `json:"at"`
	Started  time.Time     `json:"started"`   // when the limit was made and its counters began
	Limit    int           `json:"limit"`     // calls that may be in flight
	Min      int           `json:"min"`       // equal to Max for a fixed limit
	Max      int           `json:"max"`       //
	InFlight int           `json:"in_flight"` // may exceed Limit for a while after a cut
	Base     time.Duration `json:"base"`      // mean latency without a queue, as far as is known; 0 for a fixed limit and until the first window has ended
	Latency  time.Duration `json:"latency"`   // mean of the last window; 0 as for Base
	Admitted uint64        `json:"admitted"`
	Refused  RefusedCalls  `json:"refused"`
	// Cuts counts how often the limit was lowered because of latency, of deadlines
	// or to find out the base latency. CutsUndone counts those that did not help.
	Cuts       uint64    `json:"cuts"`
	CutsUndone uint64    `json:"cuts_undone"`
	LastCut    time.Time `json:"last_cut,omitzero"`
	// Changes counts changes of Limit, each of which a hook is told of.
	Changes uint64 `json:"changes"`
	// EventsDropped counts changes that neither hook nor Logger was told of, see
	// [Hooks]; HookPanics counts panics of hooks and of the Logger.
	EventsDropped uint64 `json:"events_dropped"`
	HookPanics    uint64 `json:"hook_panics"`
}

// RefusedCalls counts the calls that a [Limit] has refused, by priority.
type RefusedCalls struct {
	Normal uint64 `json:"normal"`
	Low    uint64 `json:"low"`
}

func (r RefusedCalls) total() uint64 { return r.Normal + r.Low }

// Snapshot reads the limit. Everything but InFlight, Admitted and Refused, which go
// on meanwhile, belongs together.
func (l *Limit) Snapshot() LimitSnapshot {
	if !l.made() {
		return LimitSnapshot{}
	}
	snap, _ := l.snapshot()
	return snap
}

// snapshot is Snapshot and what became of the last cut.
func (l *Limit) snapshot() (LimitSnapshot, judgment) {
	now, refused := l.now(), l.refused()
	l.mu.Lock()
	defer l.mu.Unlock()
	a, s := &l.adapt, l.settings.Load()
	inFlight, _ := l.places.read()
	snap := LimitSnapshot{
		Name: l.name, At: l.epoch.Add(now), Started: l.epoch,
		Limit: int(a.limit), Min: s.Min, Max: s.Max, InFlight: inFlight,
		Base: seconds(a.base), Latency: seconds(a.mean),
		Admitted: l.admittedLocked(), Refused: refused,
		Cuts: a.cuts, CutsUndone: a.undone, Changes: l.changes,
	}
	snap.EventsDropped, snap.HookPanics = l.queue.Counts()
	if a.cuts > 0 {
		snap.LastCut = l.epoch.Add(a.cutAt)
	}
	return snap, a.judgment
}

func seconds(s float64) time.Duration { return time.Duration(s*1e9 + .5) }
