package detect

import (
	"time"

	"github.com/blackbox4/switchgear/core/failsafe/condition"
)

//nolint:gochecknoglobals // a constant
var noProgress = definition{
	rule: RuleNoProgress, name: "no_progress", reason: ReasonStuck, severity: condition.Medium,
	message:  "There was no progress for a while. Name the smallest step that would change something, and take it; if there is none, say why.",
	evidence: latestThree,
	limits: []limit{
		{field: "NoProgress", of: func(r *Rules) *Limits { return &r.NoProgress }, nudge: 3, trip: 10, least: 1, most: maxCount, unattended: Limits{Nudge: 5, Trip: 30}},
		{field: "NoProgressSteps", of: func(r *Rules) *Limits { return &r.NoProgressSteps }, nudge: 40, trip: 120, least: 1, most: maxCount, strict: Limits{Nudge: 10, Trip: 15}, unattended: Limits{Nudge: 100, Trip: 400}},
	},
	fill:   func(r *Rules) { r.NoProgressFor = noProgressFor(*r) },
	faults: func(r Rules) []error { return noProgressFor(r).faults("NoProgressFor") },
	step: func(r *Run, _ *event) {
		if r.s.Fingerprints.Armed && !r.s.Iterates {
			r.s.NoProgress.Steps++
			r.raise(RuleNoProgress, r.d.rules.NoProgressSteps, r.s.NoProgress.Steps)
		}
	},
	iteration: func(r *Run, _ *Iteration) {
		if r.s.Fingerprints.Armed {
			r.s.NoProgress.Iterations++
			r.raise(RuleNoProgress, r.d.rules.NoProgress, r.s.NoProgress.Iterations)
		}
	},
	time: func(r *Run, now time.Duration, _ bool) {
		if !r.progressTimed() {
			return
		}
		level, limit := r.d.rules.NoProgressFor.level(now - r.s.NoProgress.Since)
		if level > r.s.Marks.level(RuleNoProgress) {
			r.reach(RuleNoProgress, level, (now - r.s.NoProgress.Since).Seconds(), limit.Seconds())
		}
	},
	clear:    forgetNoProgress,
	progress: forgetNoProgress,
}

// noProgressState counts since the last progress, or since the first fingerprint.
type noProgressState struct {
	Since      time.Duration
	Iterations uint32
	Steps      uint32
}

// progressTimed reports whether the time since progress counts: within an iteration the
// caller may be unable to tell what progress there is, so one has to have ended without.
func (r *Run) progressTimed() bool {
	return r.s.Fingerprints.Armed && (!r.s.Iterates || r.s.NoProgress.Iterations > 1)
}

func forgetNoProgress(r *Run, now time.Duration) {
	r.s.NoProgress = noProgressState{Since: now}
	r.s.Marks.forget(RuleNoProgress)
}

func noProgressFor(r Rules) DurationLimits {
	d := by(r.Profile, [numProfiles]DurationLimits{{never, never}, ProfileStrict: {60 * time.Second, 120 * time.Second}, ProfileUnattended: {never, never}})
	return r.NoProgressFor.or(d.Nudge, d.Trip)
}
