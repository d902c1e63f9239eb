package core

import (
	"errors"
	"time"
)

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

func (r *retryAfterError) Unwrap() error             { return r.error }
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
