package grpcmw

import (
	"context"
	"sync"
	"time"

	"github.com/blackbox4/switchgear/core"
)

// held is a permit that several goroutines may settle. The first does; the others
// wait until it has, so that a probe's place is free when a stream has ended.
type held struct {
	mu      sync.Mutex
	permit  core.Permit
	settled bool
	release func() // what lend has begun
}

// once lets settle settle the permit, unless somebody has. If it panics, the call
// has failed.
func (h *held) once(ctx context.Context, settle func(*core.Permit)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.settled {
		return
	}
	h.settled = true
	if h.release != nil {
		h.release()
	}
	defer h.permit.Settle(ctx, core.Failure)
	settle(&h.permit)
}

func (h *held) settle(ctx context.Context, o core.Outcome) {
	h.once(ctx, func(p *core.Permit) { p.Settle(ctx, o) })
}

// lend makes sure that a probe gives its place back: with done when ctx ends, as a
// success when it has taken too long.
func (h *held) lend(ctx context.Context, lease time.Duration, done func(error)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.settled {
		return
	}
	timer := time.AfterFunc(lease, func() { h.settle(ctx, core.Success) })
	forget := context.AfterFunc(ctx, func() { done(ctx.Err()) })
	h.release = func() {
		timer.Stop()
		forget()
	}
}
