package core

// RegistryStats sum up the breakers of a [Registry], the shared one included.
type RegistryStats struct {
	Breakers, Closed, Open, HalfOpen int
	Totals                           Totals
	SuccessRate                      float64 // of successes and failures; 1 without any
}

// Stats reads every breaker once, one after the other. What a breaker that was
// forgotten had counted is not in it.
func (r *Registry) Stats() RegistryStats {
	var out RegistryStats
	for _, b := range r.All() {
		out.Breakers++
		state, totals := b.stateAndTotals()
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
	out.SuccessRate = 1
	if n := out.Totals.Successes + out.Totals.Failures; n > 0 {
		out.SuccessRate = float64(out.Totals.Successes) / float64(n)
	}
	return out
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
	t.Spared += o.Spared
	t.InFlight += o.InFlight
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
