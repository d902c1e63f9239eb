package httpmw_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/httpmw"
)

// A route whose handlers hang opens, also if every client sets a deadline, whatever
// handler and client do when it has passed.
func TestOverloadIsSeenThroughDeadlines(t *testing.T) {
	handlers := map[string]http.HandlerFunc{
		"answers 504": func(w http.ResponseWriter, r *http.Request) {
			select {
			case <-time.After(2 * time.Second):
				w.WriteHeader(http.StatusGatewayTimeout)
			case <-r.Context().Done():
			}
		},
		"returns when the client goes": func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"panics when the client goes": func(_ http.ResponseWriter, r *http.Request) {
			<-r.Context().Done()
			panic(http.ErrAbortHandler)
		},
		"never returns": func(http.ResponseWriter, *http.Request) { time.Sleep(time.Hour) },
	}
	for name, hang := range handlers {
		for who, patience := range map[string]time.Duration{"waits for the answer": time.Minute, "goes at the deadline": 2 * time.Second, "goes a little before": 1990 * time.Millisecond} {
			t.Run(name+", the client "+who, func(t *testing.T) {
				bothInMemory(t, func(t *testing.T, two bool) {
					var registry core.Registry
					hanging := false
					client, _ := inMemory(t, httpmw.New(&registry, &httpmw.Options{Key: one})(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
						if hanging {
							hang(w, r)
							return
						}
						time.Sleep(500 * time.Millisecond)
					})), two)
					ask := func() answer {
						ctx, cancel := context.WithTimeout(t.Context(), patience)
						defer cancel()
						req := request(t, http.MethodGet, "http://host/", nil).WithContext(ctx)
						req.Header.Set("Connect-Timeout-Ms", "2000")
						return do(client, req)
					}
					for range 10 {
						wantCode(t, ask(), http.StatusOK)
					}
					hanging = true
					for range 5 {
						ask()
						time.Sleep(time.Second / 10)
					}
					b, err := registry.Get("http")
					if err != nil {
						t.Fatal(err)
					}
					wantState(t, b, core.Open)
					if got := b.Snapshot().Totals; got.Timeouts == 0 && name != "panics when the client goes" {
						t.Errorf("no timeout is counted: %+v", got)
					}
					time.Sleep(2 * time.Hour)
				})
			})
		}
	}
}

// Whether a deadline that passed counts goes by how long calls have taken.
func TestADeadlineIsMeasuredByRecentCalls(t *testing.T) {
	for _, c := range []struct {
		usually, limit time.Duration
		factor         float64
		want           core.Outcome
	}{
		{0, 999 * time.Millisecond, 0, core.Ignored},
		{0, time.Second, 0, core.Failure},
		{3 * time.Second, 5 * time.Second, 0, core.Ignored},
		{3 * time.Second, 6 * time.Second, 0, core.Failure},
		{3 * time.Second, 6 * time.Second, 4, core.Ignored},
		{3 * time.Second, 12 * time.Second, 4, core.Failure},
		{3 * time.Second, time.Millisecond, -1, core.Failure},
	} {
		bubble(t, func(t *testing.T) {
			w := newWard(t, core.Config{FailureThreshold: -1, FailureRateThreshold: -1})
			h := httpmw.New(nil, &httpmw.Options{Gate: w, DeadlineFactor: c.factor})(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/hang" {
					time.Sleep(c.limit)
					rw.WriteHeader(http.StatusGatewayTimeout)
					return
				}
				time.Sleep(c.usually)
				if r.URL.Path == "/mistake" {
					rw.WriteHeader(http.StatusNotFound)
				}
			}))
			send := func(path string, header string) {
				r := httptest.NewRequest(http.MethodGet, path, nil)
				if header != "" {
					r.Header.Set("Connect-Timeout-Ms", header)
				}
				h.ServeHTTP(httptest.NewRecorder(), r)
			}
			if c.usually > 0 {
				send("/", "")
				w.want(t, core.Success)
			}
			quick := c.usually
			c.usually = 0
			for range 200 { // which say nothing of how long an answer takes
				send("/mistake", "")
				w.want(t, core.Success)
			}
			send("/hang", fmt.Sprint(c.limit.Milliseconds()))
			if got := w.next(t); got.Outcome != c.want {
				t.Errorf("calls take %v, one ran into a deadline of %v: %v, want %v", quick, c.limit, got.Outcome, c.want)
			}
			send("/hang", fmt.Sprint(c.limit.Milliseconds()+1)) // it gives up before, perhaps for that
			if c.limit == 999*time.Millisecond {
				c.want = core.Failure
			}
			w.want(t, c.want)
			send("/hang", fmt.Sprint(9*c.limit.Milliseconds())) // it fails long before
			w.want(t, core.Failure)
			w.idle(t)
		})
	}
}

