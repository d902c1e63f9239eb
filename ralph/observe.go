package ralph

import (
	"cmp"
	"hash/maphash"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/blackbox4/switchgear/ralph/detect"
)

// Observe takes in what the agent has done: a call of a tool with its outcome, or a
// reply. It returns what that has brought about, the zero Finding as a rule, and
// else the worst: at level [detect.LevelNudge] there is something to tell the agent, see
// [Agent.Nudge]; at [detect.LevelTrip] it is paused or escalated by now. A step without
// At happened now.
//
// A number that is not a possible one, a confidence of NaN or a negative cost, is a
// [*core.ConfigError]; the step counts all the same, without that number. What a
// paused agent does is observed, too.
//
// It looks at no more than 4 KiB of each text, keeps none, and allocates nothing
// unless there is something to tell.
func (a *Agent) Observe(step detect.Step) (detect.Finding, error) {
	if !a.made() {
		return detect.Finding{}, errNoAgent
	}
	var fault error // of the step's numbers
	worked := false // the agent has done something new
	findings, err := a.do(operation{do: func(at time.Time, _ time.Duration) effect {
		if step.At.IsZero() {
			step.At = at
		}
		var found []detect.Finding
		found, fault = a.runAt(at).Observe(step)
		call := a.run.Call()
		if step.Report() {
			a.noteConfidence(step.Confidence)
		} else {
			worked = a.countStep(&step, call, len(found) > 0) == stepProgress && (call != 0 || a.run.Totals().Calls == 0)
		}
		if s := a.root().session.Load(); s != nil && call != 0 {
			s.acted(a.id, call)
		}
		return effect{findings: found, active: true, use: useOf(&step, fault), usedAt: step.At}
	}, then: func(now time.Duration) {
		if a.probation != nil && !step.Report() {
			a.recordProbationStep(&step, worked, now)
		}
	}})
	if len(findings) == 0 {
		return detect.Finding{}, cmp.Or(err, fault)
	}
	return findings[0], fault
}

// Progress takes in what the agent's work looks like now: any text that stays the
// same as long as nothing has changed, such as [detect.GitFingerprint] or the number of
// tests that pass. It reports whether that is progress: a fingerprint that has not been
// there before. An agent that is recovering is running again with it. The rules
// about progress begin to count with the first call; see [detect.Run.Progress].
func (a *Agent) Progress(fingerprint string) bool {
	if !a.made() {
		return false
	}
	progress := false
	_, _ = a.do(operation{do: func(at time.Time, now time.Duration) effect {
		progress = a.runAt(at).Progress(fingerprint, at)
		a.fingerprints = true
		if progress && a.state == Recovering {
			a.passProbation(now)
		}
		if s := a.root().session.Load(); s != nil {
			s.progress(fingerprint)
		}
		return effect{active: true}
	}})
	return progress
}

// ProgressUnknown says that the caller cannot tell whether there was progress: looking
// has failed, as [detect.GitFingerprint] may. The rules about progress count anew from
// here. See [detect.Run.ProgressUnknown].
func (a *Agent) ProgressUnknown() {
	if !a.made() {
		return
	}
	_, _ = a.do(operation{do: func(at time.Time, _ time.Duration) effect {
		a.runAt(at).ProgressUnknown(at)
		return effect{active: true}
	}})
}

// Nudge returns what there is to tell the agent, to be put into its conversation,
// and takes it for told: what the rules have counted is cleared, and after a few
// more repeats they trip. It reports false if there is nothing to tell, as always
// in shadow.
func (a *Agent) Nudge() (text string, ok bool) {
	if !a.made() || a.sup.cfg.Shadow {
		return "", false
	}
	var texts []string
	_, _ = a.do(operation{do: func(time.Time, time.Duration) effect {
		told := a.waitingNudges()
		a.clearNudges()
		for _, n := range told {
			a.run.Nudged(n.rule) // it ignores the rules of hand-offs, and the session all others
			if !slices.Contains(texts, n.text) {
				texts = append(texts, n.text)
			}
		}
		if s := a.root().session.Load(); s != nil {
			s.nudged(told)
		}
		return effect{}
	}})
	return strings.Join(texts, "\n"), len(texts) > 0
}

