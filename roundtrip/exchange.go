package roundtrip

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/net/http/httpguts"

	"github.com/blackbox4/switchgear/core"
)

// Exchange is a request and what became of it, for [Transport.Classify]. A call
// that succeeds at its headers is classified again at the end of its body, if it
// has one.
type Exchange struct {
	Request  *http.Request
	Response *http.Response // nil if there is none; its body is not to be read
	// Err is what the round trip returned, or reading the body. At the end of a
	// body that was read, or closed before, it is nil.
	Err error
	// Body is set at the end of the body; Response.Trailer is there then.
	Body bool
	// Elapsed is the time to the headers, or to Err.
	Elapsed time.Duration
}

// DefaultClassify is what a [Transport] without its own Classify uses:
//
//   - the caller cancelled the request: [core.Ignored];
//   - a deadline of the caller's passed, http.Client.Timeout too: [core.Failure];
//   - another breaker further in refused, or something there cancelled:
//     [core.Ignored];
//   - the request could not be sent as it is: [core.Ignored];
//   - any other error, also one of reading the body: [core.Failure];
//   - status 429 and 5xx, but for 501 and 505: [core.Failure];
//   - everything else, 404 too: [core.Success], the host answered.
//
// It goes by the request's context first: an error's text and kind say little, a
// cancelled request may fail with any error at all. An error of reading the
// request's own body is told from one of the host where it has a type or a text
// that shows it.
func DefaultClassify(e Exchange) core.Outcome {
	if e.Err != nil {
		return classifyError(e.Request, e.Err)
	}
	if e.Response == nil {
		return core.Failure
	}
	if _, ok := e.Response.Body.(*refusal); ok {
		return core.Ignored
	}
	switch code := e.Response.StatusCode; {
	case code == http.StatusTooManyRequests:
		return core.Failure
	case code < 500, code == http.StatusNotImplemented, code == http.StatusHTTPVersionNotSupported:
		return core.Success
	}
	return core.Failure
}

func classifyError(req *http.Request, err error) core.Outcome {
	ctx := req.Context()
	switch {
	case ctx.Err() == context.Canceled:
		return core.Ignored
	case overdue(ctx):
		return core.Failure
	case cancelled(req), errors.Is(err, core.ErrOpen), errors.Is(err, context.Canceled), unsendable(req, err):
		return core.Ignored
	}
	return core.Failure
}

// overdue reports whether the caller's deadline has passed. The error does not
// tell: that of http.Client.Timeout has three shapes, and its context may lag.
func overdue(ctx context.Context) bool {
	deadline, ok := ctx.Deadline()
	return ok && !time.Now().Before(deadline)
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

// unsendable reports whether err says of the request that it could not be sent.
// What comes from outside, such as a query or a header, must not be able to open
// the breaker of a healthy host.
func unsendable(req *http.Request, err error) bool {
	if req.Header == nil || !sendable(req.Header) || !sendable(req.Trailer) {
		return true
	}
	for _, r := range req.Method {
		if !httpguts.IsTokenRune(r) {
			return true
		}
	}
	if _, bad := httpguts.PunycodeHostPort(req.Host); bad != nil {
		return true
	}
	if strings.ContainsFunc(req.URL.RequestURI(), func(r rune) bool { return r < ' ' || r == '\x7f' }) {
		return true
	}
	return bodyUnreadable(err) || refusedBefore(req, err)
}

// bodyUnreadable reports whether err is one of reading the request's own body,
// which is a client's when a proxy passes it on. Those that are wrapped in nothing,
// as most are, cannot be told from one of the host.
func bodyUnreadable(err error) bool {
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return true
	}
	// A connection that copies the body itself says so; an error of the system is
	// then its own.
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "readfrom" {
		_, own := errors.AsType[syscall.Errno](op.Err)
		return !own
	}
	switch err.Error() {
	case "invalid byte in chunk length", "malformed chunked encoding":
		return true
	}
	return false
}

// refusedBefore reports whether net/http says that it has not sent the request.
// Its errors have no types; only whole texts and beginnings are believed, because
// some errors quote what a host has sent.
func refusedBefore(req *http.Request, err error) bool {
	switch text := err.Error(); {
	case text == "http: invalid Host header", text == "http2: invalid Host header",
		text == "http2: request header list larger than peer's advertised limit":
		return true
	case strings.HasPrefix(text, "http2: invalid ") && strings.Contains(text, " request header: "):
		return true
	case strings.HasPrefix(text, "unsupported protocol scheme"):
		return req.URL.Scheme != "http" && req.URL.Scheme != "https"
	}
	return false
}

func sendable(h http.Header) bool {
	for name, values := range h {
		if !httpguts.ValidHeaderFieldName(name) || !allValid(values) {
			return false
		}
	}
	return true
}

func allValid(values []string) bool {
	return !slices.ContainsFunc(values, func(v string) bool { return !httpguts.ValidHeaderFieldValue(v) })
}

// discard closes the body of a response that nobody will get.
func (e Exchange) discard() {
	if e.Response != nil && e.Response.Body != nil {
		_ = e.Response.Body.Close()
	}
}

// reason is the error that is told of an outcome.
func (e Exchange) reason(o core.Outcome) error {
	switch {
	case o == core.Success:
		return nil
	case e.Err != nil:
		if o == core.Failure && overdue(e.Request.Context()) && !errors.Is(e.Err, context.DeadlineExceeded) {
			return &overdueError{e.Err}
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

// overdueError says of an error that it is that of a deadline.
type overdueError struct{ error }

func (e *overdueError) Unwrap() error        { return e.error }
func (e *overdueError) Is(target error) bool { return target == context.DeadlineExceeded }

func isEventStream(resp *http.Response) bool {
	kinds := resp.Header["Content-Type"] // in this form, from a Transport; Get would cost more than all else here
	if len(kinds) == 0 {
		return false
	}
	media, _, _ := strings.Cut(kinds[0], ";") // what mime.ParseMediaType does with an allocation
	return strings.EqualFold(strings.TrimSpace(media), "text/event-stream")
}

// bodyError is the error of an exchange whose body ended with err.
func bodyError(err error) error {
	if err == io.EOF { //nolint:errorlint // readers return it as it is
		return nil
	}
	return err
}
