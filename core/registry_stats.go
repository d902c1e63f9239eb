package core

// RegistryStats sum up the breakers of a [Registry].
type RegistryStats struct {
	Breakers int `json:"breakers"`
	Closed   int `json:"closed"`
	Open     int `json:"open"`
	HalfOpen int `json:"half_open"`
	// Totals are those of the breakers that there are and of all that were evicted;
	// they do not go back.
	Totals      Totals  `json:"totals"`
	SuccessRate float64 `json:"success_rate"` // of successes and failures; 1 without any
	// Unguarded is how many calls were admitted without a breaker, see
	// [Registry.Gate]. They are not in Totals.
	Unguarded uint64 `json:"unguarded"`
}

// Stats reads every breaker once, one after the other. A call on a breaker that was
// kept after it was evicted is not in it.
func (r *Registry) Stats() RegistryStats {
	out := RegistryStats{SuccessRate: 1}
	if r == nil {
		return out
	}
	r.setup()
	for i := range r.shards {
		r.addShard(&out, &r.shards[i])
	}
	if n := out.Totals.Successes + out.Totals.Failures; n > 0 {
		out.SuccessRate = float64(out.Totals.Successes) / float64(n)
	}
	out.Unguarded = r.open.calls.Load()
	return out
}

// addShard reads a shard with the lock held, so that what is evicted or made anew
// meanwhile is counted once.
func (r *Registry) addShard(out *RegistryStats, s *nameShard) {
	r.mu.Lock()
	defer r.mu.Unlock()
	out.Totals.add(s.gone)
	for _, e := range s.all() {
		out.Breakers++
		state, totals := e.breaker.stateAndTotals()
		switch state {
		case Closed:
			out.Closed++
		case Open:
			out.Open++
		case HalfOpen:
			out.HalfOpen++
		}
		out.Totals.add(totals)
	}
}

func (t *Totals) add(o Totals) {
	t.Calls += o.Calls
	t.Successes += o.Successes
	t.Failures += o.Failures
	t.Ignored += o.Ignored
	t.Refused += o.Refused
	t.Slow += o.Slow
	t.Timeouts += o.Timeouts
	t.Late += o.Late
	t.Lost += o.Lost
	t.ShadowAdmitted += o.ShadowAdmitted
	t.InFlight += o.InFlight
}

// subtract takes back what add added.
func (t *Totals) subtract(o Totals) {
	t.Calls -= o.Calls
	t.Successes -= o.Successes
	t.Failures -= o.Failures
	t.Ignored -= o.Ignored
	t.Refused -= o.Refused
	t.Slow -= o.Slow
	t.Timeouts -= o.Timeouts
	t.Late -= o.Late
	t.Lost -= o.Lost
	t.ShadowAdmitted -= o.ShadowAdmitted
	t.InFlight -= o.InFlight
}

// stateAndTotals is what Stats needs of a Snapshot.
func (b *Breaker) stateAndTotals() (State, Totals) {
	b.mu.Lock()
	defer b.mu.Unlock()
	ph := b.phase.Load()
	v := b.viewLocked(ph, b.settings.Load(), b.now())
	var t Totals
	if st := ph.stats.Load(); st != nil {
		t = st.totals()
		t.Lost += uint64(v.lost)
	}
	return v.state, t
}
