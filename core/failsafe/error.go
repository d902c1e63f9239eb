package failsafe

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/blackbox4/switchgear/core"
)

// ErrFailsafe is what every refusal for a condition matches: errors.Is(err,
// ErrFailsafe). It is never returned as such; use errors.As with [*Error].
var ErrFailsafe = errors.New("failsafe: refused for a condition")

// Error is a refusal: the call was not made, for what Conditions say. One is built
// for each reading of the vitals, not for each call; do not change it.
//
// It matches [ErrFailsafe] and, as the refusal of any gate, [core.ErrOpen]: a
// breaker ignores it, retries stop, and the adapters answer 503 and Unavailable.
// For them errors.As also finds an [*core.OpenError] in it, with the name
// "failsafe", State Open, no Cause, and RetryAt.
type Error struct {
	Conditions []Condition // those that refuse, worst first
	// RetryAt is when the conditions could be over at the soonest. The zero time
	// means that it is not known. It carries a monotonic reading: use time.Until.
	RetryAt time.Time
}

// Error tells a person what is wrong and when to try again.
func (e *Error) Error() string {
	const told = 3 // there can be one for every disk
	var s strings.Builder
	s.WriteString("failsafe refused the call")
	for i, c := range e.Conditions {
		if i == told {
			fmt.Fprintf(&s, "; and %d more", len(e.Conditions)-told)
			break
		}
		s.WriteString([]string{": ", "; "}[min(i, 1)])
		s.WriteString(c.Message)
	}
	if !e.RetryAt.IsZero() {
		s.WriteString("; do not retry before ")
		s.WriteString(e.RetryAt.Format(time.RFC3339Nano))
	}
	return s.String()
}

// Is reports whether target is [ErrFailsafe] or [core.ErrOpen].
func (e *Error) Is(target error) bool { return target == ErrFailsafe || target == core.ErrOpen }

// As makes an [*core.OpenError] of the refusal, if target is for one.
func (e *Error) As(target any) bool {
	open, ok := target.(**core.OpenError)
	if ok {
		*open = &core.OpenError{Name: "failsafe", State: core.Open, RetryAt: e.RetryAt}
	}
	return ok
}

// RetryAfter is the time from now to RetryAt; zero if that has passed or is
// not known. See [core.RetryAfter].
func (e *Error) RetryAfter() time.Duration {
	if e.RetryAt.IsZero() {
		return 0
	}
	return max(time.Until(e.RetryAt), 0)
}
