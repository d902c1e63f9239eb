package roundtrip

import (
	"net/http"
	"time"

	"github.com/blackbox4/switchgear/core"
)

// Transport is an [http.RoundTripper] behind circuit breakers. The zero Transport
// has one breaker for each host, of the zero [core.Config], in front of
// [http.DefaultTransport]. Its fields must not be changed once it is in use; it is
// safe for concurrent use and starts no goroutine.
//
// It keeps to the contract of a RoundTripper: the caller's request is not changed,
// its body is closed when it is refused, a response is returned whatever its
// status, with the body unread. The response's body may be wrapped, with Read and
// Close (and Write, if it has that).
//
// A request with a body goes on as a copy whose body is wrapped (GetBody makes
// wrapped ones too): only the one who reads a body knows by construction that it could
// not be read, had another length than its ContentLength, or came slowly, for which
// the host is not to blame. Not wrapped are [http.NoBody], nil, and what
// http.NewRequest makes of a [bytes.Reader], [bytes.Buffer] or [strings.Reader],
// which net/http sends together with the headers; their length is compared
// beforehand. A wrapped file is copied through memory and not by sendfile.
//
// A call is settled by [DefaultClassify], or Classify: when the headers have come,
// if that decides it (a failure status, no body, an upgraded connection, a
// stream), else when the body has been read, could not be read, or was closed.
// Its duration, for [core.Config.SlowAfter], is the time to the headers, without
// the time in which the request's wrapped body was waited for. A body that is neither
// read to its end nor closed, which holds its connection too, stays in flight.
//
// Calls that end because the HTTP/2 connection was lost which carried them count once
// for each breaker.
//
// A probe takes as long as its call takes; a slow one is settled when it ends. Only
// three things end it before: when the host has answered it is settled as a success
// after Lease at the latest; when the caller cancels it is ignored; and when the
// request's body does not come, for 1 s at a stretch or for Lease altogether, its
// place is given back (it is ignored), so that a client of a proxy that announces a
// body and sends none holds no other up. The answer to such a call still counts, as a
// call of its own, if the breaker is half-open then and has a place.
//
// A refusal is an [*core.OpenError], which errors.As finds in what http.Client
// returns; nothing was sent. A 429 or 503 with a Retry-After that opens the breaker
// keeps it open until then, within its MaxTimeout.
//
// A gate that neither admits nor refuses (a nil or zero Breaker, a registry whose
// Config is not valid, a Gate whose error does not match [core.ErrOpen]) is a fault of
// the program: the error says why, whether or not Respond is set, matches [ErrNotSent]
// and is not tried again by [RetryClient].
type Transport struct {
	// Base makes the calls. Nil means [http.DefaultTransport].
	Base http.RoundTripper
	// Gate is asked for every request. Nil means a breaker of Registry.
	Gate core.Gate
	// Registry holds the breakers by Key. Nil means one of the Transport's own.
	Registry *core.Registry
	// Key names the breaker of a request. Nil means [Host].
	Key func(*http.Request) string
	// Classify decides what became of a call. Nil means [DefaultClassify]. It may
	// be called by several goroutines at once, and must not read the body.
	Classify func(Exchange) core.Outcome
	// Streams reports whether a response is settled at its headers, because its
	// body may take for ever. Nil means that text/event-stream is.
	Streams func(*http.Response) bool
	// Probes reports whether a request may be sent to find out whether a host is
	// well again; others are refused while it is half-open. Nil means that all
	// may. [Safe] is for those whose failed calls do harm.
	Probes func(*http.Request) bool
	// Lease is how long the body of a probe may be read before the probe counts
	// as a success, and how long its own body may be waited for. Zero or negative
	// means 10 s; it should be less than the breaker's ProbeTimeout, when the probe
	// would be lost.
	Lease time.Duration
	// Respond answers a refusal with a response in place of an error, for code
	// that understands nothing else: 503 with Retry-After and a problem+json body.
	// [Refused] tells it from one that a server has sent.
	Respond bool
	// KeepIdle keeps CloseIdleConnections from reaching Base. Retrying clients
	// call that after every failed call, and it closes the connections to all
	// hosts.
	KeepIdle bool

	own    core.Registry
	keys   keys
	losses losses
}

