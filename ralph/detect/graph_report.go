package detect

import (
	"slices"
)

// reach reports that a rule is at a level, once until it is at none.
func (g *Graph) reach(rule Rule, level Level, count, limit float64, agents []string) {
	if g.s.Marks.rise(rule, level, g.d.severity(rule, level, count)) {
		g.report(rule, level, count, limit, agents, func(*hop) bool { return true })
	}
}

// report adds a finding, with the latest hops that match as evidence.
func (g *Graph) report(rule Rule, level Level, count, limit float64, agents []string, match func(*hop) bool) {
	var events []Event
	for n := 0; n < len(g.hops) && len(events) < maxEvidence; n++ {
		if h := g.back(n); match(h) {
			events = append(events, Event{
				Index:   uint64(h.Index),
				At:      g.clock.time(h.At),
				From:    g.name(h.From),
				To:      g.name(h.To),
				Payload: h.Text.Exact,
			})
		}
	}
	slices.Reverse(events)
	f := g.d.definition(rule).finding(level, g.d.severity(rule, level, count), count, limit, "", g.clock.time(g.clock.Last))
	f.Evidence, f.Agents = events, agents
	g.found = append(g.found, f)
}

// take returns what was found, worst first.
func (g *Graph) take() []Finding {
	found := g.found
	g.found = nil
	worstFirst(found)
	return found
}

func (g *Graph) pair(h *hop) []string { return []string{g.name(h.From), g.name(h.To)} }
