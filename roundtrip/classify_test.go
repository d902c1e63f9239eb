//nolint:bodyclose // helpers close them, out of its sight; TestNothingLeaks counts
package roundtrip_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/roundtrip"
)

func TestAHostThatHangsUpHasFailed(t *testing.T) {
	addr := rawServer(t, func(*net.TCPConn) {}) // closes
	tr, b := behind(t, private(t), core.Config{FailureThreshold: 3})
	for range 3 {
		wantState(t, b, core.Closed)
		if _, err := tr.RoundTrip(request(t, http.MethodGet, addr, nil)); !errors.Is(err, io.EOF) {
			t.Fatalf("err = %v, want EOF", err)
		}
	}
	wantState(t, b, core.Open)
}

func TestACallerThatCancelsIsIgnored(t *testing.T) {
	h, arrived := hang(t)
	s := serve(t, h)
	tr, b := behind(t, private(t), core.Config{FailureThreshold: 1})
	ctx, cancel := context.WithCancel(bg)
	var calls sync.WaitGroup
	for range 3 {
		calls.Go(func() {
			if _, err := tr.RoundTrip(requestIn(t, ctx, http.MethodGet, s.URL, nil)); !errors.Is(err, context.Canceled) {
				t.Errorf("err = %v, want context.Canceled", err)
			}
		})
	}
	for range 3 {
		await(t, "a request", arrived)
	}
	cancel()
	calls.Wait()
	wantState(t, b, core.Closed)
	wantTotals(t, b, core.Totals{Calls: 3, Ignored: 3})
	if got := b.Snapshot().Window; got != (core.Counts{}) {
		t.Errorf("window = %+v, want nothing in it", got)
	}
}

// A cancelled request fails with its cause, which may be any error at all.
func TestCancelledWithACauseIsIgnored(t *testing.T) {
	for name, cause := range map[string]error{
		"an error":                       errors.New("x"),
		"another host's refusal":         &core.OpenError{Name: "other", State: core.Open},
		"another host's missed deadline": context.DeadlineExceeded,
	} {
		t.Run(name+" in flight", func(t *testing.T) {
			h, arrived := hang(t)
			s := serve(t, h)
			tr, b := behind(t, private(t), core.Config{FailureThreshold: 1})
			ctx, cancel := context.WithCancelCause(bg)
			go func() {
				<-arrived
				cancel(cause)
			}()
			if _, err := tr.RoundTrip(requestIn(t, ctx, http.MethodGet, s.URL, nil)); !errors.Is(err, cause) {
				t.Errorf("err = %v, want the cause, %v", err, cause)
			}
			wantTotals(t, b, core.Totals{Calls: 1, Ignored: 1})
		})
		t.Run(name+" in the body", func(t *testing.T) {
			s := serve(t, func(w http.ResponseWriter, req *http.Request) {
				_ = http.NewResponseController(w).Flush()
				<-req.Context().Done()
			})
			tr, b := behind(t, private(t), core.Config{FailureThreshold: 1})
			ctx, cancel := context.WithCancelCause(bg)
			resp := send(t, tr, requestIn(t, ctx, http.MethodGet, s.URL, nil))
			cancel(cause)
			if _, err := io.ReadAll(resp.Body); !errors.Is(err, cause) {
				t.Errorf("reading: %v, want the cause, %v", err, cause)
			}
			_ = resp.Body.Close()
			wantTotals(t, b, core.Totals{Calls: 1, Ignored: 1})
		})
	}
	t.Run("the way from before contexts", func(t *testing.T) {
		h, arrived := hang(t)
		s := serve(t, h)
		tr, b := behind(t, private(t), core.Config{FailureThreshold: 1})
		req, cancel := request(t, http.MethodGet, s.URL, nil), make(chan struct{})
		req.Cancel = cancel //nolint:staticcheck // deprecated, and still in use
		go func() {
			<-arrived
			close(cancel)
		}()
		if _, err := tr.RoundTrip(req); err == nil {
			t.Error("no error, want one")
		}
		wantTotals(t, b, core.Totals{Calls: 1, Ignored: 1})
	})
}

