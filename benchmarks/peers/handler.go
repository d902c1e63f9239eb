package main

import (
	"net/http"
	"testing"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"

	"github.com/blackbox4/switchgear/httpmw"
)

const (
	handlerSerial = "HandlerSerial"
	handlerOurs   = "switchgear httpmw"
	handlerOtel   = "otelhttp"
)

// handlers measures an empty handler without a middleware, with ours, and with
// otelhttp's, which has the default providers, no-op, and no breaker.
func handlers() []bench {
	bare := func() func(http.Handler) http.Handler { return func(h http.Handler) http.Handler { return h } }
	guard := func() func(http.Handler) http.Handler {
		return httpmw.New(nil, &httpmw.Options{Key: func(*http.Request) string { return "GET /" }})
	}
	otel := func() func(http.Handler) http.Handler { return otelhttp.NewMiddleware("benchmark") }
	row := func(name string, build func() func(http.Handler) http.Handler, run func(*testing.B, *subject) error) bench {
		s := of(name, build, serve)
		return bench{scenario: handlerSerial, subject: name, run: func(b *testing.B) error { return run(b, s) }}
	}
	closed := through(succeeding, warm, neverRefused, serially)
	return []bench{
		row("bare handler", bare, closed),
		row(handlerOurs, guard, closed),
		row(handlerOtel, otel, closed),
		row(handlerOurs+", refused", guard, through(failing, open, rarelyAdmitted, serially)),
	}
}

// serve calls a handler as a mux would, with a request and a writer of its own.
func serve(guard func(http.Handler) http.Handler, w work) call {
	h := guard(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		if w.plain() != nil {
			rw.WriteHeader(http.StatusInternalServerError)
			return
		}
		rw.WriteHeader(http.StatusNoContent)
	}))
	r := newRequest(http.MethodGet, "http://example.com/path", nil)
	r.Pattern = "GET /path"
	rw := &noWriter{header: make(http.Header)}
	return func() error {
		h.ServeHTTP(rw, r)
		switch rw.status {
		case http.StatusNoContent:
			return nil
		case http.StatusInternalServerError:
			return errFailed
		}
		return errRefused
	}
}

// noWriter drops all but the status.
type noWriter struct {
	header http.Header
	status int
}

func (w *noWriter) Header() http.Header         { return w.header }
func (w *noWriter) Write(b []byte) (int, error) { return len(b), nil }
func (w *noWriter) WriteHeader(status int)      { w.status = status }
