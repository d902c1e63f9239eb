package core

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// ErrOpen is what every refusal of a breaker or a limit matches: errors.Is(err, ErrOpen).
// It is never returned as such; use errors.As with [*OpenError] for the facts.
var ErrOpen = errors.New("core: refused by a circuit breaker")

// OpenError is a refusal: the call was not made. One is built for each stay in
// a state, or whenever all probes are out, not for each call, so refusing
// allocates nothing; do not change it.
type OpenError struct {
	Name  string // the breaker, or the limit
	State State  // where the breaker stood, of a forced one when it was forced; [Closed] while it ramps up
	Cause Cause  // why the breaker is in that state, or why it refused
	// RetryAt is when to try again: when the break is over, when the ramp has
	// ended, when the next probe goes out after one was lost, or, while all probes
	// are out, when the oldest is lost at the latest. A time that has passed means
	// at once; the zero time means that only an operator ends it. For a limit it has always passed. It carries a monotonic reading: use time.Until.
	RetryAt time.Time
	// Reason is the text of the error that opened the breaker, at most 256 bytes
	// of UTF-8; empty if none was told. It is a text and not an error: a refusal
	// must not match, by errors.Is or errors.As, what an earlier call returned.
	Reason string
	// Shadow is set only in what Hooks.Refused is given while the breaker is in
	// [Shadow]: the call was admitted all the same.
	Shadow bool
}

// Error tells a person what happened and what to do.
func (e *OpenError) Error() string {
	if e.Cause == CauseLimitReached {
		return `concurrency limit "` + e.Name + `" refused the call: no place is free for it; try again soon, a place is free when a call ends`
	}
	var s strings.Builder
	s.WriteString(`circuit breaker "`)
	s.WriteString(e.Name)
	s.WriteString(`" refused the call: `)
	switch e.Cause { //nolint:exhaustive // the others are reasons for being open
	case CauseForcedOpen:
		s.WriteString("forced open by hand; only Release lets calls through again")
		return s.String()
	case CauseRampingUp:
		s.WriteString("it has just closed and admits a growing share of calls; try again, every call is admitted from ")
	case CauseProbesOut:
		s.WriteString("it is half-open and all probes are out; try again when one is settled; the oldest is lost at ")
	case CauseProbeLost:
		s.WriteString("it is half-open and a probe is taking long; the next goes out at ")
	default:
		s.WriteString("it is " + e.State.String() + " (" + e.Cause.String() + "); do not retry before ")
	}
	s.WriteString(e.RetryAt.Format(time.RFC3339Nano))
	if e.Reason != "" {
		s.WriteString("; it opened on: ")
		s.WriteString(e.Reason)
	}
	return s.String()
}

const maxReason = 256

// reasonOf returns the text of err for OpenError.Reason. It runs the user's
// code and needs to be called with no lock held.
func reasonOf(err error) (reason string) {
	if err == nil {
		return ""
	}
	defer func() {
		if p := recover(); p != nil {
			reason = fmt.Sprintf("%T, whose Error panicked", err)
		}
	}()
	reason = err.Error()
	if len(reason) <= maxReason {
		return strings.ToValidUTF8(reason, "")
	}
	const more = "…"
	return strings.ToValidUTF8(reason[:maxReason-len(more)], "") + more
}

// Is reports whether target is [ErrOpen], or [ErrLimited] if a [Limit] has refused.
func (e *OpenError) Is(target error) bool {
	return target == ErrOpen || target == ErrLimited && e.Cause == CauseLimitReached
}
