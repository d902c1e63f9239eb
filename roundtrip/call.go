package roundtrip

import (
	"context"
	"net/http"

	"github.com/blackbox4/switchgear/core"
)

// call is one round trip.
type call struct {
	Result

	loan      *loan // of a probe whose body is watched
	forfeited bool  // its place was given back
	done      bool
}

// prepare returns what Base gets of a request that has a body. A body in memory
// can only have the wrong length, which is seen before it is sent.
func (c *call) prepare(t *Transport, p *core.Permit) *http.Request {
	req := c.Request
	if left, ok := inMemory(req.Body); ok {
		c.misfit = req.ContentLength > 0 && int64(left) != req.ContentLength
		return req
	}
	out := req
	if u, ok := req.Body.(*upload); ok {
		c.sending = u.sending // another Transport, further out, watches it
	} else {
		c.sending = watchUpload(req)
		out = &c.sending.request
	}
	if p.Probe() {
		c.loan = lendPermit(req.Context(), p, c.sending, t.options.probeLease())
	}
	return out
}

// sent does what there is to do when Base has returned.
func (c *call) sent(t *Transport, out *http.Request, p *core.Permit) {
	if out != c.Request && c.Response != nil && c.Response.Request == out {
		c.Response.Request = c.Request
	}
	t.losses.note(c.Response, c.carried)
	if c.sending == nil {
		return
	}
	c.takeBack(p)
	waited, _ := c.sending.wait(clock())
	p.Waited(waited)
}

// takeBack ends a loan.
func (c *call) takeBack(p *core.Permit) {
	if c.loan != nil && !c.loan.takeBack(p) {
		c.forfeited = true
	}
	c.loan = nil
}

// askAgain makes p a new permit, if the gate still wants to know, for a call that
// has an outcome and no place any more: the host did answer, and where all bodies
// come slowly there are no others to tell of it.
func askAgain(ctx context.Context, gate core.Gate, p *core.Permit) {
	if b, ok := gate.(interface{ State() core.State }); ok && b.State() != core.HalfOpen {
		return
	}
	again, err := gate.Allow(ctx)
	if err != nil {
		return
	}
	if !again.Probe() {
		again.Settle(ctx, core.Ignored)
		return
	}
	*p = again.Move()
}
