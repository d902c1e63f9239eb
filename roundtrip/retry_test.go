//nolint:bodyclose // helpers close them, out of its sight; TestNothingLeaks counts
package roundtrip_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-retryablehttp"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/presets"
	"github.com/blackbox4/switchgear/roundtrip"
)

// retrying is a RetryClient that logs nothing.
func retrying(tr *roundtrip.Transport, r roundtrip.Retry) *retryablehttp.Client {
	c := roundtrip.RetryClient(tr, r)
	c.Logger = nil
	return c
}

func TestRefusalIsNotRetried(t *testing.T) {
	bubble(t, "one attempt, at once", func(t *testing.T) {
		for name, check := range map[string]retryablehttp.CheckRetry{
			"default": nil,
			"one that tries everything": func(context.Context, *http.Response, error) (bool, error) {
				return true, nil
			},
		} {
			tr, b := behind(t, fails(errSick), core.Config{FailureThreshold: 1, Timeout: 2 * time.Second})
			open(t, b)
			client := retrying(tr, roundtrip.Retry{Attempts: 5, Check: check})
			begun := time.Now()
			_, err := client.Get("http://example.com")
			if took := time.Since(begun); took != 0 || !errors.Is(err, core.ErrOpen) {
				t.Errorf("%s: err = %v after %v, want a refusal at once", name, err, took)
			}
			if got := b.Snapshot().Totals.Refused; got != 1 {
				t.Errorf("%s: asked %d times, want once", name, got)
			}
			tr.Options().RefuseWithResponse = true
			resp, err := client.Get("http://example.com")
			if took := time.Since(begun); err != nil || took != 0 || !roundtrip.Refused(resp) {
				t.Fatalf("%s: %v, err = %v after %v, want a response made here at once", name, resp, err, took)
			}
			if got := read(t, resp); !strings.Contains(got, "not sent") {
				t.Errorf("%s: body %q, want one that says what happened", name, got)
			}
		}
	})
	bubble(t, "between two attempts", func(t *testing.T) { // the first attempts open it
		tr, b := behind(t, fails(errSick), core.Config{FailureThreshold: 2})
		_, err := retrying(tr, roundtrip.Retry{Attempts: 5}).Get("http://example.com")
		if !errors.Is(err, core.ErrOpen) || !strings.Contains(fmt.Sprint(err), "giving up after 3 attempts") {
			t.Errorf("err = %v, want a refusal at the third attempt", err)
		}
		wantTotals(t, b, core.Totals{Calls: 2, Failures: 2, Refused: 1})
	})
	t.Run("other hosts keep their connections", func(t *testing.T) {
		var conns atomic.Int32
		healthy := serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "text") }, func(s *httptest.Server) {
			s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
				if state == http.StateNew {
					conns.Add(1)
				}
			}
		})
		tr := roundtrip.New(nil, &roundtrip.Options{Base: private(t)})
		sick, err := tr.Breakers().Get("sick.example:80")
		if err != nil {
			t.Fatal(err)
		}
		open(t, sick)
		client := retrying(tr, roundtrip.Retry{})
		for range 20 {
			resp, err := client.Get(healthy.URL)
			if err != nil {
				t.Fatalf("Get of the healthy host = %v", err)
			}
			_ = read(t, resp)
			if _, err := client.Get("http://sick.example"); !errors.Is(err, core.ErrOpen) {
				t.Fatalf("Get of the sick host = %v, want a refusal", err)
			}
		}
		if got := conns.Load(); got > 2 {
			t.Errorf("the healthy host saw %d connections, want at most 2", got)
		}
	})
}

func TestABreakerOutsideOfRetriesCountsThemAsOne(t *testing.T) {
	attempts := 0
	inner := retryablehttp.NewClient()
	inner.HTTPClient = &http.Client{Transport: base(func(req *http.Request) (*http.Response, error) {
		attempts++
		resp := answer(req, http.StatusServiceUnavailable, "come back later")
		resp.Header.Set("Retry-After", "30")
		return resp, nil
	})}
	inner.RetryMax, inner.Logger = 3, nil
	inner.Backoff = func(time.Duration, time.Duration, int, *http.Response) time.Duration { return 0 }
	inner.ErrorHandler = retryablehttp.PassthroughErrorHandler
	tr, b := behind(t, &retryablehttp.RoundTripper{Client: inner}, core.Config{FailureThreshold: 1, Timeout: time.Second})
	resp := get(t, tr, "http://example.com")
	if resp.StatusCode != http.StatusServiceUnavailable || resp.Header.Get("Retry-After") != "30" {
		t.Errorf("status %d, Retry-After %q; want 503 and 30", resp.StatusCode, resp.Header.Get("Retry-After"))
	}
	if got := read(t, resp); got != "come back later" || attempts != 4 {
		t.Errorf("body %q after %d attempts, want that of the last of 4", got, attempts)
	}
	wantTotals(t, b, core.Totals{Calls: 1, Failures: 1})
	snap := b.Snapshot()
	if got := snap.RetryAt.Sub(snap.At).Round(time.Second); got != 30*time.Second {
		t.Errorf("the break lasts %v, want 30s", got)
	}
}

