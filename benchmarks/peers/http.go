package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	"github.com/failsafe-go/failsafe-go/failsafehttp"
	"github.com/hashicorp/go-retryablehttp"
	"github.com/sony/gobreaker/v2"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"

	"github.com/blackbox4/switchgear/roundtrip"
)

// The names that targets refer to.
const (
	clientOurs     = "switchgear roundtrip"
	clientFailsafe = "failsafehttp"
)

const (
	emptySerial         = "HTTPEmptySerial"
	emptyParallel       = "HTTPEmptyParallel"
	bodySerial          = "HTTPBodySerial"
	sentSerial          = "HTTPSentSerial"
	httpRefusedSerial   = "HTTPRefusedSerial"
	httpRefusedParallel = "HTTPRefusedParallel"
	loopbackGet         = "HTTPLoopbackGet"
	loopbackUpload      = "HTTPLoopbackUpload"
	loopbackPost        = "HTTPLoopbackPost"
	loopbackReader      = "HTTPLoopbackReader"
)

const (
	bodySize   = 512
	uploadSize = 64 << 10
)

// client is a RoundTripper around another, as its library makes it by default.
type client struct {
	name    string
	wrap    func(http.RoundTripper) http.RoundTripper
	refuses bool // it has a breaker
}

func clients() []client {
	return []client{
		{name: "bare transport", wrap: func(base http.RoundTripper) http.RoundTripper { return base }},
		{clientOurs, func(base http.RoundTripper) http.RoundTripper {
			return roundtrip.New(nil, &roundtrip.Options{Base: base})
		}, true},
		{clientFailsafe, func(base http.RoundTripper) http.RoundTripper {
			return failsafehttp.NewRoundTripper(base, circuitbreaker.NewWithDefaults[*http.Response]()) //nolint:bodyclose // a type, no response
		}, true},
		{"gobreaker RoundTripper", newGobreakerTransport, true},
		{name: "otelhttp", wrap: func(base http.RoundTripper) http.RoundTripper { return otelhttp.NewTransport(base) }},
		{name: "go-retryablehttp", wrap: func(base http.RoundTripper) http.RoundTripper {
			c := retryablehttp.NewClient()
			c.HTTPClient = &http.Client{Transport: base}
			c.Logger = nil // by default it writes a line for each call
			return &retryablehttp.RoundTripper{Client: c}
		}},
	}
}

// gobreakerTransport is what one writes around gobreaker, which has none of its
// own: one breaker, errors and 5xx are failures.
type gobreakerTransport struct {
	base    http.RoundTripper
	breaker *gobreaker.CircuitBreaker[*http.Response]
}

func newGobreakerTransport(base http.RoundTripper) http.RoundTripper {
	return &gobreakerTransport{base, gobreaker.NewCircuitBreaker[*http.Response](gobreaker.Settings{})} //nolint:bodyclose // a type, no response
}

var errStatus = errors.New("status 5xx")

func (t *gobreakerTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	sent := false
	resp, err := t.breaker.Execute(func() (*http.Response, error) {
		sent = true
		resp, err := t.base.RoundTrip(req)
		if err == nil && resp.StatusCode >= http.StatusInternalServerError {
			err = errStatus
		}
		return resp, err
	})
	if !sent && req.Body != nil {
		_ = req.Body.Close()
	}
	if err == errStatus { //nolint:errorlint // it comes from above as it is
		err = nil
	}
	return resp, err
}

// exchange is something to do with a client.
type exchange struct {
	name  string
	title string // of the table's column
	run   func(*testing.B, *subject) error
	to    destination
	open  bool // only for clients that refuse
}

// destination makes what a client wraps, what binds work to the client, and a
// func to be done with it, or nil.
type destination func() (base http.RoundTripper, bind func(http.RoundTripper, work) call, done func())

func exchanges() []exchange {
	closed := func(l loop) func(*testing.B, *subject) error { return through(succeeding, warm, neverRefused, l) }
	refused := func(l loop) func(*testing.B, *subject) error { return through(failing, open, rarelyAdmitted, l) }
	return []exchange{
		{emptySerial, "no body serial", closed(serially), nowhere(noBody), false},
		{emptyParallel, "no body parallel", closed(inParallel), nowhere(noBody), false},
		{bodySerial, "body read serial", closed(serially), nowhere(newReplay), false},
		{sentSerial, "body sent serial", closed(serially), sending, false},
		{httpRefusedSerial, "refused serial", refused(serially), nowhere(noBody), true},
		{httpRefusedParallel, "refused parallel", refused(inParallel), nowhere(noBody), true},
		{loopbackGet, "loopback GET", closed(againstServer), loopback(http.MethodGet, func() io.Reader { return nil }), false},
		{loopbackUpload, "loopback 64 KiB POST", closed(againstServer), loopback(http.MethodPost, inMemoryBody(uploadSize)), false},
		{loopbackPost, "loopback 512 B POST", closed(againstServer), loopback(http.MethodPost, inMemoryBody(bodySize)), false},
		{loopbackReader, "loopback 512 B POST of a reader", closed(againstServer), loopback(http.MethodPost, unknownBody(bodySize)), false},
	}
}

