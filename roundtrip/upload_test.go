//nolint:bodyclose // helpers close them, out of its sight
package roundtrip_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/blackbox4/switchgear/core"
)

// protocol is one way to reach a server.
type protocol struct {
	name      string
	two, safe bool // HTTP/2, by TLS
}

var protocols = []protocol{
	{"HTTP1", false, false}, {"HTTP1 by TLS", false, true}, {"HTTP2", true, true}, {"HTTP2 unencrypted", true, false},
}

// reach starts a server of h and returns its address and a transport to it.
func (p protocol) reach(t *testing.T, h http.HandlerFunc) (addr string, tr *http.Transport) {
	t.Helper()
	all := new(http.Protocols)
	all.SetHTTP1(!p.two)
	all.SetHTTP2(p.two && p.safe)
	all.SetUnencryptedHTTP2(p.two && !p.safe)
	s := httptest.NewUnstartedServer(h)
	s.Config.ErrorLog, s.Config.Protocols = quiet(), all
	tr = &http.Transport{Protocols: all}
	if p.safe {
		s.EnableHTTP2 = p.two
		s.StartTLS()
		roots := x509.NewCertPool()
		roots.AddCert(s.Certificate())
		tr.TLSClientConfig = &tls.Config{RootCAs: roots}
	} else {
		s.Start()
	}
	t.Cleanup(s.Close)
	t.Cleanup(tr.CloseIdleConnections)
	return s.URL, tr
}

// proxied starts a ReverseProxy whose Transport is tr, in front of addr.
func proxied(t *testing.T, tr http.RoundTripper, addr string) *httptest.Server {
	t.Helper()
	to, err := url.Parse(addr)
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to) }, Transport: tr, ErrorLog: quiet()}
	return serve(t, proxy.ServeHTTP)
}

// reading is the handler of a host that is well, and that answers 500 when it
// cannot read what it is sent, as many do.
func reading(w http.ResponseWriter, req *http.Request) {
	if _, err := io.Copy(io.Discard, req.Body); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	_, _ = io.WriteString(w, "ok")
}

// halfOpenNow opens the breaker and waits until its short break is over.
func halfOpenNow(t *testing.T, b *core.Breaker) {
	t.Helper()
	open(t, b)
	eventually(t, "the end of the break", func() bool { return b.State() == core.HalfOpen })
}

var errUnreadable = errors.New("the source is sick")

// failing is a body that cannot be read to its end.
type failing struct{ io.Reader }

func (f failing) Read(p []byte) (int, error) {
	n, err := f.Reader.Read(p)
	if err == io.EOF {
		err = errUnreadable
	}
	return n, err
}

// unclosable is a body whose Close fails.
type unclosable struct{ io.Reader }

func (unclosable) Close() error { return errUnreadable }

// plain hides that a reader is one of those that net/http knows.
func plain(text string) io.Reader { return struct{ io.Reader }{strings.NewReader(text)} }

// faults make a body, and the length that it is announced with.
func faults() map[string]func(t *testing.T) (io.Reader, int64) {
	const text = "0123456789"
	file := func(t *testing.T, text string) *os.File {
		t.Helper()
		name := filepath.Join(t.TempDir(), "body")
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := os.OpenFile(name, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = f.Close() })
		return f
	}
	return map[string]func(t *testing.T) (io.Reader, int64){
		"shorter than announced": func(*testing.T) (io.Reader, int64) { return plain(text), 20 },
		"longer than announced":  func(*testing.T) (io.Reader, int64) { return plain(text), 5 },
		"much longer":            func(*testing.T) (io.Reader, int64) { return plain(strings.Repeat(text, 100_000)), 5 },
		"cannot be read":         func(*testing.T) (io.Reader, int64) { return failing{strings.NewReader(text)}, 20 },
		"cannot be read, of unknown length": func(*testing.T) (io.Reader, int64) {
			return failing{strings.NewReader(text)}, -1
		},
		"cannot be closed":   func(*testing.T) (io.Reader, int64) { return unclosable{strings.NewReader(text)}, 10 },
		"in memory, shorter": func(*testing.T) (io.Reader, int64) { return strings.NewReader(text), 20 },
		"in memory, longer":  func(*testing.T) (io.Reader, int64) { return bytes.NewReader([]byte(text)), 5 },
		"in memory, used up": func(t *testing.T) (io.Reader, int64) {
			used := bytes.NewBufferString(text)
			used.Reset()
			return used, 10
		},
		"used up": func(t *testing.T) (io.Reader, int64) {
			used := plain(text)
			_, _ = io.ReadAll(used)
			return used, 10
		},
		"a file that shrank": func(t *testing.T) (io.Reader, int64) {
			f := file(t, text)
			if err := f.Truncate(3); err != nil {
				t.Fatal(err)
			}
			return f, 10
		},
		"a file that grew": func(t *testing.T) (io.Reader, int64) { return file(t, text+text), 10 },
	}
}