func TestRetryClient(t *testing.T) {
	// statuses answers with one after the other, the last one again and again.
	statuses := func(h http.Header, codes ...int) base {
		n := 0
		return func(req *http.Request) (*http.Response, error) {
			code := codes[min(n, len(codes)-1)]
			n++
			resp := answer(req, code, fmt.Sprintf("answer %d", n))
			resp.Header = h.Clone()
			return resp, nil
		}
	}
	none := http.Header{}
	bubble(t, "each attempt is counted", func(t *testing.T) {
		tr, b := behind(t, statuses(none, 500, 502, 200), core.Config{})
		begun := time.Now()
		resp, err := retrying(tr, roundtrip.Retry{}).Get("http://example.com")
		if err != nil {
			t.Fatalf("Get = %v, want the third answer", err)
		}
		if got := read(t, resp); got != "answer 3" {
			t.Errorf("body = %q, want that of the third answer", got)
		}
		if got := time.Since(begun); got != 3*time.Second {
			t.Errorf("waited %v, want 1s and 2s", got)
		}
		wantTotals(t, b, core.Totals{Calls: 3, Successes: 1, Failures: 2})
	})
	bubble(t, "the last response can be read", func(t *testing.T) {
		tr, b := behind(t, statuses(none, 500), core.Config{})
		resp, err := retrying(tr, roundtrip.Retry{}).Get("http://example.com")
		if err != nil {
			t.Fatalf("Get = %v, want the last response", err)
		}
		if got := read(t, resp); resp.StatusCode != http.StatusInternalServerError || got != "answer 3" {
			t.Errorf("%d %q, want 500 and answer 3", resp.StatusCode, got)
		}
		wantTotals(t, b, core.Totals{Calls: 3, Failures: 3})
	})
	bubble(t, "the last error is returned", func(t *testing.T) {
		tr, _ := behind(t, fails(errSick), core.Config{})
		_, err := retrying(tr, roundtrip.Retry{Attempts: 2}).Get("http://example.com")
		if !errors.Is(err, errSick) || !strings.HasPrefix(fmt.Sprint(err), "giving up after 2 attempts: ") {
			t.Errorf("err = %v, want that of the host after 2 attempts", err)
		}
		_, err = retrying(tr, roundtrip.Retry{Attempts: 1}).Get("http://example.com")
		if !errors.Is(err, errSick) || strings.Contains(fmt.Sprint(err), "giving up") {
			t.Errorf("err = %v, want that of the host: no context has ended", err)
		}
	})
	bubble(t, "Retry-After", func(t *testing.T) {
		for value, want := range map[string]struct {
			waits time.Duration
			calls uint64
		}{
			"0": {3 * time.Second, 3}, "5": {10 * time.Second, 3}, "10": {20 * time.Second, 3},
			"11": {0, 1}, "9223372037": {0, 1}, "-1": {3 * time.Second, 3}, "Mon, 02 Dec 2999 15:04:05 GMT": {0, 1},
		} {
			tr, b := behind(t, statuses(http.Header{"Retry-After": {value}}, 503), core.Config{})
			begun := time.Now()
			resp, err := retrying(tr, roundtrip.Retry{}).Get("http://example.com")
			if err != nil {
				t.Fatalf("%s: Get = %v, want the last response", value, err)
			}
			if got, text := time.Since(begun), read(t, resp); got != want.waits || text == "" {
				t.Errorf("%s: waited %v for %q, want %v and the last answer", value, got, text, want.waits)
			}
			wantTotals(t, b, core.Totals{Calls: want.calls, Failures: want.calls})
		}
	})
	bubble(t, "the caller leaves while it waits", func(t *testing.T) {
		tr, b := behind(t, statuses(none, 500), core.Config{})
		ctx, cancel := context.WithTimeout(bg, 1500*time.Millisecond)
		defer cancel()
		req, err := retryablehttp.NewRequestWithContext(ctx, http.MethodGet, "http://example.com", nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := retrying(tr, roundtrip.Retry{}).Do(req); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("err = %v, want context.DeadlineExceeded", err)
		}
		wantTotals(t, b, core.Totals{Calls: 2, Failures: 2})
	})
	bubble(t, "a body is sent again", func(t *testing.T) {
		var got []string
		tr, _ := behind(t, base(func(req *http.Request) (*http.Response, error) {
			text, _ := io.ReadAll(req.Body)
			got = append(got, string(text))
			return answer(req, 500, ""), nil
		}), core.Config{})
		req, err := retryablehttp.NewRequest(http.MethodPut, "http://example.com", strings.NewReader("payload"))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := retrying(tr, roundtrip.Retry{Attempts: 2}).Do(req)
		if err != nil || fmt.Sprint(got) != "[payload payload]" {
			t.Errorf("sent %v, err = %v; want the payload twice", got, err)
		}
		_ = read(t, resp)
	})
	bubble(t, "a Check of one's own", func(t *testing.T) {
		fault := errors.New("not this one")
		tr, b := behind(t, statuses(none, 200), core.Config{})
		var closed tracked
		tr.Options().Base = base(func(req *http.Request) (*http.Response, error) {
			resp := answer(req, 200, "")
			closed.Reader = strings.NewReader("text")
			resp.Body = &closed
			return resp, nil
		})
		_, err := retrying(tr, roundtrip.Retry{Check: func(context.Context, *http.Response, error) (bool, error) {
			return false, fault
		}}).Get("http://example.com")
		if err != fault || closed.closed.Load() != 1 {
			t.Errorf("err = %v, body closed %d times; want that of Check, and once", err, closed.closed.Load())
		}
		wantTotals(t, b, core.Totals{Calls: 1, Successes: 1})
	})
	bubble(t, "too many redirects", func(t *testing.T) {
		tr, b := behind(t, statuses(http.Header{"Location": {"/again"}}, 302), core.Config{})
		if _, err := retrying(tr, roundtrip.Retry{}).Get("http://example.com"); err == nil || !strings.Contains(err.Error(), "redirects") {
			t.Errorf("err = %v, want that of too many redirects", err)
		}
		wantTotals(t, b, core.Totals{Calls: 10, Successes: 10}) // and no second attempt
	})
	t.Run("no Transport", func(t *testing.T) {
		s := serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "text") })
		resp, err := retrying(nil, roundtrip.Retry{}).Get(s.URL)
		if err != nil {
			t.Fatalf("Get = %v, want a response", err)
		}
		_ = read(t, resp)
	})
	t.Run("logs through slog", func(t *testing.T) {
		var log bytes.Buffer
		old := slog.Default()
		slog.SetDefault(slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})))
		defer slog.SetDefault(old)
		tr, _ := behind(t, statuses(none, 500, 200), core.Config{})
		resp, err := roundtrip.RetryClient(tr, roundtrip.Retry{Wait: func(int) time.Duration { return 0 }}).Get("http://user:secret@example.com")
		if err != nil {
			t.Fatalf("Get = %v, want a response", err)
		}
		_ = read(t, resp)
		if got := log.String(); !strings.Contains(got, `msg="retrying request"`) || strings.Contains(got, "secret") {
			t.Errorf("log\n%s\nwant a line of the retry in it, and no password", got)
		}
	})
}

// The retry settings of every preset fit.
func TestRetryClientOfPresets(t *testing.T) {
	for _, name := range presets.Names() {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				policy, err := presets.Named(name)
				if err != nil {
					t.Fatal(err)
				}
				r := policy.WithRetry().Retry.WithDefaults()
				tr, b := behind(t, fails(errSick), core.Config{FailureThreshold: -1, FailureRateThreshold: -1})
				begun := time.Now()
				if _, err := retrying(tr, roundtrip.Retry{Attempts: r.Attempts, Wait: r.Wait, MaxWait: r.MaxDelay}).Get("http://example.com"); !errors.Is(err, errSick) {
					t.Errorf("err = %v, want that of the host", err)
				}
				if got, most := time.Since(begun), time.Duration(r.Attempts-1)*r.MaxDelay; got > most {
					t.Errorf("waited %v, want at most %v", got, most)
				}
				wantTotals(t, b, core.Totals{Calls: uint64(r.Attempts), Failures: uint64(r.Attempts)})
			})
		})
	}
}
