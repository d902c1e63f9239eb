//nolint:bodyclose // helpers close them, out of its sight; TestNothingLeaks counts
package roundtrip_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/roundtrip"
)

// cut is a transport whose connections a test can lose.
type cut struct {
	*http.Transport

	mu    sync.Mutex
	conns []net.Conn
}

// lose closes some of the connections, by the order in which they were made.
func (c *cut) lose(conns ...int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, i := range conns {
		_ = c.conns[i].Close()
	}
}

func (c *cut) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.conns)
}

// cutable reaches h by HTTP/2 without TLS; most is how many streams a connection has.
func cutable(t *testing.T, h http.HandlerFunc, most int) *cut {
	t.Helper()
	c := &cut{Transport: inMemory(t, h, func(s *http.Server) {
		s.Protocols = new(http.Protocols)
		s.Protocols.SetUnencryptedHTTP2(true)
		s.HTTP2 = &http.HTTP2Config{MaxConcurrentStreams: most}
	})}
	dial := c.DialContext
	c.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := dial(ctx, network, addr)
		if err == nil {
			c.mu.Lock()
			c.conns = append(c.conns, conn)
			c.mu.Unlock()
		}
		return conn, err
	}
	c.Protocols = new(http.Protocols)
	c.Protocols.SetUnencryptedHTTP2(true)
	return c
}

// unending sends a first byte to /download, nothing to /silent, until the client has
// gone, and answers all else.
func unending(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/download":
		w.Header().Set("Content-Length", "1000")
		_, _ = io.WriteString(w, "x")
		_ = http.NewResponseController(w).Flush()
	case "/silent":
	default:
		return
	}
	<-r.Context().Done()
}

// TestALostConnectionCountsOnce however many calls it carried, in whatever state they
// are, and the next one anew.
func TestALostConnectionCountsOnce(t *testing.T) {
	for _, path := range []string{"/download", "/silent"} {
		for _, warm := range []bool{false, true} {
			bubble(t, fmt.Sprintf("%s, warm %t", path[1:], warm), func(t *testing.T) {
				inner := cutable(t, unending, 100)
				tr, b := behind(t, inner, core.Config{})
				if !warm {
					tr.Options().Base = inner.Transport // net/http's own, of which it is not known yet
				}
				var want core.Totals
				if warm {
					_ = read(t, get(t, tr, "http://host/"))
					want = core.Totals{Calls: 1, Successes: 1}
				}
				for i := range 3 {
					var all sync.WaitGroup
					for range 8 {
						all.Go(func() {
							resp, err := tr.RoundTrip(request(t, http.MethodGet, "http://host"+path, nil))
							if err == nil {
								_, err = io.ReadAll(resp.Body)
								_ = resp.Body.Close()
							}
							if err == nil {
								t.Error("no error of the connection that is lost")
							}
						})
						synctest.Wait() // or each would have a connection of its own
					}
					if inner.count() != i+1 {
						t.Fatalf("%d connections, want all calls by one", inner.count())
					}
					inner.lose(i)
					all.Wait()
					want.Calls, want.Failures, want.Ignored = want.Calls+8, want.Failures+1, want.Ignored+7
					wantTotals(t, b, want)
				}
			})
		}
	}
}

// TestEachLostConnectionCounts, also of two that are lost at once, for each breaker.
func TestEachLostConnectionCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := cutable(t, unending, 4)
		tr := roundtrip.New(nil, &roundtrip.Options{Base: inner, Key: func(req *http.Request) string { return req.URL.Query().Get("key") }})
		_ = read(t, get(t, tr, "http://host/?key=first"))
		var all sync.WaitGroup
		for _, key := range []string{"a", "a", "b", "b", "a", "a", "a", "a"} {
			resp := get(t, tr, "http://host/download?key="+key)
			all.Go(func() { _, _ = io.ReadAll(resp.Body) })
		}
		synctest.Wait()
		if inner.count() != 2 {
			t.Fatalf("%d connections, want 2 with 4 streams each", inner.count())
		}
		inner.lose(0, 1)
		all.Wait()
		for key, want := range map[string]core.Totals{
			"a": {Calls: 6, Failures: 2, Ignored: 4},
			"b": {Calls: 2, Failures: 1, Ignored: 1},
		} {
			b, err := tr.Breakers().Get(key)
			if err != nil {
				t.Fatal(err)
			}
			wantTotals(t, b, want)
		}
	})
}

