package ralph

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/core/failsafe"
	"github.com/blackbox4/switchgear/ralph/detect"
)

// Status is one reading of an [Agent].
type Status struct {
	ID     string `json:"id"`
	Name   string `json:"name"`
	Parent string `json:"parent,omitempty"`
	// Session and Task are the ids of what it is part of and works on, see [Options];
	// Task is that of the last [Agent.NewTask].
	Session string `json:"session,omitempty"`
	Task    string `json:"task,omitempty"`
	State   State  `json:"state"`
	// Cause is why it is not running; of one that is recovering, why it was
	// paused.
	Cause    Cause     `json:"cause,omitzero"`
	Since    time.Time `json:"since"`     // when State began
	LastSeen time.Time `json:"last_seen"` // when it was last active
	// ResumeAt is when it will be resumed by itself, if nothing is against it,
	// EscalateAt when it will be escalated; the zero time means never.
	ResumeAt   time.Time  `json:"resume_at,omitzero"`
	EscalateAt time.Time  `json:"escalate_at,omitzero"`
	Attempts   int        `json:"attempts"` // how often it has been resumed by itself
	Breaker    core.State `json:"breaker"`  // of which more is told by [Agent.Breaker]
	// Iterations out, and what was counted since it was first monitored.
	InFlight   int           `json:"in_flight"`
	Totals     detect.Totals `json:"totals"`
	Handoffs   uint64        `json:"handoffs"` // that it has made
	Progress   uint64        `json:"progress"` // steps that were something new
	NoProgress uint64        `json:"no_progress"`
	// Used is what its task has used, of what its own Budget allows, negative for
	// no limit; TreeUsed is what the tree has used whose budget it shares.
	Used     detect.Use     `json:"used"`
	Budget   detect.Budgets `json:"budget"`
	TreeUsed *detect.Use    `json:"tree_used,omitempty"`
	// Confidence is the last that was said; nil if none was.
	Confidence *float64 `json:"confidence,omitempty"`
	Nudges     int      `json:"nudges"` // waiting to be told
	// Events are the last, oldest first.
	Events []Event `json:"events,omitempty"`
}

// Status returns the status of an agent; the error matches [ErrUnknownAgent].
func (s *Supervisor) Status(id string) (Status, error) {
	a, err := s.Agent(id)
	if err != nil {
		return Status{}, err
	}
	return a.Status(), nil
}

// Statuses returns the status of every agent, by id. It reads one after the other.
func (s *Supervisor) Statuses() []Status {
	agents := s.list()
	slices.SortFunc(agents, func(a, b *Agent) int { return cmp.Compare(a.id, b.id) })
	all := make([]Status, len(agents))
	for i, a := range agents {
		all[i] = a.Status()
	}
	return all
}

