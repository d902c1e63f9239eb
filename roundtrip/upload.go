package roundtrip

import (
	"bytes"
	"io"
	"net/http"
	"reflect"
	"strings"
	"sync/atomic"
	"time"
)

// upload is the body of a request that remembers what the host cannot be blamed
// for: that it could not be read, was longer or shorter than announced, or came
// slowly. It is read by one goroutine and asked by another.
type upload struct {
	io.ReadCloser

	sending *sending
	read    atomic.Int64 // bytes
	since   atomic.Int64 // when the Read that has not returned began, else 0
	waited  atomic.Int64 // nanoseconds in Reads that have returned
	ended   atomic.Bool  // there is no more
	closed  atomic.Bool  // and errors of reading say nothing
	fault   atomic.Bool
}

// sending is a request with an upload.
type sending struct {
	upload

	request http.Request                  // what Base gets: the caller's, with the body wrapped
	getBody func() (io.ReadCloser, error) // the caller's
	again   atomic.Pointer[upload]        // the body that getBody made last, if any
	begun   int64                         // when Base got it
	unread  atomic.Bool                   // getBody has failed

	answer   rareBody // the body of the response, in the same allocation
	answered atomic.Bool
}

// watchUpload makes of req, which has a body, what Base gets in its place.
func watchUpload(req *http.Request) *sending {
	s := &sending{request: *req, getBody: req.GetBody, begun: clock()}
	s.ReadCloser, s.sending = req.Body, s
	s.request.Body = &s.upload
	if req.GetBody != nil {
		s.request.GetBody = s.rewind
	}
	return s
}

// rewind is GetBody for Base, which sends the request again.
func (s *sending) rewind() (io.ReadCloser, error) {
	body, err := s.getBody()
	if err != nil {
		s.unread.Store(true)
		return nil, err
	}
	if body == nil || body == http.NoBody {
		return body, nil
	}
	u := &upload{ReadCloser: body, sending: s}
	s.again.Store(u)
	return u, nil
}

// current returns the body that is being sent.
func (s *sending) current() *upload {
	if u := s.again.Load(); u != nil {
		return u
	}
	return &s.upload
}

// Read reads and remembers. What it waits for when all announced bytes are there
// is only the end, which no host waits for.
func (u *upload) Read(p []byte) (int, error) {
	want := u.sending.request.ContentLength
	whole := want > 0 && u.read.Load() == want
	began := clock()
	if !whole {
		u.since.Store(began)
	}
	n, err := u.ReadCloser.Read(p)
	if !whole {
		u.since.Store(0)
		u.waited.Add(clock() - began)
	}

	read := u.read.Add(int64(n))
	if want > 0 && read > want {
		u.fault.Store(true)
	}
	switch {
	case err == nil || u.closed.Load(): // who closes a body may make a Read at the same time fail
	case err == io.EOF:
		u.ended.Store(true)
		if want > 0 && read != want {
			u.fault.Store(true)
		}
	default:
		u.fault.Store(true)
	}
	return n, err
}

// whole reports whether all of the body is there.
func (u *upload) whole() bool {
	want := u.sending.request.ContentLength
	return u.ended.Load() || want > 0 && u.read.Load() >= want
}

// Close also shows a fault: Base reports the error of closing a body that it has
// sent whole.
func (u *upload) Close() error {
	first := !u.closed.Swap(true)
	err := u.ReadCloser.Close()
	if err != nil && first && u.ended.Load() {
		u.fault.Store(true)
	}
	return err
}

// patience is how long a host has surely waited on purpose. One that hangs up
// sooner has not done so for want of bytes.
const patience = 100 * time.Millisecond

// spoiled reports whether the request was at fault: its body could not be read,
// or had another length than announced.
func (s *sending) spoiled() bool { return s != nil && (s.unread.Load() || s.current().fault.Load()) }

// wait returns how long the host, or Base, has waited for the body so far, and
// how long by now for its next bytes.
func (s *sending) wait(now int64) (all, next time.Duration) {
	u := s.current()
	all = time.Duration(u.waited.Load())
	if since := u.since.Load(); since != 0 {
		next = time.Duration(max(now-since, 0))
	}
	return all + next, next
}

// starved reports whether the host was given up, or gave up, because the body
// came slowly: the most part of the time went by waiting for it, and there was
// more of it to come.
func (s *sending) starved() bool {
	if s == nil || s.current().whole() {
		return false
	}
	now := clock()
	all, _ := s.wait(now)
	return all >= patience && all >= time.Duration(now-s.begun)/2
}

// delayed reports whether waiting for the body took so much of the time that a
// deadline, which is for all of it, says nothing of the host.
func (s *sending) delayed() bool {
	const share = 4
	if s == nil {
		return false
	}
	now := clock()
	all, _ := s.wait(now)
	return all >= patience && all >= time.Duration(now-s.begun)/share
}

//nolint:gochecknoglobals // types, and the zero of a clock
var (
	epoch            = time.Now()
	nopCloser        = reflect.TypeOf(io.NopCloser(nil))
	nopCloserWriteTo = reflect.TypeOf(io.NopCloser(new(bytes.Reader)))
)

// clock is a monotonic clock that is never 0.
func clock() int64 { return int64(time.Since(epoch)) | 1 }

// inMemory reports whether a body is one of those in memory that net/http knows:
// it sends their first bytes together with the headers, which it does with no
// other, so that they must not be wrapped. left is how many bytes are left.
func inMemory(body io.ReadCloser) (left int, ok bool) {
	var inner any
	switch reflect.TypeOf(body) {
	case nopCloser, nopCloserWriteTo:
		inner = reflect.ValueOf(body).Field(0).Interface()
	default:
		return 0, false
	}
	switch r := inner.(type) {
	case *bytes.Reader:
		return r.Len(), true
	case *bytes.Buffer:
		return r.Len(), true
	case *strings.Reader:
		return r.Len(), true
	}
	return 0, false
}
