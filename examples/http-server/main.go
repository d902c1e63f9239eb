// Http-server shows an HTTP server whose database goes down: the route that needs
// it sheds its load, the others serve. It needs nothing but Go and the loopback
// interface, and ends by itself in about three seconds:
//
//	go run ./examples/http-server
//	go run ./examples/http-server -serve   # stays, for the curl lines that it prints
//
// By itself it is its own client: all is well, then the database does not answer
// and the breaker of GET /orders/{id} opens, then the database is back and the
// breaker closes. With -serve you do that, with curl, on another terminal.
//
// To read the code, begin with newShop below, which is all there is to do; what is
// told is in story.go.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/httpmw"
)

func main() { os.Exit(start()) }

// start is main with an exit status, so that what it defers runs.
func start() int {
	serve := flag.Bool("serve", false, "stay until interrupted, rather than play the story")
	addr := flag.String("addr", "127.0.0.1:0", "the `address` to listen on; port 0 is any that is free")
	flag.Parse()
	if flag.NArg() > 0 {
		fmt.Fprintln(os.Stderr, "http-server takes no arguments but -serve and -addr")
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Stdout, *addr, *serve); err != nil {
		fmt.Fprintln(os.Stderr, "http-server:", err)
		return 1
	}
	return 0
}

// shop is the server, and what it prints.
type shop struct {
	http.Handler

	registry core.Registry
	database database
	mu       sync.Mutex // the story and the breakers' hooks both print
	out      io.Writer
}

// newShop puts a breaker around each route of a mux.
func newShop(out io.Writer) *shop {
	s := &shop{out: out}
	s.registry.Config = func(string) core.Config {
		return core.Config{
			FailureThreshold: 3, Timeout: 2 * time.Second, HalfOpenMaxCalls: 1, SuccessThreshold: 2, // short, for a short story
			Hooks: core.Hooks{Transition: s.tell},
		}
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /orders/{id}", s.order)
	mux.HandleFunc("GET /prices/{item}", price)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprintln(w, "alive") })
	mux.HandleFunc("GET /breakers", s.breakers)
	mux.HandleFunc("POST /database/{state}", s.turn)

	guard := httpmw.New(&s.registry, &httpmw.Options{
		Key: httpmw.Route(mux),
		Skip: func(r *http.Request) bool {
			return !strings.HasPrefix(r.URL.Path, "/orders/") && !strings.HasPrefix(r.URL.Path, "/prices/")
		},
	})
	s.Handler = guard(mux)
	return s
}

// order needs the database, and knows nothing of breakers.
func (s *shop) order(w http.ResponseWriter, r *http.Request) {
	order, err := s.database.find(r.Context(), r.PathValue("id"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	_, _ = fmt.Fprintln(w, order) // if the client has gone, the error does not matter
}

// price needs nothing.
func price(w http.ResponseWriter, r *http.Request) {
	_, _ = fmt.Fprintf(w, "%s is 4.20\n", r.PathValue("item"))
}

// breakers tells where each breaker stands.
func (s *shop) breakers(w http.ResponseWriter, _ *http.Request) {
	for name, b := range s.registry.All() {
		_, _ = fmt.Fprintf(w, "%s: %s\n", name, b.Explain())
	}
}

// turn takes the database down, or brings it up.
func (s *shop) turn(w http.ResponseWriter, r *http.Request) {
	switch state := r.PathValue("state"); state {
	case "down", "up":
		s.database.down.Store(state == "down")
		_, _ = fmt.Fprintln(w, "the database is", state)
	default:
		http.Error(w, "either /database/down or /database/up", http.StatusNotFound)
	}
}

// database stands for one that, when it is down, does not answer.
type database struct{ down atomic.Bool }

var errNoAnswer = errors.New("the database does not answer")

const patience = 200 * time.Millisecond // of those who ask it

func (d *database) find(ctx context.Context, id string) (string, error) {
	if !d.down.Load() {
		return "order " + id, nil
	}
	if err := pause(ctx, patience); err != nil {
		return "", err
	}
	return "", errNoAnswer
}

// pause waits for d, or returns why ctx ended before.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// run serves, and plays the story or waits until ctx ends. When it returns,
// everything it started has ended.
func run(ctx context.Context, out io.Writer, addr string, serve bool) error {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	s := newShop(out)
	server := &http.Server{Handler: s, ReadHeaderTimeout: 10 * time.Second}
	served := make(chan error, 1)
	go func() { served <- server.Serve(ln) }()

	if url := "http://" + ln.Addr().String(); serve {
		s.invite(url)
		select {
		case <-ctx.Done():
		case err = <-served:
		}
	} else {
		err = s.story(ctx, url)
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	return errors.Join(err, server.Shutdown(last))
}
