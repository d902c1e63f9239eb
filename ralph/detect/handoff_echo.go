package detect

import (
	"github.com/blackbox4/switchgear/core/failsafe/condition"
)

//nolint:gochecknoglobals // a constant
var handoffEcho = definition{
	rule: RuleHandoffEcho, name: "handoff_echo", reason: ReasonStuck, severity: condition.Medium,
	message: "The answer to what you hand on is always what was done before. Ask for something else, or ask another agent.",
	limits:  []limit{{field: "HandoffEcho", of: func(r *Rules) *Limits { return &r.HandoffEcho }, nudge: never, trip: 2, least: 1, most: 1000}},
	handoff: func(g *Graph, h *handoffEvent) {
		if h.Answer {
			return
		}
		if g.s.Activity.Acted {
			g.s.Echo.add(!g.s.Activity.New)
		}
		g.judgeBucket(RuleHandoffEcho, g.s.Echo)
	},
	clearGraph:  func(g *Graph) { g.s.Echo = 0 },
	nudgedGraph: func(g *Graph) { g.emptyBucket(RuleHandoffEcho, &g.s.Echo) },
}

// activity is what the agent that got work last has done since.
type activity struct{ Acted, New bool }

// echoes reports whether it has done nothing but what was done before.
func (a activity) echoes() bool { return a.Acted && !a.New }
