package grpcmw

import (
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
)

// This file tells errors that this side made from what a server did. gRPC has no
// types for them. It is told by construction that nothing came over the wire; only
// then is a text read, from its beginning, where gRPC's own words stand.

// through is what is known of the options that are added to calls: an interceptor
// further in may keep them to itself, or answer in gRPC's place.
type through struct{ reached, blind atomic.Bool }

// note is told of a call that has ended: that gRPC answered the options, or that it
// succeeded without.
func (t *through) note(answered bool) {
	switch {
	case t.reached.Load():
	case answered:
		t.reached.Store(true)
	case !t.blind.Load():
		t.blind.Store(true)
	}
}

// unsent reports whether a call was not sent for a reason of this side: credentials
// that could not be fetched, a header that is not valid, a shortage of this machine,
// the connection closed by its user. That a server cannot be reached is none.
func (c *client) unsent(cc *grpc.ClientConn, err error, w *wire) bool {
	if userClosed(cc) {
		return true
	}
	if w.peer.Addr != nil || w.answered() {
		return false
	}
	st := statusOf(err)
	if notAsItIs(st.Code(), st.Message()) || shortage(st.Code(), st.Message()) {
		return true
	}
	if st.Code() == codes.Canceled || st.Code() == codes.DeadlineExceeded {
		return false
	}
	// gRPC calls it Unavailable when it finds no connection. What else goes wrong
	// before a call is sent does on this side, where credentials may return any status.
	if st.Code() != codes.Unavailable && c.through.reached.Load() {
		return true
	}
	return connected(cc, st.Code()) && (c.through.reached.Load() || !c.through.blind.Load())
}

// connected reports whether there was a connection for a call of that status. A
// connection is used a moment before its state is Ready, so one that is Connecting may
// be there; but then Unavailable may also be what the last attempt to connect has left.
func connected(cc *grpc.ClientConn, code codes.Code) bool {
	if cc == nil {
		return false
	}
	state := cc.GetState()
	return state == connectivity.Ready || state == connectivity.Connecting && code != codes.Unavailable
}

// userClosed reports whether the user has closed a connection.
func userClosed(cc *grpc.ClientConn) bool {
	return cc != nil && cc.GetState() == connectivity.Shutdown
}

// notAsItIs reports whether gRPC says of a call that was not sent that it cannot be,
// whatever the state of the server.
func notAsItIs(code codes.Code, text string) bool {
	switch code { //nolint:exhaustive // those that gRPC uses
	case codes.Unauthenticated:
		return begins(text, "transport: per-RPC creds failed", "transport: cannot send secure credentials")
	case codes.Internal:
		return begins(text, "transport: per-RPC creds failed", "transport: received per-RPC creds error", "header key \"", "header list size to send violates",
			"grpc: error while marshaling", "grpc: error while compressing", "grpc: Compressor is not installed", "no codec registered for content-subtype", "SendMsg called after CloseSend")
	case codes.ResourceExhausted:
		return begins(text, "trying to send message larger than max", "grpc: message too large")
	}
	return false
}

// unsendable reports whether the message of a unary call could not be sent.
func unsendable(err error, w *wire) bool {
	st := statusOf(err)
	return w.peer.Addr != nil && !w.answered() && notAsItIs(st.Code(), st.Message())
}

// tooLong reports whether an answer was longer than the caller allows. That is found
// when a header has come, so a text decides after all: the whole of it, with the limit
// of this very call in it.
func tooLong(err error, opts []grpc.CallOption, w *wire) bool {
	st := statusOf(err)
	return st.Code() == codes.ResourceExhausted && w.header != nil && len(w.trailer) == 0 && overLimit(st.Message(), limitOf(opts))
}

// limitOf returns the longest answer that the options of a call allow.
func limitOf(opts []grpc.CallOption) int {
	limit := 4 << 20 // gRPC's
	for _, o := range opts {
		if o, ok := o.(grpc.MaxRecvMsgSizeCallOption); ok {
			limit = o.MaxRecvMsgSize
		}
	}
	return limit
}

func overLimit(text string, limit int) bool {
	var size, stated int
	for _, form := range [...]string{
		"grpc: received message larger than max (%d vs. %d)",
		"grpc: received message after decompression larger than max (%d vs. %d)",
		"grpc: message after decompression larger than max (%d vs. %d)",
	} {
		if n, _ := fmt.Sscanf(text, form, &size, &stated); n == 2 {
			return text == fmt.Sprintf(form, size, stated) && stated == limit && size > limit
		}
	}
	const alone = "grpc: received message after decompression larger than max %d"
	n, _ := fmt.Sscanf(text, alone, &stated)
	return n == 1 && text == fmt.Sprintf(alone, stated) && stated == limit
}

// shortage reports whether gRPC says of a call that was not sent that this machine
// could not connect for want of something of its own, or that its resolver did not
// answer. That a name does not exist, and that a server refuses, is none.
func shortage(code codes.Code, text string) bool {
	if code == codes.DeadlineExceeded { // the call has waited for a connection
		var waited bool
		if text, waited = strings.CutPrefix(text, "latest balancer error: "); !waited {
			return false
		}
	} else if code != codes.Unavailable {
		return false
	}
	for _, of := range [...]string{"all SubConns are in TransientFailure, ", "last connection error: ", "last resolver error: ", "name resolver error: "} {
		text = strings.TrimPrefix(text, of)
	}
	if strings.HasPrefix(text, "dns: ") { // only time-outs and temporary failures come so far
		return strings.Contains(text, " record lookup error: ")
	}
	quoted, ok := strings.CutPrefix(text, "connection error: desc = ")
	if !ok {
		return false
	}
	if quoted, err := strconv.QuotedPrefix(quoted); err == nil {
		text, _ = strconv.Unquote(quoted)
	}
	for _, of := range [...]string{"transport: Error while dialing: ", "transport: error while dialing: "} {
		if text, ok := strings.CutPrefix(text, of); ok {
			return dialled(text)
		}
	}
	return false
}

// dialled reports whether the text of a net.OpError of dialling blames this machine.
func dialled(text string) bool {
	if !strings.HasPrefix(text, "dial ") {
		return false
	}
	for _, short := range [...]syscall.Errno{
		syscall.EMFILE, syscall.ENFILE, syscall.EADDRNOTAVAIL, syscall.EADDRINUSE, syscall.ENOMEM, syscall.ENOBUFS,
	} {
		if strings.HasSuffix(text, ": "+short.Error()) {
			return true
		}
	}
	// The network is named, and then the address, unless it was not found.
	if _, after, ok := strings.Cut(text, ": "); !ok || !strings.HasPrefix(after, "lookup ") {
		return false
	}
	for _, temporary := range [...]string{"i/o timeout", "server misbehaving", "Temporary failure in name resolution"} {
		if strings.HasSuffix(text, ": "+temporary) {
			return true
		}
	}
	return false
}

// inOrder reports whether gRPC says that a connection was closed by a server that had
// announced it as planned. The server's own text stands behind that.
func inOrder(text string) bool {
	text, ok := strings.CutPrefix(text, "closing transport due to: connection error: desc = ")
	if !ok {
		return false
	}
	quoted, err := strconv.QuotedPrefix(text)
	if err != nil {
		return false
	}
	text, ok = strings.CutPrefix(text[len(quoted):], ", received prior goaway: code: NO_ERROR")
	return ok && (text == "" || strings.HasPrefix(text, ", debug data: "))
}

func begins(text string, with ...string) bool {
	for _, prefix := range with {
		if strings.HasPrefix(text, prefix) {
			return true
		}
	}
	return false
}
