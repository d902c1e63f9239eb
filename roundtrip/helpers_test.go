package roundtrip_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/roundtrip"
)

var (
	bg      = context.Background()
	errSick = errors.New("the host is sick")
)

// patience is how long a test waits for what should happen at once.
const patience = 10 * time.Second

// base is a RoundTripper made of a func.
type base func(*http.Request) (*http.Response, error)

func (f base) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// answers is a Base that answers with a status and a body.
func answers(code int, body string) base {
	return func(req *http.Request) (*http.Response, error) { return answer(req, code, body), nil }
}

func answer(req *http.Request, code int, body string) *http.Response {
	return &http.Response{
		Status: http.StatusText(code), StatusCode: code, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)), Request: req,
	}
}

// fails is a Base that fails.
func fails(err error) base {
	return func(*http.Request) (*http.Response, error) { return nil, err }
}

// book keeps the settlements that a breaker tells of.
type book struct {
	mu      sync.Mutex
	settled []core.Settlement
}

func (k *book) note(_ context.Context, s core.Settlement) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.settled = append(k.settled, s)
}

func (k *book) all() []core.Settlement {
	k.mu.Lock()
	defer k.mu.Unlock()
	return append([]core.Settlement(nil), k.settled...)
}

func (k *book) last(t *testing.T) core.Settlement {
	t.Helper()
	all := k.all()
	if len(all) == 0 {
		t.Fatal("nothing was settled, want a settlement")
	}
	return all[len(all)-1]
}

// behind returns a Transport whose only breaker is b, and b.
func behind(t *testing.T, rt http.RoundTripper, cfg core.Config) (*roundtrip.Transport, *core.Breaker) {
	t.Helper()
	b, err := core.New("host", cfg)
	if err != nil {
		t.Fatalf("New(%+v) = %v, want a breaker", cfg, err)
	}
	return roundtrip.New(nil, &roundtrip.Options{Base: rt, Gate: b}), b
}

// open fails the closed breaker until it opens.
func open(t *testing.T, b *core.Breaker) {
	t.Helper()
	for range 1000 {
		if b.State() != core.Closed { // a short break may be over already
			return
		}
		p, err := b.Allow(bg)
		if err != nil {
			t.Fatalf("Allow = %v, want a permit", err)
		}
		p.Settle(bg, core.Failure)
	}
	t.Fatal("1000 failures did not open the breaker")
}

// oneProbe is the configuration of a breaker that one failure opens for a
// second and that admits one probe at a time, of which two close it.
func oneProbe() core.Config {
	return core.Config{FailureThreshold: 1, Timeout: time.Second, HalfOpenMaxCalls: 1, SuccessThreshold: 2}
}

// halfOpen opens the breaker of oneProbe and waits until its break is over.
func halfOpen(t *testing.T, b *core.Breaker) {
	t.Helper()
	open(t, b)
	time.Sleep(time.Second)
	wantState(t, b, core.HalfOpen)
}

func wantState(t *testing.T, b *core.Breaker, want core.State) {
	t.Helper()
	if got := b.State(); got != want {
		t.Fatalf("state = %v, want %v (%s)", got, want, b.Explain())
	}
}

func wantTotals(t *testing.T, b *core.Breaker, want core.Totals) {
	t.Helper()
	if got := b.Snapshot().Totals; got != want {
		t.Fatalf("totals of %s\n %+v, want\n %+v", b.Name(), got, want)
	}
}

// eventually waits for what another goroutine is about to do.
func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within %v: %s", patience, what)
		}
	}
}

// await receives from a channel.
func await[T any](t *testing.T, what string, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatalf("not within %v: %s", patience, what)
		panic("not reached")
	}
}

func request(t *testing.T, method, url string, body io.Reader) *http.Request {
	t.Helper()
	return requestIn(t, bg, method, url, body)
}

func requestIn(t *testing.T, ctx context.Context, method, url string, body io.Reader) *http.Request { //nolint:revive // t comes first in a helper
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, method, url, body)
	if err != nil {
		t.Fatalf("NewRequest(%s %s) = %v", method, url, err)
	}
	return req
}

// send makes a round trip and insists on a response.
func send(t *testing.T, rt http.RoundTripper, req *http.Request) *http.Response {
	t.Helper()
	resp, err := rt.RoundTrip(req)
	if err != nil {
		t.Fatalf("RoundTrip = %v, want a response", err)
	}
	return resp
}

