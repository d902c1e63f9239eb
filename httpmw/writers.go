package httpmw

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/felixge/httpsnoop"
)

// The rest are the sets of abilities that writers have, in one word each. A pointer
// in a struct of its own needs no memory, so those of net/http cost nothing; what
// others have is put together by httpsnoop.

type flushErrorer interface{ FlushError() error }

type deadliner interface {
	SetReadDeadline(at time.Time) error
	SetWriteDeadline(at time.Time) error
}

type fullDuplexer interface{ EnableFullDuplex() error }

const (
	canFlush = 1 << iota
	canFlushError
	canHijack
	canReadFrom
	canPush
	canWriteString
	canCloseNotify
	canSetDeadlines
	canFullDuplex

	likeHTTP1    = canFlush | canFlushError | canHijack | canReadFrom | canWriteString | canCloseNotify | canSetDeadlines | canFullDuplex
	likeHTTP2    = canFlush | canFlushError | canPush | canWriteString | canCloseNotify | canSetDeadlines | canFullDuplex
	likeRecorder = canFlush | canWriteString // of httptest
	likeTimeout  = canPush                   // of http.TimeoutHandler
)

func abilities(w http.ResponseWriter) (can int) {
	if _, ok := w.(http.Flusher); ok {
		can |= canFlush
	}
	if _, ok := w.(flushErrorer); ok {
		can |= canFlushError
	}
	if _, ok := w.(http.Hijacker); ok {
		can |= canHijack
	}
	if _, ok := w.(io.ReaderFrom); ok {
		can |= canReadFrom
	}
	if _, ok := w.(http.Pusher); ok {
		can |= canPush
	}
	if _, ok := w.(io.StringWriter); ok {
		can |= canWriteString
	}
	if _, ok := w.(http.CloseNotifier); ok { //nolint:staticcheck // deprecated, and still asked for
		can |= canCloseNotify
	}
	if _, ok := w.(deadliner); ok {
		can |= canSetDeadlines
	}
	if _, ok := w.(fullDuplexer); ok {
		can |= canFullDuplex
	}
	return can
}

// writer returns the handler's writer, which can do exactly what c.w can.
func (c *call) writer() http.ResponseWriter {
	switch abilities(c.w) {
	case 0:
		return c
	case likeHTTP1:
		return http1{common{c}}
	case likeHTTP2:
		return http2{common{c}}
	case likeRecorder:
		return recorder{c}
	case likeTimeout:
		return timeout{c}
	}
	return c.snoop()
}

// common is what the writers of HTTP/1.1 and HTTP/2 can do.
type common struct{ *call }

func (w common) Flush() { _ = w.FlushError() }

func (w common) FlushError() error {
	return w.flush(w.w.(flushErrorer).FlushError)
}

func (w common) WriteString(s string) (int, error) {
	return w.writeString(w.w.(io.StringWriter).WriteString, s)
}

func (w common) CloseNotify() <-chan bool {
	return w.w.(http.CloseNotifier).CloseNotify() //nolint:staticcheck // as above
}

func (w common) SetReadDeadline(at time.Time) error  { return w.w.(deadliner).SetReadDeadline(at) }
func (w common) SetWriteDeadline(at time.Time) error { return w.w.(deadliner).SetWriteDeadline(at) }
func (w common) EnableFullDuplex() error             { return w.w.(fullDuplexer).EnableFullDuplex() }

// http1 is like net/http's own for HTTP/1.1.
type http1 struct{ common }

func (w http1) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return w.hijack(w.w.(http.Hijacker).Hijack)
}

func (w http1) ReadFrom(src io.Reader) (int64, error) {
	return w.readFrom(w.w.(io.ReaderFrom).ReadFrom, src)
}

// http2 is like net/http's own for HTTP/2.
type http2 struct{ common }

func (w http2) Push(target string, o *http.PushOptions) error {
	return w.w.(http.Pusher).Push(target, o)
}

// recorder is like that of httptest.
type recorder struct{ *call }

func (w recorder) Flush() {
	_ = w.flush(func() error { w.w.(http.Flusher).Flush(); return nil })
}

func (w recorder) WriteString(s string) (int, error) {
	return w.writeString(w.w.(io.StringWriter).WriteString, s)
}

// timeout is like that of http.TimeoutHandler.
type timeout struct{ *call }

func (w timeout) Push(target string, o *http.PushOptions) error {
	return w.w.(http.Pusher).Push(target, o)
}

// snoop is for all the others.
func (c *call) snoop() http.ResponseWriter {
	return httpsnoop.Wrap(c.w, httpsnoop.Hooks{
		WriteHeader: func(httpsnoop.WriteHeaderFunc) httpsnoop.WriteHeaderFunc { return c.WriteHeader },
		Write:       func(httpsnoop.WriteFunc) httpsnoop.WriteFunc { return c.Write },
		WriteString: func(next httpsnoop.WriteStringFunc) httpsnoop.WriteStringFunc {
			return func(s string) (int, error) { return c.writeString(next, s) }
		},
		ReadFrom: func(next httpsnoop.ReadFromFunc) httpsnoop.ReadFromFunc {
			return func(src io.Reader) (int64, error) { return c.readFrom(next, src) }
		},
		Flush: func(next httpsnoop.FlushFunc) httpsnoop.FlushFunc {
			return func() { _ = c.flush(func() error { next(); return nil }) }
		},
		FlushError: func(next httpsnoop.FlushErrorFunc) httpsnoop.FlushErrorFunc {
			return func() error { return c.flush(next) }
		},
		Hijack: func(next httpsnoop.HijackFunc) httpsnoop.HijackFunc {
			return func() (net.Conn, *bufio.ReadWriter, error) { return c.hijack(next) }
		},
	})
}
