//nolint:bodyclose // helpers close them, out of its sight; TestNothingLeaks counts
package roundtrip_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-retryablehttp"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/roundtrip"
)

// A refusal is found in what any layer outside makes of it.
func TestErrorsAsFindsARefusal(t *testing.T) {
	tr, b := behind(t, fails(errSick), core.Config{FailureThreshold: 1})
	open(t, b)
	plain := &http.Client{Transport: tr}
	outside := retryablehttp.NewClient()
	outside.HTTPClient, outside.RetryMax, outside.Logger = plain, 0, nil
	for name, client := range map[string]*http.Client{
		"http.Client":    plain,
		"RetryClient":    retrying(tr, roundtrip.Retry{}).StandardClient(),
		"StandardClient": outside.StandardClient(),
		"within another": {Transport: roundtrip.New(nil, &roundtrip.Options{Base: tr})},
	} {
		resp, err := client.Get("http://example.com")
		if err == nil {
			_ = resp.Body.Close()
			t.Fatalf("%s: %s, want a refusal", name, resp.Status)
		}
		refused, ok := errors.AsType[*core.OpenError](err)
		if !ok || !errors.Is(err, core.ErrOpen) || refused.Name != "host" {
			t.Errorf("%s: err = %v, want the refusal of host in it", name, err)
		}
		if e, ok := errors.AsType[interface {
			error
			Timeout() bool
		}](err); ok && e.Timeout() {
			t.Errorf("%s: %v says that it is a timeout, want not", name, err)
		}
		if fmt.Sprint(err) == "" {
			t.Errorf("%s: an error without a text", name)
		}
	}
}

func TestRefuseWithResponse(t *testing.T) {
	const text = `{"type":"about:blank","title":"Service Unavailable","status":503,"detail":"The request was not sent: its destination has failed before."}` + "\n"
	synctest.Test(t, func(t *testing.T) {
		tr, b := behind(t, fails(errSick), core.Config{FailureThreshold: 1, Timeout: 10 * time.Second})
		tr.Options().RefuseWithResponse = true
		open(t, b)
		time.Sleep(2500 * time.Millisecond)
		req := request(t, http.MethodGet, "http://example.com/path", nil)
		resp := send(t, tr, req)
		if resp.StatusCode != http.StatusServiceUnavailable || resp.Status != "503 Service Unavailable" || resp.Proto != "HTTP/1.1" || !resp.ProtoAtLeast(1, 1) || resp.Request != req {
			t.Errorf("response %+v, want a 503 of HTTP/1.1 to the request", resp)
		}
		for name, want := range map[string]string{
			"Retry-After": "8", "Content-Type": "application/problem+json", "Cache-Control": "no-store",
			"Content-Length": strconv.Itoa(len(text)), "Switchgear-Refused": "open",
		} {
			if got := resp.Header.Get(name); got != want {
				t.Errorf("%s: %q, want %q", name, got, want)
			}
		}
		if !roundtrip.Refused(resp) {
			t.Error("Refused = false, want true")
		}
		if got := read(t, resp); got != text || resp.ContentLength != int64(len(text)) {
			t.Errorf("body %q of length %d, want %q", got, resp.ContentLength, text)
		}

		head := send(t, tr, request(t, http.MethodHead, "http://example.com/path", nil))
		if got := read(t, head); got != "" || !roundtrip.Refused(head) || head.ContentLength != int64(len(text)) {
			t.Errorf("to HEAD: body %q, length %d; want none, and the length of that of a GET", got, head.ContentLength)
		}

		outer, outerBreaker := behind(t, tr, core.Config{FailureThreshold: 1})
		_ = read(t, get(t, outer, "http://example.com"))
		wantTotals(t, outerBreaker, core.Totals{Calls: 1, Ignored: 1})

		if err := b.Force(core.ForcedOpen); err != nil {
			t.Fatal(err)
		}
		forced := get(t, tr, "http://example.com")
		if got := forced.Header["Retry-After"]; got != nil {
			t.Errorf("Retry-After: %q, want none: only an operator ends it", got)
		}
		_ = read(t, forced)
	})
	t.Run("what is not one", func(t *testing.T) {
		claimed := answer(nil, http.StatusOK, "")
		claimed.Header.Set("Switchgear-Refused", "open")
		for name, resp := range map[string]*http.Response{"nil": nil, "a server's": answer(nil, 503, ""), "claimed by a success": claimed} {
			if roundtrip.Refused(resp) {
				t.Errorf("Refused of %s = true, want false", name)
			}
		}
	})
	t.Run("a server cannot claim it to stay admitted", func(t *testing.T) {
		tr, b := behind(t, asks(503, http.Header{"Switchgear-Refused": {"open"}}), core.Config{FailureThreshold: 1})
		_ = read(t, get(t, tr, "http://example.com"))
		wantState(t, b, core.Open)
	})
	t.Run("not for a caller who has gone", func(t *testing.T) {
		tr, _ := behind(t, fails(errSick), core.Config{})
		tr.Options().RefuseWithResponse = true
		if _, err := tr.RoundTrip(requestIn(t, cancelled(), http.MethodGet, "http://example.com", nil)); err == nil {
			t.Error("no error, want that of the context")
		}
	})
}