// The request's own faults are not the host's, whatever the protocol.
func TestFaultsOfTheRequest(t *testing.T) {
	for _, p := range protocols {
		for name, fault := range faults() {
			t.Run(p.name+"/"+name, func(t *testing.T) {
				addr, inner := p.reach(t, reading)
				tr, b := behind(t, inner, core.Config{FailureThreshold: 1, Timeout: time.Millisecond, SuccessThreshold: 1000, HalfOpenMaxCalls: 1})
				spoil := func() {
					body, announced := fault(t)
					req := request(t, http.MethodPost, addr, body)
					req.ContentLength = announced
					resp, err := tr.RoundTrip(req)
					if err == nil {
						_, _ = io.Copy(io.Discard, resp.Body)
						_ = resp.Body.Close()
					}
				}
				for range 3 {
					spoil()
				}
				wantState(t, b, core.Closed)
				if got := b.Snapshot().Totals; got.Failures != 0 || got.InFlight != 0 || got.Calls != 3 {
					t.Errorf("closed: totals %+v, want 3 calls and no failure", got)
				}
				halfOpenNow(t, b)
				for range 3 {
					spoil()
				}
				wantState(t, b, core.HalfOpen)
				if got := b.Snapshot().Totals; got.Failures != 1 || got.InFlight != 0 || got.Calls != 7 {
					t.Errorf("half-open: totals %+v, want 7 calls and only the failure that opened", got)
				}
				if got := read(t, send(t, tr, request(t, http.MethodPost, addr, plain("fine")))); got != "ok" {
					t.Errorf("an honest request got %q, want ok", got)
				}
			})
		}
	}
}

// A request that is sent again has a new body; a GetBody that fails is the
// caller's fault too.
func TestBodyThatIsMadeAgain(t *testing.T) {
	twice := func(fail bool) (http.RoundTripper, *int) {
		sent := 0
		return base(func(req *http.Request) (*http.Response, error) { // as a Transport does whose connection was stale
			sent++
			_, _ = io.Copy(io.Discard, req.Body)
			_ = req.Body.Close()
			body, err := req.GetBody()
			if err != nil {
				return nil, err
			}
			if !fail {
				return answer(req, http.StatusOK, ""), nil
			}
			_, err = io.Copy(io.Discard, body)
			if err == nil {
				err = errSick
			}
			return nil, err
		}), &sent
	}
	for name, row := range map[string]struct {
		again func() (io.ReadCloser, error)
		want  core.Totals
	}{
		"well":               {func() (io.ReadCloser, error) { return io.NopCloser(plain("text")), nil }, core.Totals{Calls: 1, Failures: 1}},
		"none":               {func() (io.ReadCloser, error) { return http.NoBody, nil }, core.Totals{Calls: 1, Failures: 1}},
		"shorter":            {func() (io.ReadCloser, error) { return io.NopCloser(plain("t")), nil }, core.Totals{Calls: 1, Ignored: 1}},
		"longer":             {func() (io.ReadCloser, error) { return io.NopCloser(plain("text and more")), nil }, core.Totals{Calls: 1, Ignored: 1}},
		"cannot be read":     {func() (io.ReadCloser, error) { return io.NopCloser(failing{plain("text")}), nil }, core.Totals{Calls: 1, Ignored: 1}},
		"cannot be made":     {func() (io.ReadCloser, error) { return nil, errUnreadable }, core.Totals{Calls: 1, Ignored: 1}},
		"in memory, shorter": {func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader("t")), nil }, core.Totals{Calls: 1, Ignored: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			inner, _ := twice(true)
			tr, b := behind(t, inner, core.Config{FailureThreshold: -1, FailureRateThreshold: -1})
			req := request(t, http.MethodPost, "http://example.com", plain("text"))
			req.ContentLength, req.GetBody = 4, row.again
			if _, err := tr.RoundTrip(req); err == nil {
				t.Error("no error, want one")
			}
			wantTotals(t, b, row.want)
		})
	}
}

