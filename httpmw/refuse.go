package httpmw

import (
	"errors"
	"io"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/internal/fault"
)

// Refuse answers a request that is refused: status 503, a Retry-After in whole
// seconds, at least one, if it is known when to try again, and a problem+json
// body (RFC 9457) that says nothing of the inside. HEAD gets no body.
func Refuse(w http.ResponseWriter, r *http.Request, refusal *core.OpenError) {
	if refusal != nil && !refusal.RetryAt.IsZero() {
		seconds := math.Ceil(time.Until(refusal.RetryAt).Seconds())
		w.Header().Set("Retry-After", strconv.Itoa(int(max(seconds, 1))))
	}
	problem(w, r, http.StatusServiceUnavailable, `{"type":"about:blank","title":"Service Unavailable","status":503,"detail":"This part of the service is resting; try again later."}`+"\n")
}

// turnAway answers a request that its gate has not admitted.
func (m *middleware) turnAway(w http.ResponseWriter, r *http.Request, key string, err error) {
	if open, ok := errors.AsType[*core.OpenError](err); ok {
		m.Refuse(w, r, open)
		return
	}
	if !fault.Is(r.Context(), err) {
		m.Refuse(w, r, &core.OpenError{})
		return
	}
	m.faults.Tell(m.registry.Logger, "requests are answered with status 500", key, err)
	problem(w, r, http.StatusInternalServerError, `{"type":"about:blank","title":"Internal Server Error","status":500}`+"\n")
}

// problem answers with a problem+json body.
func problem(w http.ResponseWriter, r *http.Request, status int, text string) {
	h := w.Header()
	h.Set("Content-Type", "application/problem+json")
	h.Set("Content-Length", strconv.Itoa(len(text)))
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = io.WriteString(w, text) // the client may have gone
	}
}
