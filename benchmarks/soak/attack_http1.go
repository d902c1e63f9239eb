package main

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// patience is how long an attacker waits for a response.
const patience = 2 * time.Second

// raw sends text as it is over a connection of its own.
func (v *victim) raw(ctx context.Context, text string) (net.Conn, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", v.server.addr)
	if err != nil {
		return nil, err
	}
	_, err = io.WriteString(conn, text)
	return conn, err
}

// ask sends text and waits for what comes back, or for nothing to come any more.
func (v *victim) ask(text string) func(context.Context) (func(), error) {
	return func(ctx context.Context) (func(), error) {
		conn, err := v.raw(ctx, text)
		if err != nil {
			return nil, err
		}
		defer conn.Close()
		_ = conn.SetReadDeadline(time.Now().Add(patience)) // of an open connection it cannot fail
		if resp, err := http.ReadResponse(bufio.NewReader(conn), nil); err == nil {
			_, _ = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
		}
		return nil, nil
	}
}

// leave sends text, gives the handler time to begin, and goes.
func (v *victim) leave(text string, after time.Duration) func(context.Context) (func(), error) {
	return func(ctx context.Context) (func(), error) {
		conn, err := v.raw(ctx, text)
		if err != nil {
			return nil, err
		}
		pause(ctx, after)
		return nil, conn.Close()
	}
}

// hold sends text, and neither goes nor sends or reads more.
func (v *victim) hold(text string) func(context.Context) (func(), error) {
	return func(ctx context.Context) (func(), error) {
		conn, err := v.raw(ctx, text)
		if err != nil {
			return nil, err
		}
		pause(ctx, work) // the handler begins
		return func() { _ = conn.Close() }, nil
	}
}

// trickle sends text, waits for longer than a call may take, sends the rest, and
// only then reads.
func (v *victim) trickle(text, rest string) func(context.Context) (func(), error) {
	return func(ctx context.Context) (func(), error) {
		conn, err := v.raw(ctx, text)
		if err != nil {
			return nil, err
		}
		defer conn.Close()
		pause(ctx, slowAfter+slowAfter/4)
		_, _ = io.WriteString(conn, rest)                  // if the server has hung up, so be it
		_ = conn.SetReadDeadline(time.Now().Add(patience)) // of an open connection it cannot fail
		if resp, err := http.ReadResponse(bufio.NewReader(conn), nil); err == nil {
			_, _ = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
		}
		return nil, nil
	}
}

// head is a request without its body.
func head(method, path string, lines ...string) string {
	return method + " " + path + " HTTP/1.1\r\nHost: victim\r\n" + strings.Join(append(lines, "\r\n"), "\r\n")
}

// slowAttacks are for breakers that look at how long calls take.
func (v *victim) slowAttacks(closers *[]func()) []attack {
	transport := &http.Transport{DisableKeepAlives: true}
	*closers = append(*closers, transport.CloseIdleConnections)
	client := &http.Client{Transport: transport}
	upload := v.target("slow calls count: HTTP/1.1", client, http.MethodPost, "/upload", "", "honest")
	big := v.target("slow calls count: HTTP/1.1", client, http.MethodGet, "/big", "", "")
	return []attack{
		{"slow body", upload, v.trickle(head(http.MethodPost, "/upload", "Content-Length: 6")+"abc", "def")},
		{"slow reader", big, v.trickle(head(http.MethodGet, "/big"), "")},
	}
}

