//nolint:bodyclose // helpers close them, out of its sight; TestNothingLeaks counts
package roundtrip_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/http/httputil"
	"net/textproto"
	"net/url"
	"strings"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/roundtrip"
)

// goingAway is an HTTP/2 server by hand: its first connection takes a whole
// request and says that it has processed none and goes away; the next ones echo.
func goingAway(t *testing.T) (addr string, conns func() int) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	count, served := make(chan int, 1), make(chan struct{})
	count <- 0
	go func() {
		defer close(served)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			n := <-count
			count <- n + 1
			if err := http2Conn(c, n == 0); err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, net.ErrClosed) {
				t.Logf("connection %d: %v", n, err)
			}
		}
	}()
	t.Cleanup(func() {
		_ = l.Close()
		<-served
	})
	return l.Addr().String(), func() int {
		n := <-count
		count <- n
		return n
	}
}

func http2Conn(c net.Conn, goAway bool) error {
	defer c.Close()
	if _, err := io.ReadFull(c, make([]byte, len(http2.ClientPreface))); err != nil {
		return err
	}
	fr := http2.NewFramer(c, c)
	if err := fr.WriteSettings(); err != nil {
		return err
	}
	var body bytes.Buffer
	for {
		f, err := fr.ReadFrame()
		if err != nil {
			return err
		}
		ended := false
		switch f := f.(type) {
		case *http2.SettingsFrame:
			if !f.IsAck() {
				if err := fr.WriteSettingsAck(); err != nil {
					return err
				}
			}
		case *http2.HeadersFrame:
			ended = f.StreamEnded()
		case *http2.DataFrame:
			body.Write(f.Data())
			ended = f.StreamEnded()
		}
		if !ended {
			continue
		}
		if goAway {
			// The client closes the rest: a reset could overtake this frame.
			if err := fr.WriteGoAway(0, http2.ErrCodeNo, nil); err != nil {
				return err
			}
			continue
		}
		var head bytes.Buffer
		enc := hpack.NewEncoder(&head)
		_ = enc.WriteField(hpack.HeaderField{Name: ":status", Value: "200"})
		id := f.Header().StreamID
		if err := fr.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: head.Bytes(), EndHeaders: true}); err != nil {
			return err
		}
		if err := fr.WriteData(id, true, body.Bytes()); err != nil {
			return err
		}
	}
}

func TestGoAwayIsNoFailureOfACallThatIsSentAgain(t *testing.T) {
	addr, conns := goingAway(t)
	inner := private(t)
	inner.Protocols = new(http.Protocols)
	inner.Protocols.SetUnencryptedHTTP2(true)
	tr, b := behind(t, inner, core.Config{})
	req := request(t, http.MethodPost, "http://"+addr, strings.NewReader("payload"))
	if req.GetBody == nil {
		t.Fatal("the request has no GetBody, want one")
	}
	resp := send(t, tr, req)
	if got := read(t, resp); got != "payload" || resp.ProtoMajor != 2 {
		t.Errorf("%s %q, want payload by HTTP/2", resp.Proto, got)
	}
	if got := conns(); got != 2 {
		t.Errorf("%d connections, want 2: the first one went away", got)
	}
	wantTotals(t, b, core.Totals{Calls: 1, Successes: 1})
	inner.CloseIdleConnections()
}

// switching is a server that speaks lines instead of HTTP once asked to.
func switching(t *testing.T) *httptest.Server {
	t.Helper()
	return serve(t, func(w http.ResponseWriter, _ *http.Request) {
		c, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Errorf("Hijack = %v", err)
			return
		}
		defer c.Close()
		_, _ = rw.WriteString("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: lines\r\n\r\n")
		_ = rw.Flush()
		for {
			line, err := rw.ReadString('\n')
			if err != nil {
				_, _ = io.WriteString(c, "bye\n") // after the client has closed its half
				return
			}
			_, _ = io.WriteString(c, "echo "+line)
		}
	})
}

func upgrade(t *testing.T, url string) *http.Request {
	t.Helper()
	req := request(t, http.MethodGet, url, nil)
	req.Header.Set("Connection", "Upgrade")
	req.Header.Set("Upgrade", "lines")
	return req
}