// A handler that gives each of its tries a share of the time that its client waits is
// not the one to blame for a share that is too short; one that is late is.
func TestATryThatIsCutShort(t *testing.T) {
	for _, c := range []struct {
		status      int
		limit, runs time.Duration
		want        core.Outcome
	}{
		{http.StatusGatewayTimeout, 30 * time.Millisecond, 15 * time.Millisecond, core.Ignored},
		{http.StatusGatewayTimeout, 240 * time.Millisecond, 30 * time.Millisecond, core.Ignored},
		{http.StatusGatewayTimeout, 80 * time.Millisecond, 40 * time.Millisecond, core.Failure},
		{http.StatusGatewayTimeout, 2 * time.Second, 500 * time.Millisecond, core.Failure},
		{http.StatusGatewayTimeout, 0, 15 * time.Millisecond, core.Failure},
		{http.StatusServiceUnavailable, 30 * time.Millisecond, 15 * time.Millisecond, core.Failure},
	} {
		bubble(t, func(t *testing.T) {
			w := newWard(t, core.Config{FailureThreshold: -1})
			h := w.guard(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
				if r.URL.Path != "/tries" {
					time.Sleep(20 * time.Millisecond)
					return
				}
				time.Sleep(c.runs)
				rw.WriteHeader(c.status)
			}))
			h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil))
			w.want(t, core.Success)
			ctx := t.Context()
			if c.limit > 0 {
				short, cancel := context.WithTimeout(ctx, c.limit)
				defer cancel()
				ctx = short
			}
			h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/tries", nil).WithContext(ctx))
			if got := w.next(t); got.Outcome != c.want {
				t.Errorf("%d after %v of %v: %v, want %v", c.status, c.runs, c.limit, got.Outcome, c.want)
			}
			w.idle(t)
		})
	}
}

// A route that is well, and takes 45 s or 5 min, is let back.
func TestSlowProbesAreLetBack(t *testing.T) {
	for _, takes := range []time.Duration{time.Millisecond, 45 * time.Second, 5 * time.Minute} {
		bothInMemory(t, func(t *testing.T, two bool) {
			var registry core.Registry
			client, _ := inMemory(t, httpmw.New(&registry, &httpmw.Options{Key: one})(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { time.Sleep(takes) })), two)
			b, _ := registry.Get("http")
			for range 5 {
				p, _ := b.Allow(t.Context())
				p.Settle(t.Context(), core.Failure)
			}
			time.Sleep(time.Minute)
			began := time.Now()
			var all sync.WaitGroup
			for b.State() != core.Closed {
				all.Go(func() { do(client, request(t, http.MethodGet, "http://host/", nil)) })
				time.Sleep(time.Second)
				if time.Since(began) > 2*takes+2*time.Minute {
					t.Fatalf("calls take %v, and after %v %s", takes, time.Since(began), b.Explain())
				}
			}
			all.Wait()
			if got := b.Snapshot().Totals; got.Failures != 5 || got.InFlight != 0 {
				t.Errorf("calls take %v: %+v, want the 5 failures of before, none in flight", takes, got)
			}
		})
	}
}

// dripping is a body that takes its time.
type dripping struct {
	drops int
	every time.Duration
}

func (d *dripping) Read(b []byte) (int, error) {
	if d.drops--; d.drops < 0 {
		return 0, io.EOF
	}
	time.Sleep(d.every)
	return copy(b, "x"), nil
}

