package httpmw_test

import (
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"

	"github.com/blackbox4/switchgear/core"
)

// proxyTo is a handler that forwards to h on another server.
func proxyTo(t *testing.T, h http.Handler) *httputil.ReverseProxy {
	t.Helper()
	upstream := httptest.NewUnstartedServer(h)
	upstream.Config.ErrorLog = log.New(io.Discard, "", 0)
	upstream.Start()
	t.Cleanup(upstream.Close)
	at, err := url.Parse(upstream.URL)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return &httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(at) },
		Transport: transport,
		ErrorLog:  log.New(io.Discard, "", 0),
	}
}

func TestInFrontOfAReverseProxy(t *testing.T) {
	overEach(t, func(t *testing.T, serve func(*testing.T, http.Handler) *server) {
		t.Run("a, the client is gone before the headers", func(t *testing.T) {
			w, entered := newWard(t, core.Config{}), make(chan struct{}, 1)
			s := serve(t, w.guard(proxyTo(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				entered <- struct{}{}
				<-r.Context().Done()
			}))))
			s.abandoned(t, "/", entered)
			w.want(t, core.Ignored)
			w.idle(t)
		})
		t.Run("b, the client is gone in the middle of the body", func(t *testing.T) {
			w := newWard(t, core.Config{})
			s := serve(t, w.guard(proxyTo(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.WriteString(w, bodyOf(10_000))
				_ = http.NewResponseController(w).Flush()
				<-r.Context().Done()
			}))))
			resp, err := s.Client().Do(request(t, http.MethodGet, s.URL, nil))
			if err != nil {
				t.Fatal(err)
			}
			_, _ = io.ReadFull(resp.Body, make([]byte, 100))
			resp.Body.Close()
			w.want(t, core.Ignored)
			w.idle(t)
		})
		t.Run("c, upstream dies in the middle of the body", func(t *testing.T) {
			w := newWard(t, core.Config{})
			s := serve(t, w.guard(proxyTo(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Length", "1000000")
				_, _ = io.WriteString(w, bodyOf(10_000))
				_ = http.NewResponseController(w).Flush()
				panic(http.ErrAbortHandler)
			}))))
			if a := s.get(t, "/"); a.err == nil {
				t.Errorf("the client got all of %d bytes, want an error", len(a.body))
			}
			w.want(t, core.Failure)
			w.idle(t)
			s.Close()
			if s.log.String() != "" {
				t.Errorf("net/http logs %q, want nothing of http.ErrAbortHandler", s.log)
			}
		})
		t.Run("d, upstream is down", func(t *testing.T) {
			w := newWard(t, core.Config{})
			p := proxyTo(t, status(http.StatusOK))
			p.Rewrite = func(r *httputil.ProxyRequest) { r.SetURL(&url.URL{Scheme: "http", Host: "127.0.0.1:1"}) }
			wantCode(t, serve(t, w.guard(p)).get(t, "/"), http.StatusBadGateway)
			w.want(t, core.Failure)
			w.idle(t)
		})
		t.Run("e, all is well", func(t *testing.T) {
			w := newWard(t, core.Config{})
			s := serve(t, w.guard(proxyTo(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.WriteHeader(http.StatusEarlyHints)
				w.Header().Set("Trailer", "Sum")
				b, _ := io.ReadAll(r.Body)
				_, _ = w.Write(b)
				w.Header().Set("Sum", "42")
			}))))
			a := s.do(request(t, http.MethodPost, s.URL, only(strings.NewReader(bodyOf(100_000)))))
			if len(a.body) != 100_000 || a.trailer.Get("Sum") != "42" {
				t.Errorf("got %d bytes, trailers %v, %v; want 100000 bytes, Sum 42", len(a.body), a.trailer, a.err)
			}
			w.want(t, core.Success)
			w.idle(t)
		})
	})
}
