package httpmw

import (
	"context"
	"log/slog"
	"net/http"

	"github.com/blackbox4/switchgear/core"
)

// Pattern is the key that [New] uses inside a [http.ServeMux]: the pattern by which
// the mux has found the handler, "GET /orders/{id}". It is empty where no pattern is
// known.
func Pattern(r *http.Request) string { return r.Pattern }

// Route returns a Key for a middleware outside of mux: the pattern by which mux will
// find the handler. Requests without a handler there have no breaker, nor has
// CONNECT. [New] uses it by itself around a mux; it is needed where another handler
// lies between them.
func Route(mux *http.ServeMux) func(*http.Request) string {
	return func(r *http.Request) string {
		if r.Method == http.MethodConnect { // the pattern that mux gives may be the client's path
			return ""
		}
		_, pattern := mux.Handler(r)
		return pattern
	}
}

// keyFor returns the key of the requests that next handles, if Options have none.
func (m *middleware) keyFor(next http.Handler) func(*http.Request) string {
	if m.Key != nil {
		return m.Key
	}
	if mux, ok := next.(*http.ServeMux); ok && mux != nil {
		return Route(mux)
	}
	return m.known
}

// known is the pattern of a request. A request without one belongs to a route that
// nothing here can tell: one breaker for all of them would refuse one route for what
// another did, so they have none. The registry counts them, and its Logger is told
// once.
func (m *middleware) known(r *http.Request) string {
	if r.Pattern != "" {
		return r.Pattern
	}
	if p, err := m.registry.Gate("").Allow(context.Background()); err == nil {
		p.Settle(context.Background(), core.Ignored)
	}
	if !m.unknownTold.Load() && !m.unknownTold.Swap(true) {
		m.tellUnknown(r)
	}
	return ""
}

// tellUnknown logs the first request without a route. A logger that panics is left
// alone, as that of a breaker.
func (m *middleware) tellUnknown(r *http.Request) {
	defer func() { _ = recover() }()
	logger := m.registry.Logger
	if logger == nil {
		logger = slog.Default()
	}
	logger.LogAttrs(context.Background(), slog.LevelWarn, "route of a request is not known, such requests are admitted without a circuit breaker",
		slog.String("first_method", r.Method), slog.String("remedy", unknownRemedy))
}

const unknownRemedy = "put the middleware around or inside a http.ServeMux, or set Options.Key to what names the route in your router (or Gate, for one breaker)"