// The error of http.Client.Timeout has three shapes, and its context may not
// have ended yet; all are failures.
func TestTheTimeoutOfAClientIsAFailure(t *testing.T) {
	const calls = 200
	rounds, timeout := 50, 50*time.Millisecond
	if testing.Short() {
		rounds /= 4
	}
	hangs := func(_ http.ResponseWriter, req *http.Request) { <-req.Context().Done() }
	s := serve(t, hangs)
	for round, again := 0, 0; round < rounds; {
		inner := private(t)
		tr, b := behind(t, inner, core.Config{FailureThreshold: -1, FailureRateThreshold: -1})
		gate := &lateGate{Gate: b}
		tr.Options().Gate = gate
		client := &http.Client{Transport: tr, Timeout: timeout}
		var at sync.WaitGroup
		begin := make(chan struct{})
		for range calls {
			at.Go(func() {
				<-begin
				resp, err := client.Get(s.URL)
				if err == nil {
					_ = resp.Body.Close()
					t.Error("a hanging server answered")
					return
				}
				if e, ok := errors.AsType[*url.Error](err); !ok || !e.Timeout() {
					t.Errorf("err = %v, want one that is a timeout", err)
				}
			})
		}
		close(begin)
		at.Wait()
		late := gate.late.Load()
		want := calls - late
		wantTotals(t, b, core.Totals{Calls: want, Failures: want, Timeouts: want})
		inner.CloseIdleConnections()
		switch {
		case late == 0:
			round++
		case again == rounds:
			t.Fatalf("%d rounds in which the machine was too busy to send every call in time, want fewer", again)
		default:
			again++
		}
	}
	bubble(t, "on one clock", func(t *testing.T) { // where all timers fire at the same instant
		tr, b := behind(t, inMemory(t, hangs), core.Config{FailureThreshold: -1, FailureRateThreshold: -1})
		client := &http.Client{Transport: tr, Timeout: time.Second}
		var at sync.WaitGroup
		for range calls {
			at.Go(func() {
				if _, err := client.Get("http://example.com"); err == nil {
					t.Error("a hanging server answered")
				}
			})
		}
		at.Wait()
		wantTotals(t, b, core.Totals{Calls: calls, Failures: calls, Timeouts: calls})
	})
}

// lateGate counts the calls whose time was over before they were to be sent: of
// them there is nothing to settle.
type lateGate struct {
	core.Gate

	late atomic.Uint64
}

func (g *lateGate) Allow(ctx context.Context) (core.Permit, error) {
	p, err := g.Gate.Allow(ctx)
	if err != nil {
		g.late.Add(1)
	}
	return p.Move(), err
}

func TestADeadlineWithACauseIsAFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := func(_ http.ResponseWriter, req *http.Request) { <-req.Context().Done() }
		var told book
		tr, b := behind(t, inMemory(t, h), core.Config{Hooks: core.Hooks{Settled: told.note}})
		budget := errors.New("budget")
		ctx, cancel := context.WithTimeoutCause(bg, time.Second, budget)
		defer cancel()
		if _, err := tr.RoundTrip(requestIn(t, ctx, http.MethodGet, "http://example.com", nil)); !errors.Is(err, budget) {
			t.Errorf("err = %v, want the cause, %v", err, budget)
		}
		wantTotals(t, b, core.Totals{Calls: 1, Failures: 1, Timeouts: 1})
		if got := told.last(t); !got.TimedOut || !errors.Is(got.Err, budget) || !errors.Is(got.Err, context.DeadlineExceeded) {
			t.Errorf("told %+v, want a timeout with the cause", got)
		}
	})
}

func TestWhichStatusFails(t *testing.T) {
	want := map[int]core.Outcome{
		200: core.Success, 201: core.Success, 301: core.Success, 304: core.Success,
		400: core.Success, 401: core.Success, 403: core.Success, 404: core.Success, 407: core.Success, 408: core.Success,
		409: core.Success, 413: core.Success, 417: core.Success, 418: core.Success, 499: core.Success,
		429: core.Failure, 500: core.Failure, 502: core.Failure, 503: core.Failure, 504: core.Failure, 507: core.Failure, 599: core.Failure, 600: core.Success, 700: core.Success,
		501: core.Success, 505: core.Success, 999: core.Success,
	}
	s := serve(t, func(w http.ResponseWriter, req *http.Request) {
		var code int
		_, _ = fmt.Sscanf(req.URL.Path, "/%d", &code)
		w.WriteHeader(code)
	})
	var told book
	tr, _ := behind(t, private(t), core.Config{FailureThreshold: -1, FailureRateThreshold: -1, Hooks: core.Hooks{Settled: told.note}})
	for code, outcome := range want {
		resp := get(t, tr, fmt.Sprintf("%s/%d", s.URL, code))
		_ = read(t, resp)
		if got := told.last(t).Outcome; resp.StatusCode != code || got != outcome {
			t.Errorf("%d: status %d, %v; want %v", code, resp.StatusCode, got, outcome)
		}
	}
	t.Run("429 is the user's to decide", func(t *testing.T) {
		tr.Options().Classify = func(e roundtrip.Result) core.Outcome {
			if e.Err == nil && e.Response.StatusCode == http.StatusTooManyRequests {
				return core.Success
			}
			return roundtrip.DefaultClassify(e)
		}
		_ = read(t, get(t, tr, s.URL+"/429"))
		if got := told.last(t).Outcome; got != core.Success {
			t.Errorf("429: %v, want success", got)
		}
	})
}

