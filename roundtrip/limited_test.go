package roundtrip_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/httpmw"
	"github.com/blackbox4/switchgear/roundtrip"
)

// The refusal of a host's limit is no failure while other calls to it succeed. A host
// that refuses everything in this way opens the breaker after 10 s.
func TestTheLimitOfAHostIsNoFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limit := core.MustNewLimit("server", core.LimitConfig{Min: 1, Max: 1})
		h := httpmw.New(nil, &httpmw.Options{Gate: limit})(http.NotFoundHandler())
		server := base(func(req *http.Request) (*http.Response, error) {
			w := httptest.NewRecorder()
			h.ServeHTTP(w, req)
			resp := w.Result()
			resp.Request = req
			return resp, nil
		})
		breaker := core.MustNew("host", core.Config{FailureThreshold: 3, FailureRateThreshold: -1})
		client := roundtrip.New(nil, &roundtrip.Options{Base: server, Gate: breaker})
		get := func(want int) {
			t.Helper()
			resp, err := client.RoundTrip(httptest.NewRequest(http.MethodGet, "http://host.test/", nil))
			if err != nil {
				t.Fatal(err)
			}
			if resp.StatusCode != want {
				t.Fatalf("status %d, want %d", resp.StatusCode, want)
			}
			if err := resp.Body.Close(); err != nil {
				t.Fatal(err)
			}
		}
		for range 10 {
			get(http.StatusNotFound)
			place, err := limit.Allow(bg)
			if err != nil {
				t.Fatal(err)
			}
			for range 5 {
				time.Sleep(time.Second)
				get(http.StatusServiceUnavailable)
			}
			place.Settle(bg, core.Success)
		}
		if breaker.State() != core.Closed || breaker.Snapshot().Totals.Failures != 0 {
			t.Fatalf("%s, want no failure", breaker.Explain())
		}
		if _, err := limit.Allow(bg); err != nil { // and never settled
			t.Fatal(err)
		}
		for range 16 {
			if breaker.State() == core.Open {
				return
			}
			time.Sleep(time.Second)
			get(http.StatusServiceUnavailable)
		}
		t.Errorf("%s after 16 s of refusals alone, want it open", breaker.Explain())
	})
}
