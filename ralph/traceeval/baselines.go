package main

import (
	"strings"

	"github.com/blackbox4/switchgear/ralph/detect"
)

// only is Rules with everything off but what set switches on.
func only(set func(*detect.Rules)) detect.Rules {
	off := detect.Limits{Nudge: -1, Trip: -1}
	r := detect.Rules{
		Repeat: off, Poll: off, SameCall: off, Window: off, Cycle: off,
		SameError: off, Permission: off, UnknownTool: off, Auth: off, Quota: off, Transient: off, Errors: off, ErrorsAlike: off, Fruitless: off, NoSteps: off, ErrorRate: off, Failures: off,
		HandoffRepeat: off, HandoffStall: off, HandoffEcho: off, HandoffCycle: off, Handoffs: off,
		NoProgress: off, NoProgressSteps: off, NoProgressFor: detect.DurationLimits{Nudge: -1, Trip: -1},
		Blocked: off, Empty: off, Decline: off, Confidence: detect.ConfidenceLimits{Nudge: -1, Trip: -1, High: -1},
		Stall: off, Compaction: off, Calls: off, Budgets: detect.Budgets{Iterations: -1, Wall: -1, Idle: -1},
	}
	set(&r)
	return r
}

// configured is a rule of another system as a configuration of ours.
func configured(name string, set func(*detect.Rules)) detector {
	return detector{name, func(t *trace) int {
		first, err := levels(only(set), t)
		if at, ok := first[0]; ok && err == nil {
			return at[detect.LevelNudge]
		}
		return -1
	}}
}

// baselines are rules like those that other systems ship, as they read.
func baselines() []detector {
	trip := func(n int) detect.Limits { return detect.Limits{Nudge: -1, Trip: n} }
	return []detector{
		{"OpenHands: 4 repeats, 3 errors, 6 alternating", openHands},
		{"gemini-cli: 5 equal calls", equalCalls(5)},
		{"opencode: 3 equal calls", equalCalls(3)},
		{"Roo-Code: 4th equal call", equalCalls(4)},
		{"crewAI: 2nd equal call", equalCalls(2)},
		configured("OpenClaw: 10 calls with equal outcome (warning)", func(r *detect.Rules) { r.Repeat = trip(10) }),
		configured("ralph-claude-code: 5 errors in a row", func(r *detect.Rules) { r.Errors = trip(5) }),
		configured("3 errors in a row", func(r *detect.Rules) { r.Errors = trip(3) }),
		{"ADK: 4th failure of a tool in a row", toolFailures(4)},
		{"count: 10 calls or rounds", count(10)},
	}
}

// rounds are rules about hand-offs, for runs that have some.
func rounds() []detector {
	return []detector{
		{"count: 6 rounds", count(6)},
		{"count: 20 rounds", count(20)},
		{"the same agent 10 times in a row", sameTarget(10)},
		configured("the very same work, twice in 9", func(r *detect.Rules) { r.HandoffRepeat = detect.Limits{Nudge: -1, Trip: 2} }),
		configured("bucket of near work and echoes, 2", func(r *detect.Rules) { r.HandoffStall = detect.Limits{Nudge: -1, Trip: 2} }),
		configured("bucket of near work and echoes, 4", func(r *detect.Rules) { r.HandoffStall = detect.Limits{Nudge: -1, Trip: 4} }),
		configured("bucket of echoes, 2", func(r *detect.Rules) { r.HandoffEcho = detect.Limits{Nudge: -1, Trip: 2} }),
		{"the orchestrator itself: leaky 3, on the labels", leaky(3)},
	}
}

// count sounds at the nth call or round.
func count(n int) func(*trace) int {
	return func(t *trace) int {
		if t.units >= n {
			return n - 1
		}
		return -1
	}
}

// same reports whether two steps are the same call as text.
func same(a, b *detect.Step) bool { return a.Tool == b.Tool && a.Args == b.Args }

// calls are the steps that call a tool, by agent; replies are left out.
func (t *trace) calls(each func(agent string, unit int, s *detect.Step) bool) {
	for _, e := range t.events {
		if e.step != nil && e.step.Tool != "" && !each(e.agent, e.unit, e.step) {
			return
		}
	}
}

func equalCalls(n int) func(*trace) int {
	return func(t *trace) int {
		at, last, streak := -1, map[string]*detect.Step{}, map[string]int{}
		t.calls(func(agent string, unit int, s *detect.Step) bool {
			if last[agent] != nil && same(last[agent], s) {
				streak[agent]++
			} else {
				streak[agent] = 1
			}
			last[agent] = s
			if streak[agent] >= n {
				at = unit
			}
			return at < 0
		})
		return at
	}
}

// openHands looks at the last events of one agent: the same call and outcome 4
// times, the same call that fails 3 times, two calls that alternate over 6.
func openHands(t *trace) int {
	at, past := -1, map[string][]*detect.Step{}
	t.calls(func(agent string, unit int, s *detect.Step) bool {
		past[agent] = append(past[agent], s)
		p := past[agent]
		alike := func(n int, equal func(a, b *detect.Step) bool, apart int) bool {
			if len(p) < n {
				return false
			}
			for i := len(p) - n; i+apart < len(p); i++ {
				if !equal(p[i], p[i+apart]) {
					return false
				}
			}
			return true
		}
		whole := func(a, b *detect.Step) bool { return same(a, b) && a.Output == b.Output }
		failing := func(a, b *detect.Step) bool { return same(a, b) && a.Failed && b.Failed }
		if alike(4, whole, 1) || alike(3, failing, 1) || alike(6, whole, 2) && !same(p[len(p)-1], p[len(p)-2]) {
			at = unit
		}
		return at < 0
	})
	return at
}

func toolFailures(n int) func(*trace) int {
	return func(t *trace) int {
		at, streak := -1, map[string]int{}
		t.calls(func(agent string, unit int, s *detect.Step) bool {
			key := agent + "\x00" + s.Tool
			if streak[key]++; !s.Failed {
				streak[key] = 0
			}
			if streak[key] >= n {
				at = unit
			}
			return at < 0
		})
		return at
	}
}

func sameTarget(n int) func(*trace) int {
	return func(t *trace) int {
		last, streak := "", 0
		for _, e := range t.events {
			if e.handoff == nil {
				continue
			}
			if streak++; !strings.EqualFold(last, e.handoff.To) {
				last, streak = e.handoff.To, 1
			}
			if streak >= n {
				return e.unit
			}
		}
		return -1
	}
}

// leaky is the rule that the orchestrator has itself: it reads what are the labels here.
func leaky(n int) func(*trace) int {
	return func(t *trace) int {
		bucket := 0
		for unit, loop := range t.labels {
			if loop {
				bucket++
			} else {
				bucket = max(bucket-1, 0)
			}
			if bucket >= n {
				return unit
			}
		}
		return -1
	}
}
