package httpmw_test

import (
	"bufio"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/httpmw"
)

// keys are the names of the breakers in a registry, in order.
func keys(r *core.Registry) string {
	return strings.Join(slices.Sorted(maps.Keys(names(r))), ", ")
}

// users is a mux with a few routes, each behind around, and what it serves.
func users(around func(http.Handler) http.Handler) *http.ServeMux {
	mux := http.NewServeMux()
	for _, pattern := range []string{"GET /users/{id}", "POST /users", "/dir/", "/tree/{name}/", "shop.example/"} {
		mux.Handle(pattern, around(status(http.StatusNoContent)))
	}
	return mux
}

func send(h http.Handler, method, target string) int {
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, httptest.NewRequest(method, target, nil))
	return rec.Code
}

func TestKeysAreRoutes(t *testing.T) {
	for where, around := range map[string]func(*core.Registry) http.Handler{
		"outside": func(registry *core.Registry) http.Handler {
			mux := users(func(h http.Handler) http.Handler { return h })
			return httpmw.New(registry, &httpmw.Options{Key: httpmw.Route(mux)})(mux)
		},
		"inside": func(registry *core.Registry) http.Handler { return users(httpmw.New(registry, nil)) },
	} {
		t.Run(where, func(t *testing.T) {
			registry := new(core.Registry)
			h := around(registry)
			for i := range 10_000 {
				if code := send(h, http.MethodGet, fmt.Sprint("http://host/users/", i)); code != http.StatusNoContent {
					t.Fatalf("status %d, want 204", code)
				}
				send(h, http.MethodGet, fmt.Sprint("http://host/invented/", i)) // 404
				send(h, http.MethodDelete, fmt.Sprint("http://host/users/", i)) // 405
				send(h, fmt.Sprint("INVENTED", i), "http://host/users/1")       // 405
			}
			if got, want := keys(registry), "GET /users/{id}"; got != want {
				t.Errorf("breakers: %s; want %s", got, want)
			}
			send(h, http.MethodPost, "http://host/users")
			send(h, http.MethodPut, "http://host/dir/x/y")
			send(h, http.MethodGet, "http://shop.example:8080/anything")
			if got, want := keys(registry), "/dir/, GET /users/{id}, POST /users, shop.example/"; got != want {
				t.Errorf("breakers: %s; want %s", got, want)
			}
			if got := names(registry)["GET /users/{id}"].Successes; got != 10_000 {
				t.Errorf("GET /users/{id} has %d successes, want 10000", got)
			}
		})
	}
}

// A client's inventions make no breaker: paths that are redirected, hosts,
// methods, escapes.
func TestInventedRequestsMakeNoBreaker(t *testing.T) {
	registry := new(core.Registry)
	mux := users(func(h http.Handler) http.Handler { return h })
	s := serve1(t, httpmw.New(registry, &httpmw.Options{Key: httpmw.Route(mux)})(mux))
	conn := s.dial(t)
	from := bufio.NewReader(conn)
	for i := range 200 {
		for _, line := range []string{
			fmt.Sprintf("GET /tree/%d", i),          // redirected to /tree/{name}/
			fmt.Sprintf("CONNECT /tree/%d", i),      // the same
			fmt.Sprintf("CONNECT host%d:80", i),     //
			fmt.Sprintf("GET //users/../dir/%d", i), // redirected to /dir/
			fmt.Sprintf("GET /dir/%%0a%%00%%ff%d", i),
			fmt.Sprintf("M%d /dir/", i),
			fmt.Sprintf("GET http://host%d/dir/", i),
		} {
			_, _ = fmt.Fprintf(conn, "%s HTTP/1.1\r\nHost: host%d\r\n\r\n", line, i)
			resp, err := http.ReadResponse(from, &http.Request{Method: http.MethodHead}) // none of the bodies is ours to read
			if err != nil {
				t.Fatalf("%s: %v", line, err)
			}
			if n := resp.ContentLength; n > 0 {
				_, _ = io.CopyN(io.Discard, from, n)
			}
			resp.Body.Close()
		}
	}
	if got, want := keys(registry), "/dir/, /tree/{name}/"; got != want {
		t.Errorf("breakers: %s; want %s", got, want)
	}
}