// Status returns the agent's status; the zero Status of one that is nil or zero.
func (a *Agent) Status() Status {
	if !a.made() {
		return Status{}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	st := Status{
		ID: a.id, Name: a.role.name, Session: a.identity().session, Task: a.identity().task, State: a.state, Since: a.wallTime(a.since), LastSeen: a.wallTime(time.Duration(a.seen.Load())),
		ResumeAt: a.wallTime(a.resumeAt), EscalateAt: a.wallTime(a.escalateAt), Attempts: int(a.attempts), InFlight: int(a.inFlight), Handoffs: a.handoffs,
		Progress: uint64(a.steps[stepProgress]), NoProgress: uint64(a.steps[stepNoProgress]),
		Budget: a.sup.detectorFor(a.limits).Rules().Budgets, Nudges: len(a.waitingNudges()),
	}
	if a.journal != nil {
		st.Events = slices.Clone(a.journal.events)
	}
	if a.parent != nil {
		st.Parent = a.parent.id
	}
	if a.cause != nil {
		st.Cause = *a.cause
	}
	if a.breaker != nil {
		st.Breaker = a.breaker.State()
	}
	if a.run != nil {
		st.Totals, st.Used = a.run.Totals(), a.run.Used()
	}
	st.Used.Hops = int(a.hops)
	if b := a.tree.Load(); b != nil {
		used := b.Used()
		st.TreeUsed = &used
	}
	if word := a.lastConfidence.Load(); word != 0 {
		c := math.Float64frombits(word - 1)
		st.Confidence = &c
	}
	return st
}

// Explain tells a person in a paragraph where an agent stands, why, and what would
// change it, and in a line each its last events. The error matches
// [ErrUnknownAgent].
func (s *Supervisor) Explain(id string) (string, error) {
	a, err := s.Agent(id)
	if err != nil {
		return "", err
	}
	return a.Explain(), nil
}

// Explain is [Supervisor.Explain].
func (a *Agent) Explain() string {
	if !a.made() {
		return errNoAgent.Error()
	}
	st := a.Status()
	_, now := a.sup.clock()
	at := a.wallTime(now)
	ago := func(t time.Time) string { return at.Sub(t).Round(time.Millisecond).String() }
	var s strings.Builder
	fmt.Fprintf(&s, "agent %s (%s) is %s", quoted(st.ID), quoted(st.Name), st.State)
	if a.sup.cfg.Shadow {
		s.WriteString(", in shadow: nothing is refused")
	}
	fmt.Fprintf(&s, ", since %s", ago(st.Since))
	if st.Cause.Rule != "" {
		s.WriteString("; " + st.Cause.String())
	}
	switch st.State { //nolint:exhaustive // of one that is stopped there is no more to say
	case Running:
		s.WriteString(a.explainBreaker())
		if st.Attempts > 0 {
			fmt.Fprintf(&s, "; resumed by itself %d times", st.Attempts)
		}
	case Recovering:
		p := a.sup.cfg.Probation
		fmt.Fprintf(&s, "; resumed on probation %d of %d times: it has to show progress within %d iterations", st.Attempts, a.sup.cfg.MaxRecoveryAttempts, p.Iterations)
		s.WriteString(a.explainBreaker())
	case Paused:
		switch {
		case !st.ResumeAt.IsZero():
			fmt.Fprintf(&s, "; resumed on probation in %v, for the %s time of %d, unless the cause is still there", st.ResumeAt.Sub(at).Round(time.Millisecond), ordinal(st.Attempts+1), a.sup.cfg.MaxRecoveryAttempts)
		case st.Cause.Reason == detect.ReasonExhausted:
			s.WriteString("; resumed when its budget is raised")
		default:
			s.WriteString("; a person has to resume it")
		}
		if !st.EscalateAt.IsZero() {
			fmt.Fprintf(&s, "; escalated in %v", st.EscalateAt.Sub(at).Round(time.Millisecond))
		}
		s.WriteString(a.explainBreaker())
	case Escalated:
		s.WriteString("; a person has to resume it")
	}
	t := st.Totals
	fmt.Fprintf(&s, "; %d iterations (%d failed), %d steps (%d errors, %d refused), %d hand-offs, %d tokens, cost %s",
		t.Iterations, t.Failures, t.Steps, t.Errors, t.Refused, st.Handoffs, t.Tokens, number(t.Cost))
	for _, e := range st.Events {
		fmt.Fprintf(&s, "\n  %s ago, %s", ago(e.At), e)
	}
	return s.String()
}

// explainBreaker says what the agent's circuit breaker waits for, if it is not closed.
func (a *Agent) explainBreaker() string {
	a.mu.Lock()
	b := a.breaker
	a.mu.Unlock()
	if b == nil || b.State() == core.Closed {
		return ""
	}
	return "; its circuit breaker is " + b.Explain()
}

func ordinal(n int) string {
	if n < 4 {
		return [...]string{"no", "1st", "2nd", "3rd"}[max(n, 0)]
	}
	return fmt.Sprintf("%dth", n)
}

func worstFirst(all []failsafe.Condition) {
	slices.SortStableFunc(all, func(a, b failsafe.Condition) int { return int(b.Severity) - int(a.Severity) })
}
