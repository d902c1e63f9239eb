package httpmw

import (
	"io"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/blackbox4/switchgear/core"
)

// Refuse answers a request that is refused: status 503, a Retry-After in whole
// seconds, at least one, if it is known when to try again, and a problem+json
// body (RFC 9457) that says nothing of the inside. HEAD gets no body.
func Refuse(w http.ResponseWriter, r *http.Request, refusal *core.OpenError) {
	const text = `{"type":"about:blank","title":"Service Unavailable","status":503,"detail":"This part of the service is resting; try again later."}` + "\n"
	h := w.Header()
	h.Set("Content-Type", "application/problem+json")
	h.Set("Content-Length", strconv.Itoa(len(text)))
	h.Set("Cache-Control", "no-store")
	if refusal != nil && !refusal.RetryAt.IsZero() {
		seconds := math.Ceil(time.Until(refusal.RetryAt).Seconds())
		h.Set("Retry-After", strconv.Itoa(int(max(seconds, 1))))
	}
	w.WriteHeader(http.StatusServiceUnavailable)
	if r.Method != http.MethodHead {
		_, _ = io.WriteString(w, text) // the client may have gone
	}
}