// SlowAfter counts the time of the handler.
func TestSlowIsNotTheClient(t *testing.T) {
	for name, c := range map[string]struct {
		handler http.HandlerFunc
		want    time.Duration
	}{
		"the handler reads a slow upload": {upload, 0},
		"the handler works, too": {func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(2 * time.Second)
			upload(w, r)
			time.Sleep(time.Second)
		}, 3 * time.Second},
		"two wait at once": {func(w http.ResponseWriter, r *http.Request) {
			var all sync.WaitGroup
			all.Go(func() { upload(w, r) })
			all.Go(func() { time.Sleep(time.Second / 2); _ = r.Body.Close() })
			all.Wait()
		}, 0},
		"the time after the headers is neither": {func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(time.Second)
			w.WriteHeader(http.StatusOK)
			upload(w, r)
		}, time.Second},
		"the client takes its time to close": {func(_ http.ResponseWriter, r *http.Request) { _ = r.Body.Close() }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				settled := make(chan core.Settlement, 1)
				b := core.MustNew("b", core.Config{SlowAfter: 500 * time.Millisecond, Hooks: core.Hooks{
					Settled: func(_ context.Context, s core.Settlement) { settled <- s },
				}})
				r := httptest.NewRequest(http.MethodPost, "/", &dripping{10, time.Second})
				r.Body = struct {
					io.Reader
					io.Closer
				}{r.Body, closer(func() { time.Sleep(time.Second) })}
				r.ContentLength = -1
				gate := core.All(b, core.MustNew("other", core.Config{SlowAfter: time.Second}))
				httpmw.New(nil, &httpmw.Options{Gate: gate})(c.handler).ServeHTTP(httptest.NewRecorder(), r)
				if got := <-settled; got.Duration != c.want || got.Slow != (c.want > 0) {
					t.Errorf("the call is said to have taken %v, slow: %t; want %v", got.Duration, got.Slow, c.want)
				}
			})
		})
	}
}

type closer func()

func (c closer) Close() error { c(); return nil }

// A probe that has lost its place to another, because its client sent nothing, is one
// again when everything has come.
func TestAProbeTakesItsPlaceAgain(t *testing.T) {
	for name, c := range map[string]struct {
		answer int
		want   core.State
	}{"success": {200, core.Closed}, "failure": {500, core.Open}} {
		t.Run(name, func(t *testing.T) {
			bothInMemory(t, func(t *testing.T, two bool) {
				b := core.MustNew("b", core.Config{HalfOpenMaxCalls: 1, SuccessThreshold: 2})
				client, _ := inMemory(t, httpmw.New(nil, &httpmw.Options{Gate: b})(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if r.Method == http.MethodPost {
						_, _ = io.Copy(io.Discard, r.Body)
						w.WriteHeader(c.answer)
					}
				})), two)
				for range 5 {
					p, _ := b.Allow(t.Context())
					p.Settle(t.Context(), core.Failure)
				}
				time.Sleep(time.Minute)
				var uploading sync.WaitGroup
				uploading.Go(func() {
					do(client, request(t, http.MethodPost, "http://host/", &dripping{3, time.Second}))
				})
				time.Sleep(time.Second / 2)
				wantCode(t, do(client, request(t, http.MethodGet, "http://host/", nil)), http.StatusOK)
				wantState(t, b, core.HalfOpen)
				uploading.Wait()
				synctest.Wait()
				wantState(t, b, c.want)
				if got := b.Snapshot().Totals; got.InFlight != 0 || got.Refused != 0 || got.Ignored != 1 {
					t.Errorf("in the end %+v; want one ignored, none refused or in flight", got)
				}
			})
		})
	}
}

// A body that is complete when its handler has returned claims no place.
func TestABodyReadAfterItsHandlerClaimsNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWard(t, core.Config{})
		w.halfOpen(t)
		h := w.guard(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPost {
				go func() { _, _ = io.Copy(io.Discard, r.Body) }()
				time.Sleep(time.Second)
			}
		}))
		go func() {
			r := httptest.NewRequest(http.MethodPost, "/", &dripping{3, time.Second})
			h.ServeHTTP(httptest.NewRecorder(), r)
		}()
		time.Sleep(time.Second / 2)
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil))
		time.Sleep(time.Minute)
		w.want(t, core.Ignored)
		w.want(t, core.Success)
		w.idle(t)
	})
}

