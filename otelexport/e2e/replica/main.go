// Command replica is one replica of a service that calls nine dependencies, each
// behind a breaker, and has nine agents; it exports what otelexport has to say about
// them as the OTEL_* environment tells. The end-to-end test runs several and directs them by
// standard input, one word a line; each is answered by one line of JSON:
//
//	outage    from now on the dependencies fail, and agents go astray, each in its own way
//	report    no more calls; when all is at rest, what breakers and agents have counted
//
// It ends with its input. With -alone it is the one replica that cannot reach
// the dependency "search".
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/blackbox4/switchgear/core"
)

func main() {
	alone := flag.Bool("alone", false, "cannot reach search")
	flag.Parse()
	if err := run(context.Background(), *alone, os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "replica:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, alone bool, in io.Reader, out io.Writer) error {
	all := dependencies(alone)
	registry := &core.Registry{Config: func(name string) core.Config { return all[name].config }}
	agents, err := newCrew()
	if err != nil {
		return err
	}
	shutdown, err := export(ctx, registry, all, agents)
	if err != nil {
		return err
	}

	calls, stop := context.WithCancel(ctx)
	defer stop()
	var outage atomic.Bool
	var traffic sync.WaitGroup
	for name, d := range all {
		b, err := registry.Get(name)
		if err != nil {
			return err
		}
		traffic.Go(func() {
			for calls.Err() == nil {
				d.call(calls, b, outage.Load())
				pause(calls, pace)
			}
		})
	}

	traffic.Go(func() { // calls under a name that is not known, which no breaker guards
		for calls.Err() == nil {
			if outage.Load() {
				if p, err := registry.Gate("").Allow(calls); err == nil {
					p.Settle(calls, core.Success)
				}
			}
			pause(calls, pace)
		}
	})

	var working error
	traffic.Go(func() { working = agents.work(calls, outage.Load) })

	commands := bufio.NewScanner(in)
	for commands.Scan() {
		answer := any("ok")
		switch word := commands.Text(); word {
		case "outage":
			outage.Store(true)
			for name, d := range all {
				if err := force(registry, name, d.override); err != nil {
					return err
				}
			}
			if err := agents.interfere(); err != nil {
				return err
			}
		case "report":
			stop()
			traffic.Wait()
			if working != nil {
				return working
			}
			pause(ctx, 2*shortBreak) // breaks end by themselves, and change states
			answer = map[string]any{"breakers": report(registry), "agents": agents.report()}
		default:
			return fmt.Errorf("what is %q?", word)
		}
		if err := json.NewEncoder(out).Encode(answer); err != nil {
			return err
		}
	}
	return errors.Join(shutdown(ctx), agents.Close(ctx))
}

func force(registry *core.Registry, name string, o core.Override) error {
	b, err := registry.Get(name)
	if err != nil {
		return err
	}
	return b.Force(o)
}

func report(registry *core.Registry) map[string]core.Snapshot {
	out := make(map[string]core.Snapshot)
	for name, b := range registry.All() {
		s := b.Snapshot()
		s.Transitions, s.History = nil, nil
		out[name] = s
	}
	return out
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