// with is a client as a subject of the exchange.
func (e exchange) with(c client) *subject {
	return &subject{name: c.name, fresh: func() instance {
		base, bind, done := e.to()
		rt := c.wrap(base)
		return instance{bind: func(w work) call { return bind(rt, w) }, done: done}
	}}
}

func httpBenches() []bench {
	var all []bench
	for _, e := range exchanges() {
		for _, c := range clients() {
			if c.refuses || !e.open {
				s := e.with(c)
				twoSided := strings.HasPrefix(e.name, "HTTPLoopback")
				all = append(all, bench{scenario: e.name, subject: c.name, twoSided: twoSided, run: func(b *testing.B) error { return e.run(b, s) }})
			}
		}
	}
	return all
}

// noTransport answers with the response that a request carries, and fails if
// there is none. Wrappers change the response, so each goroutine has its own.
type noTransport struct{}

func (noTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Response == nil {
		return nil, errFailed
	}
	return req.Response, nil
}

// nowhere makes calls of a [noTransport], each goroutine's with one request and
// one response.
func nowhere(body func() io.ReadCloser) destination {
	bind := func(rt http.RoundTripper, w work) call {
		resp := &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"text/plain"}}}
		req := newRequest(http.MethodGet, "http://example.com/path", nil)
		if w.plain() == nil {
			req.Response = resp
		}
		original, buf := body(), make([]byte, 2*bodySize)
		return func() error {
			resp.Body = original // not what wraps it since the last call
			return roundTrip(rt, req, buf)
		}
	}
	return func() (http.RoundTripper, func(http.RoundTripper, work) call, func()) {
		return noTransport{}, bind, nil
	}
}

// loopback makes calls to a server that reads what it is sent and answers with a
// small body, each with a new request.
func loopback(method string, payload func() io.Reader) destination {
	return func() (http.RoundTripper, func(http.RoundTripper, work) call, func()) {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body) // an error shows in the client
			_, _ = io.WriteString(w, "hello")
		}))
		bind := func(rt http.RoundTripper, _ work) call {
			buf := make([]byte, bodySize)
			return func() error { return roundTrip(rt, newRequest(method, server.URL, payload()), buf) }
		}
		return server.Client().Transport, bind, server.Close
	}
}

// inMemoryBody is one that net/http knows, and no breaker should wrap.
func inMemoryBody(size int) func() io.Reader {
	payload := make([]byte, size)
	return func() io.Reader { return bytes.NewReader(payload) }
}

// unknownBody is one that only reading can tell the length of.
func unknownBody(size int) func() io.Reader {
	payload := make([]byte, size)
	return func() io.Reader { return io.MultiReader(bytes.NewReader(payload)) }
}

// sending is as [nowhere], with a request's body that the transport reads and
// closes, of a type that net/http does not know.
func sending() (http.RoundTripper, func(http.RoundTripper, work) call, func()) {
	bind := func(rt http.RoundTripper, w work) call {
		resp := &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"text/plain"}}, Body: http.NoBody}
		body := newReplay()
		req := newRequest(http.MethodPost, "http://example.com/path", nil)
		req.ContentLength = bodySize
		if w.plain() == nil {
			req.Response = resp
		}
		buf := make([]byte, 2*bodySize)
		return func() error {
			_ = body.Close() // back to its start: not every client closes it, and it has no error
			req.Body = body  // not what wraps it since the last call
			return roundTrip(rt, req, buf)
		}
	}
	return readingTransport{buf: make([]byte, 2*bodySize)}, bind, nil
}

// readingTransport is a [noTransport] that reads what it is to send; one
// goroutine at a time.
type readingTransport struct{ buf []byte }

func (t readingTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	var err error
	for err == nil {
		_, err = req.Body.Read(t.buf)
	}
	if bad := req.Body.Close(); err != io.EOF || bad != nil {
		return nil, errors.Join(err, bad)
	}
	return noTransport{}.RoundTrip(req)
}

func newRequest(method, url string, body io.Reader) *http.Request {
	req, err := http.NewRequestWithContext(context.Background(), method, url, body)
	if err != nil {
		panic(err) // the URL is ours
	}
	return req
}

// roundTrip does what every caller has to: it reads the body and closes it.
func roundTrip(rt http.RoundTripper, req *http.Request, buf []byte) error {
	resp, err := rt.RoundTrip(req)
	if err != nil {
		return err
	}
	for err == nil {
		_, err = resp.Body.Read(buf)
	}
	if bad := resp.Body.Close(); err == io.EOF { //nolint:errorlint // readers return it as it is
		return bad
	}
	return err
}

func noBody() io.ReadCloser { return http.NoBody }

// replay is a body that can be read again once it was closed.
type replay struct{ bytes.Reader }

func newReplay() io.ReadCloser {
	r := new(replay)
	r.Reset(make([]byte, bodySize))
	return r
}

func (r *replay) Close() error {
	_, err := r.Seek(0, io.SeekStart)
	return err
}
