package detect

import (
	"math"
)

// amount is one of the limits of a Budget.
type amount struct {
	rule           Rule
	used, reserved int64
	limit          float64
	unit           float64
	more           func(used) int64
}

func (b *Budget) amounts() [5]amount {
	u, r, l := &b.used, &b.reserved, &b.limits
	return [...]amount{
		{RuleIterations, u.Iterations, r.Iterations, float64(l.Iterations), 1, func(n used) int64 { return n.Iterations }},
		{RuleTokens, u.Tokens, r.Tokens, float64(l.Tokens), 1, func(n used) int64 { return n.Tokens }},
		{RuleCost, u.Cost, r.Cost, nano * l.Cost, nano, func(n used) int64 { return n.Cost }},
		{RuleToolCalls, u.Calls, r.Calls, float64(l.ToolCalls), 1, func(n used) int64 { return n.Calls }},
		{RuleHops, u.Hops, r.Hops, float64(l.Hops), 1, func(n used) int64 { return n.Hops }},
	}
}

// judge compares what was used with the limits. Findings go to found, if not nil;
// without it, they are found again.
func (b *Budget) judge(found *[]Finding, idle bool) {
	for _, a := range b.amounts() {
		b.reach(found, a.rule, float64(a.used), a.limit, a.unit)
	}
	b.reach(found, RuleWall, b.clock.Last.Seconds(), b.limits.Wall.Seconds(), 1)
	if idle {
		b.reach(found, RuleIdle, (b.clock.Last - b.event).Seconds(), b.limits.Idle.Seconds(), 1)
	}
}

func (b *Budget) reach(found *[]Finding, rule Rule, n, limit, unit float64) {
	level, limit := share(n, limit, defaultWarn)
	if level == LevelTrip && rule != RuleIdle && b.out.Load() == nil {
		b.out.Store(&ExhaustedError{Finding: b.finding(rule, level, n/unit, limit/unit)})
	}
	if found == nil || level <= b.levels[rule] {
		return
	}
	b.levels[rule] = level
	*found = append(*found, b.finding(rule, level, n/unit, limit/unit))
}

func (b *Budget) finding(rule Rule, level Level, n, limit float64) Finding {
	def := allRules.byRule[rule]
	return def.finding(level, def.severityAt(nil, level, n), n, limit, "", b.clock.time(b.clock.Last))
}

// add and sub do not leave the range of what can be.
func (n *used) add(m used) {
	n.Iterations, n.Tokens, n.Cost = sum(n.Iterations, m.Iterations), sum(n.Tokens, m.Tokens), sum(n.Cost, m.Cost)
	n.Calls, n.Hops = sum(n.Calls, m.Calls), sum(n.Hops, m.Hops)
}

func (n *used) sub(m used) {
	n.Iterations, n.Tokens, n.Cost = max(n.Iterations-m.Iterations, 0), max(n.Tokens-m.Tokens, 0), max(n.Cost-m.Cost, 0)
	n.Calls, n.Hops = max(n.Calls-m.Calls, 0), max(n.Hops-m.Hops, 0)
}

func (n *used) use() Use {
	whole := func(v int64) int { return int(min(v, math.MaxInt)) }
	return Use{
		Iterations: whole(n.Iterations),
		Tokens:     n.Tokens,
		Cost:       float64(n.Cost) / nano,
		ToolCalls:  whole(n.Calls),
		Hops:       whole(n.Hops),
	}
}

// sum is a+b, neither of which is negative, at most the largest int64.
func sum(a, b int64) int64 {
	if a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}
