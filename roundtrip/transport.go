package roundtrip

import (
	"net/http"
	"time"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/internal/keycache"
)

// Transport is an [http.RoundTripper] behind circuit breakers, made by [New]. The
// zero Transport is New(nil, nil). It is safe for concurrent use and starts no
// goroutine. It must not be copied.
//
// It keeps to the contract of a RoundTripper: it does not change the caller's
// request, closes the body of a request that it refuses, and returns a response
// whatever its status, with the body unread. It may wrap the response's body, with
// Read and Close (and Write, if the body has that).
//
// A request with a body is sent as a copy whose body is wrapped, also where GetBody
// makes it anew. Only the reader of a body knows that it could not be read, had another
// length than ContentLength, or came slowly, which is not the host's fault. Not wrapped are
// [http.NoBody], nil, and what http.NewRequest makes of a [bytes.Reader],
// [bytes.Buffer] or [strings.Reader]: net/http sends those together with the
// headers, and their length is compared beforehand. A wrapped file is copied through
// memory and not by sendfile.
//
// [DefaultClassify], or Options.Classify, decides the outcome of a call. A call is
// settled when the headers have come, if they decide it (a failure status, no body,
// an upgraded connection, a stream). Otherwise it is settled when the body has been
// read, could not be read, or was closed. Its duration, for
// [core.Config.SlowAfter], is the time to the headers, without the time spent
// waiting for the request's wrapped body. A response body that is neither read to
// its end nor closed keeps its connection, and its call stays in flight.
//
// When an HTTP/2 connection is lost, the calls on it count as one failure for each
// breaker.
//
// A probe takes as long as its call takes, and a slow one is settled when it ends.
// Three things end it before:
//
//   - the host has answered and Options.ProbeLease has passed: a success;
//   - the caller cancels: ignored;
//   - the request's body does not come, for 1 s at a stretch or for ProbeLease
//     altogether: ignored. So a client of a proxy that announces a body and sends
//     none does not keep the breaker half-open. If the call is answered after all,
//     the answer counts as a call of its own where the breaker is still half-open
//     and has a place.
//
// A refusal is an [*core.OpenError], which errors.As finds in what http.Client
// returns; nothing was sent. A 429 or 503 with a Retry-After that opens the breaker
// keeps it open until then, within its MaxTimeout.
//
// A gate that neither admits nor refuses (a nil or zero Breaker, a registry whose
// Config is not valid, a Gate whose error does not match [core.ErrOpen]) is a fault
// of the program. The error gives the reason, also with RefuseWithResponse, matches
// [ErrNotSent] and is not tried again by [RetryClient].
type Transport struct {
	options  Options
	registry *core.Registry // nil means own

	own    core.Registry
	keys   keycache.Cache[hostKey]
	losses losses
}

var _ http.RoundTripper = (*Transport)(nil)

// New returns a Transport with the breakers of a registry, one for each host. A
// nil registry is one of its own, of breakers with the default configuration; nil
// options are the zero ones.
func New(registry *core.Registry, o *Options) *Transport {
	t := &Transport{registry: registry}
	if o != nil {
		t.options = *o
	}
	return t
}

// Breakers returns the registry that holds the breakers.
func (t *Transport) Breakers() *core.Registry {
	if t.registry != nil {
		return t.registry
	}
	return &t.own
}

// gate returns the gate of a request.
func (t *Transport) gate(req *http.Request) core.Gate {
	if t.options.Gate != nil {
		return t.options.Gate
	}
	return t.Breakers().Gate(t.key(req))
}

// key returns what names the breaker of a request.
func (t *Transport) key(req *http.Request) string {
	if t.options.Key != nil {
		return t.options.Key(req)
	}
	return t.cachedHost(req.URL)
}

// RoundTrip implements [http.RoundTripper].
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	if req == nil || req.URL == nil || req.URL.Host == "" {
		return t.options.base().RoundTrip(req) // which knows what to say of it
	}
	ctx := req.Context()
	gate := t.gate(req)
	p, err := gate.Allow(ctx)
	if err != nil {
		return t.refuse(req, err)
	}
	c := call{Result: Result{Request: req}}
	defer func() {
		if !c.done { // Base, or what classifies, has panicked or exited
			c.takeBack(&p)
			p.Settle(ctx, core.Failure)
			c.discard()
		}
	}()
	if t.options.AllowProbe != nil && p.Probe() && !t.options.AllowProbe(req) {
		c.done = true
		p.Settle(ctx, core.Ignored)
		return t.refuse(req, notAProbe(gate))
	}
	out := req
	if req.Body != nil && req.Body != http.NoBody {
		out = c.prepare(t, &p)
	}
	if t.traces() {
		out, c.carried = t.losses.trace(out)
	}
	var begun time.Time
	if t.options.Classify != nil {
		begun = time.Now()
	}
	c.Response, c.Err = t.options.base().RoundTrip(out)
	if t.options.Classify != nil {
		c.Elapsed = time.Since(begun)
	}
	c.sent(t, out, &p)
	o := t.judge(&c.Result)
	if o == core.Failure {
		o = t.limitedThere(gate, c.Response)
	}
	if c.forfeited && o != core.Ignored {
		askAgain(ctx, gate, &p)
	}
	if o == core.Success && t.hasBody(&c.Result) {
		c.Response.Body = t.wrapBody(&p, &c.Result)
	} else {
		p.Report(ctx, o, c.reason(o))
	}
	c.done = true
	return c.Response, c.Err
}

// hasBody reports whether there is a body that may yet show a failure.
func (t *Transport) hasBody(e *Result) bool {
	resp := e.Response
	switch {
	case resp == nil || resp.Body == nil || resp.Body == http.NoBody,
		resp.StatusCode == http.StatusSwitchingProtocols || e.Request.Method == http.MethodConnect, // a connection now
		e.Request.Method == http.MethodHead:
		return false
	case t.options.IsStream != nil:
		return !t.options.IsStream(resp)
	}
	return !isEventStream(resp)
}

func (t *Transport) classify(e Result) core.Outcome {
	if t.options.Classify == nil {
		return DefaultClassify(e)
	}
	return t.options.Classify(e)
}

// judge classifies what has not been counted yet.
func (t *Transport) judge(e *Result) core.Outcome {
	o := t.classify(*e)
	if o == core.Failure && e.Err != nil && t.counted(e) {
		return core.Ignored
	}
	return o
}

// counted reports whether a failure is the loss of a connection that was counted.
func (t *Transport) counted(e *Result) bool {
	key := ""
	if t.options.Gate == nil {
		key = t.key(e.Request)
	}
	return t.losses.counted(e, key)
}

// CloseIdleConnections passes on what [http.Client.CloseIdleConnections] asks for,
// if Base has that method and KeepIdle is not set.
func (t *Transport) CloseIdleConnections() {
	if base, ok := t.options.base().(interface{ CloseIdleConnections() }); ok && !t.options.KeepIdle {
		base.CloseIdleConnections()
	}
}
