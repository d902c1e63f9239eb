package core

import (
	"context"
)

// CheckHealth asks the dependency itself, while a break lasts, whether it is
// well again: if the breaker is open, it runs check, and if that returns nil
// the break ends at once and the breaker is half-open, also if the break was
// longer than Timeout by [RetryAfter] or TimeoutFactor. A check that fails, whose
// error is returned, changes nothing; nor does one that outlasts the break it
// was begun in. Nothing is run, and nil returned, if the breaker is not open or
// an override keeps its state from mattering ([ForcedOpen], [Disabled]).
//
// The check is no call: it is neither counted nor given a CallTimeout. It runs
// with no lock held, and a panic of it passes through.
func (b *Breaker) CheckHealth(ctx context.Context, check func(context.Context) error) error {
	if check == nil {
		return errNilFunc
	}
	if !b.made() {
		return errNoBreaker
	}
	ctx = background(ctx)
	ph, o := b.phase.Load(), b.settings.Load().override
	if ph.state != Open || b.now() >= ph.until || o == ForcedOpen || o == Disabled {
		return nil
	}
	if err := check(ctx); err != nil {
		return err
	}
	now := b.lock()
	b.advanceLocked(ctx, b.settings.Load(), now)
	if b.phase.Load() == ph {
		b.halfOpenLocked(ctx, now, CauseCheckPassed)
	}
	b.mu.Unlock()
	b.deliver()
	return nil
}
