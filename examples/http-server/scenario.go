package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/blackbox4/switchgear/core"
)

func (s *shop) say(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, _ = fmt.Fprintf(s.out, format+"\n", args...) // there is nowhere to tell of an error
}

// tell tells of a transition; it is a hook.
func (s *shop) tell(_ context.Context, t core.Transition) {
	s.say("  >> %s: %v -> %v: %s", t.Name, t.From, t.To, t.Reason())
}

// invite prints what there is to try.
func (s *shop) invite(url string) {
	s.say("Listening on %s until interrupted. Try, on another terminal:", url)
	s.say("")
	s.say("  curl -i %s/orders/1              # needs the database", url)
	s.say("  curl -i %s/prices/tea            # does not", url)
	s.say("  curl -X POST %s/database/down    # then orders fail slowly three times, then at once", url)
	s.say("  curl %s/breakers                 # where they stand, and why", url)
	s.say("  curl -X POST %s/database/up      # and two seconds later two orders close the breaker", url)
	s.say("  curl %s/healthz                  # has no breaker", url)
	s.say("")
}

// story plays what the invitation says.
func (s *shop) story(ctx context.Context, url string) error {
	c := &client{shop: s, url: url}
	defer c.http.CloseIdleConnections()

	s.say("All is well.")
	c.get(ctx, "/orders/1")
	c.get(ctx, "/prices/tea")

	s.say("\nThe database goes down.")
	c.send(ctx, http.MethodPost, "/database/down")
	for id := 2; c.status != http.StatusServiceUnavailable && id < 20; id++ {
		c.get(ctx, "/orders/"+strconv.Itoa(id))
	}
	s.say("  From now on an order costs next to nothing, and the rest of the shop is open.")
	c.get(ctx, "/orders/6")
	c.get(ctx, "/prices/tea")
	c.get(ctx, "/healthz")

	s.say("\nThe database is back.")
	c.send(ctx, http.MethodPost, "/database/up")
	c.get(ctx, "/orders/7")
	s.say("  A refusal says when to try again, so wait for %v.", c.retryAfter)
	if c.err == nil {
		c.err = pause(ctx, c.retryAfter)
	}
	c.get(ctx, "/orders/7")
	c.get(ctx, "/orders/8")
	c.get(ctx, "/breakers")
	if c.err == nil {
		s.say("\nTo try it yourself: go run ./examples/http-server -serve")
	}
	return c.err
}

// client asks the shop and tells what it got. After an error it does nothing.
type client struct {
	*shop

	http       http.Client
	url        string
	err        error
	status     int
	retryAfter time.Duration // that the last refusal asked for
}

func (c *client) get(ctx context.Context, path string) { c.send(ctx, http.MethodGet, path) }

func (c *client) send(ctx context.Context, method, path string) {
	if c.err != nil {
		return
	}
	req, err := http.NewRequestWithContext(ctx, method, c.url+path, nil)
	if err != nil {
		c.err = err
		return
	}
	begun := time.Now()
	resp, err := c.http.Do(req)
	if err != nil {
		c.err = err
		return
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		c.err = err
		return
	}
	took := time.Since(begun).Round(time.Millisecond)
	c.status = resp.StatusCode
	if after := resp.Header.Get("Retry-After"); after != "" {
		seconds, _ := strconv.Atoi(after)
		c.retryAfter = time.Duration(seconds) * time.Second
		c.say("  %s %s -> %s in %v, Retry-After: %s", method, path, resp.Status, took, after)
		return
	}
	c.say("  %s %s -> %s in %v: %s", method, path, resp.Status, took, strings.ReplaceAll(strings.TrimSpace(string(body)), "\n", "; "))
}
