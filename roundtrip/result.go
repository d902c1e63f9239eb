package roundtrip

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/internal/deadline"
)

// Result is a request and what became of it, for [Options].Classify. A call
// that succeeds at its headers is classified again at the end of its body, if it
// has one.
type Result struct {
	Request  *http.Request
	Response *http.Response // nil if there is none; its body is not to be read
	// Err is what the round trip returned, or reading the body. At the end of a
	// body that was read, or closed before, it is nil.
	Err error
	// Body is set at the end of the body; Response.Trailer is there then.
	Body bool
	// Elapsed is the time to the headers, or to Err.
	Elapsed time.Duration

	carried    *carried // which connection, nil if that was not traced
	sending    *sending // what the request's body tells, nil if it was not wrapped
	misfit     bool     // the body in memory had another length than announced
	slowReader bool     // the caller was slow to read the body that could not be read
}

// DefaultClassify is what a [Transport] without its own Classify uses. The host is
// charged with what it did, and with nothing else:
//
//   - the caller cancelled the request: [core.Ignored];
//   - the request was at fault, its body for one: [core.Ignored], see below;
//   - this machine was short of file descriptors, ports or memory, its resolver did
//     not answer, credentials could not be fetched, the caller closed the
//     connection: [core.Ignored];
//   - a deadline of the caller's passed, http.Client.Timeout too: [core.Failure],
//     unless a quarter of the time or more went by waiting for the request's body;
//   - another breaker further in refused, or something there cancelled, or the
//     error matches [ErrNotSent]: [core.Ignored];
//   - any other error, also one of reading the response's body: [core.Failure]. So
//     are a host that does not exist and one that refuses connections;
//   - status 429 and 500 to 599, but for 501 and 505: [core.Failure]; a Transport
//     ignores the 503 of a concurrency limit behind httpmw while other calls to the
//     host succeed, see [core.Breaker.LimitedOutcome];
//   - everything else, 404 and 999 too: [core.Success], the host answered.
//
// The request is at fault when it cannot be sent as it is (an invalid header), when
// its body could not be read, or was longer or shorter than its ContentLength, and
// when the body came so slowly that the host gave up: then a failure status is
// [core.Ignored] as well. A download that fails while the caller reads it slowly,
// which a host may take for a dead connection, is [core.Ignored] too.
//
// It goes by the request's context, by types and by what the wrapped body has seen,
// never by words that a host can write. An error that it cannot tell from a failing host's counts:
// a resolver that hangs until the caller's own deadline, a connection that is closed
// here while a request's body is written to it, credentials whose error has no type of
// its own. For the last, let what fetches them wrap [ErrNotSent], or put it outside of
// the Transport, where it belongs.
func DefaultClassify(e Result) core.Outcome {
	if e.Err != nil {
		return classifyError(e)
	}
	if e.Response == nil {
		return core.Failure
	}
	if _, ok := e.Response.Body.(*refusal); ok {
		return core.Ignored
	}
	if !isFailure(e.Response.StatusCode) {
		return core.Success
	}
	if !e.Body && (e.atFault() || e.sending.starved()) {
		return core.Ignored
	}
	return core.Failure
}

// isFailure reports whether a status is one of a host that cannot do its work.
func isFailure(code int) bool {
	switch code {
	case http.StatusTooManyRequests:
		return true
	case http.StatusNotImplemented, http.StatusHTTPVersionNotSupported:
		return false
	}
	return code >= 500 && code <= 599
}

func classifyError(e Result) core.Outcome {
	ctx := e.Request.Context()
	switch {
	case ctx.Err() == context.Canceled, e.atFault(), e.slowReader, ofThisMachine(e.Err), closedHere(e), ofCredentials(e.Request, e.Err):
		return core.Ignored
	case deadlinePassed(ctx):
		if e.sending.delayed() {
			return core.Ignored
		}
		return core.Failure
	case cancelled(e.Request), errors.Is(e.Err, core.ErrOpen), errors.Is(e.Err, ErrNotSent), errors.Is(e.Err, context.Canceled),
		e.sending.starved(), unsendable(e.Request, e.Err):
		return core.Ignored
	}
	return core.Failure
}

// deadlinePassed reports whether the caller's deadline has passed. The error does not
// tell: that of http.Client.Timeout has three shapes, and its context may lag.
func deadlinePassed(ctx context.Context) bool {
	at, ok := ctx.Deadline()
	return ok && !time.Now().Before(at)
}

// cancelled reports whether the request was cancelled in the way from before
// contexts.
func cancelled(req *http.Request) bool {
	select {
	case <-req.Cancel: //nolint:staticcheck // deprecated, and still in use
		return true
	default:
		return false
	}
}

// discard closes the body of a response that no caller gets.
func (e Result) discard() {
	if e.Response != nil && e.Response.Body != nil {
		_ = e.Response.Body.Close()
	}
}

// reason is the error that is told of an outcome.
func (e Result) reason(o core.Outcome) error {
	switch {
	case o == core.Success:
		return nil
	case e.Err != nil:
		if o == core.Failure && deadlinePassed(e.Request.Context()) && !errors.Is(e.Err, context.DeadlineExceeded) {
			return deadline.Exceeded(e.Err)
		}
		return e.Err
	case e.Response == nil:
		return errNoResponse
	}
	err := error(&statusError{e.Response.Status})
	if wait, ok := RetryAfter(e.Response); ok {
		err = core.RetryAfter(err, wait)
	}
	return err
}

var errNoResponse = errors.New("roundtrip: neither a response nor an error")

// statusError is the error that hooks and log are told of a failure status.
type statusError struct{ status string }

func (e *statusError) Error() string { return "HTTP status " + e.status }

const eventStream = "text/event-stream"

func isEventStream(resp *http.Response) bool {
	kinds := resp.Header["Content-Type"] // in this form, from a Transport; Get would cost more than all else here
	if len(kinds) == 0 || len(kinds[0]) < len(eventStream) {
		return false
	}
	media, _, _ := strings.Cut(kinds[0], ";") // what mime.ParseMediaType does with an allocation
	return strings.EqualFold(strings.TrimSpace(media), eventStream)
}
