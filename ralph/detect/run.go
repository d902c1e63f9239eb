package detect

import (
	"errors"
	"time"
)

// Run follows one agent. It is not safe for concurrent use.
//
// Its methods return what the event has brought about: nil, nearly always, or the
// findings, worst first. The error of some of them says that a number of the event
// was not a possible one; it matches [*core.ConfigError]. The event counts all the
// same, without that number: a meter that is broken must not hide a loop.
//
// Times may stand still or go back: by up to a minute, the event is taken to be
// of the time of the one before; by more, the clock was set, and time goes on from
// there.
//
// A Run is saved with AppendBinary and got back with UnmarshalBinary.
//
// It is made by [Detector.NewRun]. Of one that is nil or zero, methods that return an
// error return one that says so, and the others do nothing.
type Run struct {
	d     *Detector
	found *[]Finding // nil, nearly always
	clock clock
	s     runState
}

var errNoRun = errors.New("detect: the Run is nil, or was not made by NewRun of a Detector that New has made")

// made reports whether r can follow anything.
func (r *Run) made() bool { return r != nil && r.d.made() }

// Observe takes in a step. It looks at no more than 4 KiB of each text, 8 KiB of the
// arguments if they are JSON, and keeps none of it.
func (r *Run) Observe(s Step) ([]Finding, error) {
	if !r.made() {
		return nil, errNoRun
	}
	now := r.event(s.At)
	s.Tool = s.Tool[:min(len(s.Tool), maxText)] // no name of a tool is that long
	err := r.meter(s.Tokens, s.Cost)
	r.s.Totals.Steps++
	switch {
	case s.Own:
	case s.Report():
		err = errors.Join(err, r.observeConfidence(s.Confidence))
	case s.Compaction:
		r.observeCompaction()
	default:
		r.endCompaction()
		if e := r.observeConfidence(s.Confidence); e != nil {
			err = errors.Join(err, e)
		}
		r.act(&s, now)
	}
	r.drainIdleStall()
	r.budgets(now)
	return r.take(), err
}

// Iteration takes in the end of an iteration.
func (r *Run) Iteration(it Iteration) ([]Finding, error) {
	if !r.made() {
		return nil, errNoRun
	}
	now := r.event(it.At)
	err := r.meter(it.Tokens, it.Cost)
	r.s.Totals.Iterations++
	r.s.Used.Iterations++
	r.s.Iterates = true
	r.s.ErrorKinds.add(&it)
	in := r.d.iterations.take()
	*in = it
	for _, look := range r.d.table.iterations {
		look(r, in)
	}
	r.d.iterations.giveBack(in)
	r.budgets(now)
	return r.take(), err
}

// Iterating says that an iteration has begun, for who knows it. Without it, a task has
// iterations once the first has ended. Within an iteration the caller may be unable to tell
// what progress there is, see [Rules].
func (r *Run) Iterating() {
	if r.made() {
		r.s.Iterates = true
	}
}

// HandedOff takes in that the agent has passed work, or the answer to it, to another:
// what it says then is not the same over and over. What it passed on is judged by a
// [Graph].
func (r *Run) HandedOff(at time.Time) {
	if !r.made() {
		return
	}
	r.event(at)
	forgetReplies(r, 0)
}

// Check returns the findings that come of time alone: idle, wall, no progress.
func (r *Run) Check(at time.Time) []Finding {
	if !r.made() {
		return nil
	}
	r.times(r.clock.now(at), true)
	return r.take()
}

// NewTask begins a new window and a new budget: a human has said something new. It
// is not for what the agent or the caller tells itself, which would hide a loop.
// Fingerprints of progress and totals are kept.
func (r *Run) NewTask(at time.Time) {
	if !r.made() {
		return
	}
	now := r.event(at)
	r.s.TaskAt = now
	r.s.Iterates = false
	r.s.Used = usedState{}
	r.clear(now)
}

// Resume clears what all rules have counted in a row or in a window, for an agent
// that goes on after a pause. Totals, budgets and fingerprints of progress are kept; the
// time of the pause counts for no rule.
func (r *Run) Resume(at time.Time) {
	if !r.made() {
		return
	}
	now := r.clock.now(at)
	r.s.TaskAt += now - r.s.Event
	r.s.Event = now
	r.clear(now)
}

