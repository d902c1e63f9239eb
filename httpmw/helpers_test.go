package httpmw_test

import (
	"bytes"
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
	"time"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/httpmw"
)

// patience is how long a test waits for what has to come.
const patience = 20 * time.Second

// handClock is a clock for Config.Now that moves by hand.
type handClock struct {
	from time.Time
	past atomic.Int64
}

func (c *handClock) now() time.Time          { return c.from.Add(time.Duration(c.past.Load())) }
func (c *handClock) advance(d time.Duration) { c.past.Add(int64(d)) }

// ward is a breaker that is watched: what is settled arrives in a channel.
type ward struct {
	*core.Breaker

	clock   handClock
	settled chan core.Settlement
}

const rest = time.Minute // how long the breaker of a ward stays open

// newWard returns a closed ward that one failure opens and one probe at a time
// closes, unless cfg says otherwise.
func newWard(t *testing.T, cfg core.Config) *ward {
	t.Helper()
	w := &ward{settled: make(chan core.Settlement, 20_000)}
	w.clock.from = time.Now()
	if cfg.FailureThreshold == 0 {
		cfg.FailureThreshold = 1
	}
	if cfg.HalfOpenMaxCalls == 0 {
		cfg.HalfOpenMaxCalls = 1
	}
	if cfg.SuccessThreshold == 0 {
		cfg.SuccessThreshold = 1
	}
	cfg.Timeout, cfg.Now = rest, w.clock.now
	cfg.Hooks.Settled = func(_ context.Context, s core.Settlement) { w.settled <- s }
	b, err := core.New("ward", cfg)
	if err != nil {
		t.Fatalf("New(%+v) = %v, want a breaker", cfg, err)
	}
	w.Breaker = b
	return w
}

// guard puts h behind the ward.
func (w *ward) guard(h http.Handler) http.Handler {
	return httpmw.New(nil, &httpmw.Options{Gate: w})(h)
}

// next returns what is settled next.
func (w *ward) next(t *testing.T) core.Settlement {
	t.Helper()
	select {
	case s := <-w.settled:
		return s
	case <-time.After(patience):
		t.Fatalf("nothing was settled within %v; %s", patience, w.Explain())
		return core.Settlement{}
	}
}

// want insists on the outcome of what is settled next.
func (w *ward) want(t *testing.T, o core.Outcome) {
	t.Helper()
	if s := w.next(t); s.Outcome != o {
		t.Errorf("settled as %v (%v), want %v", s.Outcome, s.Err, o)
	}
}

// idle insists that nothing more was settled and that no permit is out.
func (w *ward) idle(t *testing.T) {
	t.Helper()
	if n := len(w.settled); n > 0 {
		t.Errorf("settled %d times more (%+v), want none", n, <-w.settled)
	}
	if out := w.Snapshot().Totals.InFlight; out != 0 {
		t.Errorf("%d permits are out, want none", out)
	}
}

// open opens the closed ward.
func (w *ward) open(t *testing.T) {
	t.Helper()
	for w.State() == core.Closed {
		p, err := w.Allow(t.Context())
		if err != nil {
			t.Fatalf("Allow = %v, want a permit", err)
		}
		p.Settle(t.Context(), core.Failure)
		w.want(t, core.Failure)
	}
	wantState(t, w, core.Open)
}

// halfOpen makes the closed ward half-open.
func (w *ward) halfOpen(t *testing.T) {
	t.Helper()
	w.open(t)
	w.clock.advance(rest)
	wantState(t, w, core.HalfOpen)
}

func wantState(t *testing.T, b interface {
	State() core.State
	Explain() string
}, want core.State,
) {
	t.Helper()
	if got := b.State(); got != want {
		t.Fatalf("state = %v, want %v (%s)", got, want, b.Explain())
	}
}

// server is a server on loopback, with what it logs.
type server struct {
	*httptest.Server

	log *text
}

