package roundtrip

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/blackbox4/switchgear/core"
)

// refusedHeader marks a response that was made here, for those who see it
// through other wrappings. It is believed only where that does no harm.
const refusedHeader = "Switchgear-Refused"

// refusal is the body of a response that was made here.
type refusal struct{ io.ReadCloser }

// Refused reports whether a response was made by a [Transport] with Respond set,
// and not by a server. A server can claim so by a header.
func Refused(resp *http.Response) bool {
	if resp == nil {
		return false
	}
	_, ok := resp.Body.(*refusal)
	return ok || resp.StatusCode == http.StatusServiceUnavailable && resp.Header.Get(refusedHeader) != ""
}

// refuse answers a request that is not sent.
func (t *Transport) refuse(req *http.Request, err error) (*http.Response, error) {
	if req.Body != nil {
		_ = req.Body.Close()
	}
	if ctx := req.Context(); ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if open, ok := errors.AsType[*core.OpenError](err); ok && t.Respond {
		return unavailable(req, open), nil
	}
	return nil, err
}

// notAProbe is the refusal of a request that may not be a probe.
func notAProbe(g core.Gate) error {
	e := &core.OpenError{State: core.HalfOpen, Cause: core.ProbesOut, RetryAt: time.Now()}
	if b, ok := g.(*core.Breaker); ok {
		e.Name = b.Name()
	}
	return e
}

func unavailable(req *http.Request, open *core.OpenError) *http.Response {
	const text = `{"type":"about:blank","title":"Service Unavailable","status":503,"detail":"The request was not sent: its destination has failed before."}` + "\n"
	h := http.Header{
		"Content-Type":   {"application/problem+json"},
		"Content-Length": {strconv.Itoa(len(text))},
		"Cache-Control":  {"no-store"},
		refusedHeader:    {open.State.String()},
	}
	if !open.RetryAt.IsZero() {
		seconds := math.Ceil(time.Until(open.RetryAt).Seconds())
		h.Set("Retry-After", strconv.Itoa(int(max(seconds, 1))))
	}
	resp := &http.Response{
		Status: "503 Service Unavailable", StatusCode: http.StatusServiceUnavailable,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: h, ContentLength: int64(len(text)), Request: req,
		Body: &refusal{io.NopCloser(bytes.NewReader([]byte(text)))},
	}
	if req.Method == http.MethodHead {
		resp.Body = &refusal{http.NoBody}
	}
	return resp
}
