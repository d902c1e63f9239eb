package httpmw

import (
	"bufio"
	"context"
	"io"
	"mime"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/felixge/httpsnoop"

	"github.com/blackbox4/switchgear/core"
)

// call is one request in a handler.
type call struct {
	m      *middleware
	r      *http.Request
	ctx    context.Context //nolint:containedctx // r's, before a handler changes that in place
	header func() http.Header
	permit core.Permit // settled by who sets ended
	probe  bool
	status int // 0 until there is one
	ended  atomic.Bool
	lease  *time.Timer
}

func (m *middleware) watch(p *core.Permit, r *http.Request) *call {
	return &call{m: m, r: r, ctx: r.Context(), probe: p.Probe(), permit: p.Take()}
}

// wrap returns w, with the status that goes over the wire noted: the first that
// is not informational, or 200 from the first byte or flush on.
func (c *call) wrap(w http.ResponseWriter) http.ResponseWriter {
	c.header = w.Header
	return httpsnoop.Wrap(w, httpsnoop.Hooks{
		WriteHeader: func(next httpsnoop.WriteHeaderFunc) httpsnoop.WriteHeaderFunc {
			return func(code int) {
				next(code) // first: it panics for a code that is none
				if code == http.StatusSwitchingProtocols || code < 100 || code > 199 {
					c.began(code)
				}
			}
		},
		Write: func(next httpsnoop.WriteFunc) httpsnoop.WriteFunc {
			return func(b []byte) (int, error) {
				c.began(http.StatusOK)
				return next(b)
			}
		},
		WriteString: func(next httpsnoop.WriteStringFunc) httpsnoop.WriteStringFunc {
			return func(s string) (int, error) {
				c.began(http.StatusOK)
				return next(s)
			}
		},
		ReadFrom: func(next httpsnoop.ReadFromFunc) httpsnoop.ReadFromFunc {
			return func(src io.Reader) (n int64, err error) {
				if c.status == 0 { // and none until src has given something
					n, err = next(&head{io.LimitedReader{R: src, N: headLen}, c})
					if err != nil || n < headLen {
						return n, err
					}
				}
				rest, err := next(src) // as it is: it may be a file
				return n + rest, err
			}
		},
		Flush: func(next httpsnoop.FlushFunc) httpsnoop.FlushFunc {
			return func() {
				c.began(http.StatusOK)
				next()
				c.flushed()
			}
		},
		FlushError: func(next httpsnoop.FlushErrorFunc) httpsnoop.FlushErrorFunc {
			return func() error {
				c.began(http.StatusOK)
				err := next()
				c.flushed()
				return err
			}
		},
		Hijack: func(next httpsnoop.HijackFunc) httpsnoop.HijackFunc {
			return func() (net.Conn, *bufio.ReadWriter, error) {
				conn, rw, err := next()
				if err == nil { // a connection now; nobody tells what becomes of it
					c.began(http.StatusSwitchingProtocols)
					c.end()
				}
				return conn, rw, err
			}
		},
	})
}

// head is the beginning of what is copied into a response.
type head struct {
	io.LimitedReader

	call *call
}

const headLen = 512

func (h *head) Read(b []byte) (int, error) {
	n, err := h.LimitedReader.Read(b)
	if n > 0 {
		h.call.began(http.StatusOK)
	}
	return n, err
}

// began notes the status of the response.
func (c *call) began(code int) {
	if c.status != 0 || c.ended.Load() {
		return
	}
	c.status = code
	c.permit.Answered()
	if c.probe {
		o, err := c.verdict() // now: the timer's goroutine has no business with the request
		c.lease = time.AfterFunc(c.m.Lease, func() { c.report(o, err) })
	}
}

// flushed settles a stream that has begun.
func (c *call) flushed() {
	if !c.ended.Load() && c.m.Streams(c.header()) {
		c.end()
	}
}

// end settles by the status.
func (c *call) end() {
	if !c.ended.Load() {
		c.settle(c.verdict())
	}
}

// verdict is what the status says, and the error that is told of a failure.
func (c *call) verdict() (core.Outcome, error) {
	status := c.status
	if status == 0 {
		status = http.StatusOK
	}
	var o core.Outcome
	if c.m.Classify == nil {
		o = classify(c.ctx, status)
	} else {
		o = c.m.Classify(c.r, status)
	}
	switch {
	case o == core.Success || o == core.Ignored:
		return o, nil
	case c.ctx.Err() == context.DeadlineExceeded:
		return o, context.DeadlineExceeded
	}
	return o, &statusError{status}
}

// abandon settles a call whose handler has not returned.
func (c *call) abandon() {
	if c.ended.Load() {
		return
	}
	if c.ctx.Err() == context.Canceled {
		c.settle(core.Ignored, nil)
		return
	}
	c.settle(core.Failure, errAborted)
}

func (c *call) settle(o core.Outcome, err error) {
	if c.lease != nil {
		c.lease.Stop()
	}
	c.report(o, err)
}

// report is settle for the lease, which may end while it is begun.
func (c *call) report(o core.Outcome, err error) {
	if !c.ended.Swap(true) {
		c.permit.Report(c.ctx, o, err)
	}
}

// statusError is the error that hooks and log are told of a failure status.
type statusError struct{ status int }

func (e *statusError) Error() string {
	return strings.TrimSpace("HTTP status " + strconv.Itoa(e.status) + " " + http.StatusText(e.status))
}

var errAborted = abortedError{}

type abortedError struct{}

func (abortedError) Error() string { return "the handler panicked or exited" }

func isEventStream(h http.Header) bool {
	media, _, err := mime.ParseMediaType(h.Get("Content-Type"))
	return err == nil && media == "text/event-stream"
}
