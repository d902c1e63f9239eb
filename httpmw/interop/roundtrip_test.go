package interop_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	coder "github.com/coder/websocket"
	"github.com/mccutchen/go-httpbin/v2/httpbin"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/roundtrip"
)

// rtOpen returns a Transport whose only breaker, named host, is open.
func rtOpen(t *testing.T, base http.RoundTripper) *roundtrip.Transport {
	t.Helper()
	b := core.MustNew("host", core.Config{})
	if err := b.Force(core.ForcedOpen); err != nil {
		t.Fatal(err)
	}
	return roundtrip.New(nil, &roundtrip.Options{Base: base, Gate: b})
}

// rtProtocol is one way to reach a server.
type rtProtocol struct {
	name      string
	two, safe bool // HTTP/2, by TLS
}

var rtProtocols = []rtProtocol{
	{"HTTP1", false, false}, {"HTTP1 by TLS", false, true}, {"HTTP2", true, true}, {"HTTP2 unencrypted", true, false},
}

func (p rtProtocol) protocols() *http.Protocols {
	all := new(http.Protocols)
	all.SetHTTP1(!p.two)
	all.SetHTTP2(p.two && p.safe)
	all.SetUnencryptedHTTP2(p.two && !p.safe)
	return all
}

// serve starts h and returns its address and a new transport to it.
func (p rtProtocol) serve(t *testing.T, h http.Handler) (addr string, tr *http.Transport) {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.Config.Protocols = p.protocols()
	tr = &http.Transport{Protocols: p.protocols()}
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

// rtAnswer is what a client gets: redirects followed, gzip unpacked.
func rtAnswer(t *testing.T, rt http.RoundTripper, addr, method, target string) string {
	t.Helper()
	var body io.Reader
	if method == http.MethodPost || method == http.MethodPut || method == http.MethodPatch {
		body = strings.NewReader(strings.Repeat("a=1&", 5000))
	}
	req, err := http.NewRequestWithContext(t.Context(), method, addr+target, body)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = "bin.test"
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	client := &http.Client{Transport: rt, CheckRedirect: func(next *http.Request, _ []*http.Request) error {
		next.URL.Host, next.URL.Scheme = req.URL.Host, req.URL.Scheme // not bin.test, which httpbin takes itself for
		return nil
	}}
	resp, err := client.Do(req)
	if err != nil {
		return fmt.Sprintf("error %v", err)
	}
	defer resp.Body.Close()
	all, err := io.ReadAll(resp.Body)
	var out bytes.Buffer
	fmt.Fprintf(&out, "%s %s %v %d %v %v %v\n", resp.Proto, resp.Status, resp.TransferEncoding, resp.ContentLength, resp.Uncompressed, resp.Close, err)
	_ = resp.Header.Write(&out)
	_ = resp.Trailer.Write(&out)
	out.Write(all)
	return rtClock.ReplaceAllString(changing.ReplaceAllString(out.String(), ""), "")
}

// rtClock is the tag of /cache, which is made of the time.
var rtClock = regexp.MustCompile(`(?m)^Etag: [0-9a-f]{60,}\r?$`)

// rtDifference shows where two answers begin to differ.
func rtDifference(got, want string) string {
	n := 0
	for n < min(len(got), len(want)) && got[n] == want[n] {
		n++
	}
	from := max(n-100, 0)
	return fmt.Sprintf("from byte %d of %d and %d:\n got %.300q\nwant %.300q", n, len(got), len(want), got[from:], want[from:])
}

// TestTransportAgainstHTTPBin compares what a client gets of httpbin with and without
// breakers, directly and through a reverse proxy that has them.
func TestTransportAgainstHTTPBin(t *testing.T) {
	bin := httpbin.New(httpbin.WithHostname("bin"))
	for _, p := range rtProtocols {
		t.Run(p.name, func(t *testing.T) {
			addr, plain := p.serve(t, bin)
			at, err := url.Parse(addr)
			if err != nil {
				t.Fatal(err)
			}
			guarded := roundtrip.New(&core.Registry{Config: passing}, &roundtrip.Options{Base: plain})
			proxy := func(rt http.RoundTripper) (string, *http.Transport) {
				return p.serve(t, &httputil.ReverseProxy{
					Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(at); r.Out.Host = r.In.Host },
					Transport: rt, ErrorLog: log.New(io.Discard, "", 0),
				})
			}
			bareProxy, toBare := proxy(plain)
			guardedProxy, toGuarded := proxy(guarded)
			port := func(s, addr string) string { return strings.ReplaceAll(s, strings.Split(addr, "//")[1], "bin.test") }
			for _, line := range binRequests {
				method, target, _ := strings.Cut(line, " ")
				want, got := rtAnswer(t, plain, addr, method, target), rtAnswer(t, guarded, addr, method, target)
				if got != want {
					t.Errorf("%s: with breakers, %s", line, rtDifference(got, want))
				}
				want = port(rtAnswer(t, toBare, bareProxy, method, target), bareProxy)
				got = port(rtAnswer(t, toGuarded, guardedProxy, method, target), guardedProxy)
				if got != want {
					t.Errorf("%s: through a proxy with breakers, %s", line, rtDifference(got, want))
				}
			}
			stats := guarded.Breakers().Stats()
			if n := uint64(len(binRequests)); stats.Breakers != 1 || stats.Totals.InFlight != 0 || stats.Totals.Calls < 2*n-1 || stats.Totals.Failures < 4 {
				t.Errorf("counted %+v, want about twice %d calls of one host, all settled, some failures", stats, n)
			}
		})
	}
}

