//nolint:bodyclose // helpers close them, out of its sight; TestNothingLeaks counts
package roundtrip_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/roundtrip"
)

// A download that is cut short is one failure and no success, or failures in a
// row would never open the breaker.
func TestADownloadThatIsCutIsAFailure(t *testing.T) {
	const head = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
	write := func(c net.Conn, s string) { _, _ = io.WriteString(c, s) }
	for _, row := range []struct {
		name string
		cut  func(c *net.TCPConn, seen <-chan struct{})
		want error
	}{
		{"Content-Length too long", func(c *net.TCPConn, _ <-chan struct{}) {
			write(c, head+"Content-Length: 100\r\n\r\nabc")
		}, io.ErrUnexpectedEOF},
		{"reset", func(c *net.TCPConn, seen <-chan struct{}) {
			write(c, head+"Content-Length: 100\r\n\r\nabc")
			<-seen // a reset may overtake what was written
			_ = c.SetLinger(0)
		}, syscall.ECONNRESET},
		{"chunks without an end", func(c *net.TCPConn, _ <-chan struct{}) {
			write(c, head+"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
		}, io.ErrUnexpectedEOF},
		{"a chunk cut short", func(c *net.TCPConn, _ <-chan struct{}) {
			write(c, head+"Transfer-Encoding: chunked\r\n\r\nff\r\nabc")
		}, io.ErrUnexpectedEOF},
	} {
		t.Run(row.name, func(t *testing.T) {
			seen := make(chan struct{})
			addr := rawServer(t, func(c *net.TCPConn) { row.cut(c, seen) })
			var told book
			tr, b := behind(t, private(t), core.Config{FailureThreshold: 3, Hooks: core.Hooks{Settled: told.note}})
			client := &http.Client{Transport: tr}
			for i := range 3 {
				wantState(t, b, core.Closed)
				resp, err := client.Get(addr)
				if err != nil {
					t.Fatalf("Get = %v, want a response that is cut later", err)
				}
				begun := make([]byte, 3)
				if _, err := io.ReadFull(resp.Body, begun); string(begun) != "abc" {
					t.Fatalf("the body begins %q, %v; want abc", begun, err)
				}
				if row.want == syscall.ECONNRESET {
					seen <- struct{}{}
				}
				if _, err := io.ReadAll(resp.Body); !errors.Is(err, row.want) {
					t.Errorf("reading: %v, want %v", err, row.want)
				}
				_ = resp.Body.Close()
				n := uint64(i + 1)
				wantTotals(t, b, core.Totals{Calls: n, Failures: n})
				if got := told.last(t); !errors.Is(got.Err, row.want) {
					t.Errorf("told %+v, want the error of reading, %v", got, row.want)
				}
			}
			wantState(t, b, core.Open)
		})
	}
	t.Run("gzip", func(t *testing.T) { // the transport unpacks it, and finds that it has no end
		s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = w.Write([]byte{0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff, 0x4a})
		})
		tr, b := behind(t, private(t), core.Config{})
		resp := get(t, tr, s.URL)
		if _, err := io.ReadAll(resp.Body); err == nil {
			t.Error("reading: no error, want that of a cut stream")
		}
		_ = resp.Body.Close()
		wantTotals(t, b, core.Totals{Calls: 1, Failures: 1})
	})
}

func TestABodyClosedEarlyIsASuccess(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.Copy(w, endless{}) })
	tr, b := behind(t, private(t), core.Config{FailureThreshold: 1})
	resp := get(t, tr, s.URL)
	if _, err := io.ReadFull(resp.Body, make([]byte, 10)); err != nil {
		t.Fatalf("reading ten bytes: %v", err)
	}
	wantTotals(t, b, core.Totals{Calls: 1, InFlight: 1})
	_ = resp.Body.Close()
	wantTotals(t, b, core.Totals{Calls: 1, Successes: 1})
	if _, err := resp.Body.Read(make([]byte, 10)); err == nil {
		t.Error("Read after Close: no error, want one")
	}
	wantState(t, b, core.Closed)
	wantTotals(t, b, core.Totals{Calls: 1, Successes: 1})
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

