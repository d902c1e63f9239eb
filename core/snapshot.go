package core

import (
	"iter"
	"time"
)

// Snapshot is one reading of a [Breaker]. As JSON it has its times in RFC 3339 and
// its durations in nanoseconds, and json.Unmarshal reads what json.Marshal wrote, but
// for the types of errors. A Snapshot is rolled to At: a break that is over
// by then reads half-open, calls that have left the window are not in it. Only
// Transitions lag: one that time alone has brought about is made, and told,
// by the next call.
type Snapshot struct {
	Name string    `json:"name"`
	At   time.Time `json:"at"`
	// Started is when the breaker's counters began: Totals, Changes, TimeIn, Probes
	// and the buckets of durations. That is when it was made, or, if it continues one
	// that its [Registry] had evicted, when that one's began. As long as Started is the
	// same for a name, none of them goes down.
	Started  time.Time `json:"started"`
	State    State     `json:"state"` // what a call would meet now, but for Override
	Override Override  `json:"override"`
	Cause    Cause     `json:"cause"`          // of the last transition
	Since    time.Time `json:"since,omitzero"` // when State began
	// RetryAt is when the break is over; of a closed breaker that ramps up, when
	// every call is admitted; of a half-open one that has lost a probe, when the
	// next goes out, at the latest. It is zero otherwise.
	RetryAt time.Time `json:"retry_at,omitzero"`
	Opens   int       `json:"opens"` // openings without a close between
	// Window is, of a closed breaker, what the rules look at: calls, failures
	// and slow calls in the window, and consecutive failures. Of a half-open one
	// it is the probes settled and the successes in a row.
	Window Counts `json:"window"`
	// CauseProbesOut are the probes of a half-open breaker that are out. ProbesLost are
	// those out for longer than ProbeTimeout: they hold no place, but a success
	// of theirs still counts.
	ProbesOut   int        `json:"probes_out"`
	ProbesLost  int        `json:"probes_lost"`
	Totals      Totals     `json:"totals"`
	Durations   Durations  `json:"durations,omitzero"`    // zero unless Config.Durations
	History     []Interval `json:"history,omitzero"`      // oldest first, the last one running; nil unless Config.History
	RecentCalls []Call     `json:"recent_calls,omitzero"` // the last ones settled, oldest first; nil unless Config.RecentCalls
	// Transitions are the last 64, oldest first.
	Transitions []Transition `json:"transitions"`
	Changes     []Change     `json:"changes"` // every way to change state, with how often it was taken
	TimeIn      TimeIn       `json:"time_in"`
	Probes      Probes       `json:"probes"`
	// EventsDropped counts events that neither hook nor Logger was told of, see
	// [Hooks]; HookPanics counts panics of hooks and of the Logger.
	EventsDropped uint64 `json:"events_dropped"`
	HookPanics    uint64 `json:"hook_panics"`
}

// Snapshot reads the breaker. State, window, streaks and transitions belong
// together, but for a time window in which calls end all the time: then its rates
// were true at a moment, and the streak may be older. The totals are read right
// after, while calls go on. History and Durations follow.
func (b *Breaker) Snapshot() Snapshot {
	if !b.made() {
		return Snapshot{}
	}
	snap, _ := b.snapshot()
	return snap
}

// snapshot is Snapshot and the settings that held.
func (b *Breaker) snapshot() (Snapshot, *settings) {
	now := b.lock()
	ph, s := b.phase.Load(), b.settings.Load()
	v := b.viewLocked(ph, s, now)
	snap := Snapshot{
		Name: b.name, At: b.epoch.Add(now), Started: b.epoch, State: v.state, Override: s.override, Cause: v.cause,
		Since: b.epoch.Add(v.since), Opens: v.opens,
	}
	switch {
	case v.state == Open:
		snap.RetryAt = b.epoch.Add(v.until)
	case v.state == Closed:
		snap.Window = ph.window.read(&ph.tally, ph.tally.read(), now)
		if ph.ramp.Load() != nil && now < ph.until {
			snap.RetryAt = b.epoch.Add(ph.until)
		}
	case ph.state == HalfOpen:
		snap.Window, snap.ProbesOut = ph.half.counts(), len(ph.half.probes)-v.lost
		snap.ProbesLost = len(ph.half.lost) + v.lost
		if now < v.until {
			snap.RetryAt = b.epoch.Add(v.until)
		}
	}
	been := new(lifetime)
	if l := b.ledger.Load(); l != nil {
		l.mu.Lock()
		snap.Transitions = l.transitions()
		l.mu.Unlock()
		snap.EventsDropped, snap.HookPanics = l.queue.Counts()
		been = &l.lifetime
	}
	st := ph.stats.Load()
	if st != nil { // before the lock is given back, or a loss could be counted twice
		snap.Totals = st.totals()
		snap.Totals.Lost += uint64(v.lost)
	}
	been.fill(&snap, &v, now)
	if st != nil {
		st.past.fill(&snap)
	}
	b.mu.Unlock()

	if st != nil {
		if h := st.history.Load(); h != nil {
			snap.History = h.read(st, b.epoch, now)
		}
		if h := st.durations.Load(); h != nil {
			snap.Durations = h.read(now)
		}
		if r := st.recent.Load(); r != nil {
			snap.RecentCalls = r.read(b.epoch)
		}
	}
	return snap, s
}

// Config returns the configuration in force, with every default filled in, those of
// Window and MinimumCalls where a rate is on. [New] and Update accept it.
func (b *Breaker) Config() Config {
	if !b.made() {
		return Config{}
	}
	c := b.settings.Load().Config
	if !c.ratesOn() {
		c.Window, c.MinimumCalls = Window{}, 0
	}
	if c.Health != nil {
		own := *c.Health
		c.Health = &own
	}
	return c
}

// Buckets ranges over the durations of all [Success] or [Failure] calls since
// [Config.Durations] was switched on, in buckets that hold any, shortest first: a
// bucket's middle, which its calls differ from by at most 1/16 (half a
// microsecond below 8 µs), and how many. The counts never go back. There are at
// most 272 buckets; without Durations and for other outcomes there are none.
func (b *Breaker) Buckets(o Outcome) iter.Seq2[time.Duration, uint64] {
	return func(yield func(time.Duration, uint64) bool) {
		if !b.made() {
			return
		}
		st := b.stats()
		if st == nil || o != Success && o != Failure {
			return
		}
		if st.durations.Load() == nil {
			return
		}
		for i, n := range st.durationsOf(o) {
			if n > 0 && !yield(bucketMiddle(i), n) {
				return
			}
		}
	}
}
