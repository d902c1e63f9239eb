package ralph

import (
	"context"
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
	session        atomic.Pointer[session]               // of an agent without a parent
	seen           atomic.Int64                          // when it was last active, since the epoch
	lastConfidence atomic.Uint64                         // the bits of the last confidence, plus 1
	stoppedFor     atomic.Pointer[detect.ExhaustedError] // the last shared budget that has stopped it
	evicted        atomic.Bool                           // it was taken out for being idle
	startSession   atomic.Bool                           // of an agent without a parent: its next hand-off begins a session
	heapEntry      heapEntry                             // under the schedule's mu
	childList      *[]*Agent                             // its children, under the supervisor's mu; nil if it never had any

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

// journal is what there is to tell of an agent.
type journal struct {
	nudges []nudge // not told yet
	events []Event // the last, oldest first
	seq    uint64  // of the last event
}

// ids name what an agent is part of and works on. They do not change: another task has
// others.
type ids struct{ session, task string }

// setIDs notes the ids that are given. It needs mu.
func (a *Agent) setIDs(session, task string) {
	of := a.identity()
	of.session, of.task = or(session, of.session), or(task, of.task)
	if of != (ids{}) {
		a.ids = &of
	}
}

// identity is the agent's ids. It needs mu.
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

// ensureJournal returns the journal, made at the first event.
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

// Execute is [Execute] for a function without a result.
func (a *Agent) Execute(ctx context.Context, fn func(context.Context) error) error {
	if fn == nil {
		_, err := Execute[struct{}](ctx, a, nil)
		return err
	}
	_, err := Execute(ctx, a, func(ctx context.Context) (struct{}, error) { return struct{}{}, fn(ctx) })
	return err
}
