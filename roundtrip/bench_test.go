package roundtrip_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/blackbox4/switchgear/roundtrip"
)

// BenchmarkUpload is what a body costs over a real connection, with and without the
// Transport: in memory, which is not wrapped, from a reader, and from a file, which
// net/http sends by sendfile unless it is wrapped.
func BenchmarkUpload(b *testing.B) {
	s := httptest.NewServer(http.HandlerFunc(reading))
	b.Cleanup(s.Close)
	inner := new(http.Transport)
	b.Cleanup(inner.CloseIdleConnections)
	for _, size := range []int{100, 1 << 20} {
		payload := make([]byte, size)
		name := filepath.Join(b.TempDir(), "body")
		if err := os.WriteFile(name, payload, 0o600); err != nil {
			b.Fatal(err)
		}
		bodies := map[string]func() io.Reader{
			"memory": func() io.Reader { return bytes.NewReader(payload) },
			"reader": func() io.Reader { return struct{ io.Reader }{bytes.NewReader(payload)} },
			"file": func() io.Reader {
				f, err := os.Open(name)
				if err != nil {
					b.Fatal(err)
				}
				return f
			},
		}
		for _, kind := range []string{"memory", "reader", "file"} {
			for _, rt := range []struct {
				name string
				http.RoundTripper
			}{{"bare", inner}, {"switchgear", roundtrip.New(nil, &roundtrip.Options{Base: inner})}} {
				b.Run(kind+"/"+byteSize(size)+"/"+rt.name, func(b *testing.B) {
					b.SetBytes(int64(size))
					for b.Loop() {
						req, err := http.NewRequestWithContext(b.Context(), http.MethodPost, s.URL, bodies[kind]())
						if err != nil {
							b.Fatal(err)
						}
						req.ContentLength = int64(size)
						resp, err := rt.RoundTrip(req)
						if err != nil {
							b.Fatal(err)
						}
						_, _ = io.Copy(io.Discard, resp.Body)
						_ = resp.Body.Close()
					}
				})
			}
		}
	}
}

func byteSize(n int) string {
	if n >= 1<<20 {
		return "1MiB"
	}
	return "100B"
}
