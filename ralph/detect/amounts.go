package detect

import (
	"time"
)

// nano is what costs are counted in, so that sums do not drift.
const nano = 1e9

// amounts compares what the task has used with its budgets.
func (r *Run) amounts() {
	b := &r.d.rules.Budgets
	r.amount(RuleIterations, float64(r.s.UsedIts), float64(b.Iterations), 1)
	r.amount(RuleTokens, float64(r.s.UsedTokens), float64(b.Tokens), 1)
	r.amount(RuleCost, float64(r.s.UsedCost), nano*b.Cost, nano)
	r.amount(RuleToolCalls, float64(r.s.UsedCalls), float64(b.ToolCalls), 1)
}

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

// times looks at what comes of time alone; that an agent is idle only shows between
// its events.
func (r *Run) times(now time.Duration, idle bool) {
	rules := &r.d.rules
	r.amount(RuleWall, (now - r.s.TaskAt).Seconds(), rules.Budgets.Wall.Seconds(), 1)
	if idle {
		r.amount(RuleIdle, (now - r.s.Event).Seconds(), rules.Budgets.Idle.Seconds(), 1)
	}
	if !r.judged() {
		return
	}
	level, limit := rules.NoProgressFor.level(now - r.s.ProgressAt)
	if level > r.s.Marks.level(RuleNoProgress) {
		r.reach(RuleNoProgress, level, (now - r.s.ProgressAt).Seconds(), limit.Seconds())
	}
}

// judged reports whether the time since progress counts. Within an iteration nobody
// may be able to tell: then one has to have ended without.
func (r *Run) judged() bool {
	return r.s.Fingerprints.Armed && (!r.s.Iterates || r.s.SinceIts > 1)
}

// Due is when Check may find something next if nothing else happens; zero if never.
func (r *Run) Due() time.Time {
	if !r.made() {
		return time.Time{}
	}
	rules := &r.d.rules
	spans := func(limit time.Duration) DurationLimits {
		return DurationLimits{Nudge: time.Duration(max(rules.Warn, 0) * float64(limit)), Trip: limit}
	}
	due := time.Duration(0)
	consider := func(rule Rule, since time.Duration, s DurationLimits) {
		// What was reached already is not found again.
		if d := s.left(r.s.Marks.level(rule)); d > 0 && (due == 0 || since+d < due) {
			due = since + d
		}
	}
	consider(RuleWall, r.s.TaskAt, spans(rules.Budgets.Wall))
	consider(RuleIdle, r.s.Event, spans(rules.Budgets.Idle))
	if r.judged() {
		consider(RuleNoProgress, r.s.ProgressAt, rules.NoProgressFor)
	}
	if due == 0 {
		return time.Time{}
	}
	return r.clock.time(due)
}