// Failures that count though a client was slow, or has sent what it should not.
func TestFailuresThatAreTheServers(t *testing.T) {
	dead := proxyTo(t, status(http.StatusOK))
	dead.Transport.(*http.Transport).DialContext = func(context.Context, string, string) (net.Conn, error) {
		return nil, errors.New("connection refused")
	}
	for name, c := range map[string]struct {
		body    io.Reader
		length  int64
		headers http.Header
		handler http.Handler
		want    core.Outcome
	}{
		"500 after a slow upload": {&dripping{10, time.Second}, -1, nil, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			upload(w, r)
			w.WriteHeader(http.StatusInternalServerError)
		}), core.Failure},
		"503 after a slow upload": {&dripping{10, time.Second}, -1, nil, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			upload(w, r)
			w.WriteHeader(http.StatusServiceUnavailable)
		}), core.Ignored},
		"504 after a short upload and long work": {&dripping{2, time.Second}, -1, nil, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			upload(w, r)
			time.Sleep(3 * time.Second)
			w.WriteHeader(http.StatusGatewayTimeout)
		}), core.Failure},
		"503 after an upload of half a second": {&dripping{1, time.Second / 2}, -1, nil, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			upload(w, r)
			w.WriteHeader(http.StatusServiceUnavailable)
		}), core.Failure},
		"503 without reading":   {strings.NewReader("x"), 1, nil, status(http.StatusServiceUnavailable), core.Failure},
		"502 of a proxy":        {&dripping{2, time.Second}, -1, nil, dead, core.Failure},
		"502 of a websocket":    {nil, 0, http.Header{"Connection": {"keep-alive, Upgrade"}, "Upgrade": {"websocket"}}, dead, core.Failure},
		"502 of a version":      {nil, 0, http.Header{"Connection": {"upgrade"}, "Upgrade": {"x/1"}}, dead, core.Failure},
		"an upgrade to nothing": {nil, 0, http.Header{"Connection": {"upgrade"}}, dead, core.Failure},
		"no upgrade":            {nil, 0, http.Header{"Upgrade": {"\xe9"}}, dead, core.Failure},
		"read after the end of its own": {strings.NewReader("xyz"), 3, nil, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_ = r.Body.Close()
			r.Body = nil
			w.WriteHeader(http.StatusInternalServerError)
		}), core.Failure},
		"failed before the body": {iotest.ErrReader(io.ErrUnexpectedEOF), -1, nil, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusInternalServerError)
			upload(w, r)
		}), core.Failure},
		"failed after the body": {iotest.ErrReader(io.ErrUnexpectedEOF), -1, nil, http.HandlerFunc(upload), core.Ignored},
		"a body that ends early, of another server": {strings.NewReader("abc"), 1000, nil, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if b, _ := io.ReadAll(r.Body); len(b) < 1000 {
				w.WriteHeader(http.StatusInternalServerError)
			}
		}), core.Ignored},
		"a body that ends late, of another server": {strings.NewReader("abcdef"), 3, nil, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if b, _ := io.ReadAll(r.Body); len(b) > 3 {
				w.WriteHeader(http.StatusInternalServerError)
			}
		}), core.Ignored},
		"as long as announced": {strings.NewReader("abc"), 3, nil, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			upload(w, r)
			w.WriteHeader(http.StatusInternalServerError)
		}), core.Failure},
		"read after its close": {&closable{}, -1, nil, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_ = r.Body.Close()
			upload(w, r)
		}), core.Failure},
		"an early answer while a body is read": {&dripping{10, time.Second}, -1, nil, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(1100 * time.Millisecond)
			go func() { _, _ = r.Body.Read(make([]byte, 1)) }()
			time.Sleep(time.Second / 2)
			w.WriteHeader(http.StatusInternalServerError)
			time.Sleep(time.Minute)
		}), core.Failure},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWard(t, core.Config{})
			run := func(t *testing.T) {
				r := httptest.NewRequest(http.MethodPost, "/", c.body)
				r.ContentLength = c.length
				if c.headers != nil {
					r.Header = c.headers
				}
				w.guard(c.handler).ServeHTTP(httptest.NewRecorder(), r)
			}
			if c.handler == http.Handler(dead) {
				run(t)
			} else {
				bubble(t, run)
			}
			w.want(t, c.want)
			w.idle(t)
		})
	}
}

// closable is a body that says so when it is read after its end.
type closable struct{ closed bool }

func (c *closable) Close() error { c.closed = true; return nil }

func (c *closable) Read([]byte) (int, error) {
	if c.closed {
		return 0, errors.New("read of a closed body")
	}
	return 0, io.EOF
}

