package httpmw

import (
	"context"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/internal/deadline"
)

// signs are what points at the client, at some moment of a call.
type signs struct {
	unread  bool // its body could not be read, or is not as long as announced
	reading bool // the handler waits for its body
	expired bool // its deadline has passed
	elapsed time.Duration
	waited  time.Duration // of elapsed: for the client
}

// own is the time that the handler has taken itself.
func (s signs) own() time.Duration { return max(s.elapsed-s.waited, 0) }

// mostlyWaiting reports whether most of the time was spent waiting for the client.
func (s signs) mostlyWaiting() bool { return s.waited > 0 && s.waited >= s.elapsed/2 }

func (c *call) signsLocked() signs {
	now := c.m.now()
	s := signs{unread: c.unread, reading: c.reads > 0, elapsed: now - c.start, waited: c.until(now)}
	switch c.ctx.Err() {
	case nil:
		s.expired = c.limit > 0 && s.elapsed >= c.limit
	case context.DeadlineExceeded:
		s.expired = true
	default: // a client that has gone at its deadline, which passed there earlier than here
		s.expired = deadline.Passed(s.elapsed, c.limit)
	}
	return s
}

// hung reports whether the handler had run for clearly longer than calls usually
// take. Otherwise a deadline that has passed was too short.
func (c *call) hung(at signs) bool {
	return c.usual.Unusual(at.own(), c.m.DeadlineFactor)
}

// clientsDoing reports whether a failure of this status is the client's own doing,
// by what is known of the moment when the status was sent, and of now.
func (c *call) clientsDoing(status int, begun, now signs) bool {
	if !failed(status) { // it is the deadline that makes this a failure, or Options.Classify
		return begun.unread || now.expired && !c.hung(now)
	}
	switch {
	case begun.unread:
		return true
	case begun.reading && begun.mostlyWaiting():
		// An answer while another goroutine waits for the client comes from what limits
		// the time of a handler.
		return true
	case timedOut(status) && begun.waited >= longWait && begun.mostlyWaiting():
		return true
	case begun.expired:
		return !c.hung(begun)
	case status == http.StatusGatewayTimeout && c.limit > 0 && c.usual.CutShort(begun.own(), c.limit, c.m.DeadlineFactor):
		return true
	}
	return malformed(c.r)
}

// longWait is how much of a handler's time the client must have taken for a status
// that may be a timeout to be its doing.
const longWait = time.Second

func timedOut(status int) bool {
	return status == http.StatusServiceUnavailable || status == http.StatusGatewayTimeout
}

// malformed reports whether the head of a request is one that net/http lets a server
// have but not a client send, as a proxy would: then the failure is foreseeable.
func malformed(r *http.Request) bool {
	for name := range r.Trailer {
		if !isToken(name) {
			return true
		}
	}
	if !asksFor(r.Header["Connection"], "upgrade") {
		return false
	}
	to := r.Header["Upgrade"]
	if len(to) == 0 { // as proxies send it on every request, for websockets
		return false
	}
	if len(to) != 1 {
		return true
	}
	name, version, _ := strings.Cut(to[0], "/")
	return !isToken(name) || version != "" && !isToken(version)
}

// asksFor reports whether a token is in a header with comma-separated ones.
func asksFor(values []string, token string) bool {
	for _, v := range values {
		for t := range strings.SplitSeq(v, ",") {
			if strings.EqualFold(strings.TrimSpace(t), token) {
				return true
			}
		}
	}
	return false
}

// isToken reports whether s is a token of RFC 9110.
func isToken(s string) bool {
	return s != "" && strings.IndexFunc(s, func(c rune) bool {
		return c <= ' ' || c >= 0x7f || strings.ContainsRune(`"(),/:;<=>?@[\]{}`, c)
	}) < 0
}

// setLimit finds out how long the client is going to wait, and sees to it that a
// handler which hangs is noticed then, whether or not it ever returns.
func (c *call) setLimit() {
	c.limit = announced(c.r.Header)
	if deadline, ok := c.ctx.Deadline(); ok {
		if left := max(time.Until(deadline), 1); c.limit == 0 || left < c.limit {
			c.limit = left
		}
	}
	if c.limit == 0 || c.limit < time.Second && c.m.DeadlineFactor >= 0 || c.m.Classify != nil { // which is asked when the handler returns
		return
	}
	c.alarm = time.AfterFunc(c.limit, func() {
		c.once.Lock()
		now, answered := c.signsLocked(), c.status != 0
		c.once.Unlock()
		// A deadline that only a header announces may not be known to the handler, which
		// may be about to answer: on a route without history that is no failure.
		if _, known := c.usual.Longest(); !answered && (known || c.ctx.Err() != nil || c.m.DeadlineFactor < 0) && c.hung(now) {
			c.settle(core.Failure, context.DeadlineExceeded)
		}
	})
}

// announced is how long the client waits, by what the protocols of Connect, gRPC and
// Envoy send of it, or 0. A malformed header is ignored; a client that waits
// for no time at all waits for the least that there is.
func announced(h http.Header) time.Duration {
	if len(h) == 0 {
		return 0
	}
	if v := h["Connect-Timeout-Ms"]; len(v) > 0 { // the first counts, as for Connect
		if d, ok := whole(v[0], 10, time.Millisecond); ok {
			return max(d, 1)
		}
	}
	if v := h["X-Envoy-Expected-Rq-Timeout-Ms"]; len(v) > 0 { // where zero is none
		if d, _ := whole(v[0], 10, time.Millisecond); d > 0 {
			return d
		}
	}
	v := h["Grpc-Timeout"]
	if len(v) == 0 || len(v[0]) < 2 {
		return 0
	}
	units := map[byte]time.Duration{'H': time.Hour, 'M': time.Minute, 'S': time.Second, 'm': time.Millisecond, 'u': time.Microsecond, 'n': time.Nanosecond}
	last := len(v[0]) - 1
	if d, ok := whole(v[0][:last], 8, units[v[0][last]]); ok {
		return max(d, 1)
	}
	return 0
}

// whole is a number of units in at most so many characters, a sign included, as
// those parse it who act on it.
func whole(s string, digits int, unit time.Duration) (time.Duration, bool) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 || len(s) > digits || unit == 0 {
		return 0, false
	}
	if d := time.Duration(n) * unit; d/unit == time.Duration(n) {
		return d, true
	}
	return math.MaxInt64, true
}
