package roundtrip_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/roundtrip"
)

// again is a body of one byte that can be read again after it was closed.
type again struct{ read bool }

func (b *again) Read(p []byte) (int, error) {
	if b.read {
		return 0, io.EOF
	}
	b.read = true
	return copy(p, "x"), nil
}

func (b *again) Close() error {
	b.read = false
	return nil
}

// TestAllocs: what a call costs besides its round trip.
func TestAllocs(t *testing.T) {
	req := request(t, http.MethodGet, "http://example.com/path", nil)
	empty := &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: http.NoBody}
	plain := &again{}
	full := &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"text/plain"}}, Body: plain}
	stream := &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"text/event-stream; charset=utf-8"}}, Body: &again{}}
	returns := func(resp *http.Response) base {
		return func(*http.Request) (*http.Response, error) { return resp, nil }
	}
	config := func(string) core.Config { return core.Config{Timeout: time.Hour} }
	refusing := roundtrip.New(&core.Registry{Config: config}, &roundtrip.Options{Base: returns(empty)})
	b, err := refusing.Breakers().Get(roundtrip.Host(req))
	if err != nil {
		t.Fatal(err)
	}
	open(t, b)
	classifying := roundtrip.New(nil, &roundtrip.Options{Base: returns(empty), Classify: roundtrip.DefaultClassify})

	buf := make([]byte, 16)
	for _, row := range []struct {
		name string
		tr   *roundtrip.Transport
		most float64
	}{
		{"no body", roundtrip.New(nil, &roundtrip.Options{Base: returns(empty)}), 0},
		{"no body, with a Gate", roundtrip.New(nil, &roundtrip.Options{Base: returns(empty), Gate: core.MustNew("host", core.Config{})}), 0},
		{"no body, with Classify", classifying, 0},
		{"refused", refusing, 0},
		{"a body read to its end", roundtrip.New(nil, &roundtrip.Options{Base: returns(full)}), 1},
		{"a body read to its end, with Classify", roundtrip.New(nil, &roundtrip.Options{Base: returns(full), Classify: roundtrip.DefaultClassify}), 1},
		{"a stream", roundtrip.New(nil, &roundtrip.Options{Base: returns(stream)}), 0},
		{"failed", roundtrip.New(nil, &roundtrip.Options{Base: fails(io.ErrUnexpectedEOF), Gate: core.MustNew("host", core.Config{FailureThreshold: -1, FailureRateThreshold: -1})}), 0},
	} {
		call := func() {
			full.Body = plain // not what wraps it since the last call
			resp, err := row.tr.RoundTrip(req)
			if err != nil {
				return
			}
			for err == nil {
				_, err = resp.Body.Read(buf)
			}
			_ = resp.Body.Close()
		}
		call() // what is made at the first call
		if got := testing.AllocsPerRun(300, call); got > row.most {
			t.Errorf("%s: %v allocations, want at most %v", row.name, got, row.most)
		}
	}
	if got := b.Snapshot().Totals.Refused; got == 0 {
		t.Error("nothing was refused, want refusals to have been measured")
	}
}

// TestAllocsOfRequestBodies: a body in memory costs nothing, and one that is watched
// costs an allocation, the response's body included.
func TestAllocsOfRequestBodies(t *testing.T) {
	plain, sent := &again{}, &again{}
	memory := strings.NewReader("x")
	kept := io.NopCloser(memory)
	full := &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"text/plain"}}}
	takes := base(func(req *http.Request) (*http.Response, error) {
		return full, req.Body.Close()
	})
	buf := make([]byte, 16)
	for _, row := range []struct {
		name string
		body io.ReadCloser
		resp io.ReadCloser
		most float64
	}{
		{"in memory", kept, http.NoBody, 0},
		{"in memory, answered with a body", kept, plain, 1},
		{"watched", sent, http.NoBody, 1},
		{"watched, answered with a body", sent, plain, 1},
	} {
		tr := roundtrip.New(nil, &roundtrip.Options{Base: takes})
		req := request(t, http.MethodPost, "http://example.com/path", nil)
		req.ContentLength = 1
		call := func() {
			memory.Reset("x")
			req.Body, full.Body = row.body, row.resp
			resp, err := tr.RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			for err == nil {
				_, err = resp.Body.Read(buf)
			}
			_ = resp.Body.Close()
		}
		call()
		if got := testing.AllocsPerRun(300, call); got > row.most {
			t.Errorf("%s: %v allocations, want at most %v", row.name, got, row.most)
		}
	}
}
