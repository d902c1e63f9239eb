package roundtrip

import (
	"net/http"
	"time"

	"github.com/blackbox4/switchgear/core"
)

// Options change what [New] makes. In each field zero is the stated default. The
// funcs must be safe for concurrent use.
type Options struct {
	// Base makes the calls. Nil means [http.DefaultTransport].
	Base http.RoundTripper
	// Gate is asked for every request. Nil means a breaker of the registry.
	Gate core.Gate
	// Key names the breaker of a request. Nil means [Host].
	Key func(*http.Request) string
	// Classify decides the outcome of a call. It must not read the response's body.
	// Nil means [DefaultClassify].
	Classify func(Result) core.Outcome
	// IsStream reports whether a response is settled at its headers, because its
	// body may never end. Nil means that text/event-stream is.
	IsStream func(*http.Response) bool
	// AllowProbe reports whether a request may be sent as a probe; others are
	// refused while the breaker is half-open. Nil means that all may.
	// [IsSafeMethod] is for hosts where a failed call does harm.
	AllowProbe func(*http.Request) bool
	// ProbeLease is how long the response's body may be read before a probe counts
	// as a success, and how long the request's own body may be waited for. Zero or
	// negative means 10 s. It should be less than the breaker's ProbeTimeout, after
	// which the probe is lost.
	ProbeLease time.Duration
	// RefuseWithResponse answers a refusal with a response in place of an error, for
	// code that cannot handle the error: 503 with Retry-After and a problem+json
	// body. [Refused] tells it from a 503 that a server has sent.
	RefuseWithResponse bool
	// KeepIdle keeps CloseIdleConnections from reaching Base. Retrying clients call
	// that after every failed call, and it closes the connections to all hosts.
	KeepIdle bool
}

const defaultProbeLease = 10 * time.Second

func (o *Options) base() http.RoundTripper {
	if o.Base != nil {
		return o.Base
	}
	return http.DefaultTransport
}

func (o *Options) probeLease() time.Duration {
	if o.ProbeLease > 0 {
		return o.ProbeLease
	}
	return defaultProbeLease
}
