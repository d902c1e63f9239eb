package httpmw

import (
	"context"
	"time"

	"github.com/blackbox4/switchgear/internal/places"
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
	c.once.Lock()
	defer c.once.Unlock()
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
	c.once.Lock()
	defer c.once.Unlock()
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
	c.once.Lock()
	defer c.once.Unlock()
	return c.since, !c.once.Claimed && c.depth > 0 && (c.status == 0 || c.outcome != 0)
}

// Lend implements [places.Lender]. A call that has sent its status is settled by that,
// and is ignored otherwise. Between its status and its outcome it keeps its place.
func (c *call) Lend() bool {
	c.once.Lock()
	o, err, waits := c.outcome, c.err, c.depth > 0
	c.once.Unlock()
	if waits && o != 0 {
		return c.settle(o, err)
	}
	place := c.place
	lent := c.once.LendIf(c.ctx, func() bool {
		place = c.place
		return c.depth > 0 && c.status == 0
	})
	if lent {
		place.Settled()
	}
	return lent
}

// reclaim asks for a place again once the client has sent everything, as a request
// that comes now would. Without one, the call goes on and counts as what it was.
func (c *call) reclaim() {
	wants := func() bool { return !c.gone && c.status == 0 }
	places.Reclaim(context.WithoutCancel(c.ctx), c.m.gateOf(c.key), &c.once, &c.place, wants, func() {
		c.credited = c.until(c.m.now()) // before the permit's time
	})
}