// New returns a Transport with the breakers of a registry, one for each host. A
// nil registry is one of its own, of breakers with the default configuration.
func New(registry *core.Registry) *Transport { return &Transport{Registry: registry} }

const defaultLease = 10 * time.Second

func (t *Transport) lease() time.Duration {
	if t.Lease > 0 {
		return t.Lease
	}
	return defaultLease
}

func (t *Transport) base() http.RoundTripper {
	if t.Base != nil {
		return t.Base
	}
	return http.DefaultTransport
}

// Breakers returns the registry that holds the breakers, for a look at them.
func (t *Transport) Breakers() *core.Registry {
	if t.Registry != nil {
		return t.Registry
	}
	return &t.own
}

// gate returns the gate of a request.
func (t *Transport) gate(req *http.Request) core.Gate {
	if t.Gate != nil {
		return t.Gate
	}
	return t.Breakers().Gate(t.key(req))
}

// key returns what names the breaker of a request.
func (t *Transport) key(req *http.Request) string {
	if t.Key != nil {
		return t.Key(req)
	}
	return t.keys.of(req)
}

// RoundTrip implements [http.RoundTripper].
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	if req == nil || req.URL == nil || req.URL.Host == "" {
		return t.base().RoundTrip(req) // which knows what to say of it
	}
	ctx := req.Context()
	gate := t.gate(req)
	p, err := gate.Allow(ctx)
	if err != nil {
		return t.refuse(req, err)
	}
	c := call{Exchange: Exchange{Request: req}}
	defer func() {
		if !c.done { // Base, or what classifies, has panicked or exited
			c.takeBack(&p)
			p.Settle(ctx, core.Failure)
			c.discard()
		}
	}()
	if t.Probes != nil && p.Probe() && !t.Probes(req) {
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
	if t.Classify != nil {
		begun = time.Now()
	}
	c.Response, c.Err = t.base().RoundTrip(out)
	if t.Classify != nil {
		c.Elapsed = time.Since(begun)
	}
	c.sent(t, out, &p)
	o := t.judge(&c.Exchange)
	if c.forfeited && o != core.Ignored {
		askAgain(ctx, gate, &p)
	}
	if o == core.Success && t.hasBody(&c.Exchange) {
		c.Response.Body = t.watch(&p, &c.Exchange)
	} else {
		p.Report(ctx, o, c.reason(o))
	}
	c.done = true
	return c.Response, c.Err
}

// hasBody reports whether there is a body that may yet show a failure.
func (t *Transport) hasBody(e *Exchange) bool {
	resp := e.Response
	switch {
	case resp == nil || resp.Body == nil || resp.Body == http.NoBody,
		resp.StatusCode == http.StatusSwitchingProtocols || e.Request.Method == http.MethodConnect, // a connection now
		e.Request.Method == http.MethodHead:
		return false
	case t.Streams != nil:
		return !t.Streams(resp)
	}
	return !isEventStream(resp)
}

func (t *Transport) classify(e Exchange) core.Outcome {
	if t.Classify == nil {
		return DefaultClassify(e)
	}
	return t.Classify(e)
}

// judge classifies what has not been counted yet.
func (t *Transport) judge(e *Exchange) core.Outcome {
	o := t.classify(*e)
	if o == core.Failure && e.Err != nil && t.counted(e) {
		return core.Ignored
	}
	return o
}

// counted reports whether a failure is the loss of a connection that was counted.
func (t *Transport) counted(e *Exchange) bool {
	key := ""
	if t.Gate == nil {
		key = t.key(e.Request)
	}
	return t.losses.counted(e, key)
}

// CloseIdleConnections passes on what [http.Client.CloseIdleConnections] asks for,
// if Base has that method and KeepIdle is not set.
func (t *Transport) CloseIdleConnections() {
	if base, ok := t.base().(interface{ CloseIdleConnections() }); ok && !t.KeepIdle {
		base.CloseIdleConnections()
	}
}
