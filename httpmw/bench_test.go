package httpmw_test

import (
	"net/http"
	"testing"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/httpmw"
)

// nowhere is a writer that costs nothing.
type nowhere struct{ header http.Header }

func (w nowhere) Header() http.Header       { return w.header }
func (nowhere) Write(b []byte) (int, error) { return len(b), nil }
func (nowhere) WriteHeader(int)             {}

// BenchmarkMiddleware is what the middleware costs around a handler that does
// nothing.
func BenchmarkMiddleware(b *testing.B) {
	open := core.MustNew("open", core.Config{FailureThreshold: 1})
	p, _ := open.Allow(b.Context())
	p.Settle(b.Context(), core.Failure)
	handler := status(http.StatusNoContent)
	for _, c := range []struct {
		name string
		h    http.Handler
	}{
		{"bare", handler},
		{"guarded", httpmw.New(nil, &httpmw.Options{Key: one})(handler)},
		{"refused", httpmw.New(nil, &httpmw.Options{Gate: open})(handler)},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			r, _ := http.NewRequestWithContext(b.Context(), http.MethodGet, "/", nil)
			b.RunParallel(func(pb *testing.PB) {
				w := nowhere{make(http.Header)}
				for pb.Next() {
					c.h.ServeHTTP(w, r)
				}
			})
		})
	}
}
