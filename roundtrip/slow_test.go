//nolint:bodyclose // helpers close them, out of its sight
package roundtrip_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/blackbox4/switchgear/core"
)

// trickle is a body that comes piece by piece, with a pause before each.
type trickle struct {
	piece string
	left  int
	pause time.Duration
}

func (r *trickle) Read(p []byte) (int, error) {
	if r.left == 0 {
		return 0, io.EOF
	}
	time.Sleep(r.pause)
	r.left--
	return copy(p, r.piece), nil
}

// A slow upload is not a slow host.
func TestSlowUploadIsNotASlowHost(t *testing.T) {
	for name, row := range map[string]struct {
		pause, work time.Duration
		slow        uint64
	}{
		"a slow client":               {10 * time.Second, 500 * time.Millisecond, 0},
		"a slow client, a slow host":  {10 * time.Second, 3 * time.Second, 1},
		"a quick client, a slow host": {0, 3 * time.Second, 1},
	} {
		bubble(t, name, func(t *testing.T) {
			inner := inMemory(t, func(w http.ResponseWriter, req *http.Request) {
				_, _ = io.Copy(io.Discard, req.Body)
				time.Sleep(row.work)
				_, _ = io.WriteString(w, "ok")
			})
			tr, b := behind(t, inner, core.Config{SlowAfter: time.Second})
			_ = read(t, send(t, tr, request(t, http.MethodPost, "http://example.com", &trickle{"text", 10, row.pause})))
			wantTotals(t, b, core.Totals{Calls: 1, Successes: 1, Slow: row.slow})
		})
	}
	bubble(t, "ten of them while only slow calls open", func(t *testing.T) {
		tr, b := behind(t, inMemory(t, reading), core.Config{SlowAfter: time.Second, SlowRateThreshold: 0.5, MinimumCalls: 5})
		for range 10 {
			_ = read(t, send(t, tr, request(t, http.MethodPost, "http://example.com", &trickle{"text", 3, time.Minute})))
		}
		wantState(t, b, core.Closed)
	})
	bubble(t, "a probe", func(t *testing.T) {
		cfg := oneProbe()
		cfg.SlowAfter, cfg.SlowRateThreshold, cfg.SuccessThreshold = time.Second, 0.5, 1
		tr, b := behind(t, inMemory(t, reading), cfg)
		halfOpen(t, b)
		_ = read(t, send(t, tr, request(t, http.MethodPost, "http://example.com", &trickle{"text", 10, 800 * time.Millisecond})))
		wantState(t, b, core.Closed)
	})
}

// A host that gives up on a body that does not come has not failed; one that hangs
// up at once, or does not read, has.
func TestHostThatGivesUpOnASlowBody(t *testing.T) {
	impatient := func(s *http.Server) { s.ReadTimeout = 5 * time.Second }
	answers500 := func(w http.ResponseWriter, req *http.Request) {
		if _, err := io.Copy(io.Discard, req.Body); err != nil {
			w.WriteHeader(http.StatusInternalServerError)
		}
	}
	for name, row := range map[string]struct {
		h    http.HandlerFunc
		body io.Reader
		want core.Totals
	}{
		"stalls":           {reading, &trickle{"abc", 2, time.Minute}, core.Totals{Calls: 1, Ignored: 1}},
		"trickles":         {reading, &trickle{"a", 1000, 20 * time.Millisecond * 3}, core.Totals{Calls: 1, Ignored: 1}},
		"stalls, answer":   {answers500, &trickle{"abc", 2, time.Minute}, core.Totals{Calls: 1, Ignored: 1}},
		"trickles, answer": {answers500, &trickle{"abc", 100, time.Second}, core.Totals{Calls: 1, Ignored: 1}},
		"hangs up at once": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, &trickle{"abc", 2, 50 * time.Millisecond}, core.Totals{Calls: 1, Failures: 1}},
		"500 when all came": {func(w http.ResponseWriter, req *http.Request) {
			_, _ = io.Copy(io.Discard, req.Body)
			w.WriteHeader(http.StatusInternalServerError)
		}, &trickle{"abc", 3, time.Second}, core.Totals{Calls: 1, Failures: 1}},
		"reads slowly, hangs up": {func(_ http.ResponseWriter, req *http.Request) {
			time.Sleep(4 * time.Second)
			panic(http.ErrAbortHandler)
		}, &trickle{strings.Repeat("x", 32<<10), 1000, time.Millisecond}, core.Totals{Calls: 1, Failures: 1}},
	} {
		bubble(t, name, func(t *testing.T) {
			tr, b := behind(t, inMemory(t, row.h, impatient), core.Config{FailureThreshold: 1})
			resp, err := tr.RoundTrip(request(t, http.MethodPost, "http://example.com", row.body))
			if err == nil {
				_ = resp.Body.Close()
			}
			wantTotals(t, b, row.want)
			time.Sleep(2 * time.Hour) // the body may still be waited for
		})
	}
}

