// Http-client shows an HTTP client that calls two hosts of which one falls sick:
// after a few failures that one is left alone, and the other is called as ever. It
// needs nothing but Go and the loopback interface, and ends by itself in about
// three seconds:
//
//	go run ./examples/http-client
//
// The hosts are servers of its own, payments and weather. Calls are tried twice.
// All is well; then payments answers 500 and its breaker opens: no more attempts
// reach it, and no caller waits for it; then it is well again, and the breaker closes.
// Each line tells of a call what the caller got, and how many requests the host got
// for it.
//
// To read the code, begin with newClient below, which is all there is to do.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/hashicorp/go-retryablehttp"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/roundtrip"
)

func main() { os.Exit(start()) }

// start is main with an exit status, so that what it defers runs.
func start() int {
	flag.Parse()
	if flag.NArg() > 0 {
		fmt.Fprintln(os.Stderr, "http-client takes no arguments")
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "http-client:", err)
		return 1
	}
	return 0
}

// newClient returns a client that tries twice, with a breaker for each host, over
// base; without one it would be http.DefaultTransport.
func newClient(registry *core.Registry, base http.RoundTripper) *retryablehttp.Client {
	client := roundtrip.RetryClient(roundtrip.New(registry, &roundtrip.Options{Base: base}), roundtrip.Retry{
		Attempts: 2,
		Wait:     func(int) time.Duration { return 50 * time.Millisecond },
	})
	client.Logger = nil // the story tells enough
	return client
}

// host is a server that can be sick.
type host struct {
	*httptest.Server

	name string
	sick atomic.Bool
	got  atomic.Int64 // requests
}

func newHost(name string) *host {
	h := &host{name: name}
	h.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		h.got.Add(1)
		if h.sick.Load() {
			http.Error(w, "no answer from the bank", http.StatusInternalServerError)
			return
		}
		_, _ = fmt.Fprintln(w, "fine") // if the client has gone, the error does not matter
	}))
	return h
}

// story is one run of the program.
type story struct {
	out               io.Writer
	client            *retryablehttp.Client
	payments, weather *host
}

// run tells the story to out. When it returns, everything it started has ended.
func run(ctx context.Context, out io.Writer) error {
	s := &story{out: out, payments: newHost("payments"), weather: newHost("weather")}
	defer s.payments.Close()
	defer s.weather.Close()
	registry := &core.Registry{Config: func(string) core.Config {
		return core.Config{
			FailureThreshold: 5, Timeout: 2 * time.Second, SuccessThreshold: 2, // short, for a short story
			Hooks: core.Hooks{Transition: s.tell},
		}
	}}
	base := new(http.Transport)
	defer base.CloseIdleConnections()
	s.client = newClient(registry, base)
	return s.play(ctx)
}

// play has calls to both hosts while payments is well, sick, and well again.
func (s *story) play(ctx context.Context) error {
	s.say("payments is %s, weather is %s", s.payments.URL, s.weather.URL)
	s.say("\nAll is well.")
	if _, err := s.both(ctx); err != nil {
		return err
	}

	s.say("\npayments falls sick. Each call is tried twice.")
	s.payments.sick.Store(true)
	var refusal *core.OpenError
	for calls := 0; refusal == nil; calls++ {
		if calls == 100 {
			return errors.New("100 calls failed and the breaker is still closed")
		}
		var err error
		if refusal, err = s.both(ctx); err != nil {
			return err
		}
	}
	s.say("  From now on it is left alone.")
	for range 3 {
		if _, err := s.both(ctx); err != nil {
			return err
		}
	}

	s.say("\npayments is well again, and the break ends by itself.")
	s.payments.sick.Store(false)
	select {
	case <-time.After(time.Until(refusal.RetryAt)):
	case <-ctx.Done():
		return ctx.Err()
	}
	for range 2 {
		if _, err := s.both(ctx); err != nil {
			return err
		}
	}
	return nil
}

// both calls both hosts, and returns the refusal if payments was refused.
func (s *story) both(ctx context.Context) (refusal *core.OpenError, err error) {
	if refusal, err = s.call(ctx, s.payments); err != nil {
		return nil, err
	}
	_, err = s.call(ctx, s.weather)
	return refusal, err
}

// call calls a host and tells what came of it.
func (s *story) call(ctx context.Context, h *host) (*core.OpenError, error) {
	req, err := retryablehttp.NewRequestWithContext(ctx, http.MethodGet, h.URL, nil)
	if err != nil {
		return nil, err
	}
	before, begun := h.got.Load(), time.Now()
	resp, err := s.client.Do(req)
	took, got := time.Since(begun).Round(time.Millisecond), h.got.Load()-before
	if refusal, ok := errors.AsType[*core.OpenError](err); ok {
		s.say("  %-8s  refused: %v, in %v, requests: %d", h.name, refusal.Cause, took, got)
		return refusal, nil
	}
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	s.say("  %-8s  %s, in %v, requests: %d", h.name, resp.Status, took, got)
	return nil, err
}

// tell tells of a transition; it is a hook.
func (s *story) tell(_ context.Context, t core.Transition) {
	name := "payments"
	if "http://"+t.Name == s.weather.URL {
		name = "weather"
	}
	s.say("  >> %s: %v -> %v: %s", name, t.From, t.To, t.Reason())
}

func (s *story) say(format string, args ...any) { fmt.Fprintf(s.out, format+"\n", args...) }
