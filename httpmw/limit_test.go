package httpmw_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/httpmw"
)

// A limit around the breakers of a registry is one more middleware. A request that it
// refuses gets 503 and a Retry-After of a second, and counts for no breaker.
func TestALimitAroundBreakers(t *testing.T) {
	limit := core.MustNewLimit("server", core.LimitConfig{Min: 1, Max: 1})
	registry := new(core.Registry)
	mux := http.NewServeMux()
	limited := httpmw.New(nil, &httpmw.Options{Gate: limit})
	var inner *httptest.ResponseRecorder
	var h http.Handler
	route := httpmw.New(registry, &httpmw.Options{Key: func(*http.Request) string { return "route" }})
	mux.HandleFunc("/", func(http.ResponseWriter, *http.Request) {
		if inner == nil { // another request while this one is in flight
			inner = httptest.NewRecorder()
			h.ServeHTTP(inner, httptest.NewRequest(http.MethodGet, "/", nil))
		}
	})
	h = limited(route(mux))
	outer := httptest.NewRecorder()
	h.ServeHTTP(outer, httptest.NewRequest(http.MethodGet, "/", nil))
	if outer.Code != http.StatusOK || inner.Code != http.StatusServiceUnavailable || inner.Header().Get("Retry-After") != "1" {
		t.Errorf("status %d, and %d with Retry-After %q for the second; want 200, and 503 with 1", outer.Code, inner.Code, inner.Header().Get("Retry-After"))
	}
	b, err := registry.Get("route")
	if err != nil {
		t.Fatal(err)
	}
	if got := b.Snapshot().Totals; got.Calls != 1 || got.Successes != 1 {
		t.Errorf("totals of the route %+v, want one success", got)
	}
	if s := limit.Snapshot(); s.InFlight != 0 || s.Refused.Normal != 1 {
		t.Errorf("limit %+v, want one refused and none in flight", s)
	}
}