func (v *victim) attacksByHTTP1(closers *[]func()) []attack {
	transport := &http.Transport{DisableKeepAlives: true}
	*closers = append(*closers, transport.CloseIdleConnections)
	to := func(method, path, key, body string) *target {
		return v.target("HTTP/1.1", &http.Client{Transport: transport}, method, path, key, body)
	}
	const (
		long    = "Content-Length: 1000"
		chunked = "Transfer-Encoding: chunked"
	)
	var all []attack
	for _, route := range []struct {
		t    *target
		path string
	}{
		{to(http.MethodPost, "/upload", "", "honest"), "/upload"},
		{to(http.MethodPost, "/proxy", "/proxy", "honest"), "/proxy"},
		{to(http.MethodPost, "/timed", "", "honest"), "/timed"},
	} {
		post := func(body string, lines ...string) string { return head(http.MethodPost, route.path, lines...) + body }
		all = append(all,
			attack{"body that ends early", route.t, v.leave(post("abc", long), work)},
			attack{"body that never comes", route.t, v.hold(post("", long))},
			attack{"body that stops, held open", route.t, v.hold(post("abc", long))},
			attack{"endless chunked body", route.t, v.hold(post("3\r\nabc\r\n", chunked))},
			attack{"malformed chunk", route.t, v.ask(post("zz\r\nabc\r\n", chunked))},
			attack{"chunk without its end", route.t, v.ask(post("3\r\nabcdef\r\n0\r\n\r\n", chunked))},
			attack{"chunk of a negative length", route.t, v.ask(post("-1\r\nabc\r\n", chunked))},
			attack{"malformed trailer", route.t, v.ask(post("3\r\nabc\r\n0\r\nno trailer\r\n\r\n", chunked))},
			attack{"Expect: 100-continue and no body", route.t, v.hold(post("", long, "Expect: 100-continue"))},
		)
	}
	timed := to(http.MethodPost, "/timed", "", "honest")
	proxy := to(http.MethodGet, "/proxy", "/proxy", "")
	reached := to(http.MethodGet, "/work", "", "")
	rpc := to(http.MethodPost, "/connect", "", "{}")
	big := to(http.MethodGet, "/big", "", "")
	upgraded := to(http.MethodGet, "/upgrade", "", "")
	const asksUpgrade = "Connection: Upgrade"
	return append(all,
		attack{"upload slower than the handler's limit", timed, v.ask(head(http.MethodPost, "/timed", long) + "abc")},
		attack{"gone at once", reached, v.leave(head(http.MethodGet, "/work"), 0)},
		attack{"gone while it is served", reached, v.leave(head(http.MethodGet, "/work"), work/2)},
		attack{"Connect-Timeout-Ms: 1", rpc, v.ask(head(http.MethodPost, "/connect", "Connect-Timeout-Ms: 1", "Connect-Protocol-Version: 1", "Content-Type: application/json", "Content-Length: 2") + "{}")},
		attack{"Connect-Timeout-Ms: 0", rpc, v.ask(head(http.MethodPost, "/connect", "Connect-Timeout-Ms: 0", "Connect-Protocol-Version: 1", "Content-Type: application/json", "Content-Length: 2") + "{}")},
		attack{"does not read the response", big, v.hold(head(http.MethodGet, "/big"))},
		attack{"gone amid the response", big, v.leave(head(http.MethodGet, "/big"), work)},
		attack{"Upgrade that is no text", proxy, v.ask(head(http.MethodGet, "/proxy", asksUpgrade, "Upgrade: \xe9"))},
		attack{"Upgrade that the backend does not know", proxy, v.ask(head(http.MethodGet, "/proxy", asksUpgrade, "Upgrade: soak"))},
		attack{"invalid Content-Length", proxy, v.ask(head(http.MethodPost, "/proxy", "Content-Length: -1"))},
		attack{"header without a name", proxy, v.ask(head(http.MethodGet, "/proxy", ": nameless"))},
		attack{"Upgrade that is no text", upgraded, v.ask(head(http.MethodGet, "/upgrade", asksUpgrade, "Upgrade: \xe9"))},
		attack{"upgraded and silent", upgraded, v.hold(head(http.MethodGet, "/upgrade", asksUpgrade, "Upgrade: soak"))},
		attack{"upgraded and gone", upgraded, v.leave(head(http.MethodGet, "/upgrade", asksUpgrade, "Upgrade: soak"), work)},
	)
}