// clear forgets what was counted in a row or in a window.
func (r *Run) clear(now time.Duration) {
	for _, forget := range r.d.table.clears {
		forget(r, now)
	}
	r.s.Ring.Len, r.s.Ring.Next, r.s.LastCall = 0, 0, 0
	r.s.Marks = marks{}
}

// Nudged says that the agent has been told of a finding of the rule: what the rule
// has counted in its window is cleared, so that the agent has a chance to comply, and
// for the next 20 calls it trips after as many more of the same as lie between its
// two limits. It is not to be called for a finding that was not passed on. Of a rule
// without a window it clears nothing: what it counts in a row ends when the agent
// complies, and amounts stay what they are.
func (r *Run) Nudged(rule Rule) {
	if !r.made() {
		return
	}
	if d := r.d.definition(rule); d != nil && d.nudged != nil {
		d.nudged(r)
	}
	r.s.Marks.told(rule, r.s.Made)
}

// Call is a hash of the last call observed, for [Graph.Acted]; zero if the last step
// was none, or one whose repetition means nothing.
func (r *Run) Call() uint64 {
	if !r.made() {
		return 0
	}
	return r.s.LastCall
}

// Totals are what the run has been told since it began; they are never cleared.
func (r *Run) Totals() Totals {
	if !r.made() {
		return Totals{}
	}
	return r.s.Totals
}

// Used is what the task has used of its budgets.
func (r *Run) Used() Use {
	if !r.made() {
		return Use{}
	}
	return Use{
		Iterations: int(r.s.Used.Iterations),
		Tokens:     r.s.Used.Tokens,
		Cost:       float64(r.s.Used.Cost) / nano,
		ToolCalls:  int(r.s.Used.Calls),
	}
}

// budgets compares what the task has used, and how long it has taken, with its budgets.
func (r *Run) budgets(now time.Duration) {
	for _, d := range r.d.table.budgets {
		used, limit, unit := d.used(r)
		r.amount(d.rule, used, limit, unit)
	}
	r.times(now, false)
}

// times looks at what comes of time alone; that an agent is idle only shows between its
// events.
func (r *Run) times(now time.Duration, idle bool) {
	for _, look := range r.d.table.times {
		look(r, now, idle)
	}
}

// event begins one.
func (r *Run) event(at time.Time) time.Duration {
	now := r.clock.now(at)
	r.s.TaskAt += max(now-r.s.Event-longestPause, 0)
	r.s.Event = now
	r.s.Marks.Reached[RuleIdle] = 0
	return now
}

// take returns what was found, worst first.
func (r *Run) take() []Finding {
	if r.found == nil {
		return nil
	}
	found := *r.found
	r.found = nil
	worstFirst(found)
	return found
}

// Due is when Check may find something next if nothing else happens; zero if never.
func (r *Run) Due() time.Time {
	if !r.made() {
		return time.Time{}
	}
	rules := &r.d.rules
	spans := func(limit time.Duration) DurationLimits {
		return DurationLimits{Nudge: time.Duration(max(rules.Warn, 0) * float64(limit)), Trip: limit}
	}
	due := time.Duration(0)
	consider := func(rule Rule, since time.Duration, s DurationLimits) {
		// What was reached already is not found again.
		if d := s.left(r.s.Marks.level(rule)); d > 0 && (due == 0 || since+d < due) {
			due = since + d
		}
	}
	if d := spans(rules.Budgets.Wall); r.s.TaskAt+d.left(r.s.Marks.level(RuleWall)) <= r.s.Event+longestPause {
		consider(RuleWall, r.s.TaskAt, d)
	}
	consider(RuleIdle, r.s.Event, spans(rules.Budgets.Idle))
	if r.progressTimed() {
		consider(RuleNoProgress, r.s.NoProgress.Since, rules.NoProgressFor)
	}
	if due == 0 {
		return time.Time{}
	}
	return r.clock.time(due)
}
