//nolint:bodyclose // helpers close them, out of its sight
package roundtrip_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/roundtrip"
)

// dialing returns a transport whose dialer fails with what a system call or the
// resolver returned.
func dialing(t *testing.T, err error) *http.Transport {
	t.Helper()
	tr := private(t)
	tr.DialContext = func(context.Context, string, string) (net.Conn, error) {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: err}
	}
	return tr
}

// A shortage of this machine is not the host's failure.
func TestShortagesOfThisMachine(t *testing.T) {
	call := func(name string, errno syscall.Errno) error { return os.NewSyscallError(name, errno) }
	shortages := map[string]error{
		"no host name answer in time": &net.DNSError{Err: "i/o timeout", Name: "example.com", IsTimeout: true},
		"the resolver is down":        &net.DNSError{Err: "dial udp: connection refused", Name: "example.com", IsTemporary: true},
		"a resolver without sockets":  &net.DNSError{UnwrapErr: call("socket", syscall.ENOBUFS), Err: "socket: no buffer space", Name: "example.com"},
		"no root certificates":        &tls.CertificateVerificationError{Err: x509.SystemRootsError{Err: errors.New("open: too many open files")}},
	}
	failures := map[string]error{
		"no such host":          &net.DNSError{Err: "no such host", Name: "example.com", IsNotFound: true},
		"no such host, for now": &net.DNSError{Err: "no such host", Name: "example.com", IsNotFound: true, IsTemporary: true},
		"a resolver that fails": &net.DNSError{Err: "server misbehaving", Name: "example.com"},
		"refused":               call("connect", syscall.ECONNREFUSED),
		"no answer":             call("connect", syscall.ETIMEDOUT),
		"unreachable":           call("connect", syscall.EHOSTUNREACH),
		"reset":                 call("read", syscall.ECONNRESET),
		"other words":           errors.New("socket: too many open files"),
	}
	if runtime.GOOS == "windows" { // whose package syscall has other numbers for these
		for name, number := range map[string]syscall.Errno{"no sockets": 10024, "no buffers": 10055, "no port": 10049, "port in use": 10048, "no memory": 8, "no handles": 4} {
			shortages[name] = call("wsasocket", number)
		}
	} else {
		for name, number := range map[string]syscall.Errno{
			"no descriptors": syscall.EMFILE, "no descriptors at all": syscall.ENFILE, "no buffers": syscall.ENOBUFS,
			"no port": syscall.EADDRNOTAVAIL, "port in use": syscall.EADDRINUSE, "no memory": syscall.ENOMEM,
		} {
			shortages[name] = call("socket", number)
		}
	}
	for want, errs := range map[core.Outcome]map[string]error{core.Ignored: shortages, core.Failure: failures} {
		for name, err := range errs {
			t.Run(name, func(t *testing.T) {
				var told book
				tr, _ := behind(t, dialing(t, err), core.Config{FailureThreshold: -1, FailureRateThreshold: -1, Hooks: core.Hooks{Settled: told.note}})
				if _, got := tr.RoundTrip(request(t, http.MethodGet, "http://example.com", nil)); !errors.Is(got, err) {
					t.Fatalf("err = %v, want %v in it", got, err)
				}
				if got := told.last(t).Outcome; got != want {
					t.Errorf("%v: %v, want %v", err, got, want)
				}
			})
		}
	}
	bubble(t, "also when the deadline has passed meanwhile", func(t *testing.T) {
		tr, b := behind(t, base(func(*http.Request) (*http.Response, error) {
			time.Sleep(time.Minute)
			return nil, shortages["no host name answer in time"]
		}), core.Config{})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, _ = tr.RoundTrip(requestIn(t, ctx, http.MethodGet, "http://example.com", nil))
		wantTotals(t, b, core.Totals{Calls: 1, Ignored: 1})
	})
	bubble(t, "half-open", func(t *testing.T) {
		tr, b := behind(t, fails(shortages["the resolver is down"]), oneProbe())
		halfOpen(t, b)
		for range 5 {
			_, _ = tr.RoundTrip(request(t, http.MethodGet, "http://example.com", nil))
		}
		wantState(t, b, core.HalfOpen)
	})
}

// Names and ports for real: an unknown host and a closed port stay failures.
func TestHostsThatAreNotThere(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := "http://" + l.Addr().String()
	_ = l.Close()
	tr, b := behind(t, private(t), core.Config{FailureThreshold: 1})
	if _, err := tr.RoundTrip(request(t, http.MethodGet, closed, nil)); err == nil {
		t.Error("no error, want a refused connection")
	}
	wantTotals(t, b, core.Totals{Calls: 1, Failures: 1})
}