func TestSettledOnce(t *testing.T) {
	for _, row := range []struct {
		name string
		use  func(body io.ReadCloser)
	}{
		{"read, then closed", func(body io.ReadCloser) { _, _ = io.Copy(io.Discard, body); _ = body.Close() }},
		{"read past the end", func(body io.ReadCloser) {
			_, _ = io.Copy(io.Discard, body)
			_, _ = io.Copy(io.Discard, body)
			_ = body.Close()
		}},
		{"closed twice", func(body io.ReadCloser) { _ = body.Close(); _ = body.Close() }},
		{"closed, then read", func(body io.ReadCloser) { _ = body.Close(); _, _ = io.Copy(io.Discard, body) }},
		{"read and closed at once", func(body io.ReadCloser) {
			var both sync.WaitGroup
			both.Go(func() { _, _ = io.Copy(io.Discard, body) })
			both.Go(func() { _ = body.Close() })
			both.Go(func() { _ = body.Close() })
			both.Wait()
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, 100_000)) })
			for range 20 {
				var told book
				tr, b := behind(t, private(t), core.Config{Hooks: core.Hooks{Settled: told.note}})
				row.use(get(t, tr, s.URL).Body)
				if got := told.all(); len(got) != 1 || got[0].Outcome != core.Success {
					t.Fatalf("told %+v, want one success", got)
				}
				wantTotals(t, b, core.Totals{Calls: 1, Successes: 1})
			}
		})
	}
}

func TestACancelledProbeFreesItsPlace(t *testing.T) {
	bubble(t, "in flight", func(t *testing.T) {
		h := func(_ http.ResponseWriter, req *http.Request) {
			if req.URL.Path == "/hang" {
				<-req.Context().Done()
			}
		}
		tr, b := behind(t, inMemory(t, h), oneProbe())
		halfOpen(t, b)
		ctx, cancel := context.WithCancel(bg)
		time.AfterFunc(time.Second, cancel)
		if _, err := tr.RoundTrip(requestIn(t, ctx, http.MethodGet, "http://example.com/hang", nil)); !errors.Is(err, context.Canceled) {
			t.Errorf("err = %v, want context.Canceled", err)
		}
		wantState(t, b, core.HalfOpen)
		_ = read(t, get(t, tr, "http://example.com/")) // the next probe
		wantTotals(t, b, core.Totals{Calls: 3, Successes: 1, Failures: 1, Ignored: 1})
	})
	slow := func(w http.ResponseWriter, req *http.Request) {
		_ = http.NewResponseController(w).Flush()
		if req.URL.Path == "/hang" {
			<-req.Context().Done()
		}
	}
	bubble(t, "while the body is read", func(t *testing.T) {
		tr, b := behind(t, inMemory(t, slow), oneProbe())
		halfOpen(t, b)
		ctx, cancel := context.WithCancel(bg)
		resp := send(t, tr, requestIn(t, ctx, http.MethodGet, "http://example.com/hang", nil))
		wantRefused(t, tr, request(t, http.MethodGet, "http://example.com/", nil)) // the only place is taken
		time.AfterFunc(time.Second, cancel)
		if _, err := io.ReadAll(resp.Body); !errors.Is(err, context.Canceled) {
			t.Errorf("reading: %v, want context.Canceled", err)
		}
		wantState(t, b, core.HalfOpen)
		_ = read(t, get(t, tr, "http://example.com/"))
		_ = resp.Body.Close()
		wantTotals(t, b, core.Totals{Calls: 3, Successes: 1, Failures: 1, Ignored: 1, Refused: 1})
	})
	bubble(t, "while the body is not read", func(t *testing.T) {
		tr, b := behind(t, inMemory(t, slow), oneProbe())
		halfOpen(t, b)
		ctx, cancel := context.WithCancel(bg)
		resp := send(t, tr, requestIn(t, ctx, http.MethodGet, "http://example.com/hang", nil))
		cancel()
		time.Sleep(time.Nanosecond) // for the context to tell
		wantState(t, b, core.HalfOpen)
		wantTotals(t, b, core.Totals{Calls: 2, Failures: 1, Ignored: 1})
		_ = read(t, get(t, tr, "http://example.com/"))
		_ = resp.Body.Close()
		wantTotals(t, b, core.Totals{Calls: 3, Successes: 1, Failures: 1, Ignored: 1})
	})
}

// slowToSettle is a gate whose permits take a while to settle.
type slowToSettle struct{}

func (slowToSettle) Allow(context.Context) (core.Permit, error) {
	return core.NewPermit(func(context.Context, core.Outcome) { time.Sleep(10 * time.Millisecond) }), nil
}