// TestWebsocketsDialThroughATransport talks to httpbin's websocket through a breaker.
func TestWebsocketsDialThroughATransport(t *testing.T) {
	bin := httpbin.New()
	for _, p := range rtProtocols[:2] { // websockets are upgraded from HTTP/1.1
		for _, proxied := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, a proxy: %t", p.name, proxied), func(t *testing.T) {
				addr, plain := p.serve(t, bin)
				b := core.MustNew("b", core.Config{})
				guarded := roundtrip.New(nil, &roundtrip.Options{Base: plain, Gate: b})
				client := &http.Client{Transport: guarded}
				if proxied {
					at, err := url.Parse(addr)
					if err != nil {
						t.Fatal(err)
					}
					addr, plain = p.serve(t, &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(at) }, Transport: guarded})
					client.Transport = plain
				}
				conn, _, err := coder.Dial(t.Context(), addr+"/websocket/echo", &coder.DialOptions{HTTPClient: client}) //nolint:bodyclose // it became the connection
				if err != nil {
					t.Fatalf("Dial = %v, want a connection", err)
				}
				defer conn.CloseNow()
				if got, want := b.Snapshot().Totals, (core.Totals{Calls: 1, Successes: 1}); got != want {
					t.Errorf("totals %+v, want %+v: settled when the connection was made", got, want)
				}
				for _, kind := range []coder.MessageType{coder.MessageText, coder.MessageBinary} {
					for _, n := range []int{0, 1, 126, 10_000} {
						want := bytes.Repeat([]byte{'x'}, n)
						if err := conn.Write(t.Context(), kind, want); err != nil {
							t.Fatal(err)
						}
						if gotKind, got, err := conn.Read(t.Context()); gotKind != kind || !bytes.Equal(got, want) {
							t.Errorf("sent %d bytes of kind %v, got %d of %v (%v)", n, kind, len(got), gotKind, err)
						}
					}
				}
				if err := conn.Close(coder.StatusNormalClosure, ""); err != nil {
					t.Errorf("Close = %v", err)
				}
			})
		}
	}
	t.Run("refused", func(t *testing.T) {
		_, _, err := coder.Dial(t.Context(), "ws://example.com", &coder.DialOptions{HTTPClient: &http.Client{Transport: rtOpen(t, nil)}}) //nolint:bodyclose // there is none
		if !errors.Is(err, core.ErrOpen) {
			t.Errorf("Dial = %v, want a refusal", err)
		}
	})
}

// rtSpans is otelhttp's transport around base, and the spans that have ended.
func rtSpans(t *testing.T, base http.RoundTripper) (*otelhttp.Transport, *tracetest.SpanRecorder) {
	t.Helper()
	spans := tracetest.NewSpanRecorder()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans))
	t.Cleanup(func() { _ = provider.Shutdown(context.Background()) })
	return otelhttp.NewTransport(base, otelhttp.WithTracerProvider(provider)), spans
}

// TestErrorsAsFindsARefusal: the rest of it is in the package's own tests.
func TestErrorsAsFindsARefusal(t *testing.T) {
	want := func(t *testing.T, err error) {
		t.Helper()
		refused, ok := errors.AsType[*core.OpenError](err)
		if !ok || !errors.Is(err, core.ErrOpen) || refused.Name != "host" {
			t.Errorf("err = %v, want the refusal of host in it", err)
		}
	}
	get := func(rt http.RoundTripper) error {
		resp, err := (&http.Client{Transport: rt}).Get("http://example.com")
		if err == nil {
			_ = resp.Body.Close()
		}
		return err
	}
	t.Run("otelhttp outside", func(t *testing.T) {
		outside, _ := rtSpans(t, rtOpen(t, nil))
		want(t, get(outside))
	})
	t.Run("otelhttp inside", func(t *testing.T) { // as recommended: what was never sent has no span
		inside, spans := rtSpans(t, http.DefaultTransport)
		want(t, get(rtOpen(t, inside)))
		if got := len(spans.Ended()); got != 0 {
			t.Errorf("%d spans of a call that was not sent, want none", got)
		}
	})
	t.Run("connect-go", func(t *testing.T) {
		client := connect.NewClient[wrapperspb.StringValue, wrapperspb.StringValue](
			&http.Client{Transport: rtOpen(t, nil)}, "http://example.com/echo.v1.Echo/Say")
		_, err := client.CallUnary(t.Context(), connect.NewRequest(wrapperspb.String("hello")))
		want(t, err)
		if got := connect.CodeOf(err); got != connect.CodeUnavailable {
			t.Errorf("code = %v, want unavailable", got)
		}
	})
}

