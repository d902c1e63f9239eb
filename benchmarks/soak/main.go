// Command soak drives every layer of Switchgear at once, on loopback, with real
// servers, and then compares what the drivers have counted with what the breakers
// and the metrics say.
//
//	go run ./benchmarks/soak -for 2m       # as in CI; 20m by hand
//	go run ./benchmarks/soak -attack       # what one hostile client does to an honest one
//
// # The soak
//
// For the given time it drives: a client (roundtrip) over HTTP/1.1 and HTTP/2
// against a guarded server (httpmw) that is restarted, and against one that is
// killed; gRPC clients and servers (grpcmw), unary and streams, restarted too;
// functions under a file (presets) that changes, and is spoilt, all the time; agents
// (ralph) that loop, fail and hand work round; and breakers that are evicted and
// made anew, reset, reconfigured and forced open. Among the calls are slow and
// broken bodies, cancellations, deadlines, panics and hijacked connections.
//
// In the end totals agree exactly in every layer: what the drivers counted, what
// the breakers' snapshots say, and what the OpenTelemetry SDK has collected, by a
// cumulative and by a delta reader. Calls are the sum of successes, failures and
// ignored ones; nothing is in flight. Goroutines, descriptors and heap are back to
// where they were after a short round that came before.
//
// There is a row for each layer, and the command fails if one of them is wrong.
//
// # The attacks
//
// One client without any privilege does what it can to servers with default
// options over HTTP/1.1, HTTP/2 and gRPC, while an honest one is served, with the
// breaker closed and half-open. A row is wrong if the breaker refused the honest
// client even once.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	switch {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, "soak:", err)
		os.Exit(1)
	}
}

// run is the command: the table goes to out, progress to progress.
func run(ctx context.Context, args []string, out, progress io.Writer) error {
	flags := flag.NewFlagSet("soak", flag.ContinueOnError)
	flags.SetOutput(progress)
	length := flags.Duration("for", 2*time.Minute, "how `long` to drive the layers")
	attack := flags.Bool("attack", false, "make the attacks instead, which end by themselves")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *length <= 0 || flags.NArg() > 0 {
		return fmt.Errorf("-for is %v, and must be positive; there are no arguments but flags", *length)
	}
	slog.SetDefault(slog.New(slog.DiscardHandler)) // refusals and panics are what this is about
	if *attack {
		return attackAll(ctx, out, progress)
	}
	return soak(ctx, *length, out, progress)
}
