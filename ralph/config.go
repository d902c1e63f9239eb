package ralph

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"time"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/ralph/detect"
)

// Config says what a [Supervisor] watches for and what it does then.
//
// The zero Config is the documented default. In every field zero means the stated
// default; where a field says so, a negative number switches it off. A Config is
// plain data but for its last fields, which are not serialised: the rest can be
// filled from JSON, with durations in nanoseconds, and from the section "ralph" of
// a file by the Section method of presets.Fleet.
type Config struct {
	// Profile is the set of defaults of Rules, see [detect.Profile]. It is
	// Rules.Profile, which may not be given besides it. With [detect.ProfileUnattended],
	// zero MaxRecoveryAttempts means 20 and zero EscalationTimeout never, because no
	// person is there to be called.
	Profile detect.Profile `json:"profile,omitzero"`
	// Rules are what is found out about agents. Rules.Budgets are what each of
	// them may use by itself in one task.
	Rules detect.Rules `json:"rules,omitzero"`
	// Budget is what an agent without a parent and all below it may use
	// together in one task, unless its [Options] say so. Zero fields are no limit.
	Budget detect.Budgets `json:"budget,omitzero"`
	// Breaker is the circuit breaker that each agent has for its iterations.
	// Zero FailureThreshold means as many as AgentFailureThreshold, and it may not be
	// less; where none of FailureRateThreshold, MinimumCalls and Window is given, the rate
	// does not open it before so many consecutive failures do; zero CallTimeout means 2 min, which Execute and core.Do apply; a nil Classify is [core.DefaultClassify], but that what an iteration was
	// refused, a budget that is used up included, what this machine was short of
	// (file descriptors, ports, memory, disk, a resolver that answers), and an error of
	// credentials, permissions or quotas, see [Execute], is [core.Ignored]. The rest is as [core.Config] says.
	Breaker core.Config `json:"breaker,omitzero"`

	// AgentFailureThreshold is how many iterations in a row may fail: then the agent
	// is paused, and its circuit breaker opens. It is both Rules.Failures.Trip, which
	// may not be given besides it, and what Breaker.FailureThreshold is at least. Zero
	// means 3, negative that neither happens.
	AgentFailureThreshold int `json:"agent_failure_threshold,omitzero"`
	// HandoffThreshold is how many hand-offs an agent may make in one task, whatever
	// they are about: the one that reaches it is refused, and the agent escalated, until
	// its next task, see [Agent.NewTask], or until Options.Budget.Hops is raised. It is
	// Rules.Budgets.Hops, which may not be given besides it. Zero means 200, negative no
	// limit. That work goes round and round is found long before, by the rules named
	// Handoff….
	HandoffThreshold int `json:"handoff_threshold,omitzero"`
	// LowConfidenceThreshold is what a confidence, see [detect.Step], must not be
	// below: one such value pauses, and one of 0.1 or less escalates. Each value counts
	// by itself, because the caller who reports it and sets a threshold asks for no
	// less. Zero means 0.3, negative off. For values that scatter, Rules.Confidence,
	// which may not be given besides it, goes by their average.
	LowConfidenceThreshold float64 `json:"low_confidence_threshold,omitzero"`
	// StuckTaskThreshold is how many iterations there may be without progress, as
	// [Agent.Progress] is told of it: then the agent is paused. It is
	// Rules.NoProgress.Trip, which may not be given besides it. Zero means 10, negative
	// off.
	StuckTaskThreshold int `json:"stuck_task_threshold,omitzero"`
	// CPUThreshold, MemoryThreshold and DiskThreshold are the percentages of what the
	// machine, or the container, has, from which on agents are paused. If one of them is
	// not zero, the supervisor reads all three every 5 s, in a goroutine of its own,
	// until it is closed: zero is then 90, negative not read. With more to say, or for
	// several supervisors, make [failsafe.Vitals] and give them as Vitals; not both.
	CPUThreshold    float64 `json:"cpu_threshold,omitzero"`
	MemoryThreshold float64 `json:"memory_threshold,omitzero"`
	DiskThreshold   float64 `json:"disk_threshold,omitzero"`

	// AutoResumeEnabled says whether paused agents are resumed by themselves. Nil
	// means true; false is as a negative AutoResumeAfter.
	AutoResumeEnabled *bool `json:"auto_resume_enabled,omitzero"`
	// AutoResumeAfter is after how long a paused agent is resumed on probation, at
	// the soonest. Zero means 30 s; negative means that only a person resumes. At
	// most EscalationTimeout, at which there would be nothing left to resume. In a file
	// of presets it may be called auto_resume_delay.
	AutoResumeAfter time.Duration `json:"auto_resume_after,omitzero" aka:"auto_resume_delay"`
	// ResumeFactor multiplies that time with every resume that did not last.
	// Zero means 2; 1 to 100.
	ResumeFactor float64 `json:"resume_factor,omitzero"`
	// MaxResumeAfter is the most that it grows to. Zero means 30 min, or
	// AutoResumeAfter if that is more. It never grows past EscalationTimeout. An
	// agent that has run for as long as MaxResumeAfter begins anew.
	MaxResumeAfter time.Duration `json:"max_resume_after,omitzero"`
	// ResumeJitter lengthens it by up to this share at random, so that agents
	// that were paused together do not come back together. Zero means 0.1,
	// negative none; below 1.
	ResumeJitter float64 `json:"resume_jitter,omitzero"`
	// MaxRecoveryAttempts is how often an agent is resumed by itself before the
	// next pause is an escalation. Zero means 3, negative never; at most 100.
	MaxRecoveryAttempts int `json:"max_recovery_attempts,omitzero"`
	// Probation is what an agent that was resumed by itself may use to show
	// progress.
	Probation Probation `json:"probation,omitzero" aka:"probe"`
	// EscalationTimeout is after how long a pause becomes an escalation. Zero
	// means 2 min, negative never.
	EscalationTimeout time.Duration `json:"escalation_timeout,omitzero"`

	// MaxAgents is how many agents there are at most. Zero means 100,000; at
	// most 1,000,000.
	MaxAgents int `json:"max_agents,omitzero"`
	// Idle is after how long an agent that does nothing may be evicted, see
	// [Supervisor.Monitor]. Zero means 1 h, negative never.
	Idle time.Duration `json:"idle,omitzero"`
	// Events is how many events of each agent are kept. Zero means 16, negative
	// none; at most 1000. An event takes some 300 B, one with evidence 1 kB.
	Events int `json:"events,omitzero"`
	// Path is the file in which agents survive the end of the program, see
	// [New]. Empty means that they do not.
	Path string `json:"path,omitzero"`
	// Shadow refuses nothing: agents change their states and events are told as
	// ever, but every call is admitted.
	Shadow bool `json:"shadow,omitzero"`

	// Vitals is asked before each iteration and each call of a model, and
	// pauses an agent by refusing: a [*failsafe.Vitals], as a rule. Nil means that
	// nothing is asked. Its permit is settled with the iteration, or at once as
	// [core.Ignored] for a call of a model.
	Vitals core.Gate `json:"-" yaml:"-"`
	// OnEvent is told of every event, one at a time and in order, with no lock held,
	// on the goroutine of a caller, of the timer, or one of its own: it may call the
	// supervisor, but not Close. Of agents in the file at Path it may be told before
	// New has returned. One that panics is counted and logged. A caller that tells
	// is held for 100 ms, and for the OnEvent that is running then; a goroutine, which
	// ends with the queue, tells the rest. When 4096 events wait, more are dropped and
	// counted, nudges sooner. Escalations are told here.
	OnEvent func(Event) `json:"-" yaml:"-"`
	// Logger gets a line for each event. Nil means none.
	Logger *slog.Logger `json:"-" yaml:"-"`
	// Now is the clock, also of the breakers. Nil means the time package's. It
	// must not call the supervisor. Timers do not go by it.
	Now func() time.Time `json:"-" yaml:"-"`
}

