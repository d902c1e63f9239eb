package roundtrip

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"reflect"
	"strings"
	"sync/atomic"

	"github.com/blackbox4/switchgear/internal/connloss"
)

// All calls that an HTTP/2 connection carries end with it: that is one failure, and
// not as many as there were calls. To know which connection carried a call takes a
// trace and a copy of the request, which HTTP/1 is spared: it carries one call at a
// time.

// losses are the connections that a Transport has lost of late, and whether it has
// any that carry several calls.
type losses struct {
	connloss.Conns[conn]

	shared atomic.Uint32
}

// Whether connections carry several calls. Until an answer tells, calls are traced if
// Base is net/http's own.
const (
	unknownYet = iota
	notShared
	areShared
)

// conn is what a connection is known by: where it lies, 0 if that is not known, and
// the host at its other end. The connection itself would be kept alive.
type conn struct {
	at   uintptr
	host string
}

// sameConn reports whether two are one. One that is not known, of a call that began
// before the first answer by HTTP/2, is taken for any of its host.
func sameConn(a, b conn) bool {
	return a.host == b.host && (a.at == b.at || a.at == 0 || b.at == 0)
}

// carried tells which connection carried a call.
type carried struct {
	trace httptrace.ClientTrace
	begun connloss.Mark
	at    atomic.Uintptr
}

// traces reports whether a call is to be traced.
func (t *Transport) traces() bool {
	switch t.losses.shared.Load() {
	case notShared:
		return false
	case areShared:
		return true
	}
	_, ok := t.options.base().(*http.Transport)
	return ok
}

// trace returns a request to be sent in place of out, and what is going to know its
// connection.
func (l *losses) trace(out *http.Request) (*http.Request, *carried) {
	c := &carried{begun: l.Begin()}
	c.trace.GotConn = func(info httptrace.GotConnInfo) { c.at.Store(address(info.Conn)) }
	return out.WithContext(httptrace.WithClientTrace(out.Context(), &c.trace)), c
}

// address is where a connection lies, or 0.
func address(c net.Conn) uintptr {
	if v := reflect.ValueOf(c); v.Kind() == reflect.Pointer {
		return v.Pointer()
	}
	return 0
}

// note learns from an answer, or from none, whether connections carry several calls.
func (l *losses) note(resp *http.Response, c *carried) {
	switch seen := l.shared.Load(); {
	case resp != nil && resp.ProtoMajor > 1:
		if seen != areShared {
			l.shared.Store(areShared)
		}
	case seen == unknownYet && (resp != nil || c == nil || c.at.Load() == 0):
		l.shared.CompareAndSwap(unknownYet, notShared)
	}
}

// counted reports whether a call has ended with a connection whose loss was counted
// by the same breaker, since the call began.
func (l *losses) counted(e *Result, key string) bool {
	if e.Err == nil || !ofConnection(e.Err) {
		return false
	}
	at := conn{host: e.Request.URL.Host}
	var begun connloss.Mark // of a call that is not traced, which began before all losses
	if e.carried != nil {
		at.at, begun = e.carried.at.Load(), e.carried.begun
	}
	if at.at == 0 && (e.Response == nil || e.Response.ProtoMajor < 2) {
		return false
	}
	return !l.First(begun, key, at, sameConn, e.Err.Error())
}

// ofConnection reports whether an error may be that of a connection which is lost, and
// not that of one call. Where the host ends an answer before its announced length,
// HTTP/2 says the same as of a connection that has ended: such answers, at the same
// time and by the same connection, count once too.
func ofConnection(err error) bool {
	for _, of := range [...]error{io.ErrUnexpectedEOF, io.EOF, io.ErrClosedPipe, net.ErrClosed} {
		if errors.Is(err, of) {
			return true
		}
	}
	if _, ok := errors.AsType[*net.OpError](err); ok {
		return true
	}
	text := err.Error()
	return text == "http2: client connection lost" || // it did not answer a ping
		strings.HasPrefix(text, "http2: server sent GOAWAY and closed the connection; ") ||
		strings.HasPrefix(text, "connection error: ") // of the protocol
}
