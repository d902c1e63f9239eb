package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/httpmw"
)

// listen listens on addr, which a server before may just have left.
func listen(addr string) (l net.Listener, err error) {
	const tries = 500
	for range tries {
		var lc net.ListenConfig
		if l, err = lc.Listen(context.Background(), "tcp", addr); err == nil {
			return l, nil
		}
		time.Sleep(20 * time.Millisecond)
	}
	return nil, err
}

// httpServer is a server that can be restarted at its address.
type httpServer struct {
	addr    string
	handler http.Handler
	mu      sync.Mutex
	server  *http.Server
	served  chan struct{}
}

func newHTTPServer(handler http.Handler) (*httpServer, error) {
	s := &httpServer{addr: "127.0.0.1:0", handler: handler}
	return s, s.start()
}

func (s *httpServer) start() error {
	l, err := listen(s.addr)
	if err != nil {
		return err
	}
	if s.server == nil { // the first time: clients read it from then on
		s.addr = l.Addr().String()
	}
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	server := &http.Server{Handler: s.handler, Protocols: protocols, ErrorLog: log.New(io.Discard, "", 0)}
	served := make(chan struct{})
	s.mu.Lock()
	defer s.mu.Unlock()
	s.server, s.served = server, served
	go func() {
		defer close(served)
		_ = server.Serve(l) // ErrServerClosed
	}()
	return nil
}

// shutdown lets requests end; kill does not.
func (s *httpServer) shutdown() {
	s.mu.Lock()
	defer s.mu.Unlock()
	_ = s.server.Shutdown(context.Background()) // an error of closing the listener changes nothing
	<-s.served
}

func (s *httpServer) kill() {
	s.mu.Lock()
	defer s.mu.Unlock()
	_ = s.server.Close() // as above
	<-s.served
}

// restarting restarts a server every so often, by stop.
func restarting(ctx context.Context, wg *sync.WaitGroup, every time.Duration, stop func(), start func() error) {
	wg.Go(func() {
		for pause(ctx, every) {
			stop()
			pause(ctx, every/20)
			if err := start(); err != nil {
				panic(err) // its port was taken by another program: nothing can go on
			}
		}
	})
}

// pause reports whether d has passed before ctx was done.
func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// arrivals tell a client that its request is at the server, by an id.
type arrivals struct{ waiting sync.Map }

// expect returns a channel that is closed when the call of id arrives.
func (a *arrivals) expect(id string) <-chan struct{} {
	c := make(chan struct{})
	a.waiting.Store(id, c)
	return c
}

// arrived closes the channel of id, once.
func (a *arrivals) arrived(id string) {
	if c, ok := a.waiting.LoadAndDelete(id); ok {
		close(c.(chan struct{}))
	}
}

const (
	idHeader = "Soak-Id"
	cutRoute = "GET /cut"
)

// guardedHandler is a mux behind httpmw whose handlers count what they do.
func guardedHandler(t *tally, registry *core.Registry, a *arrivals) http.Handler {
	guard := httpmw.New(registry, &httpmw.Options{
		ProbeLease: lease,
		Refuse: func(w http.ResponseWriter, r *http.Request, refusal *core.OpenError) {
			t.refused.Add(1)
			httpmw.Refuse(w, r, refusal)
		},
	})
	mux := http.NewServeMux()
	handle := func(pattern string, h http.HandlerFunc) { mux.Handle(pattern, guard(h)) }
	handle("GET /ok", func(w http.ResponseWriter, _ *http.Request) {
		t.successes.Add(1)
		_, _ = io.WriteString(w, "hello")
	})
	handle("GET /fail", func(w http.ResponseWriter, _ *http.Request) {
		t.failures.Add(1)
		w.WriteHeader(http.StatusInternalServerError)
	})
	handle("GET /sometimes", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get(idHeader) == "bad" {
			t.failures.Add(1)
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		t.successes.Add(1)
	})
	handle("GET /wait", func(_ http.ResponseWriter, r *http.Request) {
		t.ignored.Add(1) // nothing but the client ends it
		a.arrived(r.Header.Get(idHeader))
		<-r.Context().Done()
	})
	handle("GET /panic", func(http.ResponseWriter, *http.Request) {
		t.failures.Add(1)
		panic(http.ErrAbortHandler)
	})
	handle(cutRoute, func(w http.ResponseWriter, _ *http.Request) {
		t.failures.Add(1)
		w.Header().Set("Content-Length", "1000")
		_, _ = io.WriteString(w, "hello")
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	})
	handle("GET /events", func(w http.ResponseWriter, r *http.Request) {
		t.successes.Add(1)
		w.Header().Set("Content-Type", "text/event-stream")
		for _, event := range []string{"data: one\n\n", "data: two\n\n"} {
			_, _ = io.WriteString(w, event)
			_ = http.NewResponseController(w).Flush()
		}
		<-r.Context().Done()
	})
	handle("POST /upload", func(_ http.ResponseWriter, r *http.Request) {
		t.successes.Add(1) // its client always sends all
		_, _ = io.Copy(io.Discard, r.Body)
	})
	handle("GET /upgrade", func(w http.ResponseWriter, _ *http.Request) {
		conn, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(fmt.Sprintf("HTTP/1.1 can be hijacked: %v", err))
		}
		t.successes.Add(1)
		defer conn.Close()
		_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: soak\r\n\r\n")
		if line, err := rw.ReadString('\n'); err == nil {
			_, _ = io.WriteString(conn, line)
		}
	})
	return mux
}

// crudeHandler has no breaker. Its server is killed under its requests.
func crudeHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /ok", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") })
	mux.HandleFunc("GET /big", func(w http.ResponseWriter, _ *http.Request) {
		chunk := make([]byte, 32<<10)
		for range 100 {
			if _, err := w.Write(chunk); err != nil {
				return
			}
		}
	})
	mux.HandleFunc("POST /upload", func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) })
	return mux
}
