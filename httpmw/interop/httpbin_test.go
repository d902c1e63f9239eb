package interop_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/mccutchen/go-httpbin/v2/httpbin"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/httpmw"
)

// binRequests are what httpbin is asked, with answers that are the same each time.
var binRequests = []string{
	"GET /", "GET /get?a=1&a=2", "HEAD /head", "HEAD /html", "POST /post", "PUT /put", "PATCH /patch", "DELETE /delete", "OPTIONS /get", "DELETE /get",
	"POST /upload", "GET /none/such", "GET /anything/x/../y", "GET //get", "BREW /anything",
	"GET /status/200", "GET /status/204", "GET /status/304", "GET /status/404", "GET /status/418", "GET /status/500", "GET /status/503", "GET /status/999",
	"GET /bytes/1000?seed=1", "GET /bytes/0", "GET /stream-bytes/100000?seed=1&chunk_size=3000", "GET /stream/5", "GET /range/5000", "GET /jsonl?count=3",
	"GET /drip?numbytes=20&duration=0&delay=0", "GET /delay/0", "GET /sse?count=3&duration=0", "GET /trailers?a=1", "GET /unstable?failure_rate=1", "GET /unstable?failure_rate=0",
	"GET /redirect/2", "GET /absolute-redirect/2", "GET /redirect-to?url=/get", "GET /cookies/set?a=1", "GET /cookies", "GET /basic-auth/u/p", "GET /bearer",
	"GET /cache", "GET /cache/9", "GET /etag/x", "GET /response-headers?X-A=1&X-A=2&Content-Type=text/x", "GET /links/5/2", "GET /base64/aGVsbG8=", "GET /base64/-",
	"GET /gzip", "GET /deflate", "GET /encoding/utf8", "GET /html", "GET /xml", "GET /json", "GET /robots.txt", "GET /deny", "GET /image/png", "GET /image/webp", "GET /forms/post",
	"GET /headers", "GET /ip", "GET /user-agent", "GET /dump/request", "GET /websocket/echo", "GET /brotli",
}

// passing is a Config that never opens, so that httpbin's failures can be seen.
func passing(string) core.Config { return core.Config{FailureThreshold: -1, FailureRateThreshold: -1} }

// mwProxy is a reverse proxy to h on a server of its own.
func mwProxy(t *testing.T, h http.Handler) http.Handler {
	t.Helper()
	upstream := httptest.NewServer(h)
	t.Cleanup(upstream.Close)
	at, err := url.Parse(upstream.URL)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{DisableCompression: true}
	t.Cleanup(transport.CloseIdleConnections)
	return &httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(at); r.Out.Host = r.In.Host },
		Transport: transport, ErrorLog: log.New(io.Discard, "", 0),
	}
}

// binServer serves h by HTTP/1.1 or HTTP/2.
func binServer(t *testing.T, h http.Handler, two bool) *httptest.Server {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	if two {
		s.EnableHTTP2 = true
		s.StartTLS()
	} else {
		s.Start()
	}
	t.Cleanup(s.Close)
	return s
}

// changing is what is different in each answer.
var changing = regexp.MustCompile(`(?m)"timestamp":\d+|^(Date|Last-Modified): .*$|^Etag: [0-9a-f]{60,}\r?$`)

// binRaw returns all bytes of an answer by HTTP/1.1.
func binRaw(t *testing.T, s *httptest.Server, method, target string) string {
	t.Helper()
	conn, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	body := ""
	if method == http.MethodPost || method == http.MethodPut || method == http.MethodPatch {
		body = strings.Repeat("a=1&", 5000)
	}
	fmt.Fprintf(conn, "%s %s HTTP/1.1\r\nHost: bin.test\r\nConnection: close\r\nTE: trailers\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n%s",
		method, target, len(body), body)
	got, err := io.ReadAll(conn)
	if err != nil {
		t.Fatalf("%s %s: %v", method, target, err)
	}
	return changing.ReplaceAllString(string(got), "")
}