// A mux in a mux: the breaker is that of the one that the middleware is in.
func TestMuxInAMux(t *testing.T) {
	registry := new(core.Registry)
	inner := users(func(h http.Handler) http.Handler { return h })
	outer := http.NewServeMux()
	outer.Handle("/api/", httpmw.New(registry, nil)(http.StripPrefix("/api", inner)))
	outer.Handle("/v2/", http.StripPrefix("/v2", httpmw.New(registry, &httpmw.Options{Key: httpmw.Route(inner)})(inner)))
	send(outer, http.MethodGet, "/api/users/1")
	send(outer, http.MethodGet, "/v2/users/1")
	if got, want := keys(registry), "/api/, GET /users/{id}"; got != want {
		t.Errorf("breakers: %s; want %s", got, want)
	}
}

// The route of a handler that no mux has found is not known. Its requests are admitted
// without a breaker, so that one route never closes another, and counted, and the log
// has one line with the remedy.
func TestWithoutAMux(t *testing.T) {
	var log strings.Builder
	registry := &core.Registry{Logger: slog.New(slog.NewTextHandler(&log, nil))}
	h := httpmw.New(registry, nil)(status(http.StatusInternalServerError))
	for i := range 100 {
		if got := send(h, http.MethodGet, fmt.Sprint("/", i)); got != http.StatusInternalServerError {
			t.Fatalf("status %d, want that of the handler", got)
		}
	}
	if got := keys(registry); got != "" {
		t.Errorf("breakers: %s; want none", got)
	}
	if got := registry.Stats().Unguarded; got != 100 {
		t.Errorf("%d calls without a breaker, want 100", got)
	}
	if got := log.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "set Options.Key") {
		t.Errorf("the log has %q, want one line with the remedy", got)
	}
}

// Around a mux the middleware asks it for the route.
func TestAroundAMux(t *testing.T) {
	registry := &core.Registry{Config: func(string) core.Config { return core.Config{FailureThreshold: 2} }}
	mux := http.NewServeMux()
	mux.Handle("GET /orders", status(http.StatusInternalServerError))
	mux.Handle("GET /fine", status(http.StatusNoContent))
	h := httpmw.New(registry, nil)(mux)
	for range 4 {
		send(h, http.MethodGet, "/orders")
		send(h, http.MethodGet, "/nowhere")
	}
	if got := send(h, http.MethodGet, "/orders"); got != http.StatusServiceUnavailable {
		t.Errorf("the sick route: status %d, want 503", got)
	}
	if got := send(h, http.MethodGet, "/fine"); got != http.StatusNoContent {
		t.Errorf("the other route: status %d, want 204", got)
	}
	if got, want := keys(registry), "GET /fine, GET /orders"; got != want {
		t.Errorf("breakers: %s; want %s", got, want)
	}
}

// A key that cannot be a name has no breaker, and neither has one that finds no place;
// a client that makes them up has no other client refused.
func TestKeysThatAreNoNames(t *testing.T) {
	registry := &core.Registry{Max: 100, Logger: slog.New(slog.DiscardHandler)}
	var code atomic.Int64
	h := httpmw.New(registry, &httpmw.Options{Key: func(r *http.Request) string { return r.URL.Path }})(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(int(code.Load()))
	}))
	code.Store(http.StatusInternalServerError)
	paths := []string{"/a%0ab", "/%ff", "/%00", "/" + bodyOf(300)}
	for range 10 {
		for _, path := range paths {
			if code := send(h, http.MethodGet, path); code != http.StatusInternalServerError {
				t.Errorf("%.20s: status %d, want the handler's 500", path, code)
			}
		}
	}
	if got := keys(registry); got != "" {
		t.Errorf("breakers: %s; want none", got)
	}
	if got := registry.Stats().Unguarded; got != uint64(10*len(paths)) {
		t.Errorf("%d calls without a breaker, want %d", got, 10*len(paths))
	}
	for i := range 500 { // and a key that a client makes up is bounded all the same
		for range 5 {
			send(h, http.MethodGet, fmt.Sprint("/", i))
		}
	}
	code.Store(http.StatusNoContent)
	if got := send(h, http.MethodGet, "/honest"); got != http.StatusNoContent {
		t.Errorf("after 500 made-up keys an honest one gets %d, want 204", got)
	}
	if got := registry.Len(); got > 100 {
		t.Errorf("%d breakers, want no more than 100", got)
	}
}

// An empty key has no breaker.
func TestEmptyKey(t *testing.T) {
	registry := new(core.Registry)
	h := httpmw.New(registry, &httpmw.Options{Key: func(*http.Request) string { return "" }})(status(http.StatusInternalServerError))
	for range 10 {
		if code := send(h, http.MethodGet, "/"); code != http.StatusInternalServerError {
			t.Errorf("status %d, want the handler's 500", code)
		}
	}
	if got := keys(registry); got != "" {
		t.Errorf("breakers: %s; want none", got)
	}
}
