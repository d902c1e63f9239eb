package main

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sony/gobreaker/v2"
)

// TestQuick runs the whole command with tiny samples: every benchmark checks
// itself, and every target must find what it compares.
func TestQuick(t *testing.T) {
	file := filepath.Join(t.TempDir(), "RESULTS.md")
	var out, progress strings.Builder
	if err := run([]string{"-quick", "-out", file}, &out, &progress); err != nil {
		t.Fatal(err)
	}
	written, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if string(written) != out.String() {
		t.Error("the file differs from what was printed")
	}
	text := out.String()
	for _, want := range []string{"## Targets", "go -C benchmarks/peers run . -quick -out ../RESULTS.md", gobreakerExecute, clientFailsafe, handlers()[0].subject, grpcFailsafe, grpcBoth} {
		if !strings.Contains(text, want) {
			t.Errorf("the report does not say %q", want)
		}
	}
	for _, not := range []string{errNotMeasured.Error(), "NaN", "Inf", filepath.Dir(file)} {
		if strings.Contains(text, not) {
			t.Errorf("the report says %q", not)
		}
	}
}

func TestTargetsAreJudgedByTheMedian(t *testing.T) {
	a, b, c := key{"s", "a"}, key{"s", "b"}, key{"s", "c"}
	m := measurements{
		a: {{ns: 10}, {ns: 40, allocs: 0.4}, {ns: 10, allocs: 0.2}},
		b: {{ns: 20}, {ns: 20}, {ns: 40}},
		c: {{ns: 1, allocs: 2.1}, {ns: 1, allocs: 1.9}, {ns: 1, allocs: 5}},
	}
	tests := []struct {
		name   string
		target target
		median float64
		met    bool
	}{
		{"ratio met", ratio("", "", a, b, 0.5), 0.5, true},
		{"ratio not met", ratio("", "", a, b, 0.4), 0.5, false},
		{"difference", difference("", "", a, b, -10), -10, true},
		{"time", atMost("", b, 19), 20, false},
		{"allocations", noAllocs("", a, b), 0, true},
		{"allocations added, none", allocsAdded("", "", a, b, 0), 0, true},
		{"allocations added", allocsAdded("", "", b, c, 1), -2, true},
		{"allocations added, too many", allocsAdded("", "", c, b, 1), 2, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, met, err := tt.target.met(m, nil)
			if err != nil || got.median != tt.median || met != tt.met {
				t.Errorf("met() = %v, %v, %v; want median %v, %v", got, met, err, tt.median, tt.met)
			}
		})
	}
	none := key{"s", "none"}
	for _, missing := range []target{ratio("", "", a, none, 1), allocsAdded("", "", a, none, 0), allocsAdded("", "", none, a, 0)} {
		if _, _, err := missing.met(m, nil); err == nil {
			t.Error("a target without a benchmark must be an error")
		}
	}
}

func TestSpread(t *testing.T) {
	if got, want := spreadOf([]float64{4, 1, 3, 2}), (spread{1.75, 2.5, 3.25}); got != want {
		t.Errorf("spreadOf = %v, want %v", got, want)
	}
	if got, want := spreadOf([]float64{7}), (spread{7, 7, 7}); got != want {
		t.Errorf("spreadOf one = %v, want %v", got, want)
	}
}

// TestBenchesAreNamedOnce keeps two rows from sharing a name and so their samples.
func TestBenchesAreNamedOnce(t *testing.T) {
	seen := make(map[key]bool)
	for _, b := range allBenches() {
		if seen[b.key()] {
			t.Errorf("%v is there twice", b.key())
		}
		seen[b.key()] = true
	}
}

type respond func(*http.Request) (*http.Response, error)

func (f respond) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// TestGobreakerTransport: the peer that we wrote passes a 5xx on, and counts it.
func TestGobreakerTransport(t *testing.T) {
	sent := 0
	rt := newGobreakerTransport(respond(func(*http.Request) (*http.Response, error) {
		sent++
		return &http.Response{StatusCode: http.StatusBadGateway, Body: http.NoBody}, nil
	}))
	const failures = 6 // more than five in a row
	for range failures {
		if err := roundTrip(rt, newRequest(http.MethodGet, "http://example.com/", nil), make([]byte, 1)); err != nil {
			t.Fatalf("a 502 gave the error %v, want the response", err)
		}
	}
	req := newRequest(http.MethodPost, "http://example.com/", nil)
	body := newReplay()
	if _, err := io.Copy(io.Discard, body); err != nil {
		t.Fatal(err)
	}
	req.Body = body
	if err := roundTrip(rt, req, nil); err != gobreaker.ErrOpenState || sent != failures {
		t.Errorf("after %d failures: error %v, %d sent; want %v", failures, err, sent, gobreaker.ErrOpenState)
	}
	if n, err := body.Read(make([]byte, 1)); n != 1 || err != nil {
		t.Error("the body of a refused request was not closed")
	}
}
