package detect

import (
	"time"

	"github.com/blackbox4/switchgear/core/failsafe/condition"
)

//nolint:gochecknoglobals // a constant
var cycle = definition{
	rule: RuleCycle, name: "cycle", reason: ReasonStuck, severity: condition.High,
	message:  "You have gone round the same few calls {n} times with the same results. Leave this circle: name what you have learned, and choose a step that you have not taken yet.",
	evidence: func(*Run, int, int) bool { return true },
	limits:   []limit{{field: "Cycle", of: func(r *Rules) *Limits { return &r.Cycle }, nudge: 2, trip: 3, least: 2, most: 1000}},
	step: func(r *Run, e *event) {
		if e.judged {
			r.observeCycle(e)
		}
	},
	clear:    forgetCycles,
	progress: forgetCycles,
	nudged:   func(r *Run) { r.s.Cycle.Like = [maxPeriod - 1]uint16{} },
}

const maxPeriod = 32 // calls in a cycle

// cycleState counts for each period from 2 on.
type cycleState struct {
	Like   [maxPeriod - 1]uint16 // calls in a row that were like the one a period before
	Period uint8                 // of the cycle that the last call was in, or 0
}

// observeCycle counts, for each period, how many calls in a row were the same as the one
// a period before. It notes how often the shortest cycle has gone round, from twice on,
// and since when.
func (r *Run) observeCycle(e *event) {
	s, ring, key, period := &r.s.Cycle, &r.s.Ring, uint64(0), 0
	last := ring.back(0)
	for p := 2; p <= maxPeriod; p++ {
		like := &s.Like[p-2]
		if p >= int(ring.Len) {
			*like = 0
			continue
		}
		i := ring.back(p)
		if ring.key(i) != ring.key(last) || e.flags&skipCycle != 0 {
			*like = 0
			continue
		}
		*like = min(*like, 1<<16-2) + 1
		if n := uint32(*like)/uint32(p) + 1; period == 0 && n >= 2 && int(r.s.Repeat.Same) < p {
			period, e.rounds, e.cycleSince = p, n, r.cycleBegan(p, n)
			for back := range p {
				key += ring.key(ring.back(back))
			}
		}
	}
	s.Period = uint8(period)
	if period == 0 || r.cycleHasPoll() {
		return
	}
	n := r.cycleTrend(period, e.rounds).trust(r.d.limits[RuleCycle])
	if s := r.s.Marks.find(RuleCycle, key, r.s.Made); s != nil && s.Told && n > 0 {
		n-- // those before the nudge are cleared but for one to compare with
	}
	r.keyed(RuleCycle, key, n)
}

// cycleBegan is when a cycle began that has gone round n times, as far as the ring goes
// back; what was longer ago is taken to have come at the same pace.
func (r *Run) cycleBegan(period int, n uint32) time.Duration {
	back := int(r.s.Ring.Len) - 1
	now, first := r.s.Ring.At[r.s.Ring.back(0)], r.s.Ring.At[r.s.Ring.back(back)]
	calls := int64(n)*int64(period) - 1
	if int64(back) > calls {
		first, back = r.s.Ring.At[r.s.Ring.back(int(calls))], int(calls)
	}
	return max(time.Duration(int64(now)-int64(now-first)*calls/int64(max(back, 1)))*tick, 0)
}

// cycleTrend is how the outcomes of a cycle have changed that has gone round so often:
// it moves if the outcome of any of its calls does.
func (r *Run) cycleTrend(period int, rounds uint32) alike {
	a := alike{all: rounds, equal: rounds}
	for phase := range period {
		var t trend
		for back := phase; back < min(recent, int(r.s.Ring.Len)) && back < int(rounds)*period; back += period {
			t.add(r.s.Ring.figures(back), false)
		}
		if d := t.drift(); d != still {
			a.equal = min(a.equal, t.equal)
			a.drift = max(a.drift, d)
		}
	}
	return a
}

// cycleHasPoll reports whether the cycle that was found waits for something.
func (r *Run) cycleHasPoll() bool {
	for back := range int(r.s.Cycle.Period) {
		if r.s.Ring.Flags[r.s.Ring.back(back)]&isPoll != 0 {
			return true
		}
	}
	return false
}

func forgetCycles(r *Run, _ time.Duration) {
	r.s.Cycle.Like = [maxPeriod - 1]uint16{}
	r.s.Marks.forget(RuleCycle)
}
