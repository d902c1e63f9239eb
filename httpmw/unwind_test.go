package httpmw_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/httpmw"
)

// goexit is what a handler "panics" with to call runtime.Goexit.
type goexit struct{}

func unwind(v any) {
	if _, ok := v.(goexit); ok {
		runtime.Goexit()
	}
	panic(v)
}

func TestUnwoundProbesFailAndGiveTheirPlaceBack(t *testing.T) {
	for name, c := range map[string]struct {
		value  any
		logged bool // by net/http
	}{
		"panic":           {errors.New("x"), true},
		"ErrAbortHandler": {http.ErrAbortHandler, false},
		"Goexit":          {goexit{}, false},
	} {
		t.Run(name, func(t *testing.T) {
			overEach(t, func(t *testing.T, serve func(*testing.T, http.Handler) *server) {
				w := newWard(t, core.Config{HalfOpenMaxCalls: 1})
				passed := make(chan any, 2) // what a middleware outside recovers
				h := w.guard(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
					if r.URL.Path == "/unwind" {
						unwind(c.value)
					}
				}))
				s := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					defer func() {
						v := recover()
						passed <- v
						if v != nil {
							panic(v)
						}
					}()
					h.ServeHTTP(w, r)
				}))
				w.halfOpen(t)
				if a := s.get(t, "/unwind"); a.err == nil {
					t.Errorf("the client got %d, want an error", a.code)
				}
				want := c.value
				if want == (goexit{}) {
					want = nil // there is nothing to recover, and nothing must be made of it
				}
				if got := <-passed; got != want {
					t.Errorf("outside, %v is recovered, want the very %v", got, want)
				}
				got := w.next(t)
				if got.Outcome != core.Failure || !got.Probe {
					t.Errorf("settled as %v, probe %t; want the failure of a probe", got.Outcome, got.Probe)
				}
				wantState(t, w, core.Open)
				w.idle(t)

				w.clock.advance(rest)
				wantCode(t, s.get(t, "/"), http.StatusOK)
				w.want(t, core.Success)
				wantState(t, w, core.Closed)
				w.idle(t)
				if c.logged {
					s.log.want(t, "panic serving")
				}
				s.Close()
				if !c.logged && strings.Contains(s.log.String(), "panic serving") {
					t.Errorf("net/http logs %q, want no panic", s.log)
				}
			})
		})
	}
}

func TestPanicCountsWhateverTheStatus(t *testing.T) {
	for name, h := range map[string]http.HandlerFunc{
		"before headers": func(http.ResponseWriter, *http.Request) { panic("x") },
		"after 200":      func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK); panic("x") },
		"after a flush":  func(w http.ResponseWriter, _ *http.Request) { w.(http.Flusher).Flush(); panic("x") },
		"no status":      func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(7) }, // net/http panics
	} {
		t.Run(name, func(t *testing.T) {
			overEach(t, func(t *testing.T, serve func(*testing.T, http.Handler) *server) {
				w := newWard(t, core.Config{})
				s := serve(t, httpmw.New(nil, &httpmw.Options{Gate: w, Classify: func(_ *http.Request, status int) core.Outcome {
					t.Errorf("Classify is asked about status %d", status)
					return core.Success
				}})(h))
				if a := s.get(t, "/"); a.err == nil {
					t.Errorf("the client got %d, want an error", a.code)
				}
				if got := w.next(t); got.Outcome != core.Failure || fmt.Sprint(got.Err) != "the handler panicked or exited" {
					t.Errorf("settled as %v, of %v; want a failure, the handler panicked or exited", got.Outcome, got.Err)
				}
				w.idle(t)
			})
		})
	}
}

// A panic because the client has gone says nothing of the route.
func TestPanicOfAGoneClientIsIgnored(t *testing.T) {
	overEach(t, func(t *testing.T, serve func(*testing.T, http.Handler) *server) {
		w, entered := newWard(t, core.Config{}), make(chan struct{}, 1)
		s := serve(t, w.guard(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			entered <- struct{}{}
			<-r.Context().Done()
			panic(http.ErrAbortHandler)
		})))
		s.abandoned(t, "/", entered)
		w.want(t, core.Ignored)
		w.idle(t)
	})
}

// A Classify, Streams or Skip that panics loses no permit.
func TestPanicsOfOptions(t *testing.T) {
	fine := func(w http.ResponseWriter, _ *http.Request) { w.(http.Flusher).Flush() }
	for name, c := range map[string]struct {
		options httpmw.Options
		settled bool
	}{
		"Classify": {httpmw.Options{Classify: func(*http.Request, int) core.Outcome { panic("x") }}, true},
		"IsStream": {httpmw.Options{IsStream: func(http.Header) bool { panic("x") }}, true},
		"Skip":     {httpmw.Options{Skip: func(*http.Request) bool { panic("x") }}, false},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWard(t, core.Config{})
			c.options.Gate = w
			s := serve1(t, httpmw.New(nil, &c.options)(http.HandlerFunc(fine)))
			s.get(t, "/")
			if c.settled {
				w.want(t, core.Failure)
			}
			w.idle(t)
			s.log.want(t, "panic serving")
		})
	}
}

// A wait for the client ends though what is waited for panics: what the handler does
// after that is its own time.
func TestAPanicEndsAWait(t *testing.T) {
	bubble(t, func(t *testing.T) {
		settled := make(chan core.Settlement, 1)
		b := core.MustNew("b", core.Config{SlowAfter: time.Second, Hooks: core.Hooks{
			Settled: func(_ context.Context, s core.Settlement) { settled <- s },
		}})
		h := httpmw.New(nil, &httpmw.Options{Gate: b})(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			func() {
				defer func() { _ = recover() }()
				_, _ = r.Body.Read(make([]byte, 1))
			}()
			time.Sleep(3 * time.Second)
		}))
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "/", panickingBody{}))
		if got := <-settled; got.Duration != 3*time.Second {
			t.Errorf("the call is said to have taken %v, want 3s", got.Duration)
		}
	})
}

type panickingBody struct{}

func (panickingBody) Read([]byte) (int, error) { panic("no body") }
