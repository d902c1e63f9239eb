package roundtrip

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/hashicorp/go-retryablehttp"

	"github.com/blackbox4/switchgear/core"
)

// Retry says how often and how long [RetryClient] tries.
type Retry struct {
	// Attempts is how many requests are sent at most, the first included. Zero
	// means 3.
	Attempts int
	// Wait returns the wait after n attempts, from 1. Nil means 1 s, doubled each
	// time, up to 10 s.
	Wait func(n int) time.Duration
	// MaxWait is the longest Retry-After that is waited for; a response that asks
	// for more is returned as it is. Zero means 10 s.
	MaxWait time.Duration
	// Check decides whether a response or an error is tried again. Nil means
	// [retryablehttp.DefaultRetryPolicy], which tries errors, 429 and 5xx again, for
	// requests that may be sent twice: GET, HEAD, OPTIONS, TRACE, PUT and DELETE, any
	// other with a header Idempotency-Key or X-Idempotency-Key, and what was never
	// sent because there was no connection. DefaultRetryPolicy itself as Check tries
	// every method. Refusals are never tried again.
	Check retryablehttp.CheckRetry
}

const (
	defaultAttempts = 3
	firstWait       = time.Second
	defaultMaxWait  = 10 * time.Second
)

// RetryClient returns a client that retries around t, so that each attempt is
// admitted and counted by its breaker and a refusal ends them at once. When the
// attempts are used up, the last response is returned with its body readable, as
// an http.Client does. It logs to [slog.Default]; set Logger of the result for
// another. A nil t is New(nil, nil). A request's body is held in memory, as
// go-retryablehttp does.
//
// The policy of a preset fits, one of a file, too; where it does not enable retries,
// that is one attempt:
//
//	r := presets.ExternalAPI().WithRetry().Retry.WithDefaults()
//	client := roundtrip.RetryClient(t, roundtrip.Retry{Attempts: r.Attempts, Wait: r.Wait, MaxWait: r.MaxDelay})
func RetryClient(t *Transport, r Retry) *retryablehttp.Client {
	if t == nil {
		t = New(nil, nil)
	}
	if r.Attempts <= 0 {
		r.Attempts = defaultAttempts
	}
	if r.MaxWait <= 0 {
		r.MaxWait = defaultMaxWait
	}
	if r.Wait == nil {
		r.Wait = func(n int) time.Duration {
			return min(firstWait<<min(n-1, 10), defaultMaxWait)
		}
	}
	client := retryablehttp.NewClient()
	client.HTTPClient = &http.Client{Transport: keepIdle{t}}
	client.RetryMax = r.Attempts - 1
	client.RetryWaitMax = r.MaxWait
	client.CheckRetry = checkRetry(r)
	client.ErrorHandler = lastResult
	client.Backoff = func(_, _ time.Duration, attempt int, resp *http.Response) time.Duration {
		wait := r.Wait(attempt + 1)
		if asked, ok := RetryAfter(resp); ok {
			wait = max(wait, asked)
		}
		return wait
	}
	client.Logger = slog.Default()
	return client
}

// keepIdle hides CloseIdleConnections: the retrying client calls it after each
// call that failed in the end, and would close the connections to all hosts.
type keepIdle struct{ http.RoundTripper }

// RoundTrip marks the error of a request that must not be sent twice: a client that
// decides on a retry is told the error and not the request.
func (k keepIdle) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := k.RoundTripper.RoundTrip(req)
	if err != nil && !repeatable(req) {
		if dial, ok := errors.AsType[*net.OpError](err); !ok || dial.Op != "dial" {
			err = &onceError{err}
		}
	}
	return resp, err
}

// repeatable reports whether sending req twice does what sending it once does.
func repeatable(req *http.Request) bool {
	switch req.Method {
	case "", http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace, http.MethodPut, http.MethodDelete:
		return true
	}
	return req.Header.Get("Idempotency-Key") != "" || req.Header.Get("X-Idempotency-Key") != ""
}

// onceError is the error of a request that must not be sent twice.
type onceError struct{ error }

func (e *onceError) Unwrap() error { return e.error }

// Timeout and Temporary pass on what url.Error asks for without unwrapping.
func (e *onceError) Timeout() bool {
	t, ok := e.error.(interface{ Timeout() bool })
	return ok && t.Timeout()
}

func (e *onceError) Temporary() bool {
	t, ok := e.error.(interface{ Temporary() bool })
	return ok && t.Temporary()
}

// careful is the default Check.
func careful(ctx context.Context, resp *http.Response, err error) (bool, error) {
	if _, once := errors.AsType[*onceError](err); once || resp != nil && resp.Request != nil && !repeatable(resp.Request) {
		return false, ctx.Err()
	}
	return retryablehttp.DefaultRetryPolicy(ctx, resp, err)
}

func checkRetry(r Retry) retryablehttp.CheckRetry {
	next := r.Check
	if next == nil {
		next = careful
	}
	return func(ctx context.Context, resp *http.Response, err error) (bool, error) {
		if _, fault := errors.AsType[*faultError](err); fault || errors.Is(err, core.ErrOpen) || Refused(resp) {
			return false, nil
		}
		if asked, ok := RetryAfter(resp); ok && asked > r.MaxWait {
			return false, nil
		}
		return next(ctx, resp, err)
	}
}

// lastResult returns the last response if there is one to be read, or an error
// that says how many attempts there were.
func lastResult(resp *http.Response, err error, attempts int) (*http.Response, error) {
	if err == nil {
		return resp, nil
	}
	if resp != nil {
		_ = resp.Body.Close()
	}
	if attempts > 1 {
		err = fmt.Errorf("giving up after %d attempts: %w", attempts, err)
	}
	return nil, err
}