// http.MaxBytesHandler and http.MaxBytesReader do what they do without us; a body
// that is larger than the one outside allows is its client's fault.
func TestMaxBytes(t *testing.T) {
	overEach(t, func(t *testing.T, serve func(*testing.T, http.Handler) *server) {
		for name, c := range map[string]struct {
			wrap func(*ward) http.Handler
			want core.Outcome
		}{
			"outside": {func(w *ward) http.Handler { return http.MaxBytesHandler(w.guard(http.HandlerFunc(upload)), 10) }, core.Ignored},
			"inside, answered 500": {func(w *ward) http.Handler {
				return w.guard(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
					r.Body = http.MaxBytesReader(rw, r.Body, 10)
					upload(rw, r)
				}))
			}, core.Failure}, // as DefaultClassify says
			"inside, and a Classify as documented": {func(w *ward) http.Handler {
				return httpmw.New(nil, &httpmw.Options{Gate: w, Classify: func(r *http.Request, status int) core.Outcome {
					if r.ContentLength > 10 {
						return core.Ignored
					}
					return httpmw.DefaultClassify(r, status)
				}})(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
					r.Body = http.MaxBytesReader(rw, r.Body, 10)
					upload(rw, r)
				}))
			}, core.Ignored},
			"inside, answered as it should be": {func(w *ward) http.Handler {
				return w.guard(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
					_, err := io.Copy(io.Discard, http.MaxBytesReader(rw, r.Body, 10))
					if tooLarge, ok := errors.AsType[*http.MaxBytesError](err); !ok || tooLarge.Limit != 10 {
						t.Errorf("MaxBytesReader: %v", err)
					}
					rw.WriteHeader(http.StatusRequestEntityTooLarge)
				}))
			}, core.Success},
		} {
			t.Run(name, func(t *testing.T) {
				w := newWard(t, core.Config{})
				s := serve(t, c.wrap(w))
				s.do(request(t, http.MethodPost, s.URL, strings.NewReader(bodyOf(100))))
				w.want(t, c.want)
				w.idle(t)
			})
		}
	})
}

// An upload that stops inside a TimeoutHandler: its 503 is the client's doing.
func TestTimeoutHandlerInside(t *testing.T) {
	w := newWard(t, core.Config{})
	s := serve1(t, w.guard(http.TimeoutHandler(http.HandlerFunc(upload), 20*time.Millisecond, "late")))
	for range 3 {
		_, _ = io.WriteString(s.dial(t), "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nabc")
		w.want(t, core.Ignored)
	}
	wantState(t, w, core.Closed)
}

// A middleware outside whose writer has nothing but an Unwrap hides no hijack and no
// stream.
func TestUnwrapIsFollowed(t *testing.T) {
	for name, h := range map[string]http.HandlerFunc{
		"hijack": func(rw http.ResponseWriter, r *http.Request) {
			conn, _, err := http.NewResponseController(rw).Hijack()
			if err != nil {
				t.Errorf("Hijack: %v", err)
				return
			}
			conn.Close()
		},
		"stream": func(rw http.ResponseWriter, r *http.Request) {
			rw.Header().Set("Content-Type", "text/event-stream")
			if err := http.NewResponseController(rw).Flush(); err != nil {
				t.Errorf("Flush: %v", err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWard(t, core.Config{})
			h := w.guard(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
				h(rw, r)
				w.want(t, core.Success) // while the handler runs
				if err := http.NewResponseController(rw).EnableFullDuplex(); err != nil && name == "stream" {
					t.Errorf("EnableFullDuplex: %v", err)
				}
			}))
			s := serve1(t, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
				h.ServeHTTP(unwrapper{bare{rw}, rw}, r)
			}))
			s.get(t, "/")
			w.idle(t)
			rec := httptest.NewRecorder()
			err := http.NewResponseController(unwrapped(w, unwrapper{bare{rec}, bare{rec}})).Flush()
			if !errors.Is(err, http.ErrNotSupported) {
				t.Errorf("Flush of what cannot be flushed = %v, want %v", err, http.ErrNotSupported)
			}
		})
	}
}

// unwrapped is the writer that a handler gets.
func unwrapped(w *ward, rw http.ResponseWriter) (got http.ResponseWriter) {
	w.guard(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) { got = rw })).ServeHTTP(rw, httptest.NewRequest(http.MethodGet, "/", nil))
	<-w.settled
	return got
}

type unwrapper struct {
	bare

	inner http.ResponseWriter
}

func (u unwrapper) Unwrap() http.ResponseWriter { return u.inner }

// A deadline that a header alone announces closes no route without history:
// the handler does not know it, and answers.
func TestAnAnnouncedDeadlineIsNoHangOfARouteThatIsNew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := core.MustNew("b", core.Config{})
		h := httpmw.New(nil, &httpmw.Options{Gate: b})(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			time.Sleep(1300 * time.Millisecond)
			w.WriteHeader(http.StatusOK)
		}))
		var wg sync.WaitGroup
		for range 5 {
			wg.Go(func() {
				r := httptest.NewRequest(http.MethodGet, "/", nil)
				r.Header.Set("X-Envoy-Expected-Rq-Timeout-Ms", "1000")
				h.ServeHTTP(httptest.NewRecorder(), r)
			})
		}
		wg.Wait()
		if got := b.Snapshot().Totals; b.State() != core.Closed || got.Failures != 0 {
			t.Errorf("%v, %+v", b.State(), got)
		}
	})
}
