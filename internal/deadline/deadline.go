// Package deadline has what adapters need to know of the deadlines of calls.
package deadline

import (
	"context"
	"time"
)

// Slack is how far apart a deadline may pass here and at the other side, besides a
// tenth of the time.
const Slack = 50 * time.Millisecond

// Passed reports whether a client that has gone after so long may have gone because
// its deadline had passed. There it may pass a moment sooner than here. A limit of
// zero is none.
func Passed(elapsed, limit time.Duration) bool {
	return limit > 0 && elapsed >= max(limit-limit/10-Slack, limit/2)
}

// Exceeded returns err so that it matches [context.DeadlineExceeded].
func Exceeded(err error) error { return &exceeded{err} }

type exceeded struct{ error }

func (e *exceeded) Unwrap() error        { return e.error }
func (e *exceeded) Is(target error) bool { return target == context.DeadlineExceeded }
