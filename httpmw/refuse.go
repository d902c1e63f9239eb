package httpmw

import (
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/internal/gatefault"
	"github.com/blackbox4/switchgear/internal/problem"
)

// Refuse answers a request that is refused: status 503, a Retry-After in whole
// seconds, at least one, if it is known when to try again, and a problem+json
// body (RFC 9457) that says nothing of the inside. HEAD gets no body. The refusal of a
// [core.Limit] is marked by a header, Switchgear-Limited: breakers of package
// roundtrip take it for no failure while the server answers other requests.
func Refuse(w http.ResponseWriter, r *http.Request, refusal *core.OpenError) {
	var at time.Time
	if refusal != nil {
		at = refusal.RetryAt
		if refusal.Cause == core.CauseLimitReached {
			w.Header().Set(problem.LimitedHeader, "1")
		}
	}
	answer(w, r, http.StatusServiceUnavailable, at, `{"type":"about:blank","title":"Service Unavailable","status":503,"detail":"This part of the service is resting; try again later."}`+"\n")
}

// refuse answers a request that its gate has not admitted.
func (m *middleware) refuse(w http.ResponseWriter, r *http.Request, key string, err error) {
	if open, ok := errors.AsType[*core.OpenError](err); ok {
		m.Refuse(w, r, open)
		return
	}
	if !gatefault.Is(r.Context(), err) {
		m.Refuse(w, r, &core.OpenError{})
		return
	}
	m.faults.Tell(m.registry.Logger, "requests are answered with status 500", key, err)
	answer(w, r, http.StatusInternalServerError, time.Time{}, `{"type":"about:blank","title":"Internal Server Error","status":500}`+"\n")
}

// answer sends a problem+json body.
func answer(w http.ResponseWriter, r *http.Request, status int, retryAt time.Time, text string) {
	problem.SetHeader(w.Header(), text, retryAt)
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = io.WriteString(w, text) // the client may have gone
	}
}