// serve1 serves h by HTTP/1.1.
func serve1(t *testing.T, h http.Handler) *server { t.Helper(); return serve(t, h, false) }

// serve2 serves h by HTTP/2.
func serve2(t *testing.T, h http.Handler) *server { t.Helper(); return serve(t, h, true) }

func serve(t *testing.T, h http.Handler, two bool) *server {
	t.Helper()
	s := &server{httptest.NewUnstartedServer(h), &text{wrote: make(chan struct{}, 1)}}
	s.Config.ErrorLog = log.New(s.log, "", 0)
	if two {
		s.EnableHTTP2 = true
		s.StartTLS()
	} else {
		s.Start()
	}
	t.Cleanup(s.Close)
	return s
}

// overEach runs a test by HTTP/1.1 and by HTTP/2.
func overEach(t *testing.T, f func(t *testing.T, serve func(*testing.T, http.Handler) *server)) {
	t.Run("HTTP1", func(t *testing.T) { f(t, serve1) })
	t.Run("HTTP2", func(t *testing.T) { f(t, serve2) })
}

// answer is what came back; code is 0 if nothing did.
type answer struct {
	code            int
	header, trailer http.Header
	body            string
	err             error
}

// do sends a request and reads the answer.
func (s *server) do(req *http.Request) answer { return do(s.Client(), req) }

func do(client *http.Client, req *http.Request) answer {
	resp, err := client.Do(req)
	if err != nil {
		return answer{err: err}
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header, resp.Trailer, string(body), err}
}

// get sends a GET.
func (s *server) get(t *testing.T, path string) answer {
	t.Helper()
	return s.do(request(t, http.MethodGet, s.URL+path, nil))
}

func request(t *testing.T, method, url string, body io.Reader) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	return req
}

// abandoned sends a GET and goes away when gone is closed.
func (s *server) abandoned(t *testing.T, path string, gone <-chan struct{}) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	stop := make(chan struct{})
	var waiting sync.WaitGroup
	waiting.Go(func() {
		select {
		case <-gone:
			cancel()
		case <-stop:
		}
	})
	a := s.do(request(t, http.MethodGet, s.URL+path, nil).WithContext(ctx))
	close(stop)
	waiting.Wait()
	if !errors.Is(a.err, context.Canceled) {
		t.Errorf("the client that goes away got %d, %v; want %v", a.code, a.err, context.Canceled)
	}
}

// dial connects to the server, for what http.Client would not send.
func (s *server) dial(t *testing.T) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(patience))
	return conn
}

// text is a writer that may be read meanwhile.
type text struct {
	mu    sync.Mutex
	buf   bytes.Buffer
	wrote chan struct{}
}

func (w *text) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	select {
	case w.wrote <- struct{}{}:
	default:
	}
	return w.buf.Write(p)
}

// want waits for something to be written: of HTTP/2, net/http logs a panic when the
// client has been told.
func (w *text) want(t *testing.T, part string) {
	t.Helper()
	late := time.After(patience)
	for !strings.Contains(w.String(), part) {
		select {
		case <-w.wrote:
		case <-late:
			t.Errorf("net/http logs %q, want %q", w, part)
			return
		}
	}
}

func (w *text) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.buf.String()
}

// status is a handler that answers with a status.
func status(code int) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) })
}

// wantCode insists on the status of an answer.
func wantCode(t *testing.T, a answer, want int) {
	t.Helper()
	if a.code != want {
		t.Fatalf("status %d (%v), want %d", a.code, a.err, want)
	}
}

// bodyOf is a body of n bytes.
func bodyOf(n int) string { return strings.Repeat("x", n) }

// names are the breakers of a registry.
func names(r *core.Registry) map[string]core.Totals {
	all := make(map[string]core.Totals)
	for name, b := range r.All() {
		all[name] = b.Snapshot().Totals
	}
	return all
}

// one is the key of all requests, for handlers that no mux has found.
func one(*http.Request) string { return "http" }
