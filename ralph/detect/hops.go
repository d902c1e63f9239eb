package detect

import (
	"slices"
)

// compare looks for the same, and for nearly the same, between the same two agents,
// among the last 8 hand-offs of the sort.
func (g *Graph) compare(one *hop) (alike bool, exact int) {
	if one.Text.Words == 0 {
		return false, 0
	}
	for n, seen := 0, 0; n < len(g.hops) && seen < edgeNear; n++ {
		h := g.back(n)
		if h.Answer != one.Answer {
			continue
		}
		seen++
		if h.From != one.From || h.To != one.To {
			continue
		}
		if h.Text.Exact == one.Text.Exact && h.Index > g.s.Since {
			exact++
		}
		alike = alike || h.Text.near(&one.Text)
	}
	return alike, exact
}

// echoes reports whether an agent hands on what it was handed last, but for numbers:
// a count of the attempts does not make it another work.
func (g *Graph) echoes(one *hop) bool {
	for n := range g.hops {
		if h := g.back(n); h.To == one.From {
			return h.Text.numbered(&one.Text)
		}
	}
	return false
}

// repeat counts the very same work for the same agent.
func (g *Graph) repeat(one *hop, exact int) {
	if one.Text.Words == 0 {
		return
	}
	n := exact + 1
	key := mix(mix(one.From, one.To), one.Text.Exact)
	level, limit := g.s.Marks.keyed(RuleHandoffRepeat, key, g.s.Index, g.d.rules.HandoffRepeat, n)
	if level == 0 {
		return
	}
	g.report(RuleHandoffRepeat, level, float64(n), float64(limit), g.pair(one), func(h *hop) bool {
		return h.From == one.From && h.To == one.To && h.Text.Exact == one.Text.Exact
	})
}

// stall fills and empties the two buckets.
func (g *Graph) stall(alike bool) {
	echo := g.s.Turn.Acted && !g.s.Turn.New
	g.s.Stall = pour(g.s.Stall, alike || echo)
	if g.s.Turn.Acted {
		g.s.Echo = pour(g.s.Echo, echo)
	}
	g.bucket(RuleHandoffStall, g.d.rules.HandoffStall, g.s.Stall)
	g.bucket(RuleHandoffEcho, g.d.rules.HandoffEcho, g.s.Echo)
}

func pour(bucket uint32, in bool) uint32 {
	if in {
		return bucket + 1
	}
	return max(bucket, 1) - 1
}

func (g *Graph) bucket(rule Rule, lim Limits, n uint32) {
	level, limit := lim.level(int(n))
	if s := g.s.Marks.find(rule, 0, g.s.Index); s != nil && s.Told {
		if fresh := lim.fresh(); fresh != never && int(n) >= fresh {
			level, limit = LevelTrip, fresh
		}
	}
	g.reach(rule, level, float64(n), float64(limit), g.pair(g.back(0)))
}

// cycle looks whether the last hop has brought the work back to where it was. The
// way is followed back from hop to hop.
func (g *Graph) cycle() {
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
		*c = lap{Key: key}
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
	level, limit := g.s.Marks.keyed(RuleHandoffCycle, key, g.s.Index, g.d.rules.HandoffCycle, int(c.Count))
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

// pass counts how often work was passed on without coming back.
func (g *Graph) pass(one *hop, from, to *agent) {
	switch {
	case one.Answer: // another one may follow
	case to.Parent == from.Key:
		to.Giver, to.Depth = from.Key, from.Depth
	default:
		to.Giver = from.Key
		to.Depth = from.Depth + 1
		level, limit := g.d.rules.Handoffs.level(int(to.Depth))
		g.reach(RuleHandoffs, level, float64(to.Depth), float64(limit), g.pair(one))
	}
}

func (g *Graph) pair(h *hop) []string { return []string{g.name(h.From), g.name(h.To)} }
