package httpmw

import (
	"context"
	"errors"
	"net/http"

	"github.com/blackbox4/switchgear/core"
)

// New returns a middleware with the breakers of a registry, one for each route. A
// nil registry is one of its own, of breakers with the default configuration; nil
// Options are the zero ones.
//
// A request that is refused is answered as [Refuse] does, without its body being
// read, and the handler is not called. Otherwise the handler's outcome is settled
// by [DefaultClassify], or Options.Classify: when it returns, or before, when it
// hijacks the connection or begins a stream of events. A panic, or
// [runtime.Goexit], is a failure, unless the client has gone, and passes through.
// The duration of a call, for [core.Config.SlowAfter], is the time to the headers.
//
// A route whose Config is not valid is refused: see [core.Config.Validate].
func New(registry *core.Registry, o *Options) func(http.Handler) http.Handler {
	if registry == nil {
		registry = new(core.Registry)
	}
	m := &middleware{registry: registry}
	if o != nil {
		m.Options = *o
	}
	m.fill()
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { m.serve(w, r, next) })
	}
}

type middleware struct {
	Options

	registry *core.Registry
}

// gate returns the gate of a request, or nil if it has none.
func (m *middleware) gate(r *http.Request) core.Gate {
	if r.Method == http.MethodOptions || m.Skip != nil && m.Skip(r) {
		return nil
	}
	if m.Gate != nil {
		return m.Gate
	}
	key := m.Key(r)
	if key == "" {
		return nil
	}
	return m.registry.Gate(key)
}

func (m *middleware) serve(w http.ResponseWriter, r *http.Request, next http.Handler) {
	g := m.gate(r)
	if g == nil {
		next.ServeHTTP(w, r)
		return
	}
	ctx := r.Context()
	p, err := g.Allow(ctx)
	if err != nil && ctx.Err() != nil { // the client has gone, but the handler may have work to do all the same
		p, err = g.Allow(context.WithoutCancel(ctx))
	}
	if err != nil {
		open, ok := errors.AsType[*core.OpenError](err)
		if !ok {
			open = &core.OpenError{}
		}
		m.Refuse(w, r, open)
		return
	}
	c := m.watch(&p, r)
	defer c.abandon()
	next.ServeHTTP(c.wrap(w), r)
	c.end()
}
