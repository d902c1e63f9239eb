package ralph

import (
	"context"
	"hash/maphash"
	"math"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/ralph/detect"
)

// Agent is one agent that is monitored. It is a [core.Gate] for its iterations, so
// that core.Do and every adapter take it. It is made by [Supervisor.Monitor] and
// safe for concurrent use. Of one that is nil or zero, methods that return an error
// return one that says so, and the others do nothing.
type Agent struct {
	sup    *Supervisor
	id     string
	parent *Agent

	// What calls look at without a lock.
	refusal        atomic.Pointer[PausedError] // nil while calls are admitted
	tree           atomic.Pointer[detect.Budget]
	session        atomic.Pointer[session] // of an agent without a parent
	seen           atomic.Int64            // when it was last active, since the epoch
	lastConfidence atomic.Uint64           // the bits of the last confidence, plus 1
	evicted        atomic.Bool             // it was forgotten
	startSession   atomic.Bool             // of an agent without a parent: its next hand-off begins a session
	heapEntry      heapEntry               // under the schedule's mu
	childList      *[]*Agent               // its children, under the supervisor's mu; nil if it never had any

	mu        sync.Mutex
	role      *role
	run       *detect.Run   // nil before the first event
	breaker   *core.Breaker // nil before the first iteration
	limits    *limits       // nil if Options set none
	cause     *Cause        // of the pause, kept while recovering
	probation *probation    // nil unless recovering
	journal   *journal      // nil while there is nothing to tell
	ids       *ids          // nil if Options gave none

	since, resumeAt, escalateAt time.Duration
	due                         time.Duration // what the schedule was last asked for
	task                        uint64        // hash of the id of the task
	handoffs                    uint64
	hops                        uint32              // hand-offs in this task
	calls                       [recentCalls]uint32 // hashes of the last calls and replies that did not fail
	steps                       [numResults]uint32

	transitions uint32 // counts the changes of state
	generation  uint32 // counts the resets
	inFlight    int32  // iterations not settled

	attempts     int16
	state        State
	iterates     bool // it has asked for an iteration
	fingerprints bool // it has told a fingerprint of progress
	dormant      bool // it was in the store and has done nothing since
	dirty        bool // it waits for the store
	eventsDirty  bool // and so do its events
}

// story is what there is to tell of an agent.
type journal struct {
	nudges []nudge // not told yet
	events []Event // the last, oldest first
	seq    uint64  // of the last event
}

// ids name what an agent is part of and works on. They do not change: another task has
// others.
type ids struct{ session, task string }

// name notes the ids that are given. It needs mu.
func (a *Agent) setIDs(session, task string) {
	of := a.identity()
	of.session, of.task = or(session, of.session), or(task, of.task)
	if of != (ids{}) {
		a.ids = &of
	}
}

// of are the agent's ids. It needs mu.
func (a *Agent) identity() ids {
	if a.ids == nil {
		return ids{}
	}
	return *a.ids
}

// recentCalls is among how many of the last calls one is not new.
const recentCalls = 8

// limits are the budgets that Options have set, and whose tree is the agent's own.
type limits struct {
	Own      detect.Budgets `json:"own,omitzero"`
	Tree     detect.Budgets `json:"tree,omitzero"`
	ownsTree bool
}

// nudge is something to tell the agent.
type nudge struct {
	rule detect.Rule
	text string
}

// maxNudges is how many wait to be told; the first ones are the most important.
const maxNudges = 4

// root is the agent that has no parent.
func (a *Agent) root() *Agent {
	for a.parent != nil {
		a = a.parent
	}
	return a
}

// note returns the story, made at the first event.
func (a *Agent) ensureJournal() *journal {
	if a.journal == nil {
		a.journal = new(journal)
	}
	return a.journal
}

