package interop_test

import (
	"crypto/tls"
	"crypto/x509"
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
	"time"

	"github.com/quic-go/quic-go/http3"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/roundtrip"
)

// serveHTTP3 starts a server of h by HTTP/3, and returns its address and a transport
// to it.
func serveHTTP3(t *testing.T, h http.Handler) (addr string, tr *http3.Transport) {
	t.Helper()
	cert := httptest.NewUnstartedServer(nil)
	cert.StartTLS() // only for its certificate
	defer cert.Close()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http3.Server{Handler: h, TLSConfig: http3.ConfigureTLSConfig(&tls.Config{Certificates: cert.TLS.Certificates})}
	served := make(chan error, 1)
	go func() { served <- server.Serve(conn) }()
	roots := x509.NewCertPool()
	roots.AddCert(cert.Certificate())
	tr = &http3.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}
	t.Cleanup(func() {
		_ = tr.Close()
		_ = server.Close()
		<-served
		_ = conn.Close()
	})
	return "https://" + conn.LocalAddr().String(), tr
}

type rtUnreadable struct{ io.Reader }

func (r rtUnreadable) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if err == io.EOF {
		err = errors.New("the source is sick")
	}
	return n, err
}

func rtHalfOpen(t *testing.T, b *core.Breaker) {
	t.Helper()
	for b.State() == core.Closed {
		p, err := b.Allow(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		p.Settle(t.Context(), core.Failure)
	}
	for end := time.Now().Add(10 * time.Second); b.State() != core.HalfOpen; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the break does not end")
		}
	}
}

// TestFaultsOfTheRequestByHTTP3: what is wrong with a request's body is not the
// host's fault with quic-go as Base either, which tells of it in other words.
func TestFaultsOfTheRequestByHTTP3(t *testing.T) {
	addr, inner := serveHTTP3(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Path == "/sick" {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		if _, err := io.Copy(io.Discard, req.Body); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	}))
	plain := func(text string) io.Reader { return struct{ io.Reader }{strings.NewReader(text)} }
	for name, row := range map[string]struct {
		body     func() io.Reader
		length   int64
		path     string
		failures uint64
	}{
		"well":               {func() io.Reader { return plain("text") }, 4, "/", 0},
		"a sick host":        {func() io.Reader { return plain("text") }, 4, "/sick", 3},
		"shorter":            {func() io.Reader { return plain("text") }, 10, "/", 0},
		"longer":             {func() io.Reader { return plain("text and text") }, 4, "/", 0},
		"cannot be read":     {func() io.Reader { return rtUnreadable{strings.NewReader("text")} }, -1, "/", 0},
		"in memory, longer":  {func() io.Reader { return strings.NewReader("text and text") }, 4, "/", 0},
		"in memory, used up": {func() io.Reader { return strings.NewReader("") }, 4, "/", 0},
	} {
		for _, half := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				b := core.MustNew("b", core.Config{FailureThreshold: 10, Timeout: time.Millisecond, SuccessThreshold: 1000})
				var opened uint64
				if half {
					if row.failures > 0 {
						return // which opens it again
					}
					rtHalfOpen(t, b)
					opened = 10
				}
				tr := roundtrip.New(nil, &roundtrip.Options{Base: inner, Gate: b})
				for range 3 {
					req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, addr+row.path, row.body())
					if err != nil {
						t.Fatal(err)
					}
					req.ContentLength = row.length
					if resp, err := tr.RoundTrip(req); err == nil {
						_, _ = io.Copy(io.Discard, resp.Body)
						_ = resp.Body.Close()
					}
				}
				if got := b.Snapshot().Totals; got.Failures != opened+row.failures || got.Calls != opened+3 || got.InFlight != 0 {
					t.Errorf("totals %+v, want 3 calls of which %d failed", got, row.failures)
				}
			})
		}
	}
	t.Run("through a proxy", func(t *testing.T) {
		b := core.MustNew("b", core.Config{FailureThreshold: 1})
		to, err := url.Parse(addr)
		if err != nil {
			t.Fatal(err)
		}
		front := httptest.NewServer(&httputil.ReverseProxy{
			Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to) }, Transport: roundtrip.New(nil, &roundtrip.Options{Base: inner, Gate: b}), ErrorLog: log.New(io.Discard, "", 0),
		})
		defer front.Close()
		for _, text := range []string{
			"Transfer-Encoding: chunked\r\n\r\nZZ\r\n", "Transfer-Encoding: chunked\r\n\r\n3\r\nabcXX0\r\n\r\n",
			"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", "Content-Length: 1000\r\n\r\nabc", "Content-Length: 3\r\n\r\nabc",
		} {
			c, err := net.Dial("tcp", front.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			_, _ = io.WriteString(c, "POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"+text)
			_ = c.(*net.TCPConn).CloseWrite()
			_, _ = io.Copy(io.Discard, c)
			_ = c.Close()
		}
		if got := b.Snapshot().Totals; got.Failures != 0 || got.Calls == 0 {
			t.Errorf("totals %+v, want calls and no failure", got)
		}
	})
}
