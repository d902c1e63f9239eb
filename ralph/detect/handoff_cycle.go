package detect

import (
	"slices"

	"github.com/blackbox4/switchgear/core/failsafe/condition"
)

//nolint:gochecknoglobals // a constant
var handoffCycle = definition{
	rule: RuleHandoffCycle, name: "handoff_cycle", reason: ReasonStuck, severity: condition.High,
	message:    "The work has gone round the same agents {n} times without anything new. The agent that has it now should finish it, or say what is missing.",
	limits:     []limit{{field: "HandoffCycle", of: func(r *Rules) *Limits { return &r.HandoffCycle }, nudge: 2, trip: 3, least: 2, most: 1000}},
	handoff:    func(g *Graph, _ *handoffEvent) { g.observeCycle() },
	clearGraph: func(g *Graph) { g.s.Cycles = [len(g.s.Cycles)]cycleCount{} },
	nudgedGraph: func(g *Graph) {
		for i := range g.s.Cycles {
			g.s.Cycles[i].Count = 0
		}
	},
}

// cycleCount is how often work went round one cycle.
type cycleCount struct {
	Key   uint64
	Count uint32
	At    uint32 // Index of the last time
}

// observeCycle looks whether the last hop has brought the work back to where it was. The
// way is followed back from hop to hop.
func (g *Graph) observeCycle() {
	last := g.back(0)
	at, stale, way := last, last.Stale, []uint64{}
	for n := 0; ; {
		if g.related(at) {
			return
		}
		way = append(way, at.From)
		if at.From == last.To {
			break
		}
		if len(way) == maxPeriod {
			return
		}
		for n++; n < len(g.hops) && g.back(n).To != at.From; n++ {
		}
		if n >= len(g.hops) {
			return
		}
		at = g.back(n)
		stale = stale && at.Stale
	}
	g.round(way, at.Index, stale)
}

// related reports whether a hop goes from a parent to its child or back.
func (g *Graph) related(h *hop) bool {
	for i := range g.agents {
		if a := &g.agents[i]; a.Key == h.From && a.Parent == h.To || a.Key == h.To && a.Parent == h.From { // no key is 0
			return true
		}
	}
	return false
}

// round counts how often work has gone round a cycle with nothing new. The first
// time everything is new, and counts. The way began with the hop from.
func (g *Graph) round(way []uint64, from uint32, stale bool) {
	key, first := uint64(0), 0
	for i, a := range way {
		if a < way[first] {
			first = i
		}
	}
	for i := range way {
		key = mix(key, way[(first+i)%len(way)])
	}
	oldest := &g.s.Cycles[0]
	for i := range g.s.Cycles {
		c := &g.s.Cycles[i]
		if c.Key == key {
			oldest = c
			break
		}
		if c.At < oldest.At {
			oldest = c
		}
	}
	c := oldest
	if c.Key != key {
		*c = cycleCount{Key: key}
	}
	if c.At >= from {
		return // not all the way round since
	}
	c.At = g.s.Index
	if stale {
		c.Count++
	} else {
		c.Count = 1
	}
	level, limit := g.s.Marks.keyed(RuleHandoffCycle, key, g.s.Index, g.d.limits[RuleHandoffCycle], int(c.Count))
	if level == 0 {
		return
	}
	var names []string
	for _, a := range slices.Backward(way) {
		names = append(names, g.name(a))
	}
	g.report(RuleHandoffCycle, level, float64(c.Count), float64(limit), names, func(h *hop) bool {
		return slices.Contains(way, h.From) && slices.Contains(way, h.To)
	})
}
