package detect

import (
	"cmp"
	"strconv"
	"strings"
	"time"

	"github.com/blackbox4/switchgear/core/failsafe/condition"
)

// definition is all there is to know about a rule: what it is called, what it tells the
// model, its limits, and what it does with an event. Funcs may be nil; those that take a
// Run or a Graph are called for the events of these alone.
type definition struct {
	rule     Rule
	name     string
	reason   Reason
	severity condition.Severity                                           // of a trip
	worse    func(rules *Rules, count float64) (condition.Severity, bool) // of a trip, where the count matters

	// message tells the model what happened and what to do instead; {n} and {x} in it
	// stand for what was counted, as a whole number and with two decimals, {tool} for
	// the tool.
	message string
	// evidence reports whether the call at place i of the ring, which was back calls ago,
	// is shown as evidence. Nil shows the last step.
	evidence func(r *Run, back, i int) bool

	limits []limit               // the first are those of the rule
	fill   func(*Rules)          // fills in defaults of other fields
	faults func(r Rules) []error // of other fields

	step      func(r *Run, e *event)                     // something that the agent has done, but to report how sure it is
	iteration func(r *Run, it *Iteration)                // the end of one
	used      func(r *Run) (used, limit, unit float64)   // of a budget
	time      func(r *Run, now time.Duration, idle bool) // what comes of time alone
	clear     func(r *Run, now time.Duration)            // for a new task, or after a pause
	progress  func(r *Run, now time.Duration)
	nudged    func(r *Run) // the agent was told of it: forget what is in the window

	handoff     func(g *Graph, h *handoffEvent)
	clearGraph  func(g *Graph) // for a new task, after a pause, and at progress
	nudgedGraph func(g *Graph)
}

// ruleSet is definitions by what they are asked for, so that an event goes only to those
// that look at it. A Run reaches it by way of its Detector, because the funcs of a rule
// look others up.
type ruleSet struct {
	byRule     [numRules]*definition
	steps      []func(*Run, *event)
	iterations []func(*Run, *Iteration)
	budgets    []*definition
	times      []func(r *Run, now time.Duration, idle bool)
	clears     []func(*Run, time.Duration)
	progresses []func(*Run, time.Duration)
	graphs     []*definition
}

func newRuleSet(table []*definition) *ruleSet {
	s := new(ruleSet)
	for _, d := range table {
		s.byRule[d.rule] = d
		s.steps = appendFunc(s.steps, d.step, d.step != nil)
		s.iterations = appendFunc(s.iterations, d.iteration, d.iteration != nil)
		s.budgets = appendFunc(s.budgets, d, d.used != nil)
		s.times = appendFunc(s.times, d.time, d.time != nil)
		s.clears = appendFunc(s.clears, d.clear, d.clear != nil)
		s.progresses = appendFunc(s.progresses, d.progress, d.progress != nil)
		s.graphs = appendFunc(s.graphs, d, d.handoff != nil)
	}
	return s
}

func appendFunc[T any](all []T, one T, given bool) []T {
	if given {
		return append(all, one)
	}
	return all
}

// limit is one of the fields of Rules of type Limits, with its defaults and what is
// allowed.
type limit struct {
	field       string
	of          func(*Rules) *Limits
	nudge, trip int
	least, most int
	strict      Limits // what is other than nudge and trip in these profiles
	unattended  Limits
}

// or returns what is given of the limit, with the defaults of the profile.
func (l *limit) or(r *Rules) Limits {
	other := by(r.Profile, [numProfiles]Limits{ProfileStrict: l.strict, ProfileUnattended: l.unattended})
	return l.of(r).or(cmp.Or(other.Nudge, l.nudge), cmp.Or(other.Trip, l.trip))
}

// text is the message with what was counted.
func (d *definition) text(count float64, tool string) string {
	return strings.NewReplacer(
		"{n}", strconv.FormatFloat(count, 'f', 0, 64),
		"{x}", strconv.FormatFloat(count, 'f', 2, 64),
		"{tool}", cmp.Or(tool, "a tool"),
	).Replace(d.message)
}

// severityAt is the severity of a level. Nudges are low.
func (d *definition) severityAt(rules *Rules, level Level, count float64) condition.Severity {
	if level == LevelNudge {
		return condition.Low
	}
	if d.worse != nil {
		if severity, ok := d.worse(rules, count); ok {
			return severity
		}
	}
	return d.severity
}

// finding is what the rule has found, without evidence.
func (d *definition) finding(level Level, severity condition.Severity, count, limit float64, tool string, at time.Time) Finding {
	return Finding{
		Rule: d.rule, Level: level, Reason: d.reason, Severity: severity, Count: count, Threshold: limit,
		Message: d.text(count, tool), At: at,
	}
}

// Which calls are shown as evidence, where several rules show the same.

func latestThree(_ *Run, back, _ int) bool { return back < 3 }

func failedCalls(r *Run, _, i int) bool { return r.s.Ring.Flags[i]&failed != 0 }
