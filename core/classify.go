package core

import (
	"context"
	"errors"
)

// DefaultClassify is what a [Breaker] without its own Classify uses. It looks
// at the caller's context, never only at the error's text or kind, because a
// cancelled call may fail with any error at all:
//
//   - no error is a [Success];
//   - the caller cancelled ctx: [Ignored], it says nothing about the dependency;
//   - the caller's deadline passed: [Failure], a dependency that hangs shows
//     itself in no other way;
//   - another gate's refusal (errors.Is(err, [ErrOpen])): [Ignored];
//   - a shortage of this machine ([LocalShortage]): [Ignored];
//   - any other error is a [Failure].
//
// A nil ctx is taken for [context.Background].
func DefaultClassify(ctx context.Context, err error) Outcome {
	if err == nil {
		return Success
	}
	if ctx != nil {
		switch ctx.Err() {
		case context.Canceled:
			return Ignored
		case context.DeadlineExceeded:
			return Failure
		}
	}
	if errors.Is(err, ErrOpen) || LocalShortage(err) {
		return Ignored
	}
	return Failure
}

// classify makes a verdict of what a call returned.
func (b *Breaker) classify(ctx context.Context, err error) verdict {
	if ctx == nil {
		ctx = context.Background()
	}
	classify := b.settings.Load().Classify
	if classify == nil {
		classify = DefaultClassify
	}
	v := verdict{outcome: classify(ctx, err).known(), err: err}
	if v.outcome == Failure && err != nil {
		v.after = max(askedFor(err), 0)
		v.timedOut = errors.Is(err, context.DeadlineExceeded)
	}
	return v
}