// A deadline says something of the host if the time was the host's.
func TestDeadlineAndASlowBody(t *testing.T) {
	hangs := func(_ http.ResponseWriter, req *http.Request) {
		_, _ = io.Copy(io.Discard, req.Body)
		<-req.Context().Done()
	}
	for name, row := range map[string]struct {
		body io.Reader
		want core.Totals
	}{
		"a body that stalls":         {&trickle{"abc", 2, time.Hour}, core.Totals{Calls: 1, Ignored: 1}},
		"a body that takes most":     {&trickle{"abc", 9, time.Second}, core.Totals{Calls: 1, Ignored: 1}},
		"a body that takes a little": {&trickle{"abc", 2, time.Second}, core.Totals{Calls: 1, Failures: 1, Timeouts: 1}},
		"a body that comes at once":  {plain("text"), core.Totals{Calls: 1, Failures: 1, Timeouts: 1}},
		"a body in memory":           {strings.NewReader("text"), core.Totals{Calls: 1, Failures: 1, Timeouts: 1}},
		"a host that reads no more":  {plain(strings.Repeat("0123456789", 100_000)), core.Totals{Calls: 1, Failures: 1, Timeouts: 1}},
	} {
		bubble(t, name, func(t *testing.T) {
			h := hangs
			if strings.Contains(name, "reads no more") {
				h = func(_ http.ResponseWriter, req *http.Request) { time.Sleep(time.Minute) }
			}
			tr, b := behind(t, inMemory(t, h), core.Config{})
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			if _, err := tr.RoundTrip(requestIn(t, ctx, http.MethodPost, "http://example.com", row.body)); err == nil {
				t.Error("no error, want that of the deadline")
			}
			wantTotals(t, b, row.want)
			time.Sleep(2 * time.Hour)
		})
	}
}

