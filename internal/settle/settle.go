// Package settle has a permit that several goroutines may settle. The first one
// does: the end of a call, its context, or the lease of a probe.
package settle

import (
	"context"
	"sync"
	"time"

	"github.com/blackbox4/switchgear/core"
)

// Once holds the permit of one call. The first goroutine that claims it settles it,
// with the lock free: a Classify, a gate and hooks may call what they are told of.
// Its Mutex guards its fields, and may guard others of the call. It must not be copied.
type Once struct {
	sync.Mutex

	Permit  core.Permit // of the claimer alone, once Claimed
	Probe   bool
	Claimed bool // settled, or about to be
	Early   bool // claimed by Settle, so perhaps before the end of the call
	Lent    bool // its place was given back before the end, and not asked for again

	settled chan struct{} // of a claimed probe; closed when it is settled
	release func()        // see OnClaim
}

// Hold moves p to o, also in place of a permit that was lent. The caller holds the
// lock, or is the only one who knows o.
func (o *Once) Hold(p *core.Permit) {
	o.Probe, o.Permit = p.Probe(), p.Move()
	o.Claimed, o.Early, o.settled, o.release = false, false, nil, nil
}

// Do has settle settle the permit, unless it is claimed, and reports whether it did.
// If settle panics or exits, the call has failed.
func (o *Once) Do(ctx context.Context, settle func(*core.Permit)) (first bool) {
	o.Lock()
	if o.Claimed {
		o.Unlock()
		return false
	}
	o.do(ctx, settle)
	return true
}

// Settle settles the permit, unless it is claimed.
func (o *Once) Settle(ctx context.Context, outcome core.Outcome) {
	o.Lock()
	if o.Claimed {
		o.Unlock()
		return
	}
	o.Early = true
	o.do(ctx, func(p *core.Permit) { p.Settle(ctx, outcome) })
}

// ReportLocked is Do for an outcome and its error, without the cost of a func. The
// caller holds the lock, which is free when ReportLocked returns.
func (o *Once) ReportLocked(ctx context.Context, outcome core.Outcome, err error) (first bool) {
	if o.Claimed {
		o.Unlock()
		return false
	}
	if settled := o.claim(); settled != nil {
		defer close(settled)
	}
	o.Permit.Report(ctx, outcome, err)
	return true
}

func (o *Once) do(ctx context.Context, settle func(*core.Permit)) {
	settled := o.claim()
	defer finish(settled)
	defer o.Permit.Settle(ctx, core.Failure)
	settle(&o.Permit)
}

// LendIf gives the place of a probe back, to be asked for again, if it is not
// claimed and lends says so, which runs with the lock held. The call is Ignored
// so far.
func (o *Once) LendIf(ctx context.Context, lends func() bool) (lent bool) {
	o.Lock()
	if o.Claimed || !lends() {
		o.Unlock()
		return false
	}
	o.Lent = true // before the lock is free: the call asks for a place only if it sees this
	p := o.Permit.Move()
	defer finish(o.claim())
	p.Settle(ctx, core.Ignored)
	return true
}

// TakeBack moves the permit to p without settling it, and reports false if it is
// claimed.
func (o *Once) TakeBack(p *core.Permit) bool {
	o.Lock()
	if o.Claimed {
		o.Unlock()
		return false
	}
	*p = o.Permit.Move()
	finish(o.claim())
	return true
}

// claim makes the caller the one who settles, and frees the lock.
func (o *Once) claim() (settled chan struct{}) {
	o.Claimed = true
	if o.Probe {
		o.settled = make(chan struct{})
	}
	settled = o.settled
	release := o.release
	o.Unlock()
	if release != nil {
		release()
	}
	return settled
}

func finish(settled chan struct{}) {
	if settled != nil {
		close(settled)
	}
}

// Wait returns when a claimed probe is settled, so that its place is free when the
// caller goes on. That takes a microsecond. But hooks run in it, and one of them
// may wait for the caller: so it returns after 100 ms in any case.
func (o *Once) Wait() {
	o.Lock()
	settled := o.settled
	o.Unlock()
	if settled == nil {
		return
	}
	const enough = 100 * time.Millisecond
	select {
	case <-settled:
	case <-time.After(enough):
	}
}

// Lease makes sure that a probe gives its place back: it calls expired after d, and
// ended when ctx has ended, unless the permit is claimed before.
func (o *Once) Lease(ctx context.Context, d time.Duration, expired, ended func()) {
	timer := time.AfterFunc(d, expired)
	stop := context.AfterFunc(ctx, ended)
	o.OnClaim(func() {
		timer.Stop()
		stop()
	})
}

// OnClaim has release called when the permit is claimed, at once if it is.
func (o *Once) OnClaim(release func()) {
	o.Lock()
	claimed := o.Claimed
	o.release = release
	o.Unlock()
	if claimed {
		release()
	}
}