// NewTask begins a new task, named by its id or any text, of which the first 256 bytes
// are kept as the id: a person has said something new. What
// is counted in a row, in a window or of a budget begins anew, for an agent without
// a parent also the budget it shares with those below it and its part in hand-offs.
// Its state, totals and known fingerprints of progress are kept. The same task again does
// nothing.
//
// It is not for what the agent or its caller tells itself, which would hide a loop.
func (a *Agent) NewTask(task string) {
	if !a.made() {
		return
	}
	_, _ = a.do(operation{do: func(at time.Time, now time.Duration) effect {
		id := hashOf(task)
		if id == a.task {
			return effect{}
		}
		a.task, a.hops = id, 0
		a.setIDs("", clippedTo(task, maxText))
		a.runAt(at).NewTask(at)
		a.attempts = 0
		a.clearNudges()
		a.sup.planResume(a, now)
		if a.parent == nil {
			a.session.Store(nil)
			a.startSession.Store(true)
		}
		return effect{active: true, newTask: a.parent == nil}
	}})
}

// runAt returns the run, whose first task begins with the first event. It needs mu.
func (a *Agent) runAt(at time.Time) *detect.Run {
	if a.run == nil {
		a.run = a.sup.detectorFor(a.limits).NewRun()
		a.run.NewTask(at)
	}
	if a.iterates {
		a.run.Iterating()
	}
	return a.run
}

// clearNudges forgets what there is to tell the agent. It needs mu.
func (a *Agent) clearNudges() {
	if a.journal != nil {
		a.journal.nudges = nil
	}
}

// countStep counts a step by its result. It needs mu.
func (a *Agent) countStep(step *detect.Step, call uint64, found bool) result {
	r, key := stepProgress, uint32(call)
	if step.Tool == "" {
		key = a.sup.replyHash(step)
	}
	switch {
	case step.Refused || step.Own || step.Reasoning || step.Compaction:
		r = stepNoProgress
	case step.Failed || step.Err != "" || step.Exit != 0 || step.Kind != 0:
		r = stepError
	case found || key == 0 && step.Tool == "" || key != 0 && slices.Contains(a.calls[:], key):
		r = stepNoProgress
	}
	if key != 0 && r != stepError { // one that failed is new when it succeeds
		copy(a.calls[:], a.calls[1:])
		a.calls[recentCalls-1] = key
	}
	a.steps[r]++
	a.role.steps[r].Add(1)
	a.noteConfidence(step.Confidence)
	return r
}

// sure notes how sure the agent is, if that is known.
func (a *Agent) noteConfidence(c *float64) {
	if c != nil && *c >= 0 && *c <= 1 {
		a.lastConfidence.Store(math.Float64bits(*c) + 1)
	}
}

// reply is a hash of the beginning of what was said without a tool; 0 for nothing.
func (s *Supervisor) replyHash(step *detect.Step) uint32 {
	const enough = 1024
	switch {
	case step.Output != "":
		return uint32(maphash.String(s.seed, step.Output[:min(len(step.Output), enough)])) | 1
	case len(step.OutputBytes) > 0:
		return uint32(maphash.Bytes(s.seed, step.OutputBytes[:min(len(step.OutputBytes), enough)])) | 1
	}
	return 0
}

// used is what a step has used of the budgets that are shared; of numbers that are
// not possible, nothing.
func useOf(step *detect.Step, err error) detect.Use {
	u := detect.Use{Tokens: step.Tokens, Cost: step.Cost}
	if err != nil {
		u.Tokens = max(u.Tokens, 0)
		if !(u.Cost >= 0 && u.Cost <= math.MaxFloat64) {
			u.Cost = 0
		}
	}
	if step.Tool != "" && !step.Refused && !step.Own {
		u.ToolCalls = 1
	}
	return u
}

// worse puts the worst finding of both first.
func mergeWorst(a, b []detect.Finding) []detect.Finding {
	if len(a) == 0 {
		return b
	}
	all := slices.Concat(a, b)
	slices.SortStableFunc(all, func(x, y detect.Finding) int {
		if x.Level != y.Level {
			return int(y.Level) - int(x.Level)
		}
		return int(y.Severity) - int(x.Severity)
	})
	return all
}
