package roundtrip

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/internal/problem"
)

// refusedHeader marks a response that was made here, for those who see it
// through other wrappings. It is believed only where that does no harm.
const refusedHeader = "Switchgear-Refused"

// refusal is the body of a response that was made here.
type refusal struct{ io.ReadCloser }

// Refused reports whether a response was made by a [Transport] with RefuseWithResponse,
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
	if !errors.Is(err, core.ErrOpen) {
		return nil, &faultError{err}
	}
	if t.options.RefuseWithResponse {
		open, ok := errors.AsType[*core.OpenError](err)
		if !ok {
			open = &core.OpenError{State: core.Open}
		}
		return unavailable(req, open), nil
	}
	return nil, err
}

// faultError is the error of a gate that neither admits nor refuses. It is a fault of
// the program: no host is to be charged with it, and trying again does not help.
type faultError struct{ error }

func (e *faultError) Error() string {
	return "roundtrip: the request was not sent, because its gate cannot be asked: " + e.error.Error()
}

func (e *faultError) Unwrap() []error { return []error{e.error, ErrNotSent} }

// notAProbe is the refusal of a request that may not be a probe.
func notAProbe(g core.Gate) error {
	e := &core.OpenError{State: core.HalfOpen, Cause: core.CauseProbesOut, RetryAt: time.Now()}
	if b, ok := g.(*core.Breaker); ok {
		e.Name = b.Name()
	}
	return e
}

func unavailable(req *http.Request, open *core.OpenError) *http.Response {
	const text = `{"type":"about:blank","title":"Service Unavailable","status":503,"detail":"The request was not sent: its destination has failed before."}` + "\n"
	h := http.Header{refusedHeader: {open.State.String()}}
	problem.SetHeader(h, text, open.RetryAt)
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