// Probation is what an agent that was resumed on probation may use until it has shown
// progress: a new fingerprint, see [Agent.Progress]; of agents that have none, an
// iteration that ended well and had a new step in it, or no steps at all; of those
// that have no iterations either, as many new steps as there may be iterations. A
// step is new if it is a call that went well and was not among the last eight; of
// an agent that has never called a tool, such a reply. An agent that gets nowhere is
// paused again.
type Probation struct {
	// Iterations is how many there may be. Zero means 3; at most 1000.
	Iterations int `json:"iterations,omitzero"`
	// Steps is how many there may be. Zero means 50, negative no limit.
	Steps int `json:"steps,omitzero"`
	// Tokens and Cost are what the steps may use. Zero Tokens means 50,000, zero
	// Cost no limit; negative no limit.
	Tokens int     `json:"tokens,omitzero"`
	Cost   float64 `json:"cost,omitzero"`
}

const (
	defaultFailureThreshold    = 3
	defaultCallTimeout         = 120 * time.Second
	defaultAutoResumeAfter     = 30 * time.Second
	defaultResumeFactor        = 2
	defaultMaxResumeAfter      = 30 * time.Minute
	defaultResumeJitter        = 0.1
	defaultRecoveryAttempts    = 3
	defaultEscalationTimeout   = 120 * time.Second
	defaultProbationIterations = 3
	defaultProbationSteps      = 50
	defaultProbationTokens     = 50_000
	defaultMaxAgents           = 100_000
	defaultIdle                = time.Hour
	defaultEvents              = 16
	defaultHandoffs            = 200 // of package detect, as the next
	defaultStuck               = 10

	maxResumeFactor        = 100
	maxRecoveryAttempts    = 100
	maxProbationIterations = 1000
	maxMaxAgents           = 1_000_000
	maxEvents              = 1000
)

