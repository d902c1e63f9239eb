package httpmw_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/httpmw"
)

// kinds are ways for a request to go.
var kinds = []string{"fine", "500", "panic", "abort", "goexit", "hijack", "events", "stream", "cut", "upload"}

// anyWay is a handler that goes the way that the path says.
func anyWay(w http.ResponseWriter, r *http.Request) {
	rc := http.NewResponseController(w)
	switch r.URL.Path {
	case "/500":
		w.WriteHeader(http.StatusInternalServerError)
	case "/panic":
		panic("x")
	case "/abort":
		_ = rc.Flush()
		panic(http.ErrAbortHandler)
	case "/goexit":
		unwind(goexit{})
	case "/hijack":
		if conn, _, err := rc.Hijack(); err == nil { // HTTP/1.1
			conn.Close()
		}
	case "/events", "/stream", "/cut":
		if r.URL.Path == "/events" {
			w.Header().Set("Content-Type", "text/event-stream")
		}
		_, _ = io.WriteString(w, "x")
		_ = rc.Flush()
		if r.URL.Path == "/cut" {
			<-r.Context().Done()
		}
	case "/upload":
		_, _ = io.Copy(io.Discard, r.Body)
	}
}

// TestNothingLeaks makes 10 000 requests that go every way. The bubble ends only
// when all goroutines have.
func TestNothingLeaks(t *testing.T) {
	each := 5000
	if testing.Short() {
		each = 500
	}
	bothInMemory(t, func(t *testing.T, two bool) {
		registry := &core.Registry{Config: func(string) core.Config {
			return core.Config{FailureThreshold: 20, FailureRateThreshold: 0.9, Timeout: time.Second, ProbeTimeout: time.Hour}
		}}
		guarded := httpmw.New(registry, &httpmw.Options{
			Key: func(r *http.Request) string { return r.URL.Path },
		})(http.HandlerFunc(anyWay))
		var sent, arrived atomic.Int64 // a client may send one again whose connection broke
		client, _ := inMemory(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			arrived.Add(1)
			guarded.ServeHTTP(w, r)
		}), two)
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() {
				for i := int(sent.Add(1)); i <= each; i = int(sent.Add(1)) {
					oneWay(t, client, kinds[i%len(kinds)])
					if i%100 == 0 {
						time.Sleep(time.Second) // until the next probes
					}
				}
			})
		}
		all.Wait()
		client.CloseIdleConnections()
		synctest.Wait()
		stats := registry.Stats()
		if got := stats.Totals; got.InFlight != 0 || got.Calls != got.Successes+got.Failures+got.Ignored || got.Calls+got.Refused != uint64(arrived.Load()) || got.Lost > 0 {
			t.Errorf("in the end %+v; want %d requests, each settled", got, arrived.Load())
		}
		if stats.Breakers != len(kinds) || stats.Totals.Refused == 0 || stats.Totals.Ignored == 0 {
			t.Errorf("%d breakers, %d refused, %d ignored; want %d, some, some", stats.Breakers, stats.Totals.Refused, stats.Totals.Ignored, len(kinds))
		}
	})
}

// oneWay sends a request that is to go a way.
func oneWay(t *testing.T, client *http.Client, kind string) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	req := request(t, http.MethodGet, "http://host/"+kind, nil)
	if kind == "upload" {
		req = request(t, http.MethodPost, "http://host/"+kind, strings.NewReader(bodyOf(1000)))
	}
	resp, err := client.Do(req.WithContext(ctx))
	if err != nil {
		return
	}
	defer resp.Body.Close()
	if kind == "cut" {
		_, _ = resp.Body.Read(make([]byte, 1))
		cancel()
	}
	_, _ = io.Copy(io.Discard, resp.Body)
}

// TestManyOnLoopback is the same in real life, with fewer.
func TestManyOnLoopback(t *testing.T) {
	overEach(t, func(t *testing.T, serve func(*testing.T, http.Handler) *server) {
		registry := new(core.Registry)
		mux := http.NewServeMux()
		guard := httpmw.New(registry, nil)
		for _, kind := range kinds {
			mux.Handle("/"+kind, guard(http.HandlerFunc(anyWay)))
		}
		var all, serving sync.WaitGroup
		s := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			serving.Add(1)
			defer serving.Done()
			mux.ServeHTTP(w, r)
		}))
		for range 4 {
			all.Go(func() {
				for i := range 100 {
					kind := kinds[i%len(kinds)]
					ctx, cancel := context.WithCancel(t.Context())
					resp, err := s.Client().Do(request(t, http.MethodGet, s.URL+"/"+kind, nil).WithContext(ctx))
					if err == nil {
						if kind == "cut" {
							cancel()
						}
						_, _ = io.Copy(io.Discard, resp.Body)
						resp.Body.Close()
					}
					cancel()
				}
			})
		}
		all.Wait()
		s.Close()
		serving.Wait() // the handlers of those who have gone
		for name, got := range names(registry) {
			if got.InFlight != 0 {
				t.Errorf("%s: %d permits are out, want none: %+v", name, got.InFlight, got)
			}
		}
		if got := registry.Len(); got != len(kinds) {
			t.Errorf("%d breakers, want %s", got, fmt.Sprint(kinds))
		}
	})
}

// Timers of a request keep nothing of it when its handler has returned.
func TestTimersEndWithTheirHandler(t *testing.T) {
	for _, name := range []string{"the lease of a probe", "a deadline"} {
		t.Run(name, func(t *testing.T) {
			w := newWard(t, core.Config{})
			h := httpmw.New(nil, &httpmw.Options{Gate: w, ProbeLease: 1000 * time.Hour})(status(http.StatusNoContent))
			if name == "the lease of a probe" {
				w.halfOpen(t)
			}
			collected := make(chan struct{})
			func() {
				r := httptest.NewRequest(http.MethodGet, "/", nil)
				if name == "a deadline" {
					r.Header.Set("Grpc-Timeout", "1000H")
				}
				runtime.AddCleanup(r, func(done chan struct{}) { close(done) }, collected)
				h.ServeHTTP(httptest.NewRecorder(), r)
			}()
			w.want(t, core.Success)
			for late := time.After(patience); ; {
				runtime.GC()
				select {
				case <-collected:
					return
				case <-late:
					t.Fatal("the request is still kept")
				default:
				}
			}
		})
	}
}
