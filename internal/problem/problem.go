// Package problem has the head of the responses that adapters make themselves:
// problem+json (RFC 9457) with Retry-After.
package problem

import (
	"math"
	"net/http"
	"strconv"
	"time"
)

// LimitedHeader marks the refusal of a concurrency limit, so that clients with a
// breaker know that the server works. It is believed only while the server answers
// other calls.
const LimitedHeader = "Switchgear-Limited"

// SetHeader sets the header of a response whose body is text. Retry-After is in whole
// seconds, one at least; a zero retryAt means that the time is not known.
func SetHeader(h http.Header, text string, retryAt time.Time) {
	h.Set("Content-Type", "application/problem+json")
	h.Set("Content-Length", strconv.Itoa(len(text)))
	h.Set("Cache-Control", "no-store")
	if !retryAt.IsZero() {
		seconds := math.Ceil(time.Until(retryAt).Seconds())
		h.Set("Retry-After", strconv.Itoa(int(max(seconds, 1))))
	}
}
