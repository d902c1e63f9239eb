package detect

import (
	"github.com/blackbox4/switchgear/core/failsafe/condition"
)

//nolint:gochecknoglobals // a constant
var handoffs = definition{
	rule: RuleHandoffs, name: "handoffs", reason: ReasonStuck, severity: condition.High,
	message: "The work was passed on {n} times without progress. The agent that has it now should do it, or give it back with the reason.",
	limits:  []limit{{field: "Handoffs", of: func(r *Rules) *Limits { return &r.Handoffs }, nudge: 4, trip: 5, least: 1, most: 1000}},
	handoff: func(g *Graph, h *handoffEvent) {
		switch from, to := h.from, h.to; {
		case h.Answer: // another one may follow
		case to.Parent == from.Key:
			to.Giver, to.Depth = from.Key, from.Depth
		default:
			to.Giver, to.Depth = from.Key, from.Depth
			if !h.says {
				to.Depth++
			}
			level, limit := g.d.limits[RuleHandoffs].level(int(to.Depth))
			g.reach(RuleHandoffs, level, float64(to.Depth), float64(limit), g.pair(&h.hop))
		}
	},
	clearGraph: func(g *Graph) {
		for i := range g.agents {
			g.agents[i].Depth = 0
		}
	},
}
