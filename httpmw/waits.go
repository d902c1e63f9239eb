package httpmw

import (
	"context"
	"sync"
	"sync/atomic"
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
	if c.depth == 0 {
		c.since = c.m.now()
	}
	c.depth++
	if read {
		c.reads++
	}
	holds := c.probe && !c.settled
	c.mu.Unlock()
	if holds {
		c.m.waiting.add(c)
	}
}

// resume ends a wait.
func (c *call) resume(read bool) {
	c.mu.Lock()
	c.depth--
	if read {
		c.reads--
	}
	done := c.depth == 0
	if done {
		c.total += c.m.now() - c.since
	}
	held := c.probe
	c.mu.Unlock()
	if held && done {
		c.m.waiting.remove(c)
	}
}

// waiting are the probes of a middleware that wait for their clients. Such a probe
// keeps its place only until another request wants it: otherwise a few clients that
// send nothing would keep a half-open breaker from all others. So it may be that more
// than HalfOpenMaxCalls handlers run while clients are slow.
type waiting struct {
	n     atomic.Int64 // calls in the map
	mu    sync.Mutex
	calls map[string]map[*call]struct{}
}

func (w *waiting) add(c *call) {
	w.mu.Lock()
	defer w.mu.Unlock()
	of := w.calls[c.key]
	if of == nil {
		if w.calls == nil {
			w.calls = make(map[string]map[*call]struct{})
		}
		of = make(map[*call]struct{})
		w.calls[c.key] = of
	}
	of[c] = struct{}{}
	w.count()
}

func (w *waiting) remove(c *call) {
	w.mu.Lock()
	defer w.mu.Unlock()
	of := w.calls[c.key]
	if delete(of, c); len(of) == 0 {
		delete(w.calls, c.key)
	}
	w.count()
}

func (w *waiting) count() { w.n.Store(int64(len(w.calls))) }

// makeRoom takes the places of the probes of a key that wait now.
func (w *waiting) makeRoom(key string) {
	if w.n.Load() == 0 {
		return
	}
	w.mu.Lock()
	of := w.calls[key]
	delete(w.calls, key)
	w.count()
	w.mu.Unlock()
	for c := range of {
		c.lend()
	}
}

// lend gives back the place of a probe that waits for its client: settled by its
// status if it has sent that, and ignored otherwise.
func (c *call) lend() {
	c.mu.Lock()
	if c.settled || c.depth == 0 || c.status != 0 && c.outcome == 0 {
		c.mu.Unlock()
		return
	}
	o, err := core.Ignored, error(nil)
	if c.status != 0 {
		o, err = c.outcome, c.err
	} else {
		c.lent = true
	}
	p := c.claimLocked()
	c.mu.Unlock()
	p.Report(c.ctx, o, err)
}

// reclaim asks for a place again once the client has sent everything, as a request
// that comes now would. Without one, the call goes on and counts as what it was.
func (c *call) reclaim() {
	c.mu.Lock()
	lent := c.lent && c.status == 0 && !c.gone
	c.lent = c.lent && !lent
	c.mu.Unlock()
	if !lent {
		return
	}
	gate := c.m.gateOf(c.key)
	if b, ok := gate.(*core.Breaker); ok && b.State() == core.Open {
		return // and is not a refusal that anyone has met
	}
	c.m.waiting.makeRoom(c.key)
	p, err := gate.Allow(context.WithoutCancel(c.ctx))
	if err != nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.gone || c.status != 0 { // meanwhile
		defer p.Settle(c.ctx, core.Ignored)
		return
	}
	c.probe = p.Probe()
	c.permit, c.settled = p.Take(), false
	c.credited = c.until(c.m.now()) // before the permit's time
}
