package ralph

import (
	"cmp"
	"time"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/ralph/detect"
)

// setOwn sets what an agent may use by itself, and setTree what it and all below
// it may use together. They need Agent.mu, and setTree the supervisor's.
func (a *Agent) setOwn(own detect.Budgets) {
	if own == (detect.Budgets{}) {
		return
	}
	if a.limits == nil {
		a.limits = new(limits)
	}
	a.limits.Own = own
	if a.run != nil { // goes on under the new rules
		data, _ := a.run.AppendBinary(nil) // never fails
		run := a.sup.detectorFor(a.limits).NewRun()
		if run.UnmarshalBinary(data) == nil {
			a.run = run
		}
	}
}

func (a *Agent) setTree(tree detect.Budgets) {
	var above *detect.Budget
	if a.parent != nil {
		above = a.parent.tree.Load()
	}
	if tree == (detect.Budgets{}) {
		a.tree.Store(above)
		return
	}
	if a.limits == nil {
		a.limits = new(limits)
	}
	a.limits.Tree = tree
	if a.limits.ownsTree {
		_ = a.tree.Load().Raise(tree) // was checked
		return
	}
	own, err := detect.NewBudget(tree, above)
	if err != nil { // was checked
		return
	}
	a.limits.ownsTree = true
	a.tree.Store(own)
}

// change applies what Options give to an agent that is known; another task begins
// afterwards.
func (s *Supervisor) change(a *Agent, o Options) error {
	if o.Parent != "" && (a.parent == nil || a.parent.id != o.Parent) {
		return &core.ConfigError{Field: "Parent", Value: o.Parent, Allowed: "the parent that the agent was first monitored with"}
	}
	var fault error
	_, err := a.do(operation{tree: true, do: func(_ time.Time, now time.Duration) effect {
		if o.Tree != (detect.Budgets{}) && (a.limits == nil || !a.limits.ownsTree) && len(a.children()) > 0 {
			fault = &core.ConfigError{Field: "Tree", Value: o.Tree, Allowed: "none for an agent that had none before there were others below it"}
			return effect{}
		}
		if o.Name != "" {
			a.role = s.roles.get(o.Name)
		}
		a.setIDs(o.Session, "")
		a.touch()
		if o.Tree == (detect.Budgets{}) && o.Budget == (detect.Budgets{}) {
			return effect{}
		}
		if o.Tree != (detect.Budgets{}) {
			a.setTree(o.Tree)
		}
		a.setOwn(o.Budget)
		a.addEvent(Event{Kind: EventBudget, From: a.state, To: a.state}, now)
		s.planResume(a, now)
		a.touch()
		return effect{}
	}})
	if err := cmp.Or(err, fault); err != nil {
		return err
	}
	if o.Task != "" {
		a.NewTask(o.Task) // nothing new for one that was made for it
	}
	return nil
}

// planResume plans the resume of an agent that was paused for a budget which was raised.
func (s *Supervisor) planResume(a *Agent, now time.Duration) {
	if a.state != Paused || a.cause.Reason != detect.ReasonExhausted || s.cfg.MaxRecoveryAttempts == 0 || a.exhausted() {
		return
	}
	a.resumeAt = max(later(a.since, s.cfg.pauseFor(int(a.attempts))), now)
	a.renewRefusal()
	a.schedule()
}

// exhausted reports whether a budget that keeps the agent from going on is still
// used up.
func (a *Agent) exhausted() bool {
	if b := a.tree.Load(); b != nil && b.Err() != nil {
		return true
	}
	if a.cause == nil || a.cause.Reason != detect.ReasonExhausted || a.run == nil {
		return false
	}
	limit, use := a.sup.detectorFor(a.limits).Rules().Budgets, a.run.Used()
	reached := func(used, limit float64) bool { return limit > 0 && used >= limit }
	switch a.cause.Rule {
	case detect.RuleIterations.String():
		return reached(float64(use.Iterations), float64(limit.Iterations))
	case detect.RuleWall.String():
		return reached(a.cause.Count, limit.Wall.Seconds())
	case detect.RuleTokens.String():
		return reached(float64(use.Tokens), float64(limit.Tokens))
	case detect.RuleCost.String():
		return reached(use.Cost, limit.Cost)
	case detect.RuleToolCalls.String():
		return reached(float64(use.ToolCalls), float64(limit.ToolCalls))
	case detect.RuleHops.String():
		return reached(float64(a.hops), float64(limit.Hops))
	}
	return false
}

// resetTrees begins the shared budgets of a root and of all below it anew.
func (s *Supervisor) resetTrees(root *Agent, now time.Duration) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	walk(root, func(a *Agent) {
		a.mu.Lock()
		defer a.mu.Unlock()
		if a.limits == nil || !a.limits.ownsTree {
			return
		}
		fresh, err := detect.NewBudget(a.limits.Tree, nil)
		if err != nil {
			return
		}
		data, _ := fresh.AppendBinary(nil)      // never fails
		_ = a.tree.Load().UnmarshalBinary(data) // of its own making
		a.save(false)
	})
	walk(root, func(a *Agent) {
		a.mu.Lock()
		defer a.mu.Unlock()
		s.planResume(a, now)
	})
}

// walk calls f for a and all below it, parents first. It needs the supervisor's mu.
func walk(a *Agent, f func(*Agent)) {
	f(a)
	for _, b := range a.children() {
		walk(b, f)
	}
}

// detectorFor returns the rules for an agent with budgets of its own.
func (s *Supervisor) detectorFor(l *limits) *detect.Detector {
	if l == nil || l.Own == (detect.Budgets{}) {
		return s.detector
	}
	s.variantsMu.Lock()
	defer s.variantsMu.Unlock()
	if d := s.variants[l.Own]; d != nil {
		return d
	}
	rules := s.cfg.Rules
	b, own := &rules.Budgets, l.Own
	b.Iterations = or(own.Iterations, b.Iterations)
	b.Wall = or(own.Wall, b.Wall)
	b.Idle = or(own.Idle, b.Idle)
	b.Tokens = or(own.Tokens, b.Tokens)
	b.Cost = or(own.Cost, b.Cost)
	b.ToolCalls = or(own.ToolCalls, b.ToolCalls)
	b.Hops = or(own.Hops, b.Hops)
	d, err := detect.New(rules)
	if err != nil { // both were checked
		return s.detector
	}
	if len(s.variants) < maxVariants {
		s.variants[own] = d
	}
	return d
}
