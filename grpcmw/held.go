package grpcmw

import (
	"context"
	"sync"
	"time"

	"github.com/blackbox4/switchgear/core"
)

// held is a permit that several goroutines may settle, of which the first one does.
// What it runs for that, a Classify, a gate and hooks, may do anything, also call
// what it is told of: it runs with no lock held.
type held struct {
	mu      sync.Mutex
	permit  core.Permit // of whoever has claimed it
	probe   bool
	claimed bool
	lent    bool          // the place was given back before the end, and not asked for again
	settled chan struct{} // of a claimed probe; closed when it is settled
	release func()        // ends what startLease or watch has begun
}

// once has settle settle the permit, unless somebody has or is about to, and
// reports whether it did. If settle panics, the call has failed.
func (h *held) once(ctx context.Context, settle func(*core.Permit)) (first bool) {
	h.mu.Lock()
	if h.claimed {
		h.mu.Unlock()
		return false
	}
	done := h.claimLocked()
	defer done()
	defer h.permit.Settle(ctx, core.Failure)
	settle(&h.permit)
	return true
}

// lendIf gives the place of a probe back, to be asked for again, if the call is not
// settled and holds says so, which runs with the lock held.
func (h *held) lendIf(ctx context.Context, holds func() bool) (lent bool) {
	h.mu.Lock()
	if h.claimed || !holds() {
		h.mu.Unlock()
		return false
	}
	h.lent = true        // at once, or the call could miss that it has something to ask for
	p := h.permit.Move() // from here on permit is that of the next place
	done := h.claimLocked()
	defer done()
	p.Settle(ctx, core.Ignored)
	return true
}

// claimLocked makes the caller the one who settles. It gives the lock back, and returns
// what is to be done when that has happened.
func (h *held) claimLocked() (done func()) {
	h.claimed = true
	done = func() {}
	if h.probe {
		settled := make(chan struct{})
		h.settled, done = settled, func() { close(settled) }
	}
	release := h.release
	h.mu.Unlock()
	if release != nil {
		release()
	}
	return done
}

func (h *held) settle(ctx context.Context, o core.Outcome) {
	h.once(ctx, func(p *core.Permit) { p.Settle(ctx, o) })
}

// wait returns when the probe that somebody has claimed is settled, so that its
// place is free for who learns of its end. That takes a microsecond; but hooks run in
// it, and one may be waiting for who waits here.
func (h *held) wait() {
	h.mu.Lock()
	settled := h.settled
	h.mu.Unlock()
	if settled == nil {
		return
	}
	const enough = 100 * time.Millisecond
	select {
	case <-settled:
	case <-time.After(enough):
	}
}

// startLease makes sure that a probe gives its place back: with done when ctx ends,
// with expired when it has taken too long.
func (h *held) startLease(ctx context.Context, lease time.Duration, expired func(), done func(error)) {
	timer := time.AfterFunc(lease, expired)
	forget := context.AfterFunc(ctx, func() { done(ctx.Err()) })
	h.releaseBy(func() {
		timer.Stop()
		forget()
	})
}

// releaseBy has release called when the permit is settled, or now.
func (h *held) releaseBy(release func()) {
	h.mu.Lock()
	claimed := h.claimed
	h.release = release
	h.mu.Unlock()
	if claimed {
		release()
	}
}