func TestTheRefusalOfAnInnerBreakerIsIgnored(t *testing.T) {
	inner, innerBreaker := behind(t, fails(errSick), core.Config{FailureThreshold: 1})
	open(t, innerBreaker)
	outer, b := behind(t, inner, core.Config{FailureThreshold: 1})
	wantRefused(t, outer, request(t, http.MethodGet, "http://example.com", nil))
	wantState(t, b, core.Closed)
	wantTotals(t, b, core.Totals{Calls: 1, Ignored: 1})
}

// Something further in gave up, a hedge for one: not the host's failure.
func TestInnerLayerCancels(t *testing.T) {
	tr, b := behind(t, fails(fmt.Errorf("hedged: %w", context.Canceled)), core.Config{FailureThreshold: 1})
	if _, err := tr.RoundTrip(request(t, http.MethodGet, "http://example.com", nil)); !errors.Is(err, context.Canceled) {
		t.Errorf("err = %v, want that of Base", err)
	}
	wantTotals(t, b, core.Totals{Calls: 1, Ignored: 1})
}

// Input from outside, as a query or a header does, must not open the
// breaker of a host that never saw it.
func TestRequestsThatCannotBeSent(t *testing.T) {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	s := serve(t, func(http.ResponseWriter, *http.Request) {}, func(s *httptest.Server) { s.Config.Protocols = protocols })
	two := private(t)
	two.Protocols = new(http.Protocols)
	two.Protocols.SetUnencryptedHTTP2(true)
	proxy := func(u string) *http.Transport {
		tr := private(t)
		tr.Proxy = func(*http.Request) (*url.URL, error) { return url.Parse(u) }
		return tr
	}
	direct := private(t)
	for _, row := range []struct {
		name  string
		rt    http.RoundTripper
		spoil func(req *http.Request)
		calls uint64 // 0 if not even a breaker is asked
	}{
		{"header value", direct, func(req *http.Request) { req.Header.Set("X-Name", "a\r\nX-Admin: yes") }, 1},
		{"header name", direct, func(req *http.Request) { req.Header["X-Admin: yes\r\nX"] = []string{"a"} }, 1},
		{"trailer", direct, func(req *http.Request) { req.Trailer = http.Header{"X-End": {"a\nb"}} }, 1},
		{"method", direct, func(req *http.Request) { req.Method = "GET / HTTP/1.1\r\nX:" }, 1},
		{"query", direct, func(req *http.Request) { req.URL.RawQuery = "q=a HTTP/1.1\r\nX-Admin: yes" }, 1},
		{"opaque", direct, func(req *http.Request) { req.URL.Opaque = "/a\x7f" }, 1},
		{"Host that is no domain", direct, func(req *http.Request) { req.Host = "xn--\u00fc" }, 1},
		{"Host by HTTP/2", two, func(req *http.Request) { req.Host = "a\r\nX-Admin: yes" }, 1},
		{"Host through a proxy", proxy(s.URL), func(req *http.Request) { req.Host = "a\r\nX-Admin: yes" }, 1},
		{"no header", direct, func(req *http.Request) { req.Header = nil }, 1},
		{"unknown scheme", direct, func(req *http.Request) { req.URL.Scheme = "gopher" }, 1},
		{"no scheme", direct, func(req *http.Request) { req.URL.Scheme = "" }, 1},
		{"no host", direct, func(req *http.Request) { req.URL.Host = "" }, 0},
		{"nil URL", direct, func(req *http.Request) { req.URL = nil }, 0},
	} {
		t.Run(row.name, func(t *testing.T) {
			tr, b := behind(t, row.rt, core.Config{FailureThreshold: 1})
			body := &tracked{Reader: strings.NewReader("payload")}
			req := request(t, http.MethodPost, s.URL, body)
			row.spoil(req)
			resp, err := tr.RoundTrip(req)
			if err == nil {
				_ = resp.Body.Close()
				t.Fatalf("RoundTrip = %s, want an error", resp.Status)
			}
			if got := body.closed.Load(); got == 0 {
				t.Errorf("%v: the body was not closed", err)
			}
			wantTotals(t, b, core.Totals{Calls: row.calls, Ignored: row.calls})
		})
	}
	t.Run("says the server", func(t *testing.T) { // which the error repeats
		for text, header := range map[string]string{
			"invalid Host header":         "HTTP/1.1 200 OK\r\ninvalid Host header\r\n\r\n",
			"unsupported protocol scheme": "HTTP/1.1 200 OK\r\nunsupported protocol scheme\r\n\r\n",
		} {
			addr := rawServer(t, func(c *net.TCPConn) { _, _ = io.WriteString(c, header) })
			tr, b := behind(t, private(t), core.Config{FailureThreshold: 1})
			if _, err := tr.RoundTrip(request(t, http.MethodGet, addr, nil)); err == nil || !strings.Contains(err.Error(), text) {
				t.Errorf("err = %v, want one with the words of the server", err)
			}
			wantTotals(t, b, core.Totals{Calls: 1, Failures: 1})
		}
	})
	t.Run("a Host that is sent as an empty one", func(t *testing.T) { // "/var/run/x.sock" is in use
		tr, b := behind(t, fails(io.ErrUnexpectedEOF), core.Config{FailureThreshold: 1})
		req := request(t, http.MethodGet, s.URL, nil)
		req.Host = "/var/run/x.sock"
		if _, err := tr.RoundTrip(req); err == nil {
			t.Error("no error, want one")
		}
		wantState(t, b, core.Open)
	})
}

