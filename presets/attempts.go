package presets

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/blackbox4/switchgear/core"
)

// retryCall goes on after a first attempt that returned out and err, until one
// succeeds or retry stops it.
func retryCall[In, Out any](ctx context.Context, gate core.Gate, retry *Retry, fn func(context.Context, In) (Out, error), in In, first attempt, out Out, err error) (Out, error) {
	if ctx == nil {
		ctx = context.Background()
	}
	s := &retryState{Retry: retry.WithDefaults(), ctx: ctx}
	s.breaker, _ = gate.(*core.Breaker)
	operation := func() (Out, error) {
		if s.made == 0 { // it was made before
			return out, s.judge(first, err)
		}
		out, a, err := call(ctx, gate, fn, in)
		return out, s.judge(a, err)
	}
	out, err = backoff.Retry(ctx, operation, backoff.WithBackOff(s), backoff.WithMaxElapsedTime(0))
	if err != nil {
		err = s.outcome()
	}
	return out, err
}

// call makes one attempt of a protected function.
func call[In, Out any](ctx context.Context, gate core.Gate, fn func(context.Context, In) (Out, error), in In) (Out, attempt, error) {
	var a attempt
	out, err := core.Do(ctx, gate, func(ctx context.Context) (Out, error) {
		out, err := fn(ctx, in)
		a.ended(ctx, err)
		return out, err
	})
	return out, a, err
}

// attempt is what is known of one attempt besides what it returned.
type attempt struct {
	ran   bool // it was not refused
	spent bool // its context had ended by the time it failed
}

// ended notes that the function returned err.
func (a *attempt) ended(ctx context.Context, err error) {
	a.ran, a.spent = true, err != nil && ctx.Err() != nil
}

// retryState is one call of a function and its attempts. It is the library's
// BackOff: it decides whether there is another attempt, and when.
type retryState struct {
	Retry

	ctx     context.Context //nolint:containedctx // lives as long as the call whose context it is
	breaker *core.Breaker   // nil if the name has none
	made    int             // attempts in which the function ran
	last    error           // what the last of them returned; not nil
	instead error           // what ended the attempts before the function ran again
	over    bool            // there will be no more attempts
}

// judge notes an attempt and returns its error, marked as permanent if there is to
// be no further one.
func (s *retryState) judge(a attempt, err error) error {
	if err == nil {
		return nil
	}
	if !a.ran { // refused, or the context is done
		s.instead, s.over = err, true
		return backoff.Permanent(err)
	}
	s.made++
	s.last = err
	if s.made >= s.Attempts || a.spent && s.ctx.Err() == nil || errors.Is(err, core.ErrOpen) || isContextError(err) || s.If != nil && !s.If(err) {
		s.over = true
		return backoff.Permanent(err)
	}
	// Not err: the library must not take it for one of its own.
	return errRetry
}

var errRetry = errors.New("presets: retry")

// Reset implements [backoff.BackOff].
func (*retryState) Reset() {}

// NextBackOff implements [backoff.BackOff].
func (s *retryState) NextBackOff() time.Duration {
	wait := s.delay(s.made, rand.Float64())
	if asked, ok := errors.AsType[interface {
		error
		RetryAfter() time.Duration
	}](s.last); ok {
		wait = max(wait, asked.RetryAfter())
	}
	// A wait after which the caller has gone is of no use.
	deadline, limited := s.ctx.Deadline()
	if wait > s.MaxDelay || limited && time.Until(deadline) <= wait {
		s.over = true
		return backoff.Stop
	}
	// Nor is a wait after which the breaker would still refuse: the refusal comes now.
	if s.breaker != nil && s.breaker.State() == core.Open {
		snap := s.breaker.Snapshot()
		if snap.Override == core.NoOverride && snap.RetryAt.Sub(snap.At) > wait {
			return 0
		}
	}
	return wait
}

// outcome is the error of a call that failed.
func (s *retryState) outcome() error {
	var err error
	switch {
	case s.instead != nil && errors.Is(s.instead, core.ErrOpen), s.instead != nil && s.ctx.Err() == nil:
		err = s.instead
	case s.instead == nil && s.over:
		return s.last
	default: // the context ended while it waited, or right after
		err = s.ctx.Err()
		if cause := context.Cause(s.ctx); cause != err { //nolint:errorlint // Cause returns the very value if there is none
			err = errors.Join(err, cause)
		}
	}
	return &cutShortError{err, s.last, s.made}
}

// cutShortError is the error of a call whose attempts ended early.
type cutShortError struct {
	by, last error
	made     int
}

func (c *cutShortError) Error() string {
	return fmt.Sprintf("%v (attempts that failed before: %d, the last: %v)", c.by, c.made, c.last)
}

func (c *cutShortError) Unwrap() []error { return []error{c.by, c.last} }

// isContextError reports whether err is an ended context's, itself or wrapped.
// Unlike errors.Is it does not take a network timeout for one, which says of
// itself that it is like a deadline.
func isContextError(err error) bool {
	if err == context.Canceled || err == context.DeadlineExceeded { //nolint:errorlint // see above
		return true
	}
	switch wrapped := err.(type) { //nolint:errorlint // this is what errors.Is does
	case interface{ Unwrap() error }:
		return isContextError(wrapped.Unwrap())
	case interface{ Unwrap() []error }:
		return slices.ContainsFunc(wrapped.Unwrap(), isContextError)
	}
	return false
}
