package detect

import (
	"cmp"
	"time"

	"github.com/blackbox4/switchgear/core/failsafe/condition"
)

// Of calls that wait for something only the time can tell whether they are too many.

//nolint:gochecknoglobals // a constant
var poll = definition{
	rule: RulePoll, name: "poll", reason: ReasonStuck, severity: condition.Medium,
	message:  "You have asked {tool} {n} times and nothing has changed. Stop waiting: do other work, or report that what you wait for is not ready.",
	evidence: func(r *Run, back, _ int) bool { return back < int(r.s.Repeat.Same) || r.s.Cycle.Period > 0 },
	limits:   []limit{{field: "Poll", of: func(r *Rules) *Limits { return &r.Poll }, nudge: 10, trip: 20, least: 2, most: maxCount}},
	fill: func(r *Rules) {
		r.PollEvery = max(cmp.Or(r.PollEvery, 30*time.Second), never)
		r.PollFor = max(cmp.Or(r.PollFor, by(r.Profile, [numProfiles]time.Duration{time.Hour, ProfileStrict: 15 * time.Minute, ProfileUnattended: 6 * time.Hour})), never)
	},
	step: func(r *Run, e *event) {
		if e.judged {
			r.observePoll(e)
		}
	},
	progress: func(r *Run, _ time.Duration) { r.s.Marks.forget(RulePoll) },
}

// waits reports whether a call is one that waits for something, or works through what
// its tool has more of.
func (r *Run) waits(class Class, now time.Duration) bool {
	if class == ClassPoll || class == ClassRepeatable {
		return true
	}
	ring, every := &r.s.Ring, r.d.rules.PollEvery
	return ring.Len > 0 && every > 0 && now-time.Duration(ring.At[ring.back(0)])*tick >= every
}

// observePoll judges polls in a row, or in a cycle.
func (r *Run) observePoll(e *event) {
	n, since := uint32(0), time.Duration(r.s.Repeat.SameAt)*tick
	if r.s.Repeat.Same > r.s.Repeat.NotPolls {
		n = r.s.Repeat.Same
	}
	if e.rounds > n && r.cycleHasPoll() {
		n, since = e.rounds, e.cycleSince
	}
	limits := r.d.limits[RulePoll]
	if e.now-since < r.d.rules.PollFor {
		limits.Trip = never
	}
	r.countIn(RulePoll, limits, n)
}