// binAnswer returns what a client makes of an answer, by either protocol.
func binAnswer(t *testing.T, s *httptest.Server, method, target string) string {
	t.Helper()
	var body io.Reader
	if method == http.MethodPost || method == http.MethodPut || method == http.MethodPatch {
		body = strings.NewReader(strings.Repeat("a=1&", 5000))
	}
	req, err := http.NewRequestWithContext(t.Context(), method, s.URL+target, body)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = "bin.test"
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept-Encoding", "identity")
	resp, err := s.Client().Transport.RoundTrip(req) // no redirects
	if err != nil {
		t.Fatalf("%s %s: %v", method, target, err)
	}
	defer resp.Body.Close()
	all, err := io.ReadAll(resp.Body)
	var out bytes.Buffer
	fmt.Fprintf(&out, "%s %s %v %d %v\n", resp.Proto, resp.Status, resp.TransferEncoding, resp.ContentLength, err)
	_ = resp.Header.Write(&out)
	_ = resp.Trailer.Write(&out)
	out.Write(all)
	return changing.ReplaceAllString(out.String(), "")
}

// TestMiddlewareInFrontOfHTTPBin compares the answers of httpbin with and without the
// middleware: all bytes by HTTP/1.1, and what a client sees by HTTP/2 and through
// a reverse proxy.
func TestMiddlewareInFrontOfHTTPBin(t *testing.T) {
	bin := httpbin.New(httpbin.WithHostname("bin"))
	for name, c := range map[string]struct {
		two    bool
		bare   http.Handler
		answer func(*testing.T, *httptest.Server, string, string) string
	}{
		"HTTP1":          {false, bin, binRaw},
		"HTTP2":          {true, bin, binAnswer},
		"HTTP1, a proxy": {false, mwProxy(t, bin), binAnswer},
		"HTTP2, a proxy": {true, mwProxy(t, bin), binAnswer},
	} {
		t.Run(name, func(t *testing.T) {
			registry := &core.Registry{Config: passing}
			bare := binServer(t, c.bare, c.two)
			guarded := binServer(t, httpmw.New(registry, &httpmw.Options{Key: func(*http.Request) string { return "http" }})(c.bare), c.two)
			for _, line := range binRequests {
				method, target, _ := strings.Cut(line, " ")
				want, got := c.answer(t, bare, method, target), c.answer(t, guarded, method, target)
				if got != want {
					t.Errorf("%s: with the middleware\n%.600s\nwithout\n%.600s", line, got, want)
				}
			}
			b, err := registry.Get("http")
			if err != nil {
				t.Fatal(err)
			}
			if got := b.Snapshot().Totals; got.Calls != uint64(len(binRequests)-1) || got.Failures < 3 { // all but OPTIONS
				t.Errorf("the middleware has counted %+v; want %d calls, some failures", got, len(binRequests)-1)
			}
		})
	}
}

// TestMiddlewareInFrontOfAWebsocketEcho talks to httpbin's websocket behind the middleware.
func TestMiddlewareInFrontOfAWebsocketEcho(t *testing.T) {
	bin := httpbin.New()
	for name, h := range map[string]http.Handler{"direct": bin, "a proxy": mwProxy(t, bin)} {
		for _, secure := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, TLS %t", name, secure), func(t *testing.T) {
				settled := make(chan core.Outcome, 1)
				b := core.MustNew("b", core.Config{Hooks: core.Hooks{Settled: func(_ context.Context, s core.Settlement) { settled <- s.Outcome }}})
				s := httptest.NewUnstartedServer(httpmw.New(nil, &httpmw.Options{Gate: b})(h))
				if secure {
					s.StartTLS()
				} else {
					s.Start()
				}
				defer s.Close()
				dialer := websocket.Dialer{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
				conn, resp, err := dialer.DialContext(t.Context(), "ws"+strings.TrimPrefix(s.URL, "http")+"/websocket/echo", nil)
				if err != nil {
					t.Fatal(err)
				}
				defer resp.Body.Close()
				defer conn.Close()
				if got := <-settled; got != core.Success {
					t.Errorf("settled as %v, want a success", got)
				}
				for _, kind := range []int{websocket.TextMessage, websocket.BinaryMessage} {
					for _, n := range []int{0, 1, 126, 10_000} {
						want := bytes.Repeat([]byte{'x'}, n)
						if err := conn.WriteMessage(kind, want); err != nil {
							t.Fatal(err)
						}
						if gotKind, got, err := conn.ReadMessage(); gotKind != kind || !slices.Equal(got, want) {
							t.Errorf("sent %d bytes of kind %d, got %d of %d (%v)", n, kind, len(got), gotKind, err)
						}
					}
				}
			})
		}
	}
}
