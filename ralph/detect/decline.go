package detect

import (
	"math"
	"time"

	"github.com/blackbox4/switchgear/core/failsafe/condition"
)

//nolint:gochecknoglobals // a constant
var decline = definition{
	rule: RuleDecline, name: "decline", reason: ReasonStuck, severity: condition.Low,
	message: "You produce less and less. If the work is done, say so; if not, say what holds you up.",
	limits:  []limit{{field: "Decline", of: func(r *Rules) *Limits { return &r.Decline }, nudge: 3, trip: never, least: 1, most: 1000}},
	step: func(r *Run, e *event) {
		if e.Tool != "" {
			r.s.Decline.add(len(textOf(e.Args, e.ArgsBytes)))
		} else {
			r.s.Decline.add(len(textOf(e.Output, e.OutputBytes)))
		}
	},
	iteration: func(r *Run, it *Iteration) { r.observeOutput(it) },
	clear: func(r *Run, _ time.Duration) {
		s := &r.s.Decline
		s.Here, s.Outputs, s.Low = 0, 0, 0 // the first output replaces the average
	},
}

const (
	newest     = 0.3 // the weight of a new value in a moving average
	fewOutputs = 3   // there is no decline before
	declined   = 0.3 // of the average
)

type declineState struct {
	Average float64 // moving, of the bytes that an iteration wrote
	Here    uint32  // bytes written in this iteration, at most 4 GiB
	Low     uint16  // iterations in a row with little output
	Outputs uint8   // iterations in the average, up to fewOutputs
}

// add counts bytes that were written.
func (s *declineState) add(n int) { s.Here = uint32(min(uint64(s.Here)+uint64(n), math.MaxUint32)) }

// observeOutput compares the output of an iteration with the average.
func (r *Run) observeOutput(it *Iteration) {
	s := &r.s.Decline
	out := float64(max(int64(s.Here), int64(it.Output)))
	s.Here = 0
	if s.Outputs >= fewOutputs && out < declined*s.Average {
		bump(&s.Low, 1)
	} else {
		s.Low = 0
	}
	if s.Outputs == 0 {
		s.Average = out
	}
	s.Average += newest * (out - s.Average)
	s.Outputs = min(s.Outputs+1, fewOutputs)
	if r.count(RuleDecline, uint32(s.Low)) == LevelNudge {
		r.stallSign(byDecline)
	}
}
