package detect

import (
	"github.com/blackbox4/switchgear/core/failsafe"
)

// count compares what a rule has counted with its limits. It returns the level if
// that is reported now.
func (r *Run) count(rule Rule, lim Limits, n uint32) Level {
	level, limit := lim.level(int(min(n, maxCount)))
	return r.reach(rule, level, float64(n), float64(limit))
}

// raise is count for a rule that ends otherwise than by its count.
func (r *Run) raise(rule Rule, lim Limits, n uint32) {
	if level, limit := lim.level(int(min(n, maxCount))); level > r.s.Marks.level(rule) {
		r.reach(rule, level, float64(n), float64(limit))
	}
}

// reach reports that a rule is at a level, once for each level and severity until it
// is at none.
func (r *Run) reach(rule Rule, level Level, count, limit float64) Level {
	sev := r.d.severity(rule, level, count)
	if !r.s.Marks.rise(rule, level, sev) {
		return 0
	}
	r.report(rule, level, sev, count, limit)
	return level
}

// keyed is count for a rule that counts many things at once, of which key is one.
func (r *Run) keyed(rule Rule, key uint64, lim Limits, n uint32) {
	if level, limit := r.s.Marks.keyed(rule, key, r.s.Calls, lim, int(n)); level != 0 {
		r.report(rule, level, r.d.severity(rule, level, float64(n)), float64(n), float64(limit))
	}
}

// severity of a rule at a level. Nudges are low.
func (d *Detector) severity(rule Rule, level Level, count float64) failsafe.Severity {
	if level == LevelNudge {
		return failsafe.Low
	}
	switch {
	case rule == RuleErrorRate && count >= 90:
		return failsafe.Critical
	case rule == RuleErrorRate && count >= 70, rule == RuleConfidence && count <= d.rules.Confidence.High:
		return failsafe.High
	}
	return ruleTable[rule].severity
}
