package detect

import (
	"time"

	"github.com/blackbox4/switchgear/core/failsafe/condition"
)

//nolint:gochecknoglobals // a constant
var empty = definition{
	rule: RuleEmpty, name: "empty", reason: ReasonStuck, severity: condition.Medium,
	message: "Your last {n} replies said nothing new. Call a tool, give the final answer, or say what is missing.",
	limits:  []limit{{field: "Empty", of: func(r *Rules) *Limits { return &r.Empty }, nudge: 2, trip: 3, least: 1, most: 1000}},
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
	Last    [4]similar // the last replies that said something
	Next    uint8
	Replies uint16
	Said    uint16 // those of Replies that were not reasoning
}

// observeReply judges a reply: it is empty, or nearly like the one before.
func (r *Run) observeReply(e *event) {
	s, reply := &r.s.Empty, similarOf(textOf(e.Output, e.OutputBytes))
	stale := uint16(1)
	switch {
	case reply.Words == 0:
	case reply.nearAny(&s.Last):
		if s.Replies == 0 && reply.near(&s.Last[(s.Next+3)%4]) {
			stale = 2 // the one before was the first of them
		}
	default:
		s.Replies, s.Said, stale = 0, 0, 0
	}
	if reply.Words > 0 {
		s.Last[s.Next%4] = reply
		s.Next = (s.Next + 1) % 4
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

func (a *similar) nearAny(of *[4]similar) bool {
	for i := range of {
		if a.near(&of[i]) {
			return true
		}
	}
	return false
}