// get sends a GET and insists on a response.
func get(t *testing.T, rt http.RoundTripper, url string) *http.Response {
	t.Helper()
	return send(t, rt, request(t, http.MethodGet, url, nil))
}

// read reads a body to its end and closes it.
func read(t *testing.T, resp *http.Response) string {
	t.Helper()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("reading the body: %v", err)
	}
	if err := resp.Body.Close(); err != nil {
		t.Fatalf("closing the body: %v", err)
	}
	return string(text)
}

// wantRefused makes a round trip and insists on a refusal.
func wantRefused(t *testing.T, rt http.RoundTripper, req *http.Request) *core.OpenError {
	t.Helper()
	resp, err := rt.RoundTrip(req)
	if err == nil {
		_ = resp.Body.Close()
		t.Fatalf("RoundTrip = %s, want a refusal", resp.Status)
	}
	refused, ok := errors.AsType[*core.OpenError](err)
	if !ok || !errors.Is(err, core.ErrOpen) {
		t.Fatalf("RoundTrip = %T %v, want an *OpenError that matches ErrOpen", err, err)
	}
	return refused
}

// tracked is a request's body that counts how often it was closed.
type tracked struct {
	io.Reader

	closed atomic.Int32
}

func (b *tracked) Close() error {
	b.closed.Add(1)
	return nil
}

func serve(t *testing.T, h http.HandlerFunc, setup ...func(*httptest.Server)) *httptest.Server {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	for _, f := range setup {
		f(s)
	}
	s.Start()
	t.Cleanup(s.Close)
	return s
}

// private returns a transport of the test's own, so that no connection is shared.
func private(t *testing.T) *http.Transport {
	t.Helper()
	tr := &http.Transport{}
	t.Cleanup(tr.CloseIdleConnections)
	return tr
}

// hang is a handler that tells of each request and answers when the caller has
// gone or the test is over.
func hang(t *testing.T) (h http.HandlerFunc, arrived <-chan struct{}) {
	t.Helper()
	in, over := make(chan struct{}, 10_000), make(chan struct{})
	t.Cleanup(func() { close(over) })
	return func(_ http.ResponseWriter, req *http.Request) {
		in <- struct{}{}
		select {
		case <-req.Context().Done():
		case <-over:
		}
	}, in
}

// rawServer serves TCP connections by hand, each once its first request has come.
func rawServer(t *testing.T, handle func(c *net.TCPConn)) (url string) {
	t.Helper()
	return connServer(t, func(c *net.TCPConn) {
		if _, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
			handle(c)
		}
	})
}

// connServer serves TCP connections by hand, and closes each when handle returns.
func connServer(t *testing.T, handle func(c *net.TCPConn)) (url string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var conns sync.WaitGroup
	conns.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			conns.Go(func() {
				defer c.Close()
				handle(c.(*net.TCPConn))
			})
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		conns.Wait()
	})
	return "http://" + l.Addr().String()
}

// inMemory returns a transport to a server that is reached by pipes, for tests
// in a bubble: who waits for a pipe lets the bubble's clock go on.
func inMemory(t *testing.T, h http.HandlerFunc, setup ...func(*http.Server)) *http.Transport {
	t.Helper()
	l := &pipes{conns: make(chan net.Conn), closed: make(chan struct{})}
	server := &http.Server{Handler: h, ErrorLog: log.New(io.Discard, "", 0)}
	for _, f := range setup {
		f(server)
	}
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(l) })
	tr := &http.Transport{DialContext: l.dial}
	t.Cleanup(func() {
		tr.CloseIdleConnections()
		_ = server.Close()
		serving.Wait()
	})
	return tr
}

// pipes is a listener for connections that are pipes.
type pipes struct {
	conns  chan net.Conn
	once   sync.Once
	closed chan struct{}
}

func (l *pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	near, far := net.Pipe()
	select {
	case l.conns <- far:
		return near, nil
	case <-l.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (l *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipes) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *pipes) Addr() net.Addr { return &net.IPAddr{} }

// bubble runs a subtest on the bubble's clock.
func bubble(t *testing.T, name string, f func(t *testing.T)) {
	t.Helper()
	t.Run(name, func(t *testing.T) { synctest.Test(t, f) })
}

func cancelled() context.Context {
	ctx, cancel := context.WithCancel(bg)
	cancel()
	return ctx
}

func quiet() *log.Logger { return log.New(io.Discard, "", 0) }
