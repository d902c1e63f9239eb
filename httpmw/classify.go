package httpmw

import (
	"context"
	"net/http"

	"github.com/blackbox4/switchgear/core"
)

// DefaultClassify is what [New] uses without a Classify of its own:
//
//   - the client has gone: [core.Ignored], whatever the handler made of that;
//   - the deadline of the request's context passed: [core.Failure];
//   - status 5xx, but for 501: [core.Failure];
//   - everything else: [core.Success].
func DefaultClassify(r *http.Request, status int) core.Outcome {
	return classify(r.Context(), status)
}

func classify(ctx context.Context, status int) core.Outcome {
	switch ctx.Err() {
	case context.Canceled:
		return core.Ignored
	case context.DeadlineExceeded:
		return core.Failure
	}
	if status >= 500 && status != http.StatusNotImplemented {
		return core.Failure
	}
	return core.Success
}
