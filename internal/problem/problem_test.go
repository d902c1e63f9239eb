package problem

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

func TestRetryAfterIsInWholeSecondsFromOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for wait, want := range map[time.Duration]string{-time.Hour: "1", time.Millisecond: "1", time.Second: "1", 1001 * time.Millisecond: "2", time.Hour: "3600"} {
			h := make(http.Header)
			SetHeader(h, "text", time.Now().Add(wait))
			if got := h.Get("Retry-After"); got != want {
				t.Errorf("in %v: Retry-After %q, want %q", wait, got, want)
			}
		}
		h := make(http.Header)
		SetHeader(h, "text", time.Time{})
		if h.Get("Retry-After") != "" || h.Get("Content-Length") != "4" || h.Get("Content-Type") != "application/problem+json" || h.Get("Cache-Control") != "no-store" {
			t.Errorf("%v, want the length and type, and no Retry-After where the time is not known", h)
		}
	})
}
