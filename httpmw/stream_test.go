package httpmw_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/httpmw"
)

func bubble(t *testing.T, f func(t *testing.T)) { t.Helper(); synctest.Test(t, f) }

func TestHijackIsSettledAtOnce(t *testing.T) {
	for _, end := range []string{"return", "panic", "Goexit"} {
		t.Run(end, func(t *testing.T) {
			w, ended := newWard(t, core.Config{}), make(chan struct{})
			s := serve1(t, w.guard(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
				conn, rest, err := http.NewResponseController(rw).Hijack()
				if err != nil {
					t.Errorf("Hijack: %v", err)
					return
				}
				defer close(ended)
				defer conn.Close()
				_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
				line, _ := rest.ReadString('\n')
				_, _ = io.WriteString(conn, line)
				switch end {
				case "panic":
					panic(http.ErrAbortHandler)
				case "Goexit":
					unwind(goexit{})
				}
			})))
			w.halfOpen(t)
			req := request(t, http.MethodGet, s.URL, nil)
			req.Header.Set("Connection", "Upgrade")
			req.Header.Set("Upgrade", "echo")
			resp, err := s.Client().Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			w.want(t, core.Success) // while the handler runs
			w.idle(t)
			wantState(t, w, core.Closed)
			conn := resp.Body.(io.ReadWriter)
			_, _ = io.WriteString(conn, "hello\n")
			if line, err := bufio.NewReader(conn).ReadString('\n'); line != "hello\n" {
				t.Errorf("the echo is %q, %v; want hello", line, err)
			}
			<-ended
			s.Close()
			w.idle(t) // and what became of the handler changes nothing
			wantState(t, w, core.Closed)
		})
	}
}

// A client that has gone by the time of the hijack is no success.
func TestHijackOfAGoneClient(t *testing.T) {
	w, entered := newWard(t, core.Config{}), make(chan struct{}, 1)
	s := serve1(t, w.guard(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		entered <- struct{}{}
		<-r.Context().Done()
		if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
			conn.Close()
		}
	})))
	s.abandoned(t, "/", entered)
	w.want(t, core.Ignored)
	w.idle(t)
}

func TestEventStreamIsSettledAtItsFirstFlush(t *testing.T) {
	overEach(t, func(t *testing.T, serve func(*testing.T, http.Handler) *server) {
		for name, flush := range map[string]func(http.ResponseWriter){
			"Flush":    func(w http.ResponseWriter) { w.(http.Flusher).Flush() },
			"rc.Flush": func(w http.ResponseWriter) { _ = http.NewResponseController(w).Flush() },
		} {
			events := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "Text/Event-Stream; charset=utf-8")
				for i := range 2 {
					fmt.Fprintf(w, "data: %d\n\n", i)
					flush(w)
				}
				<-r.Context().Done()
				panic(http.ErrAbortHandler)
			})
			for where, h := range map[string]http.Handler{"": events, ", by a proxy": proxyTo(t, events)} {
				t.Run(name+where, func(t *testing.T) {
					w := newWard(t, core.Config{})
					w.halfOpen(t)
					s := serve(t, w.guard(h))
					resp, err := s.Client().Do(request(t, http.MethodGet, s.URL, nil))
					if err != nil {
						t.Fatal(err)
					}
					line, err := bufio.NewReader(resp.Body).ReadString('\n')
					if line != "data: 0\n" {
						t.Errorf("the first event is %q, %v; want data: 0", line, err)
					}
					w.want(t, core.Success) // while the handler runs
					wantState(t, w, core.Closed)
					resp.Body.Close()
					s.Close()
					w.idle(t)
				})
			}
		}
	})
}

