package core

import (
	"context"
	"errors"
	"time"
)

var errNilFunc = errors.New("core: nil function")

// Do asks g for a permit, calls fn and settles the permit with what became of
// it. It returns what fn returned, or the zero T and the refusal.
//
// The error that fn returns is classified with ctx, the caller's. A panic and
// a [runtime.Goexit] of fn are failures and pass through. If the breaker has a
// CallTimeout, fn's context has that deadline; a call that outlives it is a
// failure and a timeout whatever fn returned, and is returned as it is. Of a
// gate made by [All] the shortest CallTimeout holds, for all its parts. A nil
// ctx is [context.Background]; a nil g or fn is an error.
func Do[T any](ctx context.Context, g Gate, fn func(context.Context) (T, error)) (T, error) {
	var zero T
	switch {
	case g == nil:
		return zero, errNilGate
	case fn == nil:
		return zero, errNilFunc
	case ctx == nil:
		ctx = context.Background()
	}
	p, err := g.Allow(ctx)
	if err != nil {
		return zero, err
	}
	defer p.abandon(ctx) // wins only if fn or a classifier did not return
	if p.has(limited) {
		return within(ctx, &p, fn)
	}
	v, err := fn(ctx)
	if err == nil && p.trivial() {
		p.Settle(ctx, Success) // what Done would do, a call nearer
	} else {
		p.Done(ctx, err)
	}
	return v, err
}

// within is the rest of Do for a call with a CallTimeout. It is kept apart so
// that calls without one do not pay for its defer.
func within[T any](ctx context.Context, p *Permit, fn func(context.Context) (T, error)) (T, error) {
	limit := p.timeout()
	if limit == 0 { // an Update took it away meanwhile
		v, err := fn(ctx)
		p.Done(ctx, err)
		return v, err
	}
	started := time.Now()
	inner, cancel := context.WithTimeoutCause(ctx, limit, errCallTimeout)
	defer cancel()
	v, err := fn(inner)
	// The cause tells our deadline from one the caller had set earlier. The
	// clock is asked as well: the context's timer may lag on a busy machine.
	switch {
	case context.Cause(inner) == errCallTimeout, //nolint:errorlint // our own value
		ctx.Err() == nil && time.Since(started) >= limit:
		p.timedOut(ctx, err)
	default:
		p.Done(ctx, err)
	}
	return v, err
}

var errCallTimeout error = &callTimeoutError{}

// callTimeoutError is the cause of a context that ended by CallTimeout.
type callTimeoutError struct{}

func (*callTimeoutError) Error() string        { return "core: the call outlived its CallTimeout" }
func (*callTimeoutError) Timeout() bool        { return true }
func (*callTimeoutError) Is(target error) bool { return target == context.DeadlineExceeded }

// Wrap returns fn behind g: the same function, refused when g refuses. The
// caller of Wrap keeps g, and so the breaker's state, at hand.
func Wrap[In, Out any](g Gate, fn func(context.Context, In) (Out, error)) func(context.Context, In) (Out, error) {
	if fn == nil {
		return func(context.Context, In) (Out, error) {
			var zero Out
			return zero, errNilFunc
		}
	}
	return func(ctx context.Context, in In) (Out, error) {
		return Do(ctx, g, func(ctx context.Context) (Out, error) { return fn(ctx, in) })
	}
}

// Do is [Do] for a function without a result.
func (b *Breaker) Do(ctx context.Context, fn func(context.Context) error) error {
	switch {
	case fn == nil:
		return errNilFunc
	case ctx == nil:
		ctx = context.Background()
	}
	p, err := b.Allow(ctx) // which knows what to say of a nil b
	if err != nil {
		return err
	}
	defer p.abandon(ctx)
	if p.has(limited) {
		_, err = within(ctx, &p, func(ctx context.Context) (struct{}, error) { return struct{}{}, fn(ctx) })
		return err
	}
	err = fn(ctx)
	p.Done(ctx, err)
	return err
}
