// Package roundtrip puts circuit breakers in front of an http.Client, one for
// each host:
//
//	client := &http.Client{Transport: roundtrip.New(nil, nil)}
//
// While all goes well nothing changes: requests and responses pass untouched. A
// host that fails is left alone until it is well again; calls to it return at
// once with an error that matches [core.ErrOpen].
//
// A [Transport] is to be the innermost of what is wrapped around a real one, but
// for tracing: retries outside, so that each attempt is counted and a refusal
// ends them ([RetryClient]); tracing inside, so that what was never sent has no
// span.
package roundtrip
