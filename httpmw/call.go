package httpmw

import (
	"context"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/internal/durations"
	"github.com/blackbox4/switchgear/internal/places"
	"github.com/blackbox4/switchgear/internal/settle"
)

// call is one request in a handler. It is the handler's writer too, see writer.go,
// so that both are one allocation.
type call struct {
	m     *middleware
	w     http.ResponseWriter
	r     *http.Request   // the handler's
	ctx   context.Context //nolint:containedctx // r's, before a handler changes that in place
	key   string
	usual *durations.Calls
	start time.Duration // by the middleware's clock
	limit time.Duration // how long the client waits, if it says so; or 0

	// The lock of once guards what follows too. Nothing that may block, or is not ours,
	// runs under it.
	once   settle.Once
	place  *places.Place // of a probe
	gone   bool          // the handler has returned or panicked
	status int           // 0 until there is one
	begun  signs
	waits
	unread    bool          // the request's body could not be read, or is not as long as announced
	unwritten bool          // the client did not take what was written
	credited  time.Duration // of the time waited: taken off the permit's
	outcome   core.Outcome  // of a probe by its status; 0 until there is one
	err       error
	lease     *time.Timer // of a probe's handler after its headers
	alarm     *time.Timer // at the client's deadline
}

func (m *middleware) watch(p *core.Permit, key string, w http.ResponseWriter, r *http.Request) *call {
	c := &call{
		m: m, w: w, r: r, ctx: r.Context(), key: key, usual: m.usualOf(key),
		start: m.now(),
	}
	c.once.Hold(p)
	if c.once.Probe {
		c.place = m.places.Hold(key, c)
	}
	c.setLimit()
	return c
}

// wroteHeader notes the status of the response.
func (c *call) wroteHeader(code int) {
	c.once.Lock()
	if c.status != 0 || c.once.Claimed && !c.once.Lent {
		c.once.Unlock()
		return
	}
	c.status, c.begun = code, c.signsLocked()
	judge := !c.once.Claimed && c.once.Probe
	if !c.once.Claimed {
		c.creditLocked(&c.once.Permit)
		c.once.Permit.ResponseStarted() // what is waited from now on is no part of that
	}
	c.once.Unlock()
	if !judge {
		return
	}
	o, err := c.verdict() // now: other goroutines have no business with the request
	c.once.Lock()
	defer c.once.Unlock()
	c.outcome, c.err = o, err
	c.lease = time.AfterFunc(c.m.ProbeLease, func() { c.settle(o, err) })
}

// creditLocked takes off the permit's time what was spent waiting for the client.
func (c *call) creditLocked(p *core.Permit) {
	waited := c.until(c.m.now())
	p.Waited(waited - c.credited)
	c.credited = waited
}

// flushed settles a stream that has begun.
func (c *call) flushed() {
	if !c.over() && c.m.IsStream(c.w.Header()) {
		c.end()
	}
}

// over reports whether the call is settled.
func (c *call) over() bool {
	c.once.Lock()
	defer c.once.Unlock()
	return c.once.Claimed
}

// end settles by the status.
func (c *call) end() {
	if !c.over() {
		c.settle(c.verdict())
	}
}

// returned is end for a handler that has returned, which tells how long a call takes
// when all is well.
func (c *call) returned() {
	if c.over() {
		return
	}
	o, err := c.verdict()
	c.once.Lock()
	status, own := c.status, c.signsLocked().own()
	c.once.Unlock()
	if o == core.Success && status < http.StatusBadRequest { // a mistake is found sooner than an answer
		c.usual.Took(own)
	}
	c.settle(o, err)
}

// verdict is what the status says, and the error that is told of a failure.
func (c *call) verdict() (core.Outcome, error) {
	c.once.Lock()
	status, begun, now := c.status, c.begun, c.signsLocked()
	c.once.Unlock()
	answered := status != 0 && !failed(status)
	if status == 0 {
		status, begun = http.StatusOK, now
	}
	var o core.Outcome
	switch {
	case c.m.Classify != nil:
		o = c.m.Classify(c.r, status)
	case c.ctx.Err() != nil && !answered && now.expired && c.hung(now):
		o = core.Failure // also when the client has gone at its deadline
	default:
		o = classify(c.ctx, status)
	}
	switch {
	case o == core.Success || o == core.Ignored:
		return o, nil
	case c.clientsDoing(status, begun, now):
		return core.Ignored, nil
	case begun.expired || now.expired && !failed(status):
		return o, context.DeadlineExceeded
	}
	return o, &statusError{status}
}

// abandon settles a call whose handler has not returned.
func (c *call) abandon() {
	if c.over() {
		return
	}
	c.once.Lock()
	now, broken := c.signsLocked(), c.unread || c.unwritten
	c.once.Unlock()
	switch {
	case broken, now.expired && !c.hung(now), !now.expired && c.ctx.Err() != nil:
		c.settle(core.Ignored, nil)
	default:
		c.settle(core.Failure, errAborted)
	}
}

// settle settles the call, unless that was done.
func (c *call) settle(o core.Outcome, err error) (first bool) {
	c.once.Lock()
	if c.status == 0 && !c.once.Claimed {
		c.creditLocked(&c.once.Permit)
	}
	place := c.place
	if place != nil {
		defer place.Settled()
	}
	return c.once.ReportLocked(c.ctx, o, err)
}

// leave is what a handler cannot get around.
func (c *call) leave(r *http.Request) {
	c.giveBack(r)
	defer c.stop()
	c.abandon()
}

// stop ends what may still come of the call when its handler is gone.
func (c *call) stop() {
	c.once.Lock()
	c.gone = true
	defer c.place.Over()
	defer c.once.Unlock()
	for _, t := range []*time.Timer{c.lease, c.alarm} {
		if t != nil {
			t.Stop()
		}
	}
}

// statusError is the error that hooks and log are told of a failure status.
type statusError struct{ status int }

func (e *statusError) Error() string {
	return strings.TrimSpace("HTTP status " + strconv.Itoa(e.status) + " " + http.StatusText(e.status))
}

var errAborted = abortedError{}

type abortedError struct{}

func (abortedError) Error() string { return "the handler panicked or exited" }

func isEventStream(h http.Header) bool {
	media, _, err := mime.ParseMediaType(h.Get("Content-Type"))
	return err == nil && media == "text/event-stream"
}
