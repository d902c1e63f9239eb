package core

import (
	"errors"
	"math"
	"time"
)

// breakFor returns how long the breaker stays open after opens openings
// without a close between: Timeout × TimeoutFactor^(opens-1), spread by
// Jitter with draw in [0, 1), but no less than after asks for, and never more
// than MaxTimeout.
func (c Config) breakFor(opens int, draw float64, after time.Duration) time.Duration {
	d := float64(c.Timeout)
	if c.TimeoutFactor > 1 {
		d *= math.Pow(c.TimeoutFactor, float64(opens-1)) // +Inf is capped below
	}
	d = min(d, float64(c.MaxTimeout))
	d *= 1 + c.Jitter*(2*draw-1)
	d = max(d, float64(after))
	if d >= float64(c.MaxTimeout) {
		return c.MaxTimeout
	}
	return time.Duration(d)
}

// later is the time d after at, or the end of time.
func later(at, d time.Duration) time.Duration {
	if sum := at + d; sum >= at {
		return sum
	}
	return math.MaxInt64
}

// RetryAfter wraps err into a failure that says when to come back, as a server
// does with Retry-After or RetryInfo. If that failure opens a breaker, the
// break lasts at least d, but never less than the configured time nor more
// than MaxTimeout; d of zero or less asks for nothing. A nil err gives nil.
//
// The result unwraps to err and has its text. It says d by a method RetryAfter()
// [time.Duration], and any other error in the chain that has that method is
// understood in the same way.
func RetryAfter(err error, d time.Duration) error {
	if err == nil {
		return nil
	}
	return &retryAfterError{err, d}
}

type retryAfterError struct {
	error

	after time.Duration
}

func (r *retryAfterError) Unwrap() error { return r.error }

func (r *retryAfterError) RetryAfter() time.Duration { return r.after }

// askedFor returns the time that err asks for; zero if it does not.
func askedFor(err error) time.Duration {
	if r, ok := errors.AsType[interface {
		error
		RetryAfter() time.Duration
	}](err); ok {
		return r.RetryAfter()
	}
	return 0
}