// Bodies in memory, and no body, reach Base as they are: a wrapper would make
// net/http write the header apart.
func TestBodiesInMemoryAreNotWrapped(t *testing.T) {
	for name, body := range map[string]io.Reader{
		"bytes.Reader": bytes.NewReader([]byte("x")), "bytes.Buffer": bytes.NewBufferString("x"), "strings.Reader": strings.NewReader("x"),
		"NoBody": http.NoBody, "nil": nil, "empty": strings.NewReader(""),
	} {
		var seen *http.Request
		tr, _ := behind(t, base(func(req *http.Request) (*http.Response, error) {
			seen = req
			return answer(req, http.StatusOK, ""), nil
		}), core.Config{})
		req := request(t, http.MethodPost, "http://example.com", body)
		resp := send(t, tr, req)
		if seen != req || resp.Request != req {
			t.Errorf("%s: Base saw a copy of the request, want the request", name)
		}
	}
	var seen *http.Request
	tr, _ := behind(t, base(func(req *http.Request) (*http.Response, error) {
		seen = req
		return answer(req, http.StatusOK, ""), nil
	}), core.Config{})
	req := request(t, http.MethodPost, "http://example.com", plain("x"))
	body := req.Body
	outer, _ := behind(t, tr, core.Config{})
	resp := send(t, outer, req)
	if seen == req || resp.Request != req || req.Body != body || seen.Body == body || req.GetBody != nil || seen.GetBody != nil {
		t.Error("a body that is not in memory: want Base to see a copy, without GetBody, and the caller the request as it was")
	}
}

// A host that is sick is seen, whatever is sent to it.
func TestSickHostsAreSeen(t *testing.T) {
	for _, p := range protocols {
		for name, h := range map[string]http.HandlerFunc{
			"hangs up": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
			"hangs up after some": func(_ http.ResponseWriter, req *http.Request) {
				_, _ = io.ReadFull(req.Body, make([]byte, 10))
				panic(http.ErrAbortHandler)
			},
			"answers 500": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) },
			"reads, answers 503": func(w http.ResponseWriter, req *http.Request) {
				_, _ = io.Copy(io.Discard, req.Body)
				w.WriteHeader(http.StatusServiceUnavailable)
			},
		} {
			for kind, body := range map[string]func() io.Reader{
				"short":     func() io.Reader { return plain("text and text") },
				"long":      func() io.Reader { return plain(strings.Repeat("0123456789", 200_000)) },
				"in memory": func() io.Reader { return strings.NewReader(strings.Repeat("0123456789", 200_000)) },
			} {
				t.Run(p.name+"/"+name+"/"+kind, func(t *testing.T) {
					addr, inner := p.reach(t, h)
					tr, b := behind(t, inner, core.Config{FailureThreshold: -1, FailureRateThreshold: -1})
					for range 3 {
						resp, err := tr.RoundTrip(request(t, http.MethodPost, addr, body()))
						if err == nil {
							_ = resp.Body.Close()
						}
					}
					wantTotals(t, b, core.Totals{Calls: 3, Failures: 3})
				})
			}
		}
	}
}