// A stream that begins with a failure is one; what is no stream is not settled by
// a flush, unless Streams says so.
func TestWhatAFlushSettles(t *testing.T) {
	for name, c := range map[string]struct {
		kind    string
		status  int
		streams func(http.Header) bool
		want    core.Outcome // by the flush, 0 for none
	}{
		"events":          {"text/event-stream", 200, nil, core.Success},
		"failed events":   {"text/event-stream", 503, nil, core.Failure},
		"text":            {"text/plain", 200, nil, 0},
		"no kind":         {"", 200, nil, 0},
		"not a kind":      {"text/event-stream;;", 200, nil, 0},
		"text, by option": {"text/plain", 200, func(http.Header) bool { return true }, core.Success},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWard(t, core.Config{})
			s := serve1(t, httpmw.New(nil, &httpmw.Options{Gate: w, IsStream: c.streams})(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
				rw.Header().Set("Content-Type", c.kind)
				rw.WriteHeader(c.status)
				rw.(http.Flusher).Flush()
				if c.want == 0 {
					w.idleButFor(t, 1)
				} else {
					w.want(t, c.want)
				}
			})))
			wantCode(t, s.get(t, "/"), c.status)
			if c.want == 0 {
				w.want(t, core.Success)
			}
			w.idle(t)
		})
	}
}

// idleButFor insists that nothing was settled and n permits are out.
func (w *ward) idleButFor(t *testing.T, n int64) {
	t.Helper()
	if got := w.Snapshot().Totals.InFlight; got != n || len(w.settled) > 0 {
		t.Errorf("%d permits are out and %d settled, want %d and 0", got, len(w.settled), n)
	}
}

// The time that a call takes is that to its headers.
func TestSlowIsTheTimeToTheHeaders(t *testing.T) {
	bothInMemory(t, func(t *testing.T, two bool) {
		settled := make(chan core.Settlement, 1)
		b := core.MustNew("b", core.Config{SlowAfter: 1500 * time.Millisecond, Hooks: core.Hooks{
			Settled: func(_ context.Context, s core.Settlement) { settled <- s },
		}})
		client, _ := inMemory(t, httpmw.New(nil, &httpmw.Options{Gate: b})(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(time.Second)
			if r.URL.Path == "/103" {
				w.WriteHeader(http.StatusEarlyHints)
				time.Sleep(time.Second)
			}
			if r.URL.Path == "/copied" {
				_, _ = io.Copy(w, &late{after: time.Second})
			} else {
				_, _ = io.WriteString(w, "x")
			}
			time.Sleep(time.Minute)
		})), two)
		for path, want := range map[string]time.Duration{"/": time.Second, "/103": 2 * time.Second, "/copied": 2 * time.Second} {
			wantCode(t, do(client, request(t, http.MethodGet, "http://host"+path, nil)), http.StatusOK)
			if got := <-settled; got.Duration != want || got.Slow != (want > time.Second) {
				t.Errorf("%s is said to have taken %v, slow: %t; want %v", path, got.Duration, got.Slow, want)
			}
		}
	})
}

// late is a reader that gives nothing for a while.
type late struct {
	after time.Duration
	read  int
}

func (l *late) Read(b []byte) (int, error) {
	if l.read++; l.read > 10 {
		return 0, io.EOF
	}
	time.Sleep(l.after)
	return copy(b, bodyOf(1000)), nil
}

