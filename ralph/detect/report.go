package detect

import (
	"slices"
	"time"
)

const maxEvidence = 8

// count compares what a rule has counted with its limits. It returns the level if that
// is reported now.
func (r *Run) count(rule Rule, n uint32) Level { return r.countIn(rule, r.d.limits[rule], n) }

// countIn is count with other limits.
func (r *Run) countIn(rule Rule, lim Limits, n uint32) Level {
	level, limit := lim.after(r.s.Marks.level(rule), int(min(n, maxCount)))
	return r.reach(rule, level, float64(n), float64(limit))
}

// raise is countIn for a rule that ends otherwise than by its count.
func (r *Run) raise(rule Rule, lim Limits, n uint32) {
	if level, limit := lim.level(int(min(n, maxCount))); level > r.s.Marks.level(rule) {
		r.reach(rule, level, float64(n), float64(limit))
	}
}

// keyed is count for a rule that counts many things at once, of which key is one.
func (r *Run) keyed(rule Rule, key uint64, n uint32) {
	if level, limit := r.s.Marks.keyed(rule, key, r.s.Made, r.d.limits[rule], int(n)); level != 0 {
		r.report(rule, level, float64(n), float64(limit))
	}
}

// reach reports that a rule is at a level, once for each level and severity until it is
// at none.
func (r *Run) reach(rule Rule, level Level, count, limit float64) Level {
	if !r.s.Marks.rise(rule, level, r.d.severity(rule, level, count)) {
		return 0
	}
	r.report(rule, level, count, limit)
	return level
}

// report adds a finding. It is the only thing that allocates.
func (r *Run) report(rule Rule, level Level, count, limit float64) {
	if level == LevelTrip {
		r.s.Totals.Trips++
	} else {
		r.s.Totals.Nudges++
	}
	def := r.d.definition(rule)
	evidence := r.evidence(def)
	tool := ""
	if n := len(evidence); n > 0 {
		tool = evidence[n-1].Tool
	}
	f := def.finding(level, r.d.severity(rule, level, count), count, limit, tool, r.clock.time(r.clock.Last))
	f.Evidence = evidence
	if r.found == nil {
		r.found = new([]Finding)
	}
	*r.found = append(*r.found, f)
}

// evidence are the latest calls that a finding of the rule is founded on, or else the
// last step.
func (r *Run) evidence(def *definition) []Event {
	ring := &r.s.Ring
	var events []Event
	for back := 0; def.evidence != nil && back < int(ring.Len) && len(events) < maxEvidence; back++ {
		if i := ring.back(back); def.evidence(r, back, i) {
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
