package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/httpmw"
)

// Limits of the handlers under attack. Honest calls stay far below them, however
// busy the machine is.
const (
	work        = 5 * time.Millisecond // what a call usually takes
	uploadLimit = 500 * time.Millisecond
	slowAfter   = 300 * time.Millisecond
	bigResponse = 8 << 20
)

// victim is an HTTP server whose routes are guarded with default options, and by
// breakers of some Config.
type victim struct {
	server   *httpServer
	backend  *httptest.Server
	registry *core.Registry
	sick     atomic.Bool
}

func newVictim(cfg core.Config) (*victim, error) {
	v := &victim{registry: &core.Registry{Config: func(string) core.Config { return cfg }}}
	v.backend = httptest.NewServer(http.HandlerFunc(upload))
	guard := httpmw.New(v.registry, nil)
	mux := http.NewServeMux()
	handle := func(pattern string, h http.Handler) {
		mux.Handle(pattern, guard(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if v.sick.Load() {
				http.Error(w, "sick", http.StatusInternalServerError)
				return
			}
			h.ServeHTTP(w, r)
		})))
	}
	to, err := url.Parse(v.backend.URL)
	if err != nil {
		return nil, err
	}
	proxy := httputil.NewSingleHostReverseProxy(to)
	proxy.ErrorLog = log.New(io.Discard, "", 0)
	handle("GET /work", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { working(r.Context(), w) }))
	handle("POST /connect", http.HandlerFunc(connect))
	handle("POST /upload", http.HandlerFunc(upload))
	handle("POST /timed", http.TimeoutHandler(http.HandlerFunc(upload), uploadLimit, "too slow"))
	handle("/proxy", proxy)
	handle("GET /big", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.CopyN(w, zeros{}, bigResponse)
	}))
	handle("GET /upgrade", http.HandlerFunc(upgrade))
	v.server, err = newHTTPServer(mux)
	return v, err
}

func (v *victim) close() {
	v.server.kill()
	v.backend.CloseClientConnections()
	v.backend.Close()
}

// working takes a while and heeds its context, as a query does.
func working(ctx context.Context, w http.ResponseWriter) {
	if !pause(ctx, work) {
		http.Error(w, ctx.Err().Error(), http.StatusInternalServerError)
		return
	}
	_, _ = io.WriteString(w, "done")
}

// connect is a handler that heeds Connect-Timeout-Ms as the Connect protocol has
// it: the client says how long it may take, and 504 is what it then gets.
func connect(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	if ms, err := strconv.ParseInt(r.Header.Get("Connect-Timeout-Ms"), 10, 64); err == nil {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Duration(ms)*time.Millisecond)
		defer cancel()
	}
	if !pause(ctx, work) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusGatewayTimeout)
		_, _ = io.WriteString(w, `{"code":"deadline_exceeded"}`)
		return
	}
	_, _ = io.WriteString(w, "{}")
}

// upload answers 500 to whatever keeps it from reading, as many handlers do.
func upload(w http.ResponseWriter, r *http.Request) {
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	_, _ = io.WriteString(w, "read")
}

// upgrade takes the connection over, or says that it cannot.
func upgrade(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Upgrade") != "soak" {
		http.Error(w, "which protocol?", http.StatusBadRequest)
		return
	}
	conn, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		http.Error(w, err.Error(), http.StatusNotImplemented)
		return
	}
	defer conn.Close()
	_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: soak\r\n\r\n")
	_, _ = rw.ReadString('\n')
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

// target is a route of the victim, called by an honest client.
func (v *victim) target(protocol string, client *http.Client, method, path, key, body string) *target {
	if key == "" {
		key = method + " " + path
	}
	return &target{
		name: protocol + " " + key, registry: v.registry, key: key, sick: v.sick.Store,
		honest: func(ctx context.Context) (bool, error) {
			req, err := http.NewRequestWithContext(ctx, method, "http://"+v.server.addr+path, strings.NewReader(body))
			if err != nil {
				return false, err
			}
			resp, err := client.Do(req)
			if err != nil {
				return false, err
			}
			text, err := io.ReadAll(resp.Body)
			switch err = errors.Join(err, resp.Body.Close()); {
			case resp.StatusCode == http.StatusServiceUnavailable && resp.Header.Get("Content-Type") == "application/problem+json":
				return true, nil
			case err == nil && resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusBadRequest:
				err = fmt.Errorf("%s: %.60q", resp.Status, text)
			}
			return false, err
		},
	}
}

// allAttacks starts all servers and returns what is done to them.
func allAttacks() (all []attack, done func(), err error) {
	var closers []func()
	done = func() {
		for _, closer := range slices.Backward(closers) {
			closer()
		}
	}
	v, err := newVictim(core.Config{})
	if err != nil {
		return nil, nil, err
	}
	closers = append(closers, v.close)
	measuring, err := newVictim(core.Config{SlowRateThreshold: 0.5, SlowAfter: slowAfter, Window: core.Window{Calls: 20}})
	if err != nil {
		done()
		return nil, nil, err
	}
	closers = append(closers, measuring.close)
	all = slices.Concat(v.attacksByHTTP1(&closers), v.attacksByHTTP2(&closers), measuring.slowAttacks(&closers))
	byGRPC, err := attacksByGRPC(&closers)
	if err != nil {
		done()
		return nil, nil, err
	}
	return append(all, byGRPC...), done, nil
}
