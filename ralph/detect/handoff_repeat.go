package detect

import (
	"github.com/blackbox4/switchgear/core/failsafe/condition"
)

//nolint:gochecknoglobals // a constant
var handoffRepeat = definition{
	rule: RuleHandoffRepeat, name: "handoff_repeat", reason: ReasonStuck, severity: condition.High,
	message: "The very same work was handed to the same agent {n} times. Use the answer you have, or ask for something else.",
	limits:  []limit{{field: "HandoffRepeat", of: func(r *Rules) *Limits { return &r.HandoffRepeat }, nudge: 2, trip: never, least: 2, most: edgeNear + 1}},
	handoff: func(g *Graph, h *handoffEvent) {
		if h.Answer || h.Text.Words == 0 {
			return
		}
		n := h.exact + 1
		key := mix(mix(h.From, h.To), h.Text.Exact)
		if level, limit := g.s.Marks.keyed(RuleHandoffRepeat, key, g.s.Index, g.d.limits[RuleHandoffRepeat], n); level != 0 {
			g.report(RuleHandoffRepeat, level, float64(n), float64(limit), g.pair(&h.hop), func(one *hop) bool {
				return one.From == h.From && one.To == h.To && one.Text.Exact == h.Text.Exact
			})
		}
	},
	clearGraph:  func(*Graph) {}, // its hand-offs are gone with the ring
	nudgedGraph: func(g *Graph) { g.s.RepeatSince = g.s.Index },
}
