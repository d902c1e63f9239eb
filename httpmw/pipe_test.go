package httpmw_test

import (
	"context"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"testing"
)

// pipes are a listener in memory, for a bubble of synctest.
type pipes struct {
	conns chan net.Conn
	done  chan struct{}
	close sync.Once
}

func (p *pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	near, far := net.Pipe()
	select {
	case p.conns <- far:
		return near, nil
	case <-p.done:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case conn := <-p.conns:
		return conn, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { p.close.Do(func() { close(p.done) }); return nil }
func (p *pipes) Addr() net.Addr { return pipeAddr{} }

type pipeAddr struct{}

func (pipeAddr) Network() string { return "pipe" }
func (pipeAddr) String() string  { return "pipe" }

// inMemory serves h within a bubble, by HTTP/2 if two, and returns a client of
// it. Whatever of the two is left when the test ends fails the bubble.
func inMemory(t *testing.T, h http.Handler, two bool) (*http.Client, *pipes) {
	t.Helper()
	p := &pipes{conns: make(chan net.Conn), done: make(chan struct{})}
	protocols := new(http.Protocols)
	protocols.SetHTTP1(!two)
	protocols.SetUnencryptedHTTP2(two)
	s := &http.Server{Handler: h, Protocols: protocols, ErrorLog: log.New(io.Discard, "", 0)}
	transport := &http.Transport{DialContext: p.dial, Protocols: protocols}
	go s.Serve(p)
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		s.Close()
	})
	return &http.Client{Transport: transport}, p
}

// bothInMemory runs a bubble with HTTP/1.1 and one with HTTP/2.
func bothInMemory(t *testing.T, f func(t *testing.T, two bool)) {
	t.Run("HTTP1", func(t *testing.T) { bubble(t, func(t *testing.T) { f(t, false) }) })
	t.Run("HTTP2", func(t *testing.T) { bubble(t, func(t *testing.T) { f(t, true) }) })
}