// TestLease has probes that last much longer than ProbeTimeout.
func TestLease(t *testing.T) {
	type setting struct {
		path   string
		option httpmw.Options
		state  core.State // after a probe's lease
	}
	cfg := core.Config{FailureThreshold: 1, HalfOpenMaxCalls: 1, SuccessThreshold: 2, ProbeTimeout: 30 * time.Second, Timeout: time.Minute}
	none := func(_ *http.Request, status int) core.Outcome { return core.Failure }
	bothInMemory(t, func(t *testing.T, two bool) {
		for name, c := range map[string]setting{
			"a stream":             {"/stream", httpmw.Options{}, core.HalfOpen},
			"a shorter lease":      {"/stream", httpmw.Options{ProbeLease: time.Second}, core.HalfOpen},
			"status 501":           {"/501", httpmw.Options{}, core.HalfOpen},
			"a copy":               {"/copy", httpmw.Options{}, core.HalfOpen},
			"that Classify judges": {"/stream", httpmw.Options{Classify: none}, core.Open},
			"status 500":           {"/500", httpmw.Options{}, core.Open},
			"nothing to copy yet":  {"/hang", httpmw.Options{}, core.HalfOpen}, // lost, and a success after all
		} {
			b := core.MustNew("b", cfg)
			c.option.Gate = b
			client, _ := inMemory(t, httpmw.New(nil, &c.option)(http.HandlerFunc(long)), two)
			p, _ := b.Allow(t.Context())
			p.Settle(t.Context(), core.Failure)
			time.Sleep(cfg.Timeout)
			lease := c.option.ProbeLease
			if lease == 0 {
				lease = 10 * time.Second
			}

			ended := make(chan answer, 1)
			go func() { ended <- do(client, request(t, http.MethodGet, "http://host"+c.path, nil)) }()
			time.Sleep(lease - time.Second/2)
			if a := do(client, request(t, http.MethodGet, "http://host/", nil)); a.code != http.StatusServiceUnavailable {
				t.Errorf("%s: while it is leased the next gets %d (%v), want 503", name, a.code, a.err)
			}
			time.Sleep(time.Second)
			if c.path == "/hang" {
				time.Sleep(cfg.ProbeTimeout + cfg.Timeout)
			}
			if got := b.State(); got != c.state {
				t.Errorf("%s: after the lease the breaker is %v, want %v; %s", name, got, c.state, b.Explain())
			}
			if c.state == core.HalfOpen {
				wantCode(t, do(client, request(t, http.MethodGet, "http://host/", nil)), http.StatusOK)
				if c.path != "/hang" {
					wantState(t, b, core.Closed)
				}
			}
			<-ended
			synctest.Wait()
			if c.state == core.HalfOpen {
				wantState(t, b, core.Closed)
			}
			totals, lost := b.Snapshot().Totals, uint64(0)
			if c.path == "/hang" {
				lost = 1
			}
			if totals.Lost != lost || totals.InFlight != 0 {
				t.Errorf("%s: %d lost and %d out in the end, want %d and none", name, totals.Lost, totals.InFlight, lost)
			}
		}
	})
}

// long is a handler that goes on for two minutes.
func long(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/":
		return
	case "/stream", "/500", "/501":
		var code int
		if _, err := fmt.Sscanf(r.URL.Path, "/%d", &code); err == nil {
			w.WriteHeader(code)
		}
		for range 120 {
			_, _ = io.WriteString(w, "x")
			_ = http.NewResponseController(w).Flush()
			time.Sleep(time.Second)
		}
	case "/copy":
		_, _ = io.Copy(w, io.MultiReader(strings.NewReader(bodyOf(5000)), &late{after: 12 * time.Second}))
	case "/hang":
		_, _ = io.Copy(w, &late{after: 2 * time.Minute, read: 9})
	}
}

// A lease that ends while the handler writes, and ends; for the race detector.
func TestLeaseEndsWhileTheHandlerWrites(t *testing.T) {
	w := newWard(t, core.Config{SuccessThreshold: 10_000})
	s := serve1(t, httpmw.New(nil, &httpmw.Options{Gate: w, ProbeLease: time.Microsecond})(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		for i := range 20 {
			_, _ = io.WriteString(rw, "x")
			rw.(http.Flusher).Flush()
			if i == 10 && r.URL.Path == "/panic" {
				panic(http.ErrAbortHandler)
			}
		}
	})))
	w.halfOpen(t)
	for i := range 300 {
		s.get(t, []string{"/", "/panic"}[i%2])
		w.next(t) // by the lease, or by the handler if that was faster
		if w.State() == core.Open {
			w.clock.advance(rest)
		}
	}
	s.Close()
	w.idle(t)
}
