// Quickstart shows what a circuit breaker does for the callers of a server that
// falls ill, and for the server. It needs nothing but Go and the loopback
// interface, and ends by itself in 16 s:
//
//	go run ./examples/quickstart
//
// It starts a real HTTP server that is healthy for 3 s, then answers slowly,
// then with 500, then refuses connections, 3 s each, and then is healthy again.
// Two fleets of clients call it all the time, side by side: one through
// [core.Do], the other with nothing in between.
//
// You will see a line a second about the fleet behind the breaker, a line for
// each thing the server does and for each transition of the breaker, with its
// reason, and at the end what the breaker changed: how many calls each fleet
// sent to the sick server, how long it waited for them, how soon the breaker
// opened, and how soon it closed once the server was well again.
//
// To read the code, begin with breakerConfig and run below. The call through
// the breaker is in clients.go, the server that falls ill in upstream.go, and
// what is printed in report.go.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/blackbox4/switchgear/core"
)

func main() { os.Exit(start()) }

// start is main with an exit status, so that what it defers runs.
func start() int {
	speed := flag.Float64("speed", 1, "how many times as fast as usual, 1 to 10")
	flag.Parse()
	if !(*speed >= 1 && *speed <= 10) || flag.NArg() > 0 { // written so that NaN is refused too
		fmt.Fprintln(os.Stderr, "quickstart takes no arguments but -speed, a number from 1 to 10")
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()

	tty := terminal(os.Stdout)
	_, err := run(ctx, &screen{out: os.Stdout, live: tty, colour: tty && os.Getenv("NO_COLOR") == ""}, pace(*speed), loopback())
	switch {
	case errors.Is(err, context.Canceled):
		fmt.Fprintln(os.Stderr, "quickstart: stopped before the end, so there is no summary")
		return 130 // what a shell expects of a program stopped by Ctrl-C
	case err != nil:
		fmt.Fprintln(os.Stderr, "quickstart:", err)
		return 1
	}
	return 0
}

// terminal reports whether f is one that can move its cursor.
func terminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0 && os.Getenv("TERM") != "dumb"
}

// pace is how many times as fast as usual everything goes: the server, the
// clients, the breaker and the lines printed.
type pace float64

func (p pace) of(d time.Duration) time.Duration { return time.Duration(float64(d) / float64(p)) }

// breakerConfig is the breaker of this program. Its times are short because
// the whole story has to fit into a quarter of a minute; for a real service,
// leave out what you have no opinion about and take the default.
func breakerConfig(p pace) core.Config {
	return core.Config{
		// Open after five consecutive failures, or when half of the last twenty
		// calls failed, or when half of them were slow.
		FailureThreshold:     5,
		FailureRateThreshold: 0.5,
		SlowRateThreshold:    0.5,
		SlowAfter:            p.of(250 * time.Millisecond),
		Window:               core.Window{Calls: 20},

		// Refuse for 600 ms at first, and longer each time that the probes find
		// the server still sick.
		Timeout:       p.of(600 * time.Millisecond),
		TimeoutFactor: 1.5,
		MaxTimeout:    p.of(1500 * time.Millisecond),

		// Then let two calls through at a time; four successes close.
		HalfOpenMaxCalls: 2,
		SuccessThreshold: 4,

		CallTimeout: p.of(callTimeout), // the deadline that core.Do gives each call
		Durations:   true,              // keep percentiles for Snapshot
	}
}

// callTimeout is how long either fleet waits for an answer.
const callTimeout = 2 * time.Second

// schedule is what the server does, and for how many ticks of a second.
var schedule = []struct {
	do    condition
	ticks int
}{{healthy, 3}, {slow, 3}, {failing, 3}, {refusing, 3}, {healthy, 4}}

// longest is when run ends although the breaker is not closed, which takes a
// machine that is too busy to answer the probes in time.
const longest = 19 * time.Second

// run is the program: it prints to scr and returns what it has measured. When
// it returns, everything it started has ended.
func run(ctx context.Context, scr *screen, p pace, n network) (*summary, error) {
	up, err := startUpstream(p, n)
	if err != nil {
		return nil, err
	}
	defer up.stop()

	rep := &report{screen: scr, began: time.Now()}
	cfg := breakerConfig(p)
	// The hook runs on the goroutine of some client; one at a time, in order.
	cfg.Hooks.Transition = func(_ context.Context, t core.Transition) { rep.transition(t, &cfg) }
	breaker, err := core.New("upstream", cfg)
	if err != nil {
		return nil, err
	}
	with := newFleet("with", breaker, up, p)
	without := newFleet("without", nil, up, p)
	rep.intro(with, p)
	defer scr.keep()

	// Deferred calls run last to first: the clients are told to stop and
	// awaited before the server is stopped.
	clientsCtx, stopClients := context.WithCancel(ctx)
	var clients sync.WaitGroup
	halt := func() { stopClients(); clients.Wait(); with.hangUp(); without.hangUp() }
	defer halt()
	with.start(clientsCtx, &clients)
	without.start(clientsCtx, &clients)

	second := time.NewTicker(p.of(time.Second))
	defer second.Stop()
	tick := func() error {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-second.C:
			rep.second(up.condition(), breaker.State(), with.lastSecond())
			return nil
		}
	}
	for _, part := range schedule {
		if err := up.become(ctx, part.do); err != nil {
			return nil, err
		}
		rep.server(part.do, p)
		for range part.ticks {
			if err := tick(); err != nil {
				return nil, err
			}
		}
	}
	for breaker.State() != core.Closed && time.Since(rep.began) < longest {
		if err := tick(); err != nil {
			return nil, err
		}
	}
	halt() // so that nothing changes while it is summed up

	s := rep.sumUp(breaker, with, without)
	rep.table(s)
	return s, nil
}
