package httpmw

import (
	"context"
	"time"

	"github.com/blackbox4/switchgear/core"
)

// waits is the time that a call has spent waiting for its client: for bytes of the
// request, or until it takes those of the response. The call's mu guards it.
type waits struct {
	depth int // goroutines that wait now
	reads int // of them, for bytes of the request
	since time.Duration
	total time.Duration // before since
}

// until is the time waited until now.
func (w *waits) until(now time.Duration) time.Duration {
	if w.depth > 0 {
		return w.total + now - w.since
	}
	return w.total
}

// wait notes that the call waits for its client from now on.
func (c *call) wait(read bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.depth == 0 {
		c.since = c.m.now()
	}
	c.depth++
	if read {
		c.reads++
	}
}

// resume ends a wait.
func (c *call) resume(read bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.depth--
	if read {
		c.reads--
	}
	if c.depth == 0 {
		c.total += c.m.now() - c.since
	}
}

// Waits implements [places.Lender].
func (c *call) Waits() (since time.Duration, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.since, c.lendsLocked()
}

// lendsLocked reports whether the call has a place to lend. Between its status and the
// verdict on that it has not.
func (c *call) lendsLocked() bool {
	return !c.settled && c.depth > 0 && (c.status == 0 || c.outcome != 0)
}

// Lend implements [places.Lender]. A call that has sent its status is settled by that,
// and is ignored otherwise.
func (c *call) Lend() bool {
	c.mu.Lock()
	if !c.lendsLocked() {
		c.mu.Unlock()
		return false
	}
	o, err := core.Ignored, error(nil)
	if c.status != 0 {
		o, err = c.outcome, c.err
	} else {
		c.lent = true
	}
	p, place := c.claimLocked()
	c.mu.Unlock()
	defer place.Settled()
	p.Report(c.ctx, o, err)
	return true
}

// reclaim asks for a place again once the client has sent everything, as a request
// that comes now would. Without one, the call goes on and counts as what it was.
func (c *call) reclaim() {
	c.mu.Lock()
	lent, place := c.lent && c.status == 0 && !c.gone, c.place
	c.lent = c.lent && !lent
	c.mu.Unlock()
	if !lent {
		return
	}
	p, ok := place.Again(context.WithoutCancel(c.ctx), c.m.gateOf(c.key))
	if !ok {
		return
	}
	next := c.m.places.Hold(c.key, c) // not with the call's lock held
	c.mu.Lock()
	if c.gone || c.status != 0 { // meanwhile
		c.mu.Unlock()
		next.Over()
		p.Settle(c.ctx, core.Ignored)
		return
	}
	c.probe, c.place = p.Probe(), next
	c.permit, c.settled = p.Move(), false
	c.credited = c.until(c.m.now()) // before the permit's time
	c.mu.Unlock()
	place.Over()
}