// Some requests may not be sent to find out whether a host is well again.
func TestProbes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr, b := behind(t, answers(http.StatusOK, ""), oneProbe())
		tr.Options().AllowProbe = roundtrip.IsSafeMethod
		post := func() *http.Request { return request(t, http.MethodPost, "http://example.com", nil) }
		_ = read(t, send(t, tr, post())) // closed: any may
		halfOpen(t, b)
		for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, "get"} {
			body := &tracked{Reader: http.NoBody}
			got := wantRefused(t, tr, request(t, method, "http://example.com", body))
			if got.Name != "host" || got.State != core.HalfOpen || got.RetryAt.IsZero() || body.closed.Load() != 1 {
				t.Errorf("%s refused with %+v, body closed %d times; want half-open, and once", method, got, body.closed.Load())
			}
		}
		tr.Options().RefuseWithResponse = true
		resp := send(t, tr, post())
		if got := resp.Header.Get("Retry-After"); got != "1" {
			t.Errorf("Retry-After: %q, want 1", got)
		}
		_ = read(t, resp)
		for _, method := range []string{"", http.MethodHead} {
			req := request(t, http.MethodGet, "http://example.com", nil)
			req.Method = method
			_ = read(t, send(t, tr, req))
		}
		wantState(t, b, core.Closed)
		_ = read(t, send(t, tr, post()))
	})
	t.Run("behind several gates", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			tr, a := behind(t, answers(http.StatusOK, ""), core.Config{})
			_, b := behind(t, nil, oneProbe())
			tr.Options().Gate, tr.Options().AllowProbe = core.All(a, b), roundtrip.IsSafeMethod
			halfOpen(t, b)
			wantRefused(t, tr, request(t, http.MethodPost, "http://example.com", nil))
			wantTotals(t, a, core.Totals{Calls: 1, Ignored: 1})
			_ = read(t, get(t, tr, "http://example.com"))
			wantTotals(t, a, core.Totals{Calls: 2, Ignored: 1, Successes: 1})
			wantTotals(t, b, core.Totals{Calls: 3, Ignored: 1, Successes: 1, Failures: 1})
		})
	})
}

// gate is one that returns an error.
type gate struct{ err error }

func (g gate) Allow(context.Context) (core.Permit, error) { return core.Permit{}, g.err }

// A gate that cannot be asked is a fault of the program: it is told at once, with the
// reason, charged to no host and never taken for a break.
func TestAGateThatCannotBeAsked(t *testing.T) {
	invalid := &core.Registry{Config: func(string) core.Config { return core.Config{Timeout: -time.Second} }}
	for name, c := range map[string]struct {
		tr     *roundtrip.Transport
		reason string
	}{
		"a nil Breaker":              {roundtrip.New(nil, &roundtrip.Options{Gate: (*core.Breaker)(nil)}), "make it with New"},
		"the zero Breaker":           {roundtrip.New(nil, &roundtrip.Options{Gate: new(core.Breaker)}), "make it with New"},
		"a Config that is not valid": {roundtrip.New(invalid, nil), "Timeout"},
		"an error of its own":        {roundtrip.New(nil, &roundtrip.Options{Gate: gate{errors.New("not connected")}}), "not connected"},
	} {
		t.Run(name, func(t *testing.T) {
			c.tr.Options().Base, c.tr.Options().RefuseWithResponse = answers(http.StatusOK, ""), true
			outer, outside := behind(t, c.tr, core.Config{FailureThreshold: 1})
			_, err := outer.RoundTrip(request(t, http.MethodGet, "http://example.com", nil))
			if err == nil || !strings.Contains(err.Error(), c.reason) || errors.Is(err, core.ErrOpen) || !errors.Is(err, roundtrip.ErrNotSent) {
				t.Errorf("err = %v, want one with %q that matches ErrNotSent and not ErrOpen", err, c.reason)
			}
			wantTotals(t, outside, core.Totals{Calls: 1, Ignored: 1})

			tries := 0
			client := retrying(c.tr, roundtrip.Retry{Wait: func(int) time.Duration { tries++; return 0 }})
			if _, err := client.Get("http://example.com"); err == nil || !strings.Contains(err.Error(), c.reason) || tries > 0 {
				t.Errorf("RetryClient: %v after %d further tries, want the reason at once", err, tries)
			}
		})
	}
	tr := roundtrip.New(nil, &roundtrip.Options{Base: answers(http.StatusOK, ""), RefuseWithResponse: true, Gate: gate{fmt.Errorf("a gate: %w", core.ErrOpen)}})
	if resp := get(t, tr, "http://example.com"); !roundtrip.Refused(resp) || resp.Header.Get("Switchgear-Refused") != "open" {
		t.Errorf("of a gate that refuses with ErrOpen: %v, want a refusal as a response", resp)
	}
}