// ID returns the id that the agent is monitored by.
func (a *Agent) ID() string {
	if a == nil {
		return ""
	}
	return a.id
}

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
	at, now := a.sup.clock()
	if step.At.IsZero() {
		step.At = at
	}
	if err := a.readmitEvicted(now); err != nil {
		return detect.Finding{}, err
	}
	a.mu.Lock()
	findings, err := a.runAt(at).Observe(step)
	call := a.run.Call()
	result := stepNoProgress
	if step.Report() {
		a.noteConfidence(step.Confidence)
	} else {
		result = a.countStep(&step, call, len(findings) > 0)
	}
	a.judge(findings, now)
	if use, tree := useOf(&step, err), a.tree.Load(); tree != nil && use != (detect.Use{}) {
		if more, e := tree.Spend(use, step.At); e == nil && more != nil {
			a.judge(more, now)
			findings = mergeWorst(findings, more)
		}
	}
	if a.probation != nil && !step.Report() {
		a.recordProbationStep(&step, result == stepProgress && (call != 0 || a.run.Totals().Calls == 0), now)
	}
	a.touch(now)
	a.mu.Unlock()
	if call != 0 {
		a.tellSession(call)
	}
	if len(findings) == 0 {
		a.sup.delivery.deliver()
		return detect.Finding{}, err
	}
	a.sup.exhaust(a, findings, now)
	a.sup.delivery.deliver()
	return findings[0], err
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
	at, now := a.sup.clock()
	if a.readmitEvicted(now) != nil {
		return false
	}
	a.mu.Lock()
	progress := a.runAt(at).Progress(fingerprint, at)
	a.fingerprints = true
	if progress && a.state == Recovering {
		a.passProbation(now)
	}
	a.touch(now)
	a.mu.Unlock()
	if s := a.root().session.Load(); s != nil {
		s.progress(fingerprint)
	}
	a.sup.delivery.deliver()
	return progress
}

// ProgressUnknown says that nobody can tell whether there was progress, because looking has
// failed, as [detect.GitFingerprint] may: what cannot be seen is not missing. See
// [detect.Run.ProgressUnknown].
func (a *Agent) ProgressUnknown() {
	if !a.made() {
		return
	}
	at, now := a.sup.clock()
	if a.readmitEvicted(now) != nil {
		return
	}
	a.mu.Lock()
	a.runAt(at).ProgressUnknown(at)
	a.touch(now)
	a.mu.Unlock()
}

// Nudge returns what there is to tell the agent, to be put into its conversation,
// and takes it for told: what the rules have counted is cleared, and after a few
// more repeats they trip. It reports false if there is nothing to tell, as always
// in shadow.
func (a *Agent) Nudge() (text string, ok bool) {
	if !a.made() || a.sup.cfg.Shadow {
		return "", false
	}
	a.mu.Lock()
	var told []nudge
	if a.journal != nil {
		told, a.journal.nudges = a.journal.nudges, nil
	}
	var texts []string
	for _, n := range told {
		a.run.Nudged(n.rule) // of hand-offs it knows nothing, as the session of all else
		if !slices.Contains(texts, n.text) {
			texts = append(texts, n.text)
		}
	}
	a.mu.Unlock()
	if s := a.root().session.Load(); s != nil {
		s.nudged(told)
	}
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
	at, now := a.sup.clock()
	if a.readmitEvicted(now) != nil {
		return
	}
	a.mu.Lock()
	id := hashOf(task)
	fresh := id != a.task
	if fresh {
		a.task, a.hops = id, 0
		a.setIDs("", clippedTo(task, maxText))
		a.runAt(at).NewTask(at)
		a.attempts = 0
		a.clearNudges()
		a.sup.planResume(a, now)
		a.touch(now)
	}
	a.mu.Unlock()
	if fresh && a.parent == nil {
		a.session.Store(nil)
		a.startSession.Store(true)
		a.sup.resetTrees(a, now)
	}
}

// Execute is [Execute] for a function without a result.
func (a *Agent) Execute(ctx context.Context, fn func(context.Context) error) error {
	if fn == nil {
		_, err := Execute[struct{}](ctx, a, nil)
		return err
	}
	_, err := Execute(ctx, a, func(ctx context.Context) (struct{}, error) { return struct{}{}, fn(ctx) })
	return err
}

// follow returns the run, whose first task begins with the first event. It needs mu.
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

// touch notes that the agent is active. It needs mu.
func (a *Agent) touch(now time.Duration) {
	a.seen.Store(int64(now))
	a.dormant = false
	a.save(false)
	if a.state == Running || a.state == Recovering {
		a.schedule()
	}
}

// hush forgets what there is to tell the agent. It needs mu.
func (a *Agent) clearNudges() {
	if a.journal != nil {
		a.journal.nudges = nil
	}
}

// alive puts an agent back that was forgotten and is used again.
func (a *Agent) readmitEvicted(now time.Duration) error {
	if !a.evicted.Load() {
		return nil
	}
	return a.sup.readmit(a, now)
}

// credit counts a step by its result. It needs mu.
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
