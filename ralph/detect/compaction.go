package detect

import (
	"time"

	"github.com/blackbox4/switchgear/core/failsafe/condition"
)

//nolint:gochecknoglobals // a constant
var compaction = definition{
	rule: RuleCompaction, name: "compaction", reason: ReasonStuck, severity: condition.Medium,
	message: "The context was shortened {n} times with next to nothing done in between. Keep less in it: work on a smaller part.",
	limits:  []limit{{field: "Compaction", of: func(r *Rules) *Limits { return &r.Compaction }, nudge: 3, trip: 10, least: 1, most: 1000}},
	clear:   func(r *Run, _ time.Duration) { r.s.Compaction = compactionState{} },
}

type compactionState struct {
	InARow uint16 // steps that did nothing but shorten the context
	Since  uint16 // other steps since
}

// observeCompaction takes in a step that did nothing else.
func (r *Run) observeCompaction() {
	bump(&r.s.Compaction.InARow, 1)
	r.s.Compaction.Since = 0
	r.count(RuleCompaction, uint32(r.s.Compaction.InARow))
}

// endCompaction takes in any other step of the agent.
func (r *Run) endCompaction() {
	const few = 2
	if bump(&r.s.Compaction.Since, 1); r.s.Compaction.Since <= few {
		return
	}
	r.s.Compaction.InARow = 0
	r.s.Marks.Reached[RuleCompaction] = 0
}
