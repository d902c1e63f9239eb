package detect

import (
	"time"

	"github.com/blackbox4/switchgear/core/failsafe/condition"
)

//nolint:gochecknoglobals // a constant
var window = definition{
	rule: RuleWindow, name: "window", reason: ReasonStuck, severity: condition.High,
	message:  "You have come back to the same call of {tool} {n} times, with the same result. What you did in between has not changed it: work on what causes the result, or try another way.",
	evidence: func(r *Run, _, i int) bool { return r.s.Ring.key(i) == r.s.Ring.key(r.s.Ring.back(0)) },
	limits:   []limit{{field: "Window", of: func(r *Rules) *Limits { return &r.Window }, nudge: 3, trip: 5, least: 2, most: recent}},
	step: func(r *Run, e *event) {
		if e.judged && e.flags&isPoll == 0 && e.rounds == 0 {
			r.observeWindow()
		}
	},
	clear:    forgetWindow,
	progress: forgetWindow,
	nudged:   func(r *Run) { r.s.Window.Since = r.s.Made },
}

type windowState struct {
	Since uint32 // number of the call after which the rule counts
}

// observeWindow counts the same call with the same outcome among the last ones, as far
// back as none was a poll and, if it goes well, none was new: a test after each change
// goes well, too. Those in a row are left to RuleRepeat.
func (r *Run) observeWindow() {
	ring, since := &r.s.Ring, true
	last := ring.back(0)
	key, well := ring.key(last), ring.Flags[last]&failed == 0
	all := r.alikeAmong(recent, r.s.Window.Since, func(i int) bool {
		same := ring.key(i) == key
		since = since && ring.Flags[i]&isPoll == 0 && (same || !well || ring.Flags[i]&(isNew|failed) != isNew)
		return same && since
	})
	n := all.trust(r.d.limits[RuleWindow])
	if s := r.s.Marks.find(RuleWindow, key, r.s.Made); n > r.s.Repeat.Same || s != nil && s.Told {
		r.keyed(RuleWindow, key, n)
	}
}

func forgetWindow(r *Run, _ time.Duration) {
	r.s.Window.Since = r.s.Made
	r.s.Marks.forget(RuleWindow)
}
