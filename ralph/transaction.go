package ralph

import (
	"errors"
	"time"

	"github.com/blackbox4/switchgear/ralph/detect"
)

// effect is what an operation leaves for [Agent.do] to act on. The zero effect
// is an operation after which nothing has to be judged, booked or saved.
type effect struct {
	findings []detect.Finding // worst first; judged under the lock
	active   bool             // the agent itself has done something
	newTask  bool             // of an agent without a parent: shared budgets begin anew

	// What was used of the budgets that the agent shares, at a time; zero is the time
	// of the operation. With reserved, it is used in place of what was set aside, or
	// nothing is if unused.
	use      detect.Use
	usedAt   time.Time
	reserved *detect.Reservation
	unused   bool
}

// operation is what [Agent.do] makes a transaction of.
type operation struct {
	do    func(at time.Time, now time.Duration) effect // called with mu
	then  func(now time.Duration)                      // the same, after what do has found was judged; may be nil
	tree  bool                                         // the supervisor's mu is held, too: the shape of the tree matters
	timer bool                                         // it is the schedule's, which tells events itself and readmits nothing
}

// do makes a transaction of op, as every operation on an agent but for those that only
// read: it reads the clock, puts an agent back that was evicted, locks it, calls op.do,
// acts on what the rules found, books what was used of shared budgets, calls op.then,
// unlocks, stops all agents that share a budget which is used up, and tells events. It
// must be called with no lock held. The findings are what the operation has brought
// about, worst first; the error says that the agent could not be put back, and that
// nothing was done.
func (a *Agent) do(op operation) ([]detect.Finding, error) {
	at, now := a.sup.clock()
	if a.evicted.Load() && !op.timer {
		if err := a.sup.readmit(a, now); err != nil {
			return nil, err
		}
	}
	e, findings := a.locked(op, at, now)
	if e.newTask {
		a.sup.resetTrees(a, now)
	}
	a.stopTree(now)
	if !op.timer {
		a.sup.delivery.deliver()
	}
	return findings, nil
}

// locked is the part of a transaction that needs locks.
func (a *Agent) locked(op operation, at time.Time, now time.Duration) (effect, []detect.Finding) {
	if op.tree {
		a.sup.mu.Lock()
		defer a.sup.mu.Unlock()
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	e := op.do(at, now)
	a.judge(e.findings, now)
	findings := e.findings
	if more := a.book(&e, at); more != nil {
		a.judge(more, now)
		findings = mergeWorst(findings, more)
	}
	if op.then != nil {
		op.then(now)
	}
	if !op.timer {
		a.seen.Store(int64(now))
	}
	if e.active {
		a.touch()
	}
	return e, findings
}

// book books what the operation used of the budgets that the agent shares, and returns
// the limits that it has reached. What an agent does is an event of these budgets also
// if it uses nothing of them. It needs mu.
func (a *Agent) book(e *effect, at time.Time) []detect.Finding {
	if !e.usedAt.IsZero() {
		at = e.usedAt
	}
	var findings []detect.Finding
	switch tree := a.tree.Load(); {
	case e.reserved != nil && e.unused:
		e.reserved.Release()
	case e.reserved != nil:
		findings, _ = e.reserved.Settle(e.use, at) // its numbers are possible ones
	case tree != nil && e.active:
		findings, _ = tree.Spend(e.use, at)
	}
	return findings
}

// stopTree stops all agents of the tree that go on though a budget that they share is
// used up: each once for each time that it was used up. It must be called with no lock
// held.
func (a *Agent) stopTree(now time.Duration) {
	if spent := a.spentBudget(); spent == nil || a.stoppedFor.Load() == spent {
		return
	}
	s := a.sup
	s.mu.RLock()
	defer s.mu.RUnlock()
	walk(a.root(), func(other *Agent) {
		spent := other.spentBudget()
		if spent == nil || other.stoppedFor.Swap(spent) == spent {
			return
		}
		other.mu.Lock()
		defer other.mu.Unlock()
		if other.state == Running || other.state == Recovering {
			other.trip(causeOf(spent.Finding), nil, now)
		}
	})
}

// spentBudget is what a budget that the agent shares says when it is used up, or nil.
func (a *Agent) spentBudget() *detect.ExhaustedError {
	tree := a.tree.Load()
	if tree == nil {
		return nil
	}
	spent, _ := errors.AsType[*detect.ExhaustedError](tree.Err()) // a budget that was made has no other
	return spent
}

// touch notes that the agent is active: it is saved, and looked at when time alone may
// be a finding. It needs mu.
func (a *Agent) touch() {
	a.dormant = false
	a.save(false)
	if a.state == Running || a.state == Recovering {
		a.schedule()
	}
}
