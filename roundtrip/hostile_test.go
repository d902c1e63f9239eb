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
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/roundtrip"
)

// sendRaw writes text to a server as a hostile client would, and returns the
// first line of the answer.
func sendRaw(t *testing.T, addr, text string) string {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(c).ReadString('\n')
	if err != nil {
		t.Fatalf("no answer to %.40q: %v", text, err)
	}
	return strings.TrimSpace(line)
}

// Clients of a proxy cannot make the host behind it look sick.
func TestHostileClientsOfAProxy(t *testing.T) {
	for name, c := range map[string]struct {
		two   bool // the host speaks HTTP/2
		limit int64
		text  string
	}{
		"an upgrade that HTTP/2 has not": {two: true, text: "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n"},
		"a chunk that is none":           {text: "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n"},
		"more than the limit":            {limit: 10, text: "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n" + strings.Repeat("x", 100)},
	} {
		t.Run(name, func(t *testing.T) {
			host := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				_, _ = io.WriteString(w, "ok")
			}))
			host.Config.ErrorLog = log.New(io.Discard, "", 0)
			if host.EnableHTTP2 = c.two; c.two {
				host.StartTLS()
			} else {
				host.Start()
			}
			defer host.Close()
			to, err := url.Parse(host.URL)
			if err != nil {
				t.Fatal(err)
			}
			transport := roundtrip.New(nil, &roundtrip.Options{Base: host.Client().Transport})
			proxy := &httputil.ReverseProxy{
				Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to) }, Transport: transport, ErrorLog: log.New(io.Discard, "", 0),
			}
			front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if c.limit > 0 {
					r.Body = http.MaxBytesReader(w, r.Body, c.limit)
				}
				proxy.ServeHTTP(w, r)
			}))
			defer front.Close()
			addr := front.Listener.Addr().String()
			for range 20 {
				sendRaw(t, addr, c.text)
			}
			if got := sendRaw(t, addr, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); got != "HTTP/1.1 200 OK" {
				t.Errorf("an honest request after 20 of those: %s", got)
			}
			for _, b := range transport.Breakers().All() {
				if totals := b.Snapshot().Totals; totals.Failures > 0 || b.State() != core.Closed {
					t.Errorf("the host's breaker is %v with %+v, want no failure", b.State(), totals)
				}
			}
		})
	}
}

// A host cannot talk its failures away.
func TestHostsThatTalk(t *testing.T) {
	for name, answer := range map[string]string{
		"a scheme":    "HTTP/1.1 200 OK\r\nunsupported protocol scheme\r\n\r\n",
		"a header":    "HTTP/1.1 200 OK\r\ninvalid Host header\r\n\r\n",
		"first words": "unsupported protocol scheme\r\n\r\n",
		"a chunk":     "http2: invalid Connection request header: \r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			host := rawServer(t, func(c *net.TCPConn) {
				_, _ = io.WriteString(c, answer)
			})
			transport, b := behind(t, private(t), core.Config{FailureThreshold: -1, FailureRateThreshold: -1})
			for range 5 {
				resp, err := transport.RoundTrip(request(t, http.MethodGet, host, nil))
				if err == nil {
					_ = resp.Body.Close()
					t.Fatal("no error")
				}
			}
			wantTotals(t, b, core.Totals{Calls: 5, Failures: 5})
		})
	}
}

// A download that stalls until the deadline is a failure, also when the caller
// then closes the body under the one who reads it; one that is closed late, with
// no reader, is none.
func TestCloseAfterTheDeadline(t *testing.T) {
	for name, c := range map[string]struct {
		reading bool
		want    core.Totals
	}{
		"while it is read": {true, core.Totals{Calls: 1, Failures: 1, Timeouts: 1}},
		"unread":           {false, core.Totals{Calls: 1, Successes: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				from, to := io.Pipe()
				transport, b := behind(t, base(func(req *http.Request) (*http.Response, error) {
					resp := answer(req, 200, "")
					resp.Body = from
					return resp, nil
				}), core.Config{})
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				resp := send(t, transport, requestIn(t, ctx, http.MethodGet, "http://stalls.example", nil)) //nolint:bodyclose // it is, below
				done := make(chan error, 1)
				if c.reading {
					go func() { _, err := resp.Body.Read(make([]byte, 1)); done <- err }()
				}
				time.Sleep(2 * time.Second)
				_ = resp.Body.Close()
				if c.reading && !errors.Is(<-done, io.ErrClosedPipe) {
					t.Error("the Read ended otherwise")
				}
				_ = to.Close()
				wantTotals(t, b, c.want)
			})
		})
	}
}

// The same host by other spellings is the same key.
func TestHostSpellings(t *testing.T) {
	for url, want := range map[string]string{
		"http://bücher.example/":         "xn--bcher-kva.example:80",
		"http://BÜCHER.example/":         "xn--bcher-kva.example:80",
		"http://xn--bcher-kva.example/":  "xn--bcher-kva.example:80",
		"http://example.com:080/":        "example.com:80",
		"https://[2001:DB8::1]/":         "[2001:db8::1]:443",
		"https://example.com:/whatever/": "example.com:443",
	} {
		if got := roundtrip.Host(request(t, http.MethodGet, url, nil)); got != want {
			t.Errorf("%s has the key %s, want %s", url, got, want)
		}
	}
}
