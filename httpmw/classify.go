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
//   - status 500 to 599, but for 501: [core.Failure];
//   - everything else: [core.Success].
//
// The middleware leaves out failures that are the client's doing, see
// [New]. Those that it cannot attribute count:
//
//   - [http.FileServer] answers 500 to a name that is too long for the file system;
//   - a handler that makes a 500 of the error of [http.MaxBytesReader]: up to its limit
//     the body can be read well, and what is beyond is not asked for. Answer 413, or
//     put [http.MaxBytesHandler] around the middleware, where it sees the error.
//
// A Classify of one's own is one line:
//
//	if len(r.URL.Path) > 255 || r.ContentLength > limit {
//		return core.Ignored
//	}
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
	if failed(status) {
		return core.Failure
	}
	return core.Success
}

func failed(status int) bool {
	return status >= 500 && status <= 599 && status != http.StatusNotImplemented
}
