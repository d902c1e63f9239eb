package detect

import (
	"time"

	"github.com/blackbox4/switchgear/core/failsafe/condition"
)

//nolint:gochecknoglobals // a constant
var stall = definition{
	rule: RuleStall, name: "stall", reason: ReasonStuck, severity: condition.Medium,
	message:  "Several signs say that you are not getting on. Stop, sum up what you have tried, and choose another way.",
	evidence: latestThree,
	limits:   []limit{{field: "Stall", of: func(r *Rules) *Limits { return &r.Stall }, nudge: 2, trip: 4, least: 1, most: 1000}},
	step: func(r *Run, e *event) {
		if e.Refused {
			r.stallSign(byRefusal)
		}
	},
	progress: func(r *Run, _ time.Duration) { r.drainStall() },
	clear:    func(r *Run, _ time.Duration) { r.s.Stall.Level, r.s.Stall.By = 0, 0 },
}

// The weak signs that fill the bucket.
const (
	byRefusal = 1 << iota
	bySameCall
	byErrors
	byDecline
	byConfidence
)

// drainEvery is after how many steps without a weak sign the bucket loses one.
const drainEvery = 20

type stallState struct {
	At    uint32 // Totals.Steps when Level last changed
	Level bucket
	By    uint8 // bits of what has filled it
}

// bucket is filled by signs that an agent does not get on, and drained by others.
type bucket uint16

// add fills the bucket by one, or drains it by one.
func (b *bucket) add(fill bool) {
	if fill {
		bump((*uint16)(b), 1)
	} else {
		*b = max(*b, 1) - 1
	}
}

// stallSign fills the bucket by one.
func (r *Run) stallSign(by uint8) {
	s := &r.s.Stall
	s.Level.add(true)
	s.By |= by
	s.At = uint32(r.s.Totals.Steps)
	limits := r.d.limits[RuleStall]
	if s.By&(s.By-1) == 0 && s.By != byRefusal {
		limits.Trip = never // one weak sign alone
	}
	r.countIn(RuleStall, limits, uint32(s.Level))
}

func (r *Run) drainStall() {
	s := &r.s.Stall
	s.At = uint32(r.s.Totals.Steps)
	s.Level.add(false)
	if s.Level == 0 {
		s.By = 0
	}
	if limits := r.d.limits[RuleStall]; limits.Nudge < 0 || int(s.Level) < limits.Nudge {
		r.s.Marks.forget(RuleStall)
	}
}

// drainIdleStall drains the bucket if nothing has filled it for a while.
func (r *Run) drainIdleStall() {
	if s := &r.s.Stall; s.Level > 0 && uint32(r.s.Totals.Steps)-s.At >= drainEvery {
		r.drainStall()
	}
}