// A probe whose body does not come gives its place back; what the host says in the
// end still counts.
func TestProbeWithASlowBody(t *testing.T) {
	host := func(w http.ResponseWriter, req *http.Request) {
		_, _ = io.Copy(io.Discard, req.Body)
		if req.URL.Path == "/sick" {
			w.WriteHeader(http.StatusInternalServerError)
		}
	}
	for name, row := range map[string]struct {
		body      *trickle
		free      time.Duration // when the place is free again
		path      string
		want      core.State
		successes uint64
	}{
		"that stalls":              {&trickle{"abc", 1, time.Minute}, time.Second, "/", core.Closed, 1},
		"that stalls, a sick host": {&trickle{"abc", 1, time.Minute}, time.Second, "/sick", core.Open, 0},
		"that trickles":            {&trickle{"a", 40, 800 * time.Millisecond}, 10 * time.Second, "/", core.Closed, 1},
	} {
		bubble(t, name, func(t *testing.T) {
			cfg := oneProbe()
			cfg.SuccessThreshold, cfg.MaxTimeout = 1, time.Second
			tr, b := behind(t, inMemory(t, host), cfg)
			halfOpen(t, b)
			ended := make(chan error, 1)
			go func() {
				resp, err := tr.RoundTrip(request(t, http.MethodPost, "http://example.com"+row.path, row.body))
				if err == nil {
					_ = resp.Body.Close()
				}
				ended <- err
			}()
			time.Sleep(row.free - 100*time.Millisecond)
			wantRefused(t, tr, request(t, http.MethodGet, "http://example.com/", nil))
			time.Sleep(200 * time.Millisecond)
			wantTotals(t, b, core.Totals{Calls: 2, Failures: 1, Ignored: 1, Refused: 1}) // a place is free
			wantState(t, b, core.HalfOpen)
			if err := <-ended; err != nil {
				t.Errorf("the slow call: %v, want none", err)
			}
			wantState(t, b, row.want)
			want := core.Totals{Calls: 3, Failures: 2 - row.successes, Successes: row.successes, Ignored: 1, Refused: 1}
			wantTotals(t, b, want)
		})
	}
	bubble(t, "that others overtake", func(t *testing.T) {
		cfg := oneProbe()
		cfg.SuccessThreshold = 1
		tr, b := behind(t, inMemory(t, host), cfg)
		halfOpen(t, b)
		ended := make(chan error, 1)
		go func() {
			resp, err := tr.RoundTrip(request(t, http.MethodPost, "http://example.com/sick", &trickle{"abc", 1, time.Minute}))
			if err == nil {
				_ = resp.Body.Close()
			}
			ended <- err
		}()
		time.Sleep(1100 * time.Millisecond)
		_ = read(t, get(t, tr, "http://example.com/"))
		wantState(t, b, core.Closed)
		if err := <-ended; err != nil {
			t.Errorf("the slow call: %v, want none", err)
		}
		wantTotals(t, b, core.Totals{Calls: 3, Failures: 1, Successes: 1, Ignored: 1})
	})
	bubble(t, "that comes in time", func(t *testing.T) {
		tr, b := behind(t, inMemory(t, host), oneProbe())
		halfOpen(t, b)
		_ = read(t, send(t, tr, request(t, http.MethodPost, "http://example.com/", &trickle{"abc", 10, 900 * time.Millisecond})))
		time.Sleep(time.Hour)
		wantTotals(t, b, core.Totals{Calls: 2, Failures: 1, Successes: 1})
	})
	bubble(t, "while Base panics", func(t *testing.T) {
		tr, b := behind(t, base(func(*http.Request) (*http.Response, error) {
			time.Sleep(5 * time.Second)
			panic("base")
		}), oneProbe())
		halfOpen(t, b)
		func() {
			defer func() { _ = recover() }()
			_, _ = tr.RoundTrip(request(t, http.MethodPost, "http://example.com/", plain("text")))
		}()
		wantTotals(t, b, core.Totals{Calls: 2, Failures: 2})
	})
}

// A caller who reads slowly may see the download cut: servers have a limit on how
// long an answer may take. That is not the host's failure; a cut in front of one
// who reads is.
func TestSlowReader(t *testing.T) {
	const size = 8 << 20
	for name, row := range map[string]struct {
		pause time.Duration
		piece int
		want  core.Totals
	}{
		"slow":  {time.Second, 32 << 10, core.Totals{Calls: 1, Ignored: 1}},
		"quick": {0, 32 << 10, core.Totals{Calls: 1, Failures: 1}},
	} {
		bubble(t, name, func(t *testing.T) {
			inner := inMemory(t, func(w http.ResponseWriter, _ *http.Request) {
				if row.pause == 0 { // the host is slow, and its limit strikes
					_, _ = w.Write(make([]byte, size/2))
					_ = http.NewResponseController(w).Flush()
					time.Sleep(time.Minute)
				}
				_, _ = w.Write(make([]byte, size))
			}, func(s *http.Server) { s.WriteTimeout = 20 * time.Second })
			tr, b := behind(t, inner, core.Config{FailureThreshold: 1})
			resp := get(t, tr, "http://example.com/")
			var err error
			for buf := make([]byte, row.piece); err == nil; _, err = io.ReadFull(resp.Body, buf) {
				time.Sleep(row.pause)
			}
			if err == io.EOF {
				t.Error("the whole body came, want it to be cut")
			}
			_ = resp.Body.Close()
			wantTotals(t, b, row.want)
		})
	}
}
