package detect

import (
	"github.com/blackbox4/switchgear/core/failsafe/condition"
)

//nolint:gochecknoglobals // a constant
var handoffStall = definition{
	rule: RuleHandoffStall, name: "handoff_stall", reason: ReasonStuck, severity: condition.High,
	message: "Nearly the same work is handed on again and again. Say what is known by now, change the plan, and hand on only what is new.",
	limits:  []limit{{field: "HandoffStall", of: func(r *Rules) *Limits { return &r.HandoffStall }, nudge: 2, trip: 4, least: 1, most: 1000}},
	handoff: func(g *Graph, h *handoffEvent) {
		if !h.Answer {
			g.s.Stall.add(h.alike || g.s.Activity.echoes())
			g.judgeBucket(RuleHandoffStall, g.s.Stall)
		}
	},
	clearGraph:  func(g *Graph) { g.s.Stall = 0 },
	nudgedGraph: func(g *Graph) { g.emptyBucket(RuleHandoffStall, &g.s.Stall) },
}

// judgeBucket compares the bucket of a rule with its limits.
func (g *Graph) judgeBucket(rule Rule, b bucket) {
	level, limit := g.d.limits[rule].level(int(b))
	if s := g.s.Marks.find(rule, 0, g.s.Index); s != nil && s.Told {
		if fresh := g.d.limits[rule].fresh(); fresh != never && int(b) >= fresh {
			level, limit = LevelTrip, fresh
		}
	}
	g.reach(rule, level, float64(b), float64(limit), g.pair(g.back(0)))
}

// emptyBucket empties it for agents that were nudged.
func (g *Graph) emptyBucket(rule Rule, b *bucket) {
	*b = 0
	g.s.Marks.slot(rule, 0, g.s.Index).Level = LevelNudge
}
