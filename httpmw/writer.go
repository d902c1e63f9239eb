package httpmw

import (
	"bufio"
	"errors"
	"io"
	"math"
	"net"
	"net/http"
	"syscall"
)

// The methods of every writer. The status noted is the one that goes over the wire: the
// first that is not informational, or 200 from the first byte or flush on.

// Header returns the header of the response.
func (c *call) Header() http.Header { return c.w.Header() }

// WriteHeader sends a status.
func (c *call) WriteHeader(code int) {
	if code >= 100 && code <= 199 && code != http.StatusSwitchingProtocols {
		c.wait(false) // it is sent at once
		defer c.resume(false)
		c.w.WriteHeader(code)
		return
	}
	c.w.WriteHeader(code) // first: it panics for a code that is none
	c.wroteHeader(code)
}

// Write sends bytes of the response.
func (c *call) Write(b []byte) (n int, err error) {
	c.wroteHeader(http.StatusOK)
	c.wait(false)
	defer func() { c.wrote(err) }() // also when it panics
	return c.w.Write(b)
}

// wrote ends the wait for a client to take what was written.
func (c *call) wrote(err error) {
	c.resume(false)
	switch {
	case err == nil, errors.Is(err, http.ErrHijacked), errors.Is(err, http.ErrBodyNotAllowed),
		errors.Is(err, http.ErrContentLength), errors.Is(err, http.ErrHandlerTimeout), errors.Is(err, http.ErrNotSupported):
		return // which the client has no part in
	}
	c.once.Lock()
	c.unwritten = true
	c.once.Unlock()
}

// Unwrap is for [http.ResponseController]. What that can only find further in is to
// pass by the call all the same.
func (c *call) Unwrap() http.ResponseWriter {
	if _, ok := c.w.(interface{ Unwrap() http.ResponseWriter }); ok {
		return inner{c}
	}
	return c.w
}

// inner is what a writer that has an Unwrap can do further in.
type inner struct{ *call }

func (i inner) Unwrap() http.ResponseWriter { return i.w }

func (i inner) FlushError() error {
	err := http.NewResponseController(i.w).Flush()
	if !errors.Is(err, http.ErrNotSupported) {
		i.wroteHeader(http.StatusOK)
		i.flushed()
	}
	return err
}

func (i inner) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return i.hijack(http.NewResponseController(i.w).Hijack)
}

// The methods of some writers.

func (c *call) writeString(next func(string) (int, error), s string) (n int, err error) {
	c.wroteHeader(http.StatusOK)
	c.wait(false)
	defer func() { c.wrote(err) }()
	return next(s)
}

func (c *call) flush(next func() error) error {
	c.wroteHeader(http.StatusOK)
	err := c.push(next)
	c.flushed()
	return err
}

func (c *call) push(next func() error) (err error) {
	c.wait(false)
	defer func() { c.wrote(err) }()
	return next()
}

func (c *call) hijack(next func() (net.Conn, *bufio.ReadWriter, error)) (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := next()
	if err == nil { // a connection now, whose outcome is not known
		c.wroteHeader(http.StatusSwitchingProtocols)
		c.end()
	}
	return conn, rw, err
}

// readFrom copies src into the response: a file as it is, so that the kernel may send
// it, after its first bytes.
func (c *call) readFrom(next func(io.Reader) (int64, error), src io.Reader) (n int64, err error) {
	s := &source{LimitedReader: io.LimitedReader{R: src, N: math.MaxInt64}, c: c}
	file := isFile(src)
	if file {
		s.N = headLen
	}
	n, err = s.copyTo(next)
	if !file || err != nil || n < headLen {
		return n, err
	}
	c.wait(false)
	defer c.resume(false)
	rest, err := next(src)
	return n + rest, err
}

// headLen is what is read of a file to see that there is something in it.
const headLen = 512

func isFile(src io.Reader) bool {
	if l, ok := src.(*io.LimitedReader); ok {
		src = l.R
	}
	_, ok := src.(syscall.Conn)
	return ok
}

// source is what is copied into a response: the time that it takes is the handler's,
// and so is its error.
type source struct {
	io.LimitedReader

	c   *call
	err error // but for io.EOF
}

// copyTo copies the source into a response.
func (s *source) copyTo(next func(io.Reader) (int64, error)) (n int64, err error) {
	s.c.wait(false)
	defer func() {
		if s.err != nil {
			s.c.resume(false)
		} else {
			s.c.wrote(err)
		}
	}()
	return next(s)
}

func (s *source) Read(b []byte) (int, error) {
	s.c.resume(false)
	defer s.c.wait(false)
	n, err := s.LimitedReader.Read(b)
	if n > 0 {
		s.c.wroteHeader(http.StatusOK)
	}
	if err != nil && err != io.EOF { //nolint:errorlint // readers return it as it is
		s.err = err
	}
	return n, err
}
