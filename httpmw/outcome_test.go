package httpmw_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/httpmw"
)

func TestFailuresOpenAndTheHandlerIsLeftAlone(t *testing.T) {
	overEach(t, func(t *testing.T, serve func(*testing.T, http.Handler) *server) {
		registry := &core.Registry{Config: func(string) core.Config { return core.Config{FailureThreshold: 3} }}
		guard := httpmw.New(registry, nil)
		entered := 0
		mux := http.NewServeMux()
		mux.Handle("GET /sick", guard(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			entered++
			http.Error(w, "no database", http.StatusInternalServerError)
		})))
		mux.Handle("GET /well", guard(status(http.StatusNoContent)))
		s := serve(t, mux)
		for range 3 {
			wantCode(t, s.get(t, "/sick"), http.StatusInternalServerError)
		}
		for range 3 {
			wantCode(t, s.get(t, "/sick"), http.StatusServiceUnavailable)
			wantCode(t, s.get(t, "/well"), http.StatusNoContent)
		}
		if entered != 3 {
			t.Errorf("the handler was entered %d times, want 3", entered)
		}
		if got := names(registry); got["GET /sick"].Refused != 3 || got["GET /well"].Successes != 3 || len(got) != 2 {
			t.Errorf("breakers: %+v, want GET /sick with 3 refused and GET /well with 3 successes", got)
		}
	})
}

func TestNothingWrittenIsASuccess(t *testing.T) {
	overEach(t, func(t *testing.T, serve func(*testing.T, http.Handler) *server) {
		for name, h := range map[string]http.HandlerFunc{
			"empty": func(http.ResponseWriter, *http.Request) {},
			"write": func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "fine") },
		} {
			t.Run(name, func(t *testing.T) {
				w := newWard(t, core.Config{})
				wantCode(t, serve(t, w.guard(h)).get(t, "/"), http.StatusOK)
				w.want(t, core.Success)
				w.idle(t)
			})
		}
	})
}

// TestStatusIsThatOfTheWire compares the status that Classify is given with the one on the wire.
func TestStatusIsThatOfTheWire(t *testing.T) {
	do := map[string]func(w http.ResponseWriter){ // what is no number, which is a WriteHeader
		"Write":     func(w http.ResponseWriter) { _, _ = w.Write([]byte("x")) },
		"nothing":   func(w http.ResponseWriter) { _, _ = w.Write(nil) },
		"string":    func(w http.ResponseWriter) { _, _ = io.WriteString(w, "x") },
		"Flush":     func(w http.ResponseWriter) { w.(http.Flusher).Flush() },
		"rc.Flush":  func(w http.ResponseWriter) { _ = http.NewResponseController(w).Flush() },
		"copy":      func(w http.ResponseWriter) { _, _ = io.Copy(w, only(strings.NewReader("x"))) },
		"copy-much": func(w http.ResponseWriter) { _, _ = io.Copy(w, only(strings.NewReader(bodyOf(5000)))) },
		"copy-none": func(w http.ResponseWriter) { _, _ = io.Copy(w, only(strings.NewReader(""))) },
		"copy-ill":  func(w http.ResponseWriter) { _, _ = io.Copy(w, iotest.ErrReader(io.ErrClosedPipe)) },
	}
	for _, script := range []string{
		"103 Write", "103 103 404", "102", "200 500", "500 200", "Write 500", "nothing 500", "string 500",
		"Flush 500", "rc.Flush 500", "103 Flush 500", "103 copy 500", "copy 500", "copy-much 500", "copy-none 500",
		"copy-ill 500", "copy-none copy 500", "503", "404 copy", "",
	} {
		t.Run(script, func(t *testing.T) {
			overEach(t, func(t *testing.T, serve func(*testing.T, http.Handler) *server) {
				seen := make(chan int, 2)
				s := serve(t, httpmw.New(nil, &httpmw.Options{Key: one, Classify: func(r *http.Request, status int) core.Outcome {
					seen <- status
					return httpmw.DefaultClassify(r, status)
				}})(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
					for step := range strings.FieldsSeq(script) {
						if code, err := strconv.Atoi(step); err == nil {
							w.WriteHeader(code)
						} else {
							do[step](w)
						}
					}
				})))
				if wire, got := s.get(t, "/").code, <-seen; wire != got || len(seen) > 0 {
					t.Errorf("classified as %d, and %d times more; want %d, as on the wire", got, len(seen), wire)
				}
			})
		})
	}
	// Statuses that http.Client does not let through.
	for name, h := range map[string]http.HandlerFunc{
		"101 then 500": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusSwitchingProtocols)
			w.WriteHeader(http.StatusInternalServerError)
		},
		"hijacked": func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Errorf("Hijack: %v", err)
				return
			}
			defer conn.Close()
			_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\n\r\n")
		},
	} {
		t.Run(name, func(t *testing.T) {
			seen := make(chan int, 2)
			s := serve1(t, httpmw.New(nil, &httpmw.Options{Key: one, Classify: func(_ *http.Request, status int) core.Outcome {
				seen <- status
				return core.Success
			}})(h))
			conn := s.dial(t)
			_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
			line, err := bufio.NewReader(conn).ReadString('\n')
			if got := <-seen; got != 101 || !strings.HasPrefix(line, "HTTP/1.1 101 ") || len(seen) > 0 {
				t.Errorf("classified as %d, and %d times more; the wire says %q (%v); want 101", got, len(seen), line, err)
			}
		})
	}
}

