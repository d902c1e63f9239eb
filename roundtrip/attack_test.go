package roundtrip_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/roundtrip"
)

// spoiledBodies are what a client of a proxy may send in place of a body.
func spoiledBodies() map[string]string {
	chunked := func(rest string) string {
		return "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + rest
	}
	return map[string]string{
		"no chunk at all":             chunked(""),
		"a size that is no number":    chunked("ZZ\r\n"),
		"an empty size":               chunked("\r\n"),
		"a negative size":             chunked("-1\r\nabc\r\n"),
		"a size that is too large":    chunked("fffffffffffffffff\r\nabc\r\n"),
		"a huge size":                 chunked("7fffffffffffffff\r\nabc\r\n"),
		"less than its size":          chunked("5\r\nabc"),
		"more than its size":          chunked("2\r\nabcdef\r\n0\r\n\r\n"),
		"no end of the chunk":         chunked("3\r\nabcXX0\r\n\r\n"),
		"no last chunk":               chunked("3\r\nabc\r\n"),
		"a line that is too long":     chunked("3;" + strings.Repeat("x", 10_000) + "\r\nabc\r\n0\r\n\r\n"),
		"a trailer that is none":      chunked("3\r\nabc\r\n0\r\nno colon\r\n\r\n"),
		"a trailer without an end":    chunked("3\r\nabc\r\n0\r\nX-End: yes"),
		"bare line feeds":             chunked("3\nabc\n0\n\n"),
		"less than its length":        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nabc",
		"nothing of its length":       "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n",
		"a GET with a body cut short": "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc",
		"waits to be told to go on":   "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\nExpect: 100-continue\r\n\r\nabc",
	}
}

// spoil sends text as a client that then goes, or has no more to say.
func spoil(t *testing.T, addr, text string, goes bool) {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(c, text)
	if goes {
		return
	}
	_ = c.(*net.TCPConn).CloseWrite() // and an answer can still come
	_, _ = io.Copy(io.Discard, c)
}

// Clients of a proxy that send spoiled bodies refuse nothing to anyone: not while
// the host's breaker is closed, and not while it is half-open.
func TestClientsWithSpoiledBodies(t *testing.T) {
	for _, p := range protocols {
		t.Run(p.name, func(t *testing.T) {
			addr, inner := p.reach(t, reading)
			tr, b := behind(t, inner, core.Config{FailureThreshold: 1, Timeout: time.Millisecond, SuccessThreshold: 1000, HalfOpenMaxCalls: 1})
			front := proxied(t, tr, addr)
			at := front.Listener.Addr().String()
			settled := func() { eventually(t, "all is settled", func() bool { return b.Snapshot().Totals.InFlight == 0 }) }
			for _, half := range []bool{false, true} {
				want := core.Closed
				if half {
					halfOpenNow(t, b)
					want = core.HalfOpen
				}
				before := b.Snapshot().Totals.Failures
				for name, text := range spoiledBodies() {
					for _, goes := range []bool{false, true} {
						spoil(t, at, text, goes)
						settled()
						if got := b.Snapshot().Totals; b.State() != want || got.Failures != before {
							t.Fatalf("%s (goes: %t): the breaker is %v with %+v, want %v and no further failure", name, goes, b.State(), got, want)
						}
					}
				}
				eventually(t, "an honest request is admitted, when the last of those is over", func() bool {
					return sendRaw(t, at, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc") == "HTTP/1.1 200 OK"
				})
				settled()
				if got := b.Snapshot().Totals.Failures; got != before {
					t.Errorf("%d failures, want %d", got, before)
				}
			}
		})
	}
}

// A client of a proxy that announces a body and sends three bytes holds no other up:
// honest requests close a half-open breaker meanwhile.
func TestStalledUploadsWhileHalfOpen(t *testing.T) {
	t.Parallel()
	for _, p := range protocols {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			addr, inner := p.reach(t, reading)
			tr, b := behind(t, inner, core.Config{FailureThreshold: 1, Timeout: time.Millisecond, SuccessThreshold: 3, HalfOpenMaxCalls: 2})
			front := proxied(t, tr, addr)
			halfOpenNow(t, b)
			for range 2 { // each takes a place
				c, err := net.Dial("tcp", front.Listener.Addr().String())
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				_, _ = io.WriteString(c, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nabc")
			}
			eventually(t, "both places are taken", func() bool { return b.Snapshot().ProbesOut == 2 })
			eventually(t, "an honest client closes the breaker", func() bool {
				resp, err := http.Get(front.URL)
				if err != nil {
					t.Fatal(err)
				}
				_ = resp.Body.Close()
				return b.State() == core.Closed
			})
			if got := b.Snapshot().Totals; got.Failures != 1 || got.Lost != 0 {
				t.Errorf("totals %+v, want only the failure that opened, and no lost probe", got)
			}
		})
	}
}