// Validate reports every fault of c at once, joined; each is a
// [*core.ConfigError]. It returns nil for a Config that [New] accepts; a file at
// Path that cannot be used is for New to tell.
func (c Config) Validate() error {
	var faults []error
	check := func(ok bool, field string, value any, allowed string) {
		if !ok {
			faults = append(faults, &core.ConfigError{Field: field, Value: value, Allowed: allowed})
		}
	}
	c.twoProfiles(check)
	c = c.profiled()
	faults = append(faults, prefixFaults("Rules", c.Rules.Validate())...)
	_, err := detect.NewBudget(c.Budget, nil)
	faults = append(faults, prefixFaults("Budget", err)...)
	faults = append(faults, prefixFaults("Breaker", c.Breaker.Validate())...)
	c.thresholds(check)

	c.AutoResumeAfter = c.resolved().AutoResumeAfter
	after, escalation := or(c.AutoResumeAfter, defaultAutoResumeAfter), or(c.EscalationTimeout, defaultEscalationTimeout)
	if after > 0 && escalation > 0 && after > escalation {
		check(false, "AutoResumeAfter", c.AutoResumeAfter, fmt.Sprintf("at most EscalationTimeout (%v), which ends a pause; 0 for 30s, negative for off", escalation))
	}
	check(c.ResumeFactor == 0 || c.ResumeFactor >= 1 && c.ResumeFactor <= maxResumeFactor, "ResumeFactor", c.ResumeFactor, "1 to 100; 0 for 2")
	if c.MaxResumeAfter != 0 && c.MaxResumeAfter < after || c.MaxResumeAfter < 0 {
		check(false, "MaxResumeAfter", c.MaxResumeAfter, fmt.Sprintf("at least AutoResumeAfter (%v); 0 for 30m", max(after, 0)))
	}
	check(c.ResumeJitter < 1, "ResumeJitter", c.ResumeJitter, "in (0, 1); 0 for 0.1, negative for none")
	check(c.MaxRecoveryAttempts <= maxRecoveryAttempts, "MaxRecoveryAttempts", c.MaxRecoveryAttempts, "at most 100; 0 for 3, negative for never")
	check(c.Probation.Iterations >= 0 && c.Probation.Iterations <= maxProbationIterations, "Probation.Iterations", c.Probation.Iterations, "1 to 1000; 0 for 3")
	check(!math.IsNaN(c.Probation.Cost), "Probation.Cost", c.Probation.Cost, "a number; 0 or negative for no limit")
	check(c.MaxAgents >= 0 && c.MaxAgents <= maxMaxAgents, "MaxAgents", c.MaxAgents, "1 to 1000000; 0 for 100000")
	check(c.Events <= maxEvents, "Events", c.Events, "at most 1000; 0 for 16, negative for none")
	return errors.Join(faults...)
}

