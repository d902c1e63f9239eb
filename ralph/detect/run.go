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
		err = errors.Join(err, r.confidence(s.Confidence))
	case s.Compaction:
		bump(&r.s.Compactions, 1)
		r.count(RuleCompaction, r.d.rules.Compaction, uint32(r.s.Compactions))
	default:
		r.s.Compactions = 0
		r.s.Marks.Reached[RuleCompaction] = 0
		if e := r.confidence(s.Confidence); e != nil {
			err = errors.Join(err, e)
		}
		r.act(&s, now)
	}
	r.drain()
	r.amounts()
	r.times(now, false)
	return r.take(), err
}

// act takes in what the agent itself has done.
func (r *Run) act(s *Step, now time.Duration) {
	bad := s.Failed || s.Err != "" || s.Exit != 0 || s.Kind != ErrorKindOther
	if s.Question || s.Blocked {
		r.s.Questioned = true
	}
	if s.Tool == "" {
		r.s.LastCall = 0
		r.reply(s, bad)
	} else {
		r.call(s, bad && !s.Refused, now)
	}
	if s.Refused {
		r.s.Totals.Refused++
		r.weak(byRefusal)
	} else if bad || s.Tool != "" {
		r.outcome(bad, s.Kind, r.d.rules.Tools[s.Tool] == ClassUnjudged, now)
	}
	if s.Blocked {
		r.blocked(true)
	}
	if r.s.Fingerprints.Armed && !r.s.Iterates {
		r.s.SinceSteps++
		r.raise(RuleNoProgress, r.d.rules.NoProgressSteps, r.s.SinceSteps)
	}
}

// Iteration takes in the end of an iteration.
func (r *Run) Iteration(it Iteration) ([]Finding, error) {
	if !r.made() {
		return nil, errNoRun
	}
	now := r.event(it.At)
	err := r.meter(it.Tokens, it.Cost)
	r.iteration(&it)
	r.amounts()
	r.times(now, false)
	return r.take(), err
}

// Iterating says that an iteration has begun, for who knows it. Without it, a task has
// iterations once the first has ended. Within an iteration nobody may be able to tell
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
	r.s.Empty, r.s.EmptySaid = 0, 0
	r.s.Marks.forget(RuleEmpty)
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
	r.s.UsedIts, r.s.UsedTokens, r.s.UsedCost, r.s.UsedCalls = 0, 0, 0, 0
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
	s := &r.s
	r.unrepeat()
	s.Ring.Len, s.Ring.Next = 0, 0
	s.Errors, s.Transient, s.Failures, s.FailedPass, s.FailedAlike = 0, 0, 0, 0, 0
	s.Blocked, s.Questioned, s.Called, s.CallsHere = 0, false, false, 0
	s.OutputHere, s.Outputs, s.Low = 0, 0, 0 // the first output replaces the average
	s.SinceIts, s.SinceSteps, s.ProgressAt = 0, 0, now
	s.Compactions, s.Empty, s.EmptySaid, s.Reply.Words = 0, 0, 0, 0
	s.Confidence, s.Confidences = 0, 0
	s.Bucket, s.BucketBy = 0, 0
	s.Rate = [rateParts]ratePart{}
	s.Marks = marks{}
	s.LastCall = 0
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
	if rule == RuleRepeat { // the same calls lie in the window, too
		if key, n := r.last(); n > 0 {
			rule = RuleWindow
			r.s.Marks.slot(rule, key, r.s.Calls).Level = LevelNudge
		}
	}
	if rule == RuleCycle {
		r.s.Cycles = [maxPeriod - 1]uint16{}
	}
	if i := ringRule(rule); i >= 0 {
		r.s.Since[i] = r.s.Calls
	}
	r.s.Marks.told(rule, r.s.Calls)
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
		Iterations: int(r.s.UsedIts),
		Tokens:     r.s.UsedTokens,
		Cost:       float64(r.s.UsedCost) / nano,
		ToolCalls:  int(r.s.UsedCalls),
	}
}

// event begins one.
func (r *Run) event(at time.Time) time.Duration {
	now := r.clock.now(at)
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
