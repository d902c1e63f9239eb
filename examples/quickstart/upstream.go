package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// condition is what the server does with a call.
type condition int32

const (
	healthy  condition = iota // answers 200 within 10 ms
	slow                      // answers 200, after 600 ms
	failing                   // answers 500, after 100 ms
	refusing                  // is not there: its port is closed
)

const (
	healthyDelay = 10 * time.Millisecond
	slowDelay    = 600 * time.Millisecond
	failingDelay = 100 * time.Millisecond
)

func (c condition) String() string { return [...]string{"healthy", "slow", "500s", "down"}[c] }

func (c condition) sick() bool { return c != healthy }

// moment is the time since which the server has been in a condition.
type moment struct {
	condition condition
	since     time.Time
}

// network is how the server listens and the clients reach it. The program uses
// the loopback interface.
type network struct {
	listen func(addr string) (net.Listener, error) // at a free address if addr is empty
	dial   func(ctx context.Context, network, addr string) (net.Conn, error)
}

func loopback() network {
	return network{
		listen: func(addr string) (net.Listener, error) {
			if addr == "" {
				return listen()
			}
			return net.Listen("tcp", addr)
		},
		dial: new(net.Dialer).DialContext,
	}
}

// upstream is an HTTP server that does what it is told to become. While it
// refuses connections it is closed in earnest and later opened on its old port.
type upstream struct {
	addr string
	net  network
	pace pace
	now  atomic.Int32 // a condition

	server *http.Server   // nil while the port is closed
	serves sync.WaitGroup // the goroutine of server.Serve, then its connections

	mu      sync.Mutex
	moments []moment
	served  map[string]int // calls that reached it while it was sick, by fleet
}

func startUpstream(p pace, n network) (*upstream, error) {
	u := &upstream{net: n, pace: p, served: make(map[string]int)}
	ln, err := n.listen("")
	if err != nil {
		return nil, err
	}
	u.addr = ln.Addr().String()
	u.serve(ln)
	return u, nil
}

// listen opens a free port, preferably one below those that the system hands
// out for outgoing connections and for port 0: such a one could be handed to
// another program while it is closed.
func listen() (net.Listener, error) {
	for range 20 {
		port := 20_000 + rand.IntN(10_000)
		if ln, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port))); err == nil {
			return ln, nil
		}
	}
	return net.Listen("tcp", "127.0.0.1:0")
}

// become changes what the server does. It returns once that is so.
func (u *upstream) become(ctx context.Context, c condition) error {
	if c == refusing {
		u.stop()
	} else if u.server == nil {
		if err := u.reopen(ctx); err != nil {
			return err
		}
	}
	u.now.Store(int32(c))
	u.mu.Lock()
	defer u.mu.Unlock()
	u.moments = append(u.moments, moment{c, time.Now()})
	return nil
}

func (u *upstream) condition() condition { return condition(u.now.Load()) }

// reopen opens the old port again. It tries for a second, because another
// program may have taken the port for a short connection of its own.
func (u *upstream) reopen(ctx context.Context) error {
	giveUp := time.Now().Add(u.pace.of(time.Second))
	for {
		ln, err := u.net.listen(u.addr)
		if err == nil {
			u.serve(ln)
			return nil
		}
		if time.Now().After(giveUp) {
			return fmt.Errorf("the server cannot open its port again; has another program taken it? %w", err)
		}
		if !pause(ctx, u.pace.of(20*time.Millisecond)) {
			return ctx.Err()
		}
	}
}

func (u *upstream) serve(ln net.Listener) {
	u.server = &http.Server{
		Handler:           http.HandlerFunc(u.handle),
		ReadHeaderTimeout: 10 * time.Second,
		// Close does not wait for the goroutines of the connections, so they
		// are counted here.
		ConnState: func(_ net.Conn, state http.ConnState) {
			switch state { //nolint:exhaustive // the others are between these two
			case http.StateNew:
				u.serves.Add(1)
			case http.StateClosed:
				u.serves.Done()
			}
		},
	}
	server := u.server
	u.serves.Go(func() { _ = server.Serve(ln) }) // the error tells that it was closed
}

// stop closes the port and every connection, as a crash would, and waits for
// the handlers to notice.
func (u *upstream) stop() {
	if u.server == nil {
		return
	}
	_ = u.server.Close() // nothing could be done about an error
	u.serves.Wait()
	u.server = nil
}

// handle answers a call; its path is the name of the fleet it came from.
func (u *upstream) handle(w http.ResponseWriter, r *http.Request) {
	c := u.condition()
	if c.sick() {
		u.mu.Lock()
		u.served[strings.TrimPrefix(r.URL.Path, "/")]++
		u.mu.Unlock()
	}
	switch c {
	case slow:
		pause(r.Context(), u.pace.of(slowDelay))
	case failing:
		pause(r.Context(), u.pace.of(failingDelay))
		http.Error(w, "out of order", http.StatusInternalServerError)
		return
	case healthy, refusing:
		pause(r.Context(), u.pace.of(time.Duration(rand.Int64N(int64(healthyDelay)))))
	}
	_, _ = fmt.Fprintln(w, "fine") // if the caller has gone, the error does not matter
}

// pause waits for d. It reports false if ctx ended first.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
