package detect

import (
	"cmp"
	"slices"
	"time"

	"github.com/blackbox4/switchgear/core/failsafe/condition"
)

// The rules of what one task may use. A nudge comes at Rules.Warn of each.

// nano is what costs are counted in, so that sums do not drift.
const nano = 1e9

const defaultWarn = 0.8

// longestPause is how much of the time between two events counts for the budget of time:
// an agent that waits for longer is not at work.
const longestPause = 5 * time.Minute

//nolint:gochecknoglobals // a constant
var iterations = definition{
	rule: RuleIterations, name: "iterations", reason: ReasonExhausted, severity: condition.High,
	message: "{n} iterations are used. Finish with what you have, and say what is left.",
	fill: func(r *Rules) {
		r.Budgets = r.Budgets.task(r.Profile)
		r.Warn = max(cmp.Or(r.Warn, defaultWarn), never)
	},
	faults: func(r Rules) []error {
		return slices.Concat(r.Budgets.faults("Budgets."),
			fault(r.Warn < 1, "Warn", r.Warn, "in (0, 1); 0 for 0.8, negative for never")) // false for NaN too
	},
	used: func(r *Run) (used, limit, unit float64) {
		return float64(r.s.Used.Iterations), float64(r.d.rules.Budgets.Iterations), 1
	},
}

//nolint:gochecknoglobals // a constant
var tokens = definition{
	rule: RuleTokens, name: "tokens", reason: ReasonExhausted, severity: condition.High,
	message: "{n} tokens are used. Finish with what you have, and say what is left.",
	used: func(r *Run) (used, limit, unit float64) {
		return float64(r.s.Used.Tokens), float64(r.d.rules.Budgets.Tokens), 1
	},
}

//nolint:gochecknoglobals // a constant
var cost = definition{
	rule: RuleCost, name: "cost", reason: ReasonExhausted, severity: condition.High,
	message: "The task has cost {x}. Finish with what you have, and say what is left.",
	used: func(r *Run) (used, limit, unit float64) {
		return float64(r.s.Used.Cost), nano * r.d.rules.Budgets.Cost, nano
	},
}

//nolint:gochecknoglobals // a constant
var toolCalls = definition{
	rule: RuleToolCalls, name: "tool_calls", reason: ReasonExhausted, severity: condition.High,
	message: "{n} tool calls are used. Finish with what you have, and say what is left.",
	used: func(r *Run) (used, limit, unit float64) {
		return float64(r.s.Used.Calls), float64(r.d.rules.Budgets.ToolCalls), 1
	},
}

//nolint:gochecknoglobals // a constant
var hops = definition{
	rule: RuleHops, name: "hops", reason: ReasonExhausted, severity: condition.High,
	message: "{n} hand-offs are used. Finish with what you have, and say what is left.",
	handoff: func(g *Graph, _ *handoffEvent) {
		used, limit := float64(g.s.Used), float64(g.d.rules.Budgets.Hops)
		level, reached := share(used, limit, g.d.rules.Warn)
		g.reach(RuleHops, level, used, reached, nil)
	},
}

//nolint:gochecknoglobals // a constant
var wall = definition{
	rule: RuleWall, name: "wall", reason: ReasonExhausted, severity: condition.High,
	message: "The task has taken {n} seconds. Finish with what you have, and say what is left.",
	time: func(r *Run, now time.Duration, _ bool) {
		r.amount(RuleWall, (r.s.Event - r.s.TaskAt + min(now-r.s.Event, longestPause)).Seconds(), r.d.rules.Budgets.Wall.Seconds(), 1)
	},
}

//nolint:gochecknoglobals // a constant
var idle = definition{
	rule: RuleIdle, name: "idle", reason: ReasonStuck, severity: condition.Medium,
	message: "Nothing has happened for {n} seconds. Go on, or say what you wait for.",
	time: func(r *Run, now time.Duration, idle bool) {
		if idle {
			r.amount(RuleIdle, (now - r.s.Event).Seconds(), r.d.rules.Budgets.Idle.Seconds(), 1)
		}
	},
}

// amount compares what the task has used with a budget.
func (r *Run) amount(rule Rule, used, limit, unit float64) {
	level, limit := share(used, limit, r.d.rules.Warn)
	r.reach(rule, level, used/unit, limit/unit)
}

// share is the level that a use has reached, and what that begins at.
func share(used, limit, warn float64) (level Level, reached float64) {
	switch {
	case limit <= 0:
	case used >= limit:
		return LevelTrip, limit
	case warn > 0 && used >= warn*limit:
		return LevelNudge, warn * limit
	}
	return 0, 0
}
