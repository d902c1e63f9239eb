package detect

import (
	"time"

	"github.com/blackbox4/switchgear/core/failsafe/condition"
)

//nolint:gochecknoglobals // a constant
var empty = definition{
	rule: RuleEmpty, name: "empty", reason: ReasonStuck, severity: condition.Medium,
	message: "Your last {n} replies said nothing new. Call a tool, give the final answer, or say what is missing.",
	limits:  []limit{{"Empty", func(r *Rules) *Limits { return &r.Empty }, 2, 3, 1, 1000}},
	step: func(r *Run, e *event) {
		switch {
		case e.Tool != "":
			r.s.Empty = emptyState{}
			r.s.Marks.Reached[RuleEmpty] = 0
		case !e.failed: // of one that failed the agent may have said nothing because of that
			r.observeReply(e)
		}
	},
	clear:    func(r *Run, _ time.Duration) { r.s.Empty = emptyState{} },
	progress: forgetReplies,
}

// emptyState counts replies in a row that say nothing new.
type emptyState struct {
	Last    similar // the last reply that said something
	Replies uint16
	Said    uint16 // those of Replies that were not reasoning
}

// observeReply judges a reply: it is empty, or nearly like the one before.
func (r *Run) observeReply(e *event) {
	s, reply := &r.s.Empty, similarOf(textOf(e.Output, e.OutputBytes))
	stale := uint16(1)
	switch {
	case reply.Words == 0:
	case reply.near(&s.Last):
		if s.Replies == 0 {
			stale = 2 // the one before was the first of them
		}
	default:
		s.Replies, s.Said, stale = 0, 0, 0
	}
	if reply.Words > 0 {
		s.Last = reply
	}
	bump(&s.Replies, stale)
	if !e.Reasoning {
		bump(&s.Said, stale)
	}
	limits := r.d.limits[RuleEmpty]
	if int(s.Said) < limits.Trip {
		limits.Trip = never
	}
	r.countIn(RuleEmpty, limits, uint32(s.Replies))
}

func forgetReplies(r *Run, _ time.Duration) {
	r.s.Empty.Replies, r.s.Empty.Said = 0, 0
	r.s.Marks.forget(RuleEmpty)
}
