package httpmw

import (
	"errors"
	"io"
	"net/http"
	"sync/atomic"
)

// body is a request's body that remembers what went wrong in reading it, and how
// long that took.
type body struct {
	io.ReadCloser

	c         *call
	announced int64 // -1: unknown
	read      int64 // guarded by c.once
	closed    atomic.Bool
}

// upload is what a request with a body costs more: one allocation.
type upload struct {
	request http.Request
	body    body
}

// withBody returns the request for the handler: a copy if there is a body, since
// net/http looks at the type of the one in its own.
func (c *call) withBody() *http.Request {
	if c.r.Body == nil || c.r.Body == http.NoBody {
		return c.r
	}
	u := &upload{request: *c.r, body: body{ReadCloser: c.r.Body, c: c, announced: c.r.ContentLength}}
	u.request.Body = &u.body
	c.r = &u.request
	return c.r
}

// giveBack lets those outside see what a handler has noted in the copy of r:
// net/http removes the files of a form, and others log the pattern.
func (c *call) giveBack(r *http.Request) {
	if c.r == r {
		return
	}
	if c.r.Form != nil {
		r.Form, r.PostForm = c.r.Form, c.r.PostForm
	}
	if c.r.MultipartForm != nil {
		r.MultipartForm = c.r.MultipartForm
	}
	if c.r.Pattern != r.Pattern {
		r.Pattern = c.r.Pattern
	}
}

func (b *body) Read(p []byte) (int, error) {
	n, complete, err := b.receive(p)
	if complete {
		b.c.reclaim()
	}
	return n, err
}

// receive reads what is there, and reports whether the body is complete.
func (b *body) receive(p []byte) (n int, complete bool, err error) {
	b.c.wait(true)
	defer b.c.resume(true)
	n, err = b.ReadCloser.Read(p)
	return n, b.note(n, err), err
}

// note remembers a fault of the client, and reports whether the body is complete.
func (b *body) note(n int, err error) (complete bool) {
	b.c.once.Lock()
	defer b.c.once.Unlock()
	b.read += int64(n)
	switch {
	case b.closed.Load() || errors.Is(err, http.ErrBodyReadAfterClose): // by the handler
		return false
	case err != nil && err != io.EOF, //nolint:errorlint // readers return it as it is
		err != nil && b.read < b.announced,
		b.announced >= 0 && b.read > b.announced:
		b.c.unread = true
		return false
	}
	return err != nil || b.read == b.announced
}

// Close may read what is left of the body.
func (b *body) Close() error {
	b.closed.Store(true)
	b.c.wait(true)
	defer b.c.resume(true)
	return b.ReadCloser.Close()
}
