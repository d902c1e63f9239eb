package main

import (
	"time"

	"github.com/blackbox4/switchgear/ralph/detect"
)

// detector tells, for a run, during which unit it sounds first, or -1.
type detector struct {
	name string
	fire func(*trace) int
}

// ours replays a run through package detect and passes on every finding.
func ours(rules detect.Rules, t *trace, each func(unit int, f detect.Finding)) error {
	d, err := detect.New(rules)
	if err != nil {
		return err
	}
	graph, runs := d.NewGraph(), map[string]*detect.Run{}
	for _, e := range t.events {
		var found []detect.Finding
		if e.handoff != nil {
			found, err = graph.Handoff(*e.handoff)
		} else {
			r := runs[e.agent]
			if r == nil {
				r = d.NewRun()
				runs[e.agent] = r
			}
			if e.user {
				r.NewTask(time.Time{})
			} else {
				found, err = r.Observe(*e.step)
				graph.Acted(e.agent, r.Call())
			}
		}
		if err != nil {
			return err
		}
		for _, f := range found {
			each(e.unit, f)
		}
	}
	return nil
}

// levels are the units at which each rule and each level was first reached; the zero
// Rule stands for any.
func levels(rules detect.Rules, t *trace) (map[detect.Rule][3]int, error) {
	first := map[detect.Rule][3]int{}
	note := func(rule detect.Rule, level detect.Level, unit int) {
		at, ok := first[rule]
		if !ok {
			at = [3]int{-1, -1, -1}
		}
		for l := detect.LevelNudge; l <= level; l++ { // who trips has nudged, too
			if at[l] < 0 {
				at[l] = unit
			}
		}
		first[rule] = at
	}
	err := ours(rules, t, func(unit int, f detect.Finding) {
		note(f.Rule, f.Level, unit)
		note(0, f.Level, unit)
	})
	return first, err
}
