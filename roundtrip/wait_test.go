package roundtrip_test

import (
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/roundtrip"
)

// A host that is slow and well is let back, with all defaults: however long a call
// takes, its success counts when it comes.
func TestSlowHostIsLetBack(t *testing.T) {
	for _, takes := range []time.Duration{45 * time.Second, 5 * time.Minute} {
		for name, where := range map[string]struct{ header, body bool }{"in the header": {header: true}, "in the body": {body: true}} {
			for kind, body := range map[string]func() io.Reader{
				"GET":            func() io.Reader { return nil },
				"POST":           func() io.Reader { return strings.NewReader("text") },
				"POST of a pipe": func() io.Reader { return plain("text") },
			} {
				bubble(t, takes.String()+" "+name+" "+kind, func(t *testing.T) {
					var sick atomic.Bool
					inner := inMemory(t, func(w http.ResponseWriter, req *http.Request) {
						_, _ = io.Copy(io.Discard, req.Body)
						if sick.Load() {
							w.WriteHeader(http.StatusBadGateway)
							return
						}
						if where.header {
							time.Sleep(takes)
						}
						_, _ = io.WriteString(w, "a")
						_ = http.NewResponseController(w).Flush()
						if where.body {
							time.Sleep(takes)
						}
						_, _ = io.WriteString(w, "b")
					})
					tr := roundtrip.New(nil, nil)
					tr.Options().Base = inner
					method := http.MethodGet
					if body() != nil {
						method = http.MethodPost
					}
					call := func() {
						resp, err := tr.RoundTrip(request(t, method, "http://example.com", body()))
						if err == nil {
							_, _ = io.Copy(io.Discard, resp.Body)
							_ = resp.Body.Close()
						}
					}
					sick.Store(true)
					for range 5 {
						call()
					}
					b, err := tr.Breakers().Get("example.com:80")
					if err != nil {
						t.Fatal(err)
					}
					wantState(t, b, core.Open)
					sick.Store(false)
					begun := time.Now()
					for range 3600 { // a client that tries each second
						go call()
						if time.Sleep(time.Second); b.State() == core.Closed {
							break
						}
					}
					wantState(t, b, core.Closed)
					// Timeout, two calls one after another, and one more Timeout for a loss.
					if took, most := time.Since(begun), 2*time.Minute+3*takes; took > most {
						t.Errorf("closed after %v, want at most %v", took, most)
					}
					time.Sleep(time.Hour)
				})
			}
		}
	}
}