func TestClassify(t *testing.T) {
	t.Run("sees the trailers at the end of the body", func(t *testing.T) {
		s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Trailer", "Grpc-Status")
			_, _ = io.WriteString(w, "text")
			w.Header().Set("Grpc-Status", "14")
		})
		tr, b := behind(t, private(t), core.Config{})
		tr.Options().Classify = func(e roundtrip.Result) core.Outcome {
			if e.Body && e.Err == nil && e.Response.Trailer.Get("Grpc-Status") != "0" {
				return core.Failure
			}
			return roundtrip.DefaultClassify(e)
		}
		_ = read(t, get(t, tr, s.URL))
		wantTotals(t, b, core.Totals{Calls: 1, Failures: 1})
	})
	bubble(t, "is told how long the headers took", func(t *testing.T) {
		var seen []time.Duration
		tr, b := behind(t, inMemory(t, func(w http.ResponseWriter, _ *http.Request) {
			time.Sleep(2 * time.Second)
			_, _ = io.WriteString(w, "a")
			_ = http.NewResponseController(w).Flush()
			time.Sleep(time.Minute)
			_, _ = io.WriteString(w, "b")
		}), core.Config{SlowAfter: 10 * time.Second})
		tr.Options().Classify = func(e roundtrip.Result) core.Outcome {
			seen = append(seen, e.Elapsed)
			return roundtrip.DefaultClassify(e)
		}
		if got := read(t, get(t, tr, "http://example.com")); got != "ab" {
			t.Errorf("body = %q, want ab", got)
		}
		if len(seen) != 2 || seen[0] != 2*time.Second || seen[1] != 2*time.Second {
			t.Errorf("elapsed %v, want 2s at the headers and at the end of the body", seen)
		}
		wantTotals(t, b, core.Totals{Calls: 1, Successes: 1}) // not slow either
	})
	t.Run("may take an error for a success", func(t *testing.T) {
		tr, b := behind(t, fails(errSick), core.Config{FailureThreshold: 1})
		tr.Options().Classify = func(roundtrip.Result) core.Outcome { return core.Success }
		if _, err := tr.RoundTrip(request(t, http.MethodGet, "http://example.com", nil)); err != errSick {
			t.Errorf("err = %v, want that of Base", err)
		}
		wantTotals(t, b, core.Totals{Calls: 1, Successes: 1})
	})
	t.Run("neither response nor error", func(t *testing.T) {
		var told book
		tr, b := behind(t, fails(nil), core.Config{Hooks: core.Hooks{Settled: told.note}})
		resp, err := tr.RoundTrip(request(t, http.MethodGet, "http://example.com", nil))
		if resp != nil || err != nil {
			t.Errorf("RoundTrip = %v, %v; want nil, nil as Base returned", resp, err)
		}
		wantTotals(t, b, core.Totals{Calls: 1, Failures: 1})
		if got := told.last(t).Err; got == nil {
			t.Error("told of no error, want one that says what is wrong")
		}
	})
	t.Run("tells why", func(t *testing.T) {
		var told book
		tr, _ := behind(t, answers(http.StatusBadGateway, "no"), core.Config{Hooks: core.Hooks{Settled: told.note}})
		_ = read(t, get(t, tr, "http://example.com"))
		if got := fmt.Sprint(told.last(t).Err); got != "HTTP status Bad Gateway" { // as that Base writes its status
			t.Errorf("told %q, want the status", got)
		}
	})
}
