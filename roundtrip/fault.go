package roundtrip

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/http/httpguts"
)

// atFault reports whether the request's body was at fault, whatever the host did.
func (e Result) atFault() bool { return e.misfit || e.sending.spoiled() }

// unsendable reports whether the request could not be sent, given that err came of
// it. Input from outside, such as a query or a header, must not be able to
// open the breaker of a healthy host.
func unsendable(req *http.Request, err error) bool {
	if req.Header == nil || !sendable(req.Header) || !sendable(req.Trailer) || !sendableAtEnd(req.Trailer) {
		return true
	}
	if req.Body == nil && req.ContentLength != 0 {
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
	return refusedBefore(req, err.Error())
}

// refusedBefore reports whether net/http or quic-go says that it has not sent the
// request, for a reason that is there: whether it is one depends on how the request
// travels. The errors have no types. Their texts alone would prove nothing, a
// forward proxy that refuses a tunnel writes the whole text of an error; so a text
// is believed only if it is the one for this request, and the request has that
// fault.
func refusedBefore(req *http.Request, text string) bool {
	for _, name := range []string{"Upgrade", "Transfer-Encoding", "Connection"} { // what HTTP/2 has not
		if values := req.Header[name]; len(values) > 0 && text == fmt.Sprintf("http2: invalid %s request header: %q", name, values) {
			return true
		}
	}
	if text == "http: invalid Host header" || text == "http2: invalid Host header" {
		return !httpguts.ValidHostHeader(req.Host)
	}
	if text == "http2: request header list larger than peer's advertised limit" {
		return large(req)
	}
	if scheme := req.URL.Scheme; scheme != "https" {
		if rest, ok := strings.CutPrefix(text, "http3: unsupported protocol scheme: "); ok {
			return rest == scheme
		}
		if rest, ok := strings.CutPrefix(text, "unsupported protocol scheme "); ok && scheme != "http" {
			return rest == strconv.Quote(scheme)
		}
	}
	uri := req.URL.RequestURI()
	return uri != "*" && !strings.HasPrefix(uri, "/") &&
		(text == fmt.Sprintf("http2: invalid request :path %q", uri) ||
			text == fmt.Sprintf("http2: invalid request :path %q from URL.Opaque = %q", uri, req.URL.Opaque))
}

// large reports whether a request's header is larger than what every server takes.
// A limit below that is the host's own fault.
func large(req *http.Request) bool {
	const usual, overhead = 8 << 10, 32
	size := len(req.URL.RequestURI()) + len(req.Host)
	for name, values := range req.Header {
		for _, v := range values {
			size += len(name) + len(v) + overhead
		}
	}
	return size > usual
}

func sendable(h http.Header) bool {
	for name, values := range h {
		if !httpguts.ValidHeaderFieldName(name) || !allValid(values) {
			return false
		}
	}
	return true
}

// sendableAtEnd reports whether a trailer has no header that must come before.
func sendableAtEnd(h http.Header) bool {
	for name := range h {
		switch http.CanonicalHeaderKey(name) {
		case "Transfer-Encoding", "Trailer", "Content-Length":
			return false
		}
	}
	return true
}

func allValid(values []string) bool {
	return !slices.ContainsFunc(values, func(v string) bool { return !httpguts.ValidHeaderFieldValue(v) })
}
