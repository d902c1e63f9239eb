package httpmw

import (
	"context"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/internal/durations"
	"github.com/blackbox4/switchgear/internal/gatefault"
	"github.com/blackbox4/switchgear/internal/places"
)

// New returns a middleware with the breakers of a registry, one for each route. A
// nil registry is one of its own, of breakers with the default configuration; nil
// Options are the zero ones.
//
// The route is the pattern of a [http.ServeMux], inside which or around which the
// middleware is; Options.Key names the routes of other routers. A request whose route
// is not known has no breaker: the registry counts it in [core.RegistryStats], and its
// Logger is told once.
//
// A request that is refused is answered as [Refuse] does, without its body being
// read, and the handler is not called. Otherwise the handler's outcome is settled
// by [DefaultClassify], or Options.Classify: when it returns, or before, when it
// hijacks the connection or begins a stream of events. A panic, or
// [runtime.Goexit], is a failure and passes through.
//
// No client closes a route to others. A failure is ignored if
//
//   - the client has gone, or its body could not be read or is not as long as it
//     announced, before the status was sent or the handler panicked;
//   - a deadline of the request's context, or one that it announces in the headers
//     of Connect, gRPC or Envoy, has passed, unless the handler had run for clearly
//     longer than recent calls, and for a second: see Options.DeadlineFactor;
//   - such a deadline has not passed, but the handler answers 504 after an eighth of
//     the time or more and before it has run clearly longer than recent calls: it may
//     have given one of several tries a share of that time;
//   - the handler ran out of time waiting for the client's body: it answers while
//     another goroutine waits for that, or 503 or 504 after a wait of a second and of
//     half its time;
//   - the request has an Upgrade or Trailer header that a proxy cannot send on.
//
// The duration of a call, for [core.Config.SlowAfter], is the handler's own time to
// the headers, without what it has waited for the client. A probe that waits for its
// client gives its place to the next request, and asks for one again when the client
// has sent everything. At most four times HalfOpenMaxCalls have done that and still
// run, those left out that did so more than ProbeLease ago: so many slow clients do not keep
// others from a route that is half-open, and so many handlers may run at once there
// though they are no probes.
//
// A gate that neither admits nor refuses is a fault of the program: a nil or zero
// Breaker, a registry whose Config is not valid (see [core.Config.Validate]), a
// Gate of the user's whose error does not match [core.ErrOpen]. Such requests are
// answered with status 500 and do not reach the handler; the first one is logged
// with the reason, to the registry's Logger.
func New(registry *core.Registry, o *Options) func(http.Handler) http.Handler {
	if registry == nil {
		registry = new(core.Registry)
	}
	m := &middleware{registry: registry, epoch: time.Now()}
	if o != nil {
		m.Options = *o
	}
	m.setDefaults()
	m.places.Kept = m.ProbeLease
	return func(next http.Handler) http.Handler {
		key := m.keyFor(next)
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { m.serve(w, r, key, next) })
	}
}

type middleware struct {
	Options

	registry *core.Registry
	epoch    time.Time       // the zero of the middleware's clock
	routes   durations.Table // how long calls take, by key
	alone    durations.Calls // the same for Options.Gate
	places   places.Table
	faults   gatefault.Log

	unknownTold atomic.Bool // that there are requests whose route is not known
}

// now reads a clock that is monotonic.
func (m *middleware) now() time.Duration { return time.Since(m.epoch) }

// gate returns the gate of a request and its key, or nil if it has none.
func (m *middleware) gate(r *http.Request, keyOf func(*http.Request) string) (core.Gate, string) {
	if r.Method == http.MethodOptions || m.Skip != nil && m.Skip(r) {
		return nil, ""
	}
	if m.Gate != nil {
		return m.Gate, ""
	}
	key := keyOf(r)
	if key == "" {
		return nil, ""
	}
	return m.gateOf(key), key
}

// gateOf returns the gate of a key; that of Options has none.
func (m *middleware) gateOf(key string) core.Gate {
	if key == "" {
		return m.Gate
	}
	return m.registry.Gate(key)
}

func (m *middleware) usualOf(key string) *durations.Calls {
	if key == "" {
		return &m.alone
	}
	return m.routes.Of(key)
}

func (m *middleware) serve(w http.ResponseWriter, r *http.Request, keyOf func(*http.Request) string, next http.Handler) {
	g, key := m.gate(r, keyOf)
	if g == nil {
		next.ServeHTTP(w, r)
		return
	}
	ctx := r.Context()
	p, err := m.places.Admit(ctx, g, key)
	if err != nil && ctx.Err() != nil { // the client has gone, but the handler may have work to do all the same
		p, err = m.places.Admit(context.WithoutCancel(ctx), g, key)
	}
	if err != nil {
		m.refuse(w, r, key, err)
		return
	}
	c := m.watch(&p, key, w, r)
	defer c.leave(r)
	next.ServeHTTP(c.writer(), c.withBody())
	c.returned()
}