// A reader that has seen the read fail finds the place free, though it was not the
// reader who gave it back.
func TestProbeIsSettledWhenReadFails(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, req *http.Request) {
		_ = http.NewResponseController(w).Flush()
		<-req.Context().Done()
	})
	tr, b := behind(t, private(t), core.Config{FailureThreshold: 1, Timeout: time.Millisecond, HalfOpenMaxCalls: 1})
	tr.Options().Gate = core.All(b, slowToSettle{}) // which is settled first
	open(t, b)
	eventually(t, "the end of the break", func() bool { return b.State() == core.HalfOpen })
	for i := range uint64(20) {
		ctx, cancel := context.WithCancel(bg)
		resp := send(t, tr, requestIn(t, ctx, http.MethodGet, s.URL, nil))
		cancel()
		if _, err := io.ReadAll(resp.Body); !errors.Is(err, context.Canceled) {
			t.Errorf("reading: %v, want context.Canceled", err)
		}
		wantTotals(t, b, core.Totals{Calls: i + 2, Failures: 1, Ignored: i + 1})
		_ = resp.Body.Close()
	}
}

func TestAnAbandonedBodyFreesThePlaceOfAProbe(t *testing.T) {
	h := func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, 100_000)) }
	for name, lease := range map[string]time.Duration{"default": 0, "own": 3 * time.Second} {
		bubble(t, name, func(t *testing.T) {
			tr, b := behind(t, inMemory(t, h), oneProbe())
			tr.Options().ProbeLease = lease
			tr.Options().Classify = func(e roundtrip.Result) core.Outcome {
				if e.Body {
					t.Error("Classify was asked about a body that was not read")
				}
				return roundtrip.DefaultClassify(e)
			}
			want := lease
			if want == 0 {
				want = 10 * time.Second
			}
			halfOpen(t, b)
			resp := get(t, tr, "http://example.com/")
			time.Sleep(want - time.Nanosecond)
			wantRefused(t, tr, request(t, http.MethodGet, "http://example.com/", nil))
			time.Sleep(2 * time.Nanosecond)
			after := core.Totals{Calls: 2, Successes: 1, Failures: 1, Refused: 1}
			wantTotals(t, b, after)
			wantState(t, b, core.HalfOpen) // with a place to give
			_ = resp.Body.Close()
			wantTotals(t, b, after)
		})
	}
	bubble(t, "a hook that is told of it may use the body", func(t *testing.T) {
		body, closed := make(chan io.Closer, 1), make(chan error, 1)
		cfg := oneProbe()
		cfg.Hooks.Settled = func(_ context.Context, s core.Settlement) {
			if s.Probe {
				closed <- (<-body).Close()
			}
		}
		tr, b := behind(t, inMemory(t, h), cfg)
		halfOpen(t, b)
		body <- get(t, tr, "http://example.com/").Body
		if err := <-closed; err != nil {
			t.Error(err)
		}
		wantTotals(t, b, core.Totals{Calls: 2, Successes: 1, Failures: 1})
	})
	bubble(t, "a deadline that passes is not waited for", func(t *testing.T) {
		tr, b := behind(t, inMemory(t, h), oneProbe())
		halfOpen(t, b)
		ctx, cancel := context.WithTimeout(bg, time.Second)
		defer cancel()
		resp := send(t, tr, requestIn(t, ctx, http.MethodGet, "http://example.com/", nil))
		time.Sleep(time.Minute)
		wantTotals(t, b, core.Totals{Calls: 2, Successes: 1, Failures: 1}) // by the lease: the host had answered
		_ = resp.Body.Close()
	})
	bubble(t, "who reads past the lease is alone with the trailers", func(t *testing.T) {
		tr, b := behind(t, inMemory(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Trailer", "X-End")
			_, _ = io.WriteString(w, "text")
			_ = http.NewResponseController(w).Flush()
			time.Sleep(10 * time.Second) // the end of the body and that of the lease coincide
			w.Header().Set("X-End", "yes")
		}), oneProbe())
		tr.Options().Classify = func(e roundtrip.Result) core.Outcome {
			for range e.Response.Trailer { // raced with the reader
				continue
			}
			return roundtrip.DefaultClassify(e)
		}
		halfOpen(t, b)
		_ = read(t, get(t, tr, "http://example.com/"))
		wantTotals(t, b, core.Totals{Calls: 2, Successes: 1, Failures: 1})
	})
	bubble(t, "a body that is read leaves nothing behind", func(t *testing.T) {
		tr, b := behind(t, inMemory(t, h), oneProbe())
		halfOpen(t, b)
		_ = read(t, get(t, tr, "http://example.com/"))
		resp := get(t, tr, "http://example.com/")
		_ = resp.Body.Close()
		wantState(t, b, core.Closed)
		before := b.Snapshot().Totals
		time.Sleep(time.Hour)
		wantTotals(t, b, before)
	})
}

