package httpmw_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/httpmw"
)

// curl prints what a client would get.
func curl(h http.Handler, method, path string) {
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, httptest.NewRequest(method, path, nil))
	fmt.Println(method, path, "->", rec.Code, strings.TrimSpace(rec.Body.String()))
}

var (
	orders = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "the database does not answer", http.StatusInternalServerError)
	})
	prices = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "4.20") })
)

// A route whose database is down is refused after a few failures; the other is
// as before.
func Example() {
	registry := &core.Registry{Config: func(string) core.Config {
		return core.Config{FailureThreshold: 2, Timeout: 30 * time.Second}
	}}
	guard := httpmw.New(registry, nil)
	mux := http.NewServeMux()
	mux.Handle("GET /orders/{id}", guard(orders))
	mux.Handle("GET /prices/{item}", guard(prices))

	curl(mux, "GET", "/orders/1")
	curl(mux, "GET", "/orders/2")
	curl(mux, "GET", "/orders/3")
	curl(mux, "GET", "/prices/tea")
	// Output:
	// GET /orders/1 -> 500 the database does not answer
	// GET /orders/2 -> 500 the database does not answer
	// GET /orders/3 -> 503 {"type":"about:blank","title":"Service Unavailable","status":503,"detail":"This part of the service is resting; try again later."}
	// GET /prices/tea -> 200 4.20
}

// One middleware around a whole mux, with a breaker for each of its routes.
func ExampleRoute() {
	mux := http.NewServeMux()
	mux.Handle("GET /orders/{id}", orders)
	mux.Handle("GET /prices/{item}", prices)
	registry := new(core.Registry)
	handler := httpmw.New(registry, &httpmw.Options{Key: httpmw.Route(mux)})(mux)

	curl(handler, "GET", "/prices/tea")
	curl(handler, "GET", "/prices/milk")
	curl(handler, "GET", "/nothing/here")
	for name, b := range registry.All() {
		fmt.Println(name, "has answered", b.Snapshot().Totals.Successes)
	}
	// Output:
	// GET /prices/tea -> 200 4.20
	// GET /prices/milk -> 200 4.20
	// GET /nothing/here -> 404 404 page not found
	// GET /prices/{item} has answered 2
}

// Health checks pass, 404 of this service means that its index is gone, and a
// refusal is a page for people.
func ExampleOptions() {
	guard := httpmw.New(&core.Registry{Config: func(string) core.Config {
		return core.Config{FailureThreshold: 1}
	}}, &httpmw.Options{
		Key:  func(*http.Request) string { return "books" }, // there is no mux
		Skip: func(r *http.Request) bool { return r.URL.Path == "/healthz" },
		Classify: func(r *http.Request, status int) core.Outcome {
			if status == http.StatusNotFound {
				return core.Failure
			}
			return httpmw.DefaultClassify(r, status)
		},
		Refuse: func(w http.ResponseWriter, _ *http.Request, refusal *core.OpenError) {
			http.Error(w, "closed for now: "+refusal.Cause.String(), http.StatusServiceUnavailable)
		},
	})
	handler := guard(http.NotFoundHandler())

	curl(handler, "GET", "/books/1")
	curl(handler, "GET", "/books/2")
	curl(handler, "GET", "/healthz")
	// Output:
	// GET /books/1 -> 404 404 page not found
	// GET /books/2 -> 503 closed for now: consecutive failures
	// GET /healthz -> 404 404 page not found
}
