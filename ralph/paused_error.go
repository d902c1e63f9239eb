package ralph

import (
	"strconv"
	"strings"
	"time"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/core/failsafe"
	"github.com/blackbox4/switchgear/ralph/detect"
)

// The sentinels of this package's errors. As the refusals of a gate, they match
// [core.ErrOpen], too.
var (
	// ErrAgentPaused is what a refusal of an agent matches that is not escalated: it is
	// paused and may recover, or its work is over. Use errors.As with [*PausedError].
	ErrAgentPaused error = refusal("ralph: the agent is paused")
	// ErrFailsafeTriggered is what a refusal of an agent matches that is escalated: a
	// person has to look at it. No error matches both; what all refusals of agents have
	// in common is that they are a [*PausedError].
	ErrFailsafeTriggered error = refusal("ralph: the agent is escalated")
	// ErrUnknownAgent is for an id that is not monitored, or no longer.
	ErrUnknownAgent error = refusal("ralph: unknown agent")
	// ErrTooManyAgents is for a new agent when there are Config.MaxAgents.
	ErrTooManyAgents error = refusal("ralph: too many agents")
	// ErrClosed is for what is asked of a supervisor after [Supervisor.Close].
	ErrClosed error = refusal("ralph: the supervisor is closed")
)

type refusal string

func (r refusal) Error() string      { return string(r) }
func (refusal) Is(target error) bool { return target == core.ErrOpen }

// PausedError is a refusal: what was asked for must not be done. One is built for
// each pause, not for each call; do not change it.
//
// It matches one of two sentinels, so that they can be asked for in either order:
// [ErrFailsafeTriggered] if the agent is escalated, which a person has to end, and
// else [ErrAgentPaused].
//
// As the refusal of any gate it also matches [core.ErrOpen]: a breaker ignores it, retries stop, and the adapters answer 503 and Unavailable,
// for which errors.As also finds an [*core.OpenError] in it. If a rule or the host
// is the cause, and not a person, it matches [failsafe.ErrFailsafe], and errors.As
// finds a [*failsafe.Error] with the condition.
type PausedError struct {
	Agent   string // the id
	State   State  // Paused, Escalated or Stopped; else so many calls are out that it may not make another
	Cause   Cause
	Since   time.Time
	Attempt int // how often it has been resumed by itself
	// RetryAt is when the agent will be resumed by itself, if nothing is against
	// it. The zero time means that it waits for a person.
	RetryAt time.Time

	err error // what the host's gate said, or nil
}

// Error tells a person what happened and what to do.
func (e *PausedError) Error() string {
	var s strings.Builder
	s.WriteString("ralph: agent " + quoted(e.Agent) + " is " + e.State.String())
	if e.Cause.Rule != "" {
		s.WriteString(" (" + e.Cause.String() + ")")
	}
	switch {
	case e.State == Recovering:
		s.WriteString("; as many calls as it may make on probation are out")
	case e.State == Running:
		s.WriteString("; what is left is set aside for others")
	case e.State == Stopped:
		s.WriteString("; its work is over")
	case e.RetryAt.IsZero():
		s.WriteString("; a person has to resume it")
	default:
		s.WriteString("; do not retry before " + e.RetryAt.Format(time.RFC3339Nano))
	}
	return s.String()
}

// ToolResult is the refusal as the text that a tool would have returned: it tells
// the model what happened and what to do instead, and nothing of the inside.
func (e *PausedError) ToolResult() string {
	s := "This call was not made."
	if e.Cause.Message != "" && e.Cause.Rule != RuleManual {
		s += " " + sentence(e.Cause.Message)
	}
	switch {
	case e.State == Stopped:
		return s + " This task is over. Do not call any more tools; end with a short summary of what was done."
	case e.Cause.Reason == detect.ReasonExhausted:
		return s + " The budget of this task is used up. Do not call any more tools; answer now with what you have, and say what is missing."
	case e.Cause.Reason == detect.ReasonBlocked || e.State == Escalated:
		return s + " A person has been asked to look at this. Do not try again and do not call other tools; say what you need from them, and end your turn."
	case e.Cause.Reason == detect.ReasonTransient:
		return s + " Something that is needed is not available at the moment. Do not try again now; say what you have so far, and end your turn."
	}
	return s + " Do not repeat it, in these or other words. Say what you have learned so far and what you would do differently, and end your turn."
}

// Is reports whether target is one of the sentinels that e matches.
func (e *PausedError) Is(target error) bool {
	sentinel := ErrAgentPaused
	if e.State == Escalated {
		sentinel = ErrFailsafeTriggered
	}
	return target == sentinel || target == core.ErrOpen ||
		target == failsafe.ErrFailsafe && e.Cause.Rule != RuleManual && e.Cause.Rule != ""
}

// As makes an [*core.OpenError] or a [*failsafe.Error] of the refusal, if target is
// for one.
func (e *PausedError) As(target any) bool {
	switch target := target.(type) {
	case **core.OpenError:
		*target = &core.OpenError{Name: e.Agent, State: core.Open, RetryAt: e.RetryAt}
		return true
	case **failsafe.Error:
		if e.err == nil && e.Is(failsafe.ErrFailsafe) {
			*target = &failsafe.Error{Conditions: []failsafe.Condition{e.Cause.condition()}, RetryAt: e.RetryAt}
			return true
		}
	}
	return false // an error of the host's gate is found by Unwrap
}

// Unwrap returns what the host's gate said, or nil.
func (e *PausedError) Unwrap() error { return e.err }

// RetryAfter is the time from now to RetryAt; zero if that has passed or a person
// has to resume the agent. See [core.RetryAfter].
func (e *PausedError) RetryAfter() time.Duration {
	if e.RetryAt.IsZero() {
		return 0
	}
	return max(time.Until(e.RetryAt), 0)
}

// quoted makes an id or a note fit for a log.
func quoted(s string) string {
	const shown = 64
	if len(s) > shown {
		return strconv.Quote(strings.ToValidUTF8(s[:shown], "")) + "…"
	}
	return strconv.Quote(s)
}

// sentence ends with a full stop.
func sentence(s string) string {
	if s = strings.TrimSpace(s); s == "" || strings.ContainsAny(s[len(s)-1:], ".!?") {
		return s
	}
	return s + "."
}
