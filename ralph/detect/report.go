package detect

import (
	"slices"
	"time"

	"github.com/blackbox4/switchgear/core/failsafe"
)

const maxEvidence = 8

// report adds a finding. It is the only thing that allocates.
func (r *Run) report(rule Rule, level Level, sev failsafe.Severity, count, limit float64) {
	if level == LevelTrip {
		r.s.Totals.Trips++
	} else {
		r.s.Totals.Nudges++
	}
	evidence := r.evidence(rule)
	tool := ""
	if n := len(evidence); n > 0 {
		tool = evidence[n-1].Tool
	}
	if r.found == nil {
		r.found = new([]Finding)
	}
	*r.found = append(*r.found, Finding{
		Rule:      rule,
		Level:     level,
		Reason:    ruleTable[rule].reason,
		Severity:  sev,
		Count:     count,
		Threshold: limit,
		Message:   message(rule, count, tool),
		Evidence:  evidence,
		At:        r.clock.time(r.clock.Last),
	})
}

// evidence are the latest calls that a finding of the rule is founded on, or else the
// last step. Rules about calls and errors have been told of the last one.
func (r *Run) evidence(rule Rule) []Event {
	ring := &r.s.Ring
	last := ring.back(0)
	match := func(back, i int) bool {
		bad := ring.Flags[i]&failed != 0
		switch ruleTable[rule].shows {
		case showNone:
			return false
		case showStreak:
			return back < int(r.s.Same)
		case showVaried:
			return back < int(r.s.Varied)
		case showPoll:
			return back < int(r.s.Same) || r.s.Period > 0
		case showSame:
			return ring.key(i) == ring.key(last)
		case showError:
			return bad && ring.Out[i] == ring.Out[last]
		case showKind:
			kind, _ := r.kindRule(ErrorKind(ring.Flags[i] & kindMask))
			return bad && kind == rule
		case showFailed:
			return bad
		case showLast:
			return back < 3
		case showAll:
		}
		return true
	}
	var events []Event
	for back := 0; back < int(ring.Len) && len(events) < maxEvidence; back++ {
		if i := ring.back(back); match(back, i) {
			events = append(events, Event{
				Index:   ring.index(i, r.s.Totals.Steps),
				At:      r.clock.time(time.Duration(ring.At[i]) * tick),
				Tool:    r.d.names.of(ring.Tool[i]),
				Call:    uint64(ring.Call[i]),
				Outcome: uint64(ring.Out[i]),
				Failed:  ring.Flags[i]&failed != 0,
			})
		}
	}
	if events == nil && r.s.Totals.Steps > 0 {
		events = []Event{{Index: r.s.Totals.Steps, At: r.clock.time(r.s.Event)}}
	}
	slices.Reverse(events)
	return events
}
