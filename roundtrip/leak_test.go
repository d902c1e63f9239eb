package roundtrip_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/roundtrip"
)

// ledger counts what is opened and what is closed.
type ledger struct{ opened, closed atomic.Int64 }

// leakProof is a Base that keeps a ledger of the bodies it returns, and that
// panics when asked to.
type leakProof struct {
	*http.Transport

	bodies *ledger
}

func (l leakProof) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.URL.Path == "/panic" {
		panic("base")
	}
	resp, err := l.Transport.RoundTrip(req)
	if err == nil {
		l.bodies.opened.Add(1)
		body := &closing{resp.Body, sync.OnceFunc(func() { l.bodies.closed.Add(1) })}
		if w, ok := resp.Body.(io.Writer); ok {
			resp.Body = struct {
				*closing
				io.Writer
			}{body, w}
		} else {
			resp.Body = body
		}
	}
	return resp, err
}

type closing struct {
	io.ReadCloser

	once func()
}

func (c *closing) Close() error {
	c.once()
	return c.ReadCloser.Close()
}

// mixed is the handler of a host that can do everything wrong.
func mixed(w http.ResponseWriter, req *http.Request) {
	flush := http.NewResponseController(w).Flush
	if req.URL.Path != "/upgrade" {
		_, _ = io.Copy(io.Discard, req.Body) // only then the server looks whether the client is there
	}
	switch req.URL.Path {
	case "/500":
		http.Error(w, "sick", http.StatusInternalServerError)
	case "/cut":
		_, _ = io.WriteString(w, "text")
		_ = flush()
		panic(http.ErrAbortHandler)
	case "/abort":
		panic(http.ErrAbortHandler)
	case "/hang":
		<-req.Context().Done()
	case "/stream":
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, "data: some\n\n")
		_ = flush()
		<-req.Context().Done()
	case "/long":
		_, _ = w.Write(make([]byte, 10_000))
		_ = flush()
		<-req.Context().Done()
	case "/upgrade":
		c, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			w.WriteHeader(http.StatusUpgradeRequired)
			return
		}
		defer c.Close()
		_, _ = rw.WriteString("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: lines\r\n\r\n")
		_ = rw.Flush()
		_, _ = io.Copy(c, rw)
	default:
		_, _ = io.WriteString(w, "text")
	}
}

// mix makes the nth of many calls, each of another kind.
func mix(t *testing.T, client *http.Client, url string, n int, sent *ledger) {
	const kinds = 12
	ctx, cancel := context.WithCancel(bg)
	defer cancel()
	do := func(path string, then func(body io.ReadCloser)) {
		sent.opened.Add(1)
		payload := &closing{io.NopCloser(strings.NewReader("payload")), sync.OnceFunc(func() { sent.closed.Add(1) })}
		req := requestIn(t, ctx, http.MethodPost, url+path, payload)
		if path == "/upgrade" {
			req.Header.Set("Connection", "Upgrade")
			req.Header.Set("Upgrade", "lines")
		}
		resp, err := client.Do(req)
		if err == nil {
			then(resp.Body)
			_ = resp.Body.Close()
		}
	}
	drain := func(body io.ReadCloser) { _, _ = io.Copy(io.Discard, body) }
	ten := func(body io.ReadCloser) { _, _ = io.ReadFull(body, make([]byte, 10)) }
	switch n % kinds {
	case 0:
		do("/", drain)
	case 1:
		do("/", func(io.ReadCloser) {})
	case 2:
		do("/500", drain)
	case 3:
		do("/cut", drain)
	case 4:
		do("/abort", drain)
	case 5:
		ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{WroteRequest: func(httptrace.WroteRequestInfo) { cancel() }})
		do("/hang", drain)
	case 6:
		do("/long", func(body io.ReadCloser) { ten(body); cancel(); drain(body) })
	case 7:
		do("/long", ten)
	case 8:
		do("/stream", ten)
	case 9:
		do("/upgrade", func(body io.ReadCloser) {
			if conn, ok := body.(io.ReadWriteCloser); ok {
				_, _ = io.WriteString(conn, "0123456789")
				ten(body)
			}
		})
	case 10:
		defer func() {
			sent.closed.Add(1) // which the Base that panics does not
			if got := recover(); got != "base" {
				t.Errorf("recovered %v, want the panic of Base", got)
			}
		}()
		client = &http.Client{Transport: client.Transport} // its goroutine for a timeout outlives a panic
		do("/panic", drain)
	case 11:
		url = "http://refused.example"
		do("/", drain)
	}
}

func TestNothingLeaks(t *testing.T) {
	calls, workers := 10_000, 16
	if testing.Short() {
		calls /= 4
	}
	before := runtime.NumGoroutine()
	var conns, sent, received ledger
	s := serve(t, mixed, func(s *httptest.Server) {
		s.Config.Protocols = new(http.Protocols)
		s.Config.Protocols.SetHTTP1(true)
		s.Config.Protocols.SetUnencryptedHTTP2(true)
		s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
			switch state { //nolint:exhaustive // the others are in between
			case http.StateNew:
				conns.opened.Add(1)
			case http.StateClosed, http.StateHijacked:
				conns.closed.Add(1)
			}
		}
	})
	registry := &core.Registry{Config: func(string) core.Config { return core.Config{FailureThreshold: -1, FailureRateThreshold: -1} }}
	refused, err := registry.Get("refused.example:80")
	if err != nil {
		t.Fatal(err)
	}
	if err := refused.Force(core.ForcedOpen); err != nil {
		t.Fatal(err)
	}
	var clients []*http.Client
	for _, two := range []bool{false, true} {
		inner := &http.Transport{Protocols: new(http.Protocols)}
		inner.Protocols.SetHTTP1(!two)
		inner.Protocols.SetUnencryptedHTTP2(two)
		for _, timeout := range []time.Duration{0, time.Minute} { // with it, http.Client has a goroutine for each call
			clients = append(clients, &http.Client{
				Transport: roundtrip.New(registry, &roundtrip.Options{Base: leakProof{inner, &received}}),
				Timeout:   timeout,
			})
		}
	}

	var next atomic.Int64
	var working sync.WaitGroup
	for range workers {
		working.Go(func() {
			for n := int(next.Add(1)); n <= calls; n = int(next.Add(1)) {
				mix(t, clients[(n/16)%len(clients)], s.URL, n, &sent)
			}
		})
	}
	working.Wait()

	totals := registry.Stats().Totals
	if settled := totals.Successes + totals.Failures + totals.Ignored; totals.InFlight != 0 || settled != totals.Calls || totals.Calls+totals.Refused != uint64(calls) {
		t.Errorf("totals %+v, want all of %d calls settled or refused", totals, calls)
	}
	for name, n := range map[string]uint64{"successes": totals.Successes, "failures": totals.Failures, "ignored": totals.Ignored, "refused": totals.Refused} {
		if n < uint64(calls)/20 {
			t.Errorf("%d %s of %d calls, want a mix", n, name, calls)
		}
	}
	if opened, closed := received.opened.Load(), received.closed.Load(); opened != closed || opened < int64(calls)/2 {
		t.Errorf("%d of %d bodies of responses were closed, want all", closed, opened)
	}
	eventually(t, "every request's body is closed", func() bool { return sent.closed.Load() == sent.opened.Load() })
	for _, client := range clients {
		client.CloseIdleConnections()
	}
	eventually(t, "every connection is closed", func() bool { return conns.closed.Load() == conns.opened.Load() })
	s.Close()
	eventually(t, "every goroutine has ended", func() bool { return runtime.NumGoroutine() <= before })
}