// A connection that is closed here under a call is not the host's failure.
func TestConnectionClosedByItsUser(t *testing.T) {
	for _, p := range protocols {
		for _, where := range []string{"before the answer", "in the body"} {
			t.Run(p.name+"/"+where, func(t *testing.T) {
				arrived := make(chan struct{}, 1)
				addr, inner := p.reach(t, func(w http.ResponseWriter, req *http.Request) {
					if where == "in the body" {
						_ = http.NewResponseController(w).Flush()
					}
					arrived <- struct{}{}
					<-req.Context().Done()
				})
				var mu sync.Mutex
				var conns []net.Conn
				inner.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
					c, err := new(net.Dialer).DialContext(ctx, network, address)
					mu.Lock()
					defer mu.Unlock()
					conns = append(conns, c)
					return c, err
				}
				closeAll := func() {
					<-arrived
					mu.Lock()
					defer mu.Unlock()
					for _, c := range conns {
						_ = c.Close()
					}
				}
				tr, b := behind(t, inner, core.Config{FailureThreshold: 1})
				if where == "before the answer" {
					go closeAll()
				}
				resp, err := tr.RoundTrip(request(t, http.MethodGet, addr, nil))
				if where == "in the body" {
					if err != nil {
						t.Fatal(err)
					}
					go closeAll()
					_, err = io.ReadAll(resp.Body)
					_ = resp.Body.Close()
				}
				if !errors.Is(err, net.ErrClosed) {
					t.Errorf("err = %v, want one of a closed connection", err)
				}
				wantTotals(t, b, core.Totals{Calls: 1, Ignored: 1})
			})
		}
	}
	t.Run("idle ones", func(t *testing.T) {
		s := serve(t, reading)
		inner := private(t)
		tr, b := behind(t, inner, core.Config{FailureThreshold: 1})
		var calls sync.WaitGroup
		for range 8 {
			calls.Go(func() {
				for range 50 {
					resp, err := tr.RoundTrip(request(t, http.MethodPost, s.URL, plain("text")))
					if err == nil {
						_, _ = io.Copy(io.Discard, resp.Body)
						_ = resp.Body.Close()
					}
					inner.CloseIdleConnections()
				}
			})
		}
		calls.Wait()
		if got := b.Snapshot().Totals; got.Failures != 0 || got.Calls != 400 {
			t.Errorf("totals %+v, want 400 calls and no failure", got)
		}
	})
}

// A Base that could not get its credentials has not called the host.
func TestCredentialsThatCannotBeFetched(t *testing.T) {
	down := "http://127.0.0.1:1/token"
	fetches := func(address string) base { // as oauth2's Transport does
		return func(*http.Request) (*http.Response, error) {
			client := &http.Client{Transport: fails(syscall.ECONNREFUSED)}
			_, err := client.PostForm(address, url.Values{"grant_type": {"client_credentials"}})
			return nil, fmt.Errorf("oauth2: %w", err)
		}
	}
	for name, row := range map[string]struct {
		base base
		want core.Outcome
	}{
		"from another place":        {fetches(down), core.Ignored},
		"from the host itself":      {fetches("http://api.example/token"), core.Failure},
		"by another address":        {fetches("http://10.1.2.3/v1/things"), core.Failure}, // Base resolved the name
		"an error that says so":     {fails(fmt.Errorf("no token: %w", roundtrip.ErrNotSent)), core.Ignored},
		"only words":                {fails(errors.New("oauth2: cannot fetch token")), core.Failure},
		"an address that is none":   {fails(&url.Error{Op: "Post", URL: ":\x00", Err: errSick}), core.Failure},
		"an address without a host": {fails(&url.Error{Op: "parse", URL: "/x", Err: errSick}), core.Failure},
	} {
		t.Run(name, func(t *testing.T) {
			var told book
			tr, _ := behind(t, row.base, core.Config{Hooks: core.Hooks{Settled: told.note}})
			_, _ = tr.RoundTrip(request(t, http.MethodGet, "http://api.example/v1/things", nil))
			if got := told.last(t); got.Outcome != row.want {
				t.Errorf("%v: %v, want %v", got.Err, got.Outcome, row.want)
			}
		})
	}
}

// Words that the other side writes decide nothing: not a forward proxy's, whose
// status line becomes the whole text of an error, and not a host's.
func TestWordsOfTheOtherSide(t *testing.T) {
	for _, text := range []string{
		"http: invalid Host header", "http2: invalid Host header", "http2: request header list larger than peer's advertised limit",
		"http: CloseIdleConnections called", "use of closed network connection", "invalid byte in chunk length", "malformed chunked encoding",
		`unsupported protocol scheme "https"`, `http2: invalid Connection request header: ["close"]`, "context canceled", "http: request body too large",
		"oauth2: cannot fetch token", "socket: too many open files", `http2: invalid request :path "/"`, "http3: unsupported protocol scheme: https",
	} {
		t.Run(text, func(t *testing.T) {
			proxy := rawServer(t, func(c *net.TCPConn) { _, _ = io.WriteString(c, "HTTP/1.1 503 "+text+"\r\n\r\n") })
			at, err := url.Parse(proxy)
			if err != nil {
				t.Fatal(err)
			}
			inner := private(t)
			inner.Proxy = http.ProxyURL(at)
			tr, b := behind(t, inner, core.Config{FailureThreshold: -1, FailureRateThreshold: -1})
			_, err = tr.RoundTrip(request(t, http.MethodGet, "https://example.com", nil))
			if err == nil || err.Error() != text {
				t.Fatalf("err = %v, want the proxy's words", err)
			}
			wantTotals(t, b, core.Totals{Calls: 1, Failures: 1})
		})
	}
	for name, answer := range map[string]string{
		"a chunk that is none":    "ZZ\r\n",
		"a chunk without its end": "3\r\nabcd\r\n",
	} {
		t.Run(name, func(t *testing.T) { // the same errors as of a request's body
			host := rawServer(t, func(c *net.TCPConn) {
				_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"+answer)
			})
			tr, b := behind(t, private(t), core.Config{FailureThreshold: -1, FailureRateThreshold: -1})
			for _, body := range []io.Reader{nil, strings.NewReader("text")} {
				resp := send(t, tr, request(t, http.MethodPost, host, body))
				if _, err := io.ReadAll(resp.Body); err == nil {
					t.Error("no error, want one of the chunks")
				}
				_ = resp.Body.Close()
			}
			wantTotals(t, b, core.Totals{Calls: 2, Failures: 2})
		})
	}
}