// only hides what a reader can do besides reading.
func only(r io.Reader) io.Reader { return struct{ io.Reader }{r} }

func TestWhichStatusFails(t *testing.T) {
	for outcome, codes := range map[core.Outcome][]int{
		core.Success: {200, 201, 204, 206, 301, 304, 307, 400, 401, 403, 404, 405, 408, 409, 413, 418, 422, 429, 499, 501, 600, 601, 799, 999},
		core.Failure: {500, 502, 503, 504, 505, 507, 511, 599},
	} {
		for _, code := range codes {
			w := newWard(t, core.Config{})
			s := serve1(t, w.guard(status(code)))
			s.Client().CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
			wantCode(t, s.get(t, "/"), code)
			got := w.next(t)
			if got.Outcome != outcome {
				t.Errorf("status %d is settled as %v, want %v", code, got.Outcome, outcome)
			}
			if said := fmt.Sprint(got.Err); outcome == core.Failure && !strings.HasPrefix(said, fmt.Sprint("HTTP status ", code)) {
				t.Errorf("of status %d hooks are told %q, want that status", code, said)
			}
		}
	}
}

func TestAroundATimeoutHandler(t *testing.T) {
	// hang is a handler that lasts until its time is up, or the client gone.
	hang := func(entered chan<- struct{}) http.Handler {
		return http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			entered <- struct{}{}
			<-r.Context().Done()
		})
	}
	around := map[string]func(w *ward, h http.Handler, d time.Duration) http.Handler{
		"inside": func(w *ward, h http.Handler, d time.Duration) http.Handler {
			return w.guard(http.TimeoutHandler(h, d, "late"))
		},
		"outside": func(w *ward, h http.Handler, d time.Duration) http.Handler {
			return http.TimeoutHandler(w.guard(h), d, "late")
		},
	}
	overEach(t, func(t *testing.T, serve func(*testing.T, http.Handler) *server) {
		for where, wrap := range around {
			t.Run(where+", the time is up", func(t *testing.T) {
				w, entered := newWard(t, core.Config{}), make(chan struct{}, 1)
				a := serve(t, wrap(w, hang(entered), time.Millisecond)).get(t, "/")
				wantCode(t, a, http.StatusServiceUnavailable)
				if a.body != "late" {
					t.Errorf("body %q, want that of TimeoutHandler", a.body)
				}
				if where == "inside" {
					w.want(t, core.Failure) // 503
				} else {
					w.want(t, core.Ignored) // a deadline, and a short one
				}
				w.idle(t)
			})
			t.Run(where+", the client is gone", func(t *testing.T) {
				w, entered := newWard(t, core.Config{}), make(chan struct{}, 1)
				serve(t, wrap(w, hang(entered), time.Hour)).abandoned(t, "/", entered)
				w.want(t, core.Ignored)
				w.idle(t)
			})
		}
	})
}