// TestSpans: with otelhttp inside, a call that was sent has its span, ended by
// the end of the body.
func TestSpans(t *testing.T) {
	addr, plain := rtProtocols[0].serve(t, httpbin.New())
	inside, spans := rtSpans(t, plain)
	b := core.MustNew("b", core.Config{})
	client := &http.Client{Transport: roundtrip.New(nil, &roundtrip.Options{Base: inside, Gate: b})}
	for _, target := range []string{"/bytes/100", "/status/500"} {
		resp, err := client.Get(addr + target)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
	}
	if got := len(spans.Ended()); got != 2 {
		t.Errorf("%d spans have ended, want 2", got)
	}
	if got, want := b.Snapshot().Totals, (core.Totals{Calls: 2, Successes: 1, Failures: 1}); got != want {
		t.Errorf("totals %+v, want %+v", got, want)
	}
}

// TestConnectStreams: a client and a server that talk at the same time, over
// HTTP/2, with a request body that is a pipe.
func TestConnectStreams(t *testing.T) {
	for _, p := range rtProtocols[2:] {
		t.Run(p.name, func(t *testing.T) {
			const procedure = "/echo.v1.Echo/Talk"
			mux := http.NewServeMux()
			mux.Handle(procedure, connect.NewBidiStreamHandler(procedure, func(_ context.Context, s *connect.BidiStream[wrapperspb.StringValue, wrapperspb.StringValue]) error {
				for {
					msg, err := s.Receive()
					if errors.Is(err, io.EOF) {
						return nil
					}
					if err != nil {
						return err
					}
					if err := s.Send(wrapperspb.String("echo " + msg.Value)); err != nil {
						return err
					}
				}
			}))
			addr, plain := p.serve(t, mux)
			b := core.MustNew("b", core.Config{})
			for _, option := range []connect.ClientOption{connect.WithGRPC(), connect.WithProtoJSON()} {
				client := connect.NewClient[wrapperspb.StringValue, wrapperspb.StringValue](
					&http.Client{Transport: roundtrip.New(nil, &roundtrip.Options{Base: plain, Gate: b})}, addr+procedure, option)
				stream := client.CallBidiStream(t.Context())
				for i := range 5 {
					said := fmt.Sprint("line ", i)
					if err := stream.Send(wrapperspb.String(said)); err != nil {
						t.Fatalf("Send = %v", err)
					}
					if got, err := stream.Receive(); err != nil || got.Value != "echo "+said {
						t.Fatalf("Receive = %v, %v; want the echo before the next line is sent", got, err)
					}
				}
				_ = stream.CloseRequest()
				if _, err := stream.Receive(); !errors.Is(err, io.EOF) {
					t.Errorf("Receive = %v, want the end", err)
				}
				if err := stream.CloseResponse(); err != nil {
					t.Errorf("CloseResponse = %v", err)
				}
			}
			if got, want := b.Snapshot().Totals, (core.Totals{Calls: 2, Successes: 2}); got != want {
				t.Errorf("totals %+v, want %+v", got, want)
			}
		})
	}
}

// TestNoGoroutineIsLeft: of calls that end in every way, with probes and
// their leases; connections and bodies are counted in the package's own tests.
func TestNoGoroutineIsLeft(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	bin := httpbin.New()
	s := httptest.NewUnstartedServer(bin)
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.Start()
	defer s.Close()
	plain := &http.Transport{}
	defer plain.CloseIdleConnections()
	registry := &core.Registry{Config: func(string) core.Config {
		return core.Config{FailureThreshold: 2, Timeout: time.Millisecond, HalfOpenMaxCalls: 1}
	}}
	cut, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer cut.Close()
	go func() {
		for {
			c, err := cut.Accept()
			if err != nil {
				return
			}
			_ = c.Close()
		}
	}()
	client := &http.Client{Transport: roundtrip.New(registry, &roundtrip.Options{Base: plain})}
	for i := range 1000 {
		ctx, cancel := context.WithCancel(t.Context())
		target := s.URL + []string{"/bytes/100000", "/status/500", "/delay/0", "/sse?count=2&duration=0", "/stream-bytes/100000", "/get"}[i%6]
		if i%7 == 0 {
			target = "http://" + cut.Addr().String()
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := client.Do(req)
		if err == nil {
			switch i % 5 {
			case 0:
				cancel()
			case 1:
				_, _ = resp.Body.Read(make([]byte, 10))
			default:
				_, _ = io.Copy(io.Discard, resp.Body)
			}
			_ = resp.Body.Close()
		}
		cancel()
	}
	totals := registry.Stats().Totals
	if totals.InFlight != 0 || totals.Successes == 0 || totals.Failures == 0 {
		t.Errorf("totals %+v, want a mix, and all settled", totals)
	}
}