// A lease is for probes: what any other call returned may be read for hours.
func TestLongBodyStaysInFlight(t *testing.T) {
	bubble(t, "a call that is no probe", func(t *testing.T) {
		tr, b := behind(t, inMemory(t, func(w http.ResponseWriter, _ *http.Request) {
			_ = http.NewResponseController(w).Flush()
			time.Sleep(time.Hour)
			panic(http.ErrAbortHandler)
		}), core.Config{FailureThreshold: 1})
		resp := get(t, tr, "http://example.com/")
		time.Sleep(time.Hour - time.Second)
		wantTotals(t, b, core.Totals{Calls: 1, InFlight: 1})
		if _, err := io.ReadAll(resp.Body); err == nil {
			t.Error("reading: no error, want that of the cut")
		}
		_ = resp.Body.Close()
		wantTotals(t, b, core.Totals{Calls: 1, Failures: 1})
	})
}

func TestAnEventStreamIsSettledAtItsHeaders(t *testing.T) {
	stream := func(kind string) http.HandlerFunc {
		return func(w http.ResponseWriter, req *http.Request) {
			w.Header().Set("Content-Type", kind)
			_, _ = io.WriteString(w, "data: 1\n\n")
			_ = http.NewResponseController(w).Flush()
			<-req.Context().Done()
		}
	}
	for _, row := range []struct {
		kind    string
		streams func(*http.Response) bool
		want    bool
	}{
		{"text/event-stream", nil, true},
		{"Text/Event-Stream; charset=utf-8", nil, true},
		{"text/plain", nil, false},
		{"text/event-streaming", nil, false},
		{"text/event-stream, text/plain", nil, false},
		{"application/x-ndjson", func(resp *http.Response) bool {
			return resp.Header.Get("Content-Type") == "application/x-ndjson"
		}, true},
		{"text/event-stream", func(*http.Response) bool { return false }, false},
	} {
		bubble(t, row.kind, func(t *testing.T) {
			tr, b := behind(t, inMemory(t, stream(row.kind)), oneProbe())
			tr.Options().IsStream = row.streams
			halfOpen(t, b)
			resp := get(t, tr, "http://example.com/")
			totals := core.Totals{Calls: 2, Failures: 1, InFlight: 1}
			if row.want {
				totals = core.Totals{Calls: 2, Failures: 1, Successes: 1} // at its headers, and its place is free
			}
			wantTotals(t, b, totals)
			if got, _ := bufio.NewReader(resp.Body).ReadString('\n'); got != "data: 1\n" {
				t.Errorf("the stream begins %q, want data: 1", got)
			}
			_ = resp.Body.Close()
			wantTotals(t, b, core.Totals{Calls: 2, Failures: 1, Successes: 1})
		})
	}
}

// A body that can be written to is a connection by another name.
func TestWritableBody(t *testing.T) {
	conn := struct {
		io.Reader
		io.Writer
		io.Closer
	}{strings.NewReader("text"), &strings.Builder{}, io.NopCloser(nil)}
	tr, b := behind(t, base(func(req *http.Request) (*http.Response, error) {
		resp := answer(req, http.StatusOK, "")
		resp.Body = conn
		return resp, nil
	}), core.Config{})
	resp := get(t, tr, "http://example.com/")
	w, ok := resp.Body.(io.ReadWriteCloser)
	if !ok {
		t.Fatalf("the body is %T, want an io.ReadWriteCloser", resp.Body)
	}
	_, _ = io.WriteString(w, "back")
	if got := conn.Writer.(*strings.Builder).String(); got != "back" {
		t.Errorf("wrote %q to the connection, want back", got)
	}
	wantTotals(t, b, core.Totals{Calls: 1, InFlight: 1})
	_ = read(t, resp)
	wantTotals(t, b, core.Totals{Calls: 1, Successes: 1})
}