func TestSwitchingProtocolsIsSettledAtOnce(t *testing.T) {
	talk := func(t *testing.T, resp *http.Response) (conn io.ReadWriteCloser, lines *bufio.Reader) {
		t.Helper()
		if resp.StatusCode != http.StatusSwitchingProtocols {
			t.Fatalf("status %s, want 101", resp.Status)
		}
		conn, ok := resp.Body.(io.ReadWriteCloser)
		if !ok {
			t.Fatalf("the body is %T, want an io.ReadWriteCloser", resp.Body)
		}
		lines = bufio.NewReader(conn)
		for i := range 3 {
			_, _ = fmt.Fprintf(conn, "line %d\n", i)
			if got, err := lines.ReadString('\n'); got != fmt.Sprintf("echo line %d\n", i) {
				t.Fatalf("got %q, %v; want the line's echo", got, err)
			}
		}
		return conn, lines
	}
	t.Run("directly", func(t *testing.T) {
		s := switching(t)
		tr, b := behind(t, private(t), core.Config{})
		resp := send(t, tr, upgrade(t, s.URL))
		wantTotals(t, b, core.Totals{Calls: 1, Successes: 1}) // at the headers
		conn, lines := talk(t, resp)
		half, ok := conn.(interface{ CloseWrite() error })
		if !ok {
			t.Fatalf("the body is %T, want one with CloseWrite", conn)
		}
		if err := half.CloseWrite(); err != nil {
			t.Errorf("CloseWrite = %v", err)
		}
		if got, err := lines.ReadString('\n'); got != "bye\n" {
			t.Errorf("got %q, %v after CloseWrite, want bye", got, err)
		}
		_ = conn.Close()
		wantTotals(t, b, core.Totals{Calls: 1, Successes: 1})
	})
	t.Run("through a ReverseProxy", func(t *testing.T) {
		s := switching(t)
		target, err := url.Parse(s.URL)
		if err != nil {
			t.Fatal(err)
		}
		tr, b := behind(t, private(t), core.Config{})
		proxy := serve(t, (&httputil.ReverseProxy{
			Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(target) },
			Transport: tr,
		}).ServeHTTP)
		conn, _ := talk(t, send(t, private(t), upgrade(t, proxy.URL)))
		wantTotals(t, b, core.Totals{Calls: 1, Successes: 1})
		_ = conn.Close()
	})
	t.Run("CONNECT", func(t *testing.T) {
		s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			_ = http.NewResponseController(w).EnableFullDuplex()
			_ = http.NewResponseController(w).Flush()
		})
		tr, b := behind(t, private(t), core.Config{})
		req := request(t, http.MethodConnect, s.URL, nil)
		resp := send(t, tr, req)
		wantTotals(t, b, core.Totals{Calls: 1, Successes: 1}) // though nothing was read
		_ = resp.Body.Close()
	})
	bubble(t, "a probe gives its place back at once", func(t *testing.T) {
		near, far := net.Pipe()
		tr, b := behind(t, base(func(req *http.Request) (*http.Response, error) {
			resp := answer(req, http.StatusSwitchingProtocols, "")
			resp.Body = near
			return resp, nil
		}), oneProbe())
		halfOpen(t, b)
		for range 2 {
			if resp := send(t, tr, upgrade(t, "http://example.com")); resp.Body != near {
				t.Errorf("the body is %T, want the very one of Base", resp.Body)
			}
		}
		wantState(t, b, core.Closed)
		_ = near.Close()
		_ = far.Close()
	})
}

// An answer before the body was sent is an answer.
func TestExpectContinue(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusExpectationFailed) })
	inner := private(t)
	inner.ExpectContinueTimeout = patience
	tr, b := behind(t, inner, core.Config{})
	body := &tracked{Reader: readerFunc(func([]byte) (int, error) {
		t.Error("the body was read, want the answer to come first")
		return 0, io.EOF
	})}
	req := request(t, http.MethodPost, s.URL, body)
	req.Header.Set("Expect", "100-continue")
	if resp := send(t, tr, req); resp.StatusCode != http.StatusExpectationFailed {
		t.Errorf("status %s, want 417", resp.Status)
	}
	wantTotals(t, b, core.Totals{Calls: 1, Successes: 1})
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// Interim responses, early hints for one, are the tracer's, and no outcome.
func TestEarlyHints(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Link", "</style.css>")
		w.WriteHeader(http.StatusEarlyHints)
		_, _ = io.WriteString(w, "text")
	})
	hints := 0
	ctx := httptrace.WithClientTrace(bg, &httptrace.ClientTrace{Got1xxResponse: func(int, textproto.MIMEHeader) error {
		hints++
		return nil
	}})
	tr, b := behind(t, private(t), core.Config{})
	if got := read(t, send(t, tr, requestIn(t, ctx, http.MethodGet, s.URL, nil))); got != "text" || hints != 1 {
		t.Errorf("body %q after %d hints, want text after one", got, hints)
	}
	wantTotals(t, b, core.Totals{Calls: 1, Successes: 1})
}

// A stream that an HTTP/2 server resets is a failure, in its headers and later.
func TestHTTP2StreamReset(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Path == "/body" {
			_, _ = io.WriteString(w, "text")
			_ = http.NewResponseController(w).Flush()
		}
		panic(http.ErrAbortHandler)
	}, func(s *httptest.Server) {
		s.Config.Protocols = new(http.Protocols)
		s.Config.Protocols.SetUnencryptedHTTP2(true)
	})
	inner := private(t)
	inner.Protocols = new(http.Protocols)
	inner.Protocols.SetUnencryptedHTTP2(true)
	tr, b := behind(t, inner, core.Config{})
	if _, err := tr.RoundTrip(request(t, http.MethodGet, s.URL+"/headers", nil)); err == nil {
		t.Error("no error, want that of the reset stream")
	}
	wantTotals(t, b, core.Totals{Calls: 1, Failures: 1})
	resp := get(t, tr, s.URL+"/body")
	if text, err := io.ReadAll(resp.Body); string(text) != "text" || err == nil || resp.ProtoMajor != 2 {
		t.Errorf("%s %q, %v; want text by HTTP/2 and an error", resp.Proto, text, err)
	}
	_ = resp.Body.Close()
	wantTotals(t, b, core.Totals{Calls: 2, Failures: 2})
}

// A failing proxy is charged to the host, as documented.
func TestProxyFails(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) })
	inner := private(t)
	inner.Proxy = func(*http.Request) (*url.URL, error) { return url.Parse(s.URL) }
	tr := roundtrip.New(nil, &roundtrip.Options{Base: inner})
	_ = read(t, get(t, tr, "http://example.com/"))
	if _, err := tr.RoundTrip(request(t, http.MethodGet, "https://example.com/", nil)); err == nil {
		t.Error("no error, want that of the CONNECT to the proxy")
	}
	for _, name := range []string{"example.com:80", "example.com:443"} {
		b, err := tr.Breakers().Get(name)
		if err != nil {
			t.Fatal(err)
		}
		wantTotals(t, b, core.Totals{Calls: 1, Failures: 1})
	}
}