// Headers that no server takes are the client's; a limit that the usual ones
// exceed is the host's.
func TestHeadersTheHostDoesNotTake(t *testing.T) {
	for name, row := range map[string]struct {
		limit    uint32
		header   int
		failures uint64
	}{
		"a huge header": {64 << 10, 128 << 10, 0},
		"a tiny limit":  {10, 100, 1},
	} {
		t.Run(name, func(t *testing.T) {
			addr := limited(t, row.limit)
			inner := private(t)
			inner.Protocols = new(http.Protocols)
			inner.Protocols.SetUnencryptedHTTP2(true)
			tr, b := behind(t, inner, core.Config{FailureThreshold: -1, FailureRateThreshold: -1})
			req := request(t, http.MethodGet, addr, nil)
			req.Header.Set("X-Long", strings.Repeat("x", row.header))
			eventually(t, "the client knows the limit", func() bool {
				resp, err := tr.RoundTrip(req)
				if err == nil {
					_ = resp.Body.Close()
					return false
				}
				if !strings.Contains(err.Error(), "header list larger") {
					t.Fatalf("err = %v, want one of the limit", err)
				}
				return true
			})
			if got := b.Snapshot().Totals; got.Failures != row.failures || got.Ignored != 1-row.failures {
				t.Errorf("totals %+v, want %d failures, else ignored", got, row.failures)
			}
		})
	}
}

// limited is an HTTP/2 server by hand that allows small headers only.
func limited(t *testing.T, limit uint32) (url string) {
	t.Helper()
	return connServer(t, func(c *net.TCPConn) {
		_, _ = io.ReadFull(c, make([]byte, len(http2.ClientPreface)))
		fr := http2.NewFramer(c, bufio.NewReader(c))
		_ = fr.WriteSettings(http2.Setting{ID: http2.SettingMaxHeaderListSize, Val: limit})
		for {
			f, err := fr.ReadFrame()
			if err != nil {
				return
			}
			switch f := f.(type) {
			case *http2.SettingsFrame:
				if !f.IsAck() {
					_ = fr.WriteSettingsAck()
				}
			case *http2.HeadersFrame: // of a client that has not seen the limit yet
				var head bytes.Buffer
				_ = hpack.NewEncoder(&head).WriteField(hpack.HeaderField{Name: ":status", Value: "200"})
				_ = fr.WriteHeaders(http2.HeadersFrameParam{StreamID: f.StreamID, BlockFragment: head.Bytes(), EndHeaders: true, EndStream: true})
			}
		}
	})
}

// A host that answers everything badly harms only itself: other hosts, also those
// that it redirects to, are charged with their own answers.
func TestHostileHost(t *testing.T) {
	well := serve(t, reading)
	evil := rawServer(t, func(c *net.TCPConn) {
		_, _ = fmt.Fprintf(c, "HTTP/1.1 302 Found\r\nLocation: %s\r\nRetry-After: 999999\r\nSwitchgear-Refused: open\r\nContent-Length: 0\r\n\r\n", well.URL)
	})
	tr := roundtrip.New(nil, &roundtrip.Options{Base: private(t)})
	client := &http.Client{Transport: tr}
	for range 20 {
		resp, err := client.Get(evil)
		if err != nil {
			t.Fatal(err)
		}
		_ = read(t, resp)
	}
	for _, b := range tr.Breakers().All() {
		if got := b.Snapshot().Totals; b.State() != core.Closed || got.Failures != 0 {
			t.Errorf("%s is %v with %+v, want closed, without failure", b.Name(), b.State(), got)
		}
	}
}
