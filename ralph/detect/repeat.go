package detect

import (
	"time"

	"github.com/blackbox4/switchgear/core/failsafe/condition"
)

//nolint:gochecknoglobals // a constant
var repeat = definition{
	rule: RuleRepeat, name: "repeat", reason: ReasonStuck, severity: condition.High,
	message:  "You have called {tool} {n} times in a row with the same arguments and the same result. Another call will not change it: use the result you have, try something else, or say what is missing.",
	evidence: func(r *Run, back, _ int) bool { return back < int(r.s.Repeat.Same) },
	limits:   []limit{{field: "Repeat", of: func(r *Rules) *Limits { return &r.Repeat }, nudge: 3, trip: 5, least: 2, most: maxCount}},
	step: func(r *Run, e *event) {
		if e.judged {
			lim := r.d.limits[RuleRepeat]
			r.countIn(RuleRepeat, lim, r.inARow().trust(lim))
		}
	},
	clear:    forgetRepeats,
	progress: forgetRepeats,
	nudged: func(r *Run) {
		// The same calls lie in the window, too.
		if r.s.Ring.Len > 0 && r.s.Repeat.Same > 0 {
			r.s.Marks.slot(RuleWindow, r.s.Ring.key(r.s.Ring.back(0)), r.s.Made).Level = LevelNudge
			r.Nudged(RuleWindow)
		}
	},
}

// repeatState counts calls in a row with the same outcome. Rules about other repetitions
// leave to RuleRepeat and RulePoll what they have found.
type repeatState struct {
	Same     uint32
	NotPolls uint32 // those of Same that were not polls
	SameAt   uint32 // when the first was, in ticks
}

// add counts a call. Each poll makes up for one that was not: only the time can tell
// whether polls are too many.
func (s *repeatState) add(e *event) {
	switch {
	case !e.same:
		s.Same, s.NotPolls, s.SameAt = 1, 1, ticks(e.now)
	case e.flags&isPoll == 0:
		s.Same++
		s.NotPolls++
	default:
		s.Same++
		s.NotPolls = max(s.NotPolls, 2) - 1
	}
}

// inARow is how often the last call was made in a row with the same outcome.
func (r *Run) inARow() alike {
	if r.s.Repeat.NotPolls < 2 {
		return alike{all: r.s.Repeat.NotPolls, equal: r.s.Repeat.NotPolls}
	}
	a := r.alikeAmong(int(min(r.s.Repeat.Same, ringSize)), 0, func(int) bool { return true })
	a.all = r.s.Repeat.NotPolls
	if a.equal = min(a.equal, a.all); a.drift == still {
		a.equal = a.all
	}
	return a
}

func forgetRepeats(r *Run, _ time.Duration) {
	r.s.Repeat.Same, r.s.Repeat.NotPolls = 0, 0
	r.s.Marks.forget(RuleRepeat)
}
