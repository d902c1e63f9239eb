package roundtrip_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/roundtrip"
)

// A client with a breaker for each host: the sick one is left alone, the other
// one never notices.
func Example() {
	sick := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusInternalServerError)
	}))
	defer sick.Close()
	healthy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "hello")
	}))
	defer healthy.Close()

	client := &http.Client{Transport: roundtrip.New(nil, nil)}
	get := func(url string) {
		resp, err := client.Get(url)
		if errors.Is(err, core.ErrOpen) {
			fmt.Println("not sent")
			return
		}
		if err != nil {
			fmt.Println(err)
			return
		}
		defer resp.Body.Close()
		text, _ := io.ReadAll(resp.Body)
		fmt.Printf("%d %q\n", resp.StatusCode, text)
	}
	for range 6 {
		get(sick.URL)
	}
	get(healthy.URL)
	// Output:
	// 500 ""
	// 500 ""
	// 500 ""
	// 500 ""
	// 500 ""
	// not sent
	// 200 "hello"
}

// A breaker for each tenant of an API, of which a 409 means that it is
// overloaded, and which is probed with requests that change nothing.
func ExampleTransport() {
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.Header.Get("X-Tenant") == "a" {
			w.WriteHeader(http.StatusConflict)
		}
	}))
	defer api.Close()

	client := &http.Client{Transport: roundtrip.New(&core.Registry{Config: func(tenant string) core.Config {
		return core.Config{FailureThreshold: 2, Timeout: time.Minute}
	}}, &roundtrip.Options{
		Key: func(req *http.Request) string { return req.Header.Get("X-Tenant") },
		Classify: func(e roundtrip.Result) core.Outcome {
			if e.Err == nil && e.Response.StatusCode == http.StatusConflict {
				return core.Failure
			}
			return roundtrip.DefaultClassify(e)
		},
		AllowProbe: roundtrip.IsSafeMethod,
	})}
	for _, tenant := range []string{"a", "a", "a", "b"} {
		req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, api.URL, http.NoBody)
		if err != nil {
			fmt.Println(err)
			return
		}
		req.Header.Set("X-Tenant", tenant)
		resp, err := client.Do(req)
		if refused, ok := errors.AsType[*core.OpenError](err); ok {
			fmt.Println(tenant, "is", refused.State, "because of", refused.Cause)
			continue
		}
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(tenant, resp.Status)
		_ = resp.Body.Close()
	}
	// Output:
	// a 409 Conflict
	// a 409 Conflict
	// a is open because of consecutive failures
	// b 200 OK
}

// Retries around the breaker: each attempt is counted, and the refusal of a
// breaker that has opened meanwhile ends them.
func ExampleRetryClient() {
	answers := []int{http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusOK}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		code := http.StatusServiceUnavailable
		if len(answers) > 0 {
			code, answers = answers[0], answers[1:]
		}
		w.WriteHeader(code)
		_, _ = io.WriteString(w, http.StatusText(code))
	}))
	defer server.Close()

	transport := roundtrip.New(&core.Registry{Config: func(host string) core.Config {
		return core.Config{FailureThreshold: 4}
	}}, nil)
	client := roundtrip.RetryClient(transport, roundtrip.Retry{
		Attempts: 3,
		Wait:     func(n int) time.Duration { return time.Duration(n) * time.Millisecond },
	})
	client.Logger = nil // it would log to slog.Default

	for range 3 {
		resp, err := client.Get(server.URL)
		if err != nil {
			fmt.Println("refused:", errors.Is(err, core.ErrOpen))
			continue
		}
		text, _ := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		fmt.Println(resp.StatusCode, string(text))
	}
	totals := transport.Breakers().Stats().Totals
	fmt.Println(totals.Calls, "sent,", totals.Refused, "refused")
	// Output:
	// 200 OK
	// 503 Service Unavailable
	// refused: true
	// 7 sent, 1 refused
}