func TestAClientGoneBeforeTheStatusIsIgnored(t *testing.T) {
	overEach(t, func(t *testing.T, serve func(*testing.T, http.Handler) *server) {
		w, entered := newWard(t, core.Config{}), make(chan struct{}, 1)
		s := serve(t, w.guard(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/wait" {
				entered <- struct{}{}
				<-r.Context().Done()
			}
			http.Error(w, "no answer", http.StatusInternalServerError)
		})))
		s.abandoned(t, "/wait", entered)
		w.want(t, core.Ignored)
		wantState(t, w, core.Closed)
		wantCode(t, s.get(t, "/"), http.StatusInternalServerError)
		w.want(t, core.Failure)
		w.idle(t)
	})
}

// A client that goes away in the middle of its upload is gone too.
func TestUploadCutByTheClient(t *testing.T) {
	w := newWard(t, core.Config{})
	s := serve1(t, w.guard(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			http.Error(w, "cannot read", http.StatusInternalServerError)
		}
	})))
	conn := s.dial(t)
	_, _ = io.WriteString(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf")
	conn.Close()
	w.want(t, core.Ignored)
	w.idle(t)
}

// The deadline of the request's own context is a timeout, for hooks as well, if the
// handler has had a second.
func TestDeadlineIsATimeout(t *testing.T) {
	for limit, want := range map[time.Duration]core.Outcome{time.Second: core.Failure, time.Second - 1: core.Ignored} {
		bubble(t, func(t *testing.T) {
			w := newWard(t, core.Config{FailureThreshold: -1, FailureRateThreshold: -1})
			h := w.guard(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
			ctx, cancel := context.WithTimeout(t.Context(), limit)
			defer cancel()
			h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil).WithContext(ctx))
			if got := w.next(t); got.Outcome != want || got.TimedOut != (want == core.Failure) || errors.Is(got.Err, context.DeadlineExceeded) != (want == core.Failure) {
				t.Errorf("a handler that hangs until a deadline of %v is settled as %v, timed out %t, of %v; want %v", limit, got.Outcome, got.TimedOut, got.Err, want)
			}
		})
	}
}

// A request whose client has gone before it came here is still the handler's,
// who may have work to do; but not while the breaker is open.
func TestClientGoneAtOnce(t *testing.T) {
	w := newWard(t, core.Config{})
	entered := 0
	h := w.guard(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		entered++
		w.WriteHeader(http.StatusInternalServerError)
	}))
	s := serve1(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithCancel(r.Context())
		cancel()
		h.ServeHTTP(w, r.WithContext(ctx))
	}))
	wantCode(t, s.get(t, "/"), http.StatusInternalServerError)
	w.want(t, core.Ignored)
	w.open(t)
	wantCode(t, s.get(t, "/"), http.StatusServiceUnavailable)
	w.clock.advance(rest)
	wantCode(t, s.get(t, "/"), http.StatusInternalServerError) // in the place of a probe, that goes back
	w.want(t, core.Ignored)
	wantState(t, w, core.HalfOpen)
	w.idle(t)
	if entered != 2 {
		t.Errorf("the handler was entered %d times, want 2: while closed and as a probe", entered)
	}
}

// A handler further in may replace the request's context in place, and end it.
func TestContextReplacedInPlace(t *testing.T) {
	w := newWard(t, core.Config{FailureThreshold: -1, FailureRateThreshold: -1})
	h := w.guard(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithCancel(r.Context())
		*r = *r.WithContext(ctx)
		cancel()
		rw.WriteHeader(http.StatusInternalServerError)
	}))
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil))
	w.want(t, core.Failure)
}