// TestStreamsThatFailOneByOneCountEach though one connection carries them, and so do
// calls by HTTP/1, deadlines, and connections that could not be made.
func TestStreamsThatFailOneByOneCountEach(t *testing.T) {
	abort := func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/" {
			return
		}
		_, _ = io.WriteString(w, "x")
		_ = http.NewResponseController(w).Flush()
		time.Sleep(time.Second)
		panic(http.ErrAbortHandler)
	}
	run := func(t *testing.T, tr *roundtrip.Transport, ctx context.Context) {
		t.Helper()
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				resp, err := tr.RoundTrip(requestIn(t, ctx, http.MethodGet, "http://host/download", nil))
				if err == nil {
					_, _ = io.ReadAll(resp.Body)
					_ = resp.Body.Close()
				}
			})
		}
		all.Wait()
	}
	bubble(t, "reset by HTTP/2", func(t *testing.T) {
		inner := cutable(t, abort, 100)
		tr, b := behind(t, inner, core.Config{FailureThreshold: -1})
		_ = read(t, get(t, tr, "http://host/"))
		run(t, tr, bg)
		if inner.count() != 1 {
			t.Fatalf("%d connections, want 1", inner.count())
		}
		wantTotals(t, b, core.Totals{Calls: 9, Successes: 1, Failures: 8})
	})
	bubble(t, "cut off by HTTP/1", func(t *testing.T) {
		tr, b := behind(t, inMemory(t, abort), core.Config{FailureThreshold: -1})
		run(t, tr, bg)
		wantTotals(t, b, core.Totals{Calls: 8, Failures: 8})
	})
	bubble(t, "overdue by HTTP/2", func(t *testing.T) {
		tr, b := behind(t, cutable(t, unending, 100), core.Config{FailureThreshold: -1})
		_ = read(t, get(t, tr, "http://host/"))
		ctx, cancel := context.WithTimeout(bg, time.Second)
		defer cancel()
		run(t, tr, ctx)
		wantTotals(t, b, core.Totals{Calls: 9, Successes: 1, Failures: 8, Timeouts: 8})
	})
	bubble(t, "a host that is gone", func(t *testing.T) {
		inner := cutable(t, unending, 100)
		tr, b := behind(t, inner, core.Config{FailureThreshold: -1})
		_ = read(t, get(t, tr, "http://host/"))
		inner.CloseIdleConnections()
		inner.DialContext = func(context.Context, string, string) (net.Conn, error) {
			return nil, &net.OpError{Op: "dial", Err: io.ErrUnexpectedEOF}
		}
		run(t, tr, bg)
		wantTotals(t, b, core.Totals{Calls: 9, Successes: 1, Failures: 8})
	})
}

// TestATraceOfTheCallersGoesOn, and a response has the caller's request.
func TestATraceOfTheCallersGoesOn(t *testing.T) {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) }))
	s.EnableHTTP2 = true
	s.StartTLS()
	t.Cleanup(s.Close)
	tr := roundtrip.New(nil, &roundtrip.Options{Base: s.Client().Transport})
	for i := range 3 {
		got := 0
		ctx := httptrace.WithClientTrace(bg, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { got++ }})
		for _, body := range []io.Reader{nil, readerFunc(func([]byte) (int, error) { return 0, io.EOF })} {
			got = 0
			req := requestIn(t, ctx, http.MethodPost, s.URL, body)
			resp := send(t, tr, req)
			same := resp.Request == req || body != nil // of which net/http makes a copy
			if resp.ProtoMajor != 2 || !same || got == 0 {
				t.Errorf("%d: %s, the caller's request: %t, its trace was called %d times; want HTTP/2, true, and more than none", i, resp.Proto, same, got)
			}
			_ = read(t, resp)
		}
	}
}