// inside takes a joined error apart and says of each [*core.ConfigError] which
// field its field is in.
func prefixFaults(field string, err error) []error {
	if err == nil {
		return nil
	}
	var all []error
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range joined.Unwrap() {
			all = append(all, prefixFaults(field, e)...)
		}
		return all
	}
	if fault, ok := errors.AsType[*core.ConfigError](err); ok {
		return append(all, &core.ConfigError{Field: field + "." + fault.Field, Value: fault.Value, Allowed: fault.Allowed})
	}
	return append(all, fmt.Errorf("%s: %w", field, err))
}

// withDefaults returns c with every default filled in and what is off at a value
// that is never reached. It must be valid.
func (c Config) withDefaults() Config {
	c = c.profiled().resolved()
	c.Breaker.CallTimeout = or(c.Breaker.CallTimeout, defaultCallTimeout)
	if c.Breaker.Classify == nil {
		c.Breaker.Classify = classify
	}
	if c.Breaker.Now == nil {
		c.Breaker.Now = c.Now
	}
	c.AutoResumeAfter = or(c.AutoResumeAfter, defaultAutoResumeAfter)
	c.ResumeFactor = or(c.ResumeFactor, defaultResumeFactor)
	c.MaxResumeAfter = or(c.MaxResumeAfter, max(defaultMaxResumeAfter, c.AutoResumeAfter))
	c.ResumeJitter = max(or(c.ResumeJitter, defaultResumeJitter), 0)
	c.MaxRecoveryAttempts = max(or(c.MaxRecoveryAttempts, defaultRecoveryAttempts), 0)
	c.EscalationTimeout = orNever(or(c.EscalationTimeout, defaultEscalationTimeout))
	c.Probation.Iterations = or(c.Probation.Iterations, defaultProbationIterations)
	c.Probation.Steps = or(c.Probation.Steps, defaultProbationSteps)
	c.Probation.Tokens = or(c.Probation.Tokens, defaultProbationTokens)
	c.MaxAgents = or(c.MaxAgents, defaultMaxAgents)
	c.Idle = orNever(or(c.Idle, defaultIdle))
	c.Events = max(or(c.Events, defaultEvents), 0)
	if c.AutoResumeAfter < 0 {
		c.MaxRecoveryAttempts = 0
	}
	return c
}

// pauseFor is how long a pause lasts after so many resumes that did not: AutoResumeAfter ×
// ResumeFactor^attempts, capped, and longer by up to ResumeJitter of it.
func (c Config) pauseFor(attempts int) time.Duration {
	d := min(float64(c.AutoResumeAfter)*math.Pow(c.ResumeFactor, float64(attempts)), float64(c.MaxResumeAfter))
	d *= 1 + c.ResumeJitter*rand.Float64()
	if d >= float64(c.EscalationTimeout) {
		return c.EscalationTimeout
	}
	return time.Duration(d)
}

func or[T comparable](v, zero T) T {
	var z T
	if v == z {
		return zero
	}
	return v
}

func orNever(d time.Duration) time.Duration {
	if d < 0 {
		return never
	}
	return d
}
