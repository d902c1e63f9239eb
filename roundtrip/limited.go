package roundtrip

import (
	"net/http"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/internal/problem"
)

// limitedThere is the outcome of a failure, unless the host says that only its
// concurrency limit has refused: then the breaker decides how long to believe that,
// see [core.Breaker.LimitedOutcome]. A Classify of the user's decides by itself.
func (t *Transport) limitedThere(gate core.Gate, resp *http.Response) core.Outcome {
	b, ok := gate.(*core.Breaker)
	if !ok || t.options.Classify != nil || resp == nil || resp.StatusCode != http.StatusServiceUnavailable || resp.Header.Get(problem.LimitedHeader) == "" {
		return core.Failure
	}
	return b.LimitedOutcome()
}
