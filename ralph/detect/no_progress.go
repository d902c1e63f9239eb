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
		{"NoProgress", func(r *Rules) *Limits { return &r.NoProgress }, 3, 10, 1, maxCount},
		{"NoProgressSteps", func(r *Rules) *Limits { return &r.NoProgressSteps }, 10, 15, 1, maxCount},
	},
	fill: func(r *Rules) { r.NoProgressFor = r.NoProgressFor.or(60*time.Second, 120*time.Second) },
	faults: func(r Rules) []error {
		return r.NoProgressFor.or(60*time.Second, 120*time.Second).faults("NoProgressFor")
	},
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
