// Custom-configuration shows breakers that a file describes, and what becomes of
// them when the file changes. It needs nothing but Go, and ends by itself in
// about a second:
//
//	go run ./examples/custom-configuration
//	go run ./examples/custom-configuration -config my.yaml   # with a file of yours
//
// It protects three functions: one whose policy is in breakers.yaml by its name,
// one by a pattern, one whose policy is in the code. A payment gateway fails and
// its breaker opens; the file is replaced, once by a good one and once by a bad
// one; the gateway recovers, and a health check ends the break. The file that
// changes is a copy; yours is only read.
//
// To read the code, begin with load below and protect in functions.go; what is
// told is in story.go.
package main

import (
	"context"
	_ "embed"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"sync"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/presets"
)

//go:embed breakers.yaml
var builtIn []byte

func main() { os.Exit(start()) }

// start is main with an exit status, so that what it defers runs.
func start() int {
	config := flag.String("config", "", "a `file` to use in place of the built-in breakers.yaml; it is only read")
	flag.Parse()
	if flag.NArg() > 0 {
		fmt.Fprintf(os.Stderr, "custom-configuration takes no arguments but -config; did you mean -config %s?\n", flag.Arg(0))
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Stdout, *config); err != nil {
		fmt.Fprintln(os.Stderr, "custom-configuration:", err)
		return 1
	}
	return 0
}

// story is one run of the program.
type story struct {
	functions

	out         io.Writer
	path        string // of the file that is watched
	fleet       *presets.Fleet
	registry    *presets.Registry
	transitions chan core.Transition
	faults      chan error      // of the file
	last        core.Transition // that was told
}

// run tells the story to out. When it returns, everything it started has ended.
func run(ctx context.Context, out io.Writer, config string) error {
	dir, err := os.MkdirTemp("", "custom-configuration")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	s := &story{
		out: out, path: filepath.Join(dir, "breakers.yaml"),
		transitions: make(chan core.Transition, 100), faults: make(chan error, 10),
	}
	if err := s.load(config); err != nil {
		return err
	}

	ctx, stop := context.WithCancel(ctx)
	var background sync.WaitGroup
	defer func() { stop(); background.Wait() }()
	background.Go(func() {
		presets.Watch(ctx, s.path, s.registry, func(err error) { s.faults <- err })
	})
	background.Go(func() {
		_ = s.registry.CheckHealth(ctx) // fails only if it runs already
	})

	for _, part := range []func(context.Context) error{s.begin, s.fail, s.change, s.spoil, s.heal} {
		if err := part(ctx); err != nil {
			return err
		}
	}
	return nil
}

// load makes the registry of what the file says, and the functions in it.
func (s *story) load(config string) (err error) {
	text := builtIn
	if config != "" {
		if _, err = presets.Load(config); err != nil {
			return err // it names the file, the line and what is wrong there
		}
		if text, err = os.ReadFile(config); err != nil {
			return err
		}
	}
	if err = os.WriteFile(s.path, text, 0o600); err != nil {
		return err
	}
	if s.fleet, err = presets.Load(s.path); err != nil {
		return err
	}
	if s.registry, err = presets.NewRegistry(s.fleet); err != nil {
		return err
	}
	// Funcs do not fit into a file: here, a hook for transitions.
	s.registry.Attach = func(_ string, p *presets.Policy) {
		p.Hooks.Transition = func(_ context.Context, t core.Transition) { s.transitions <- t }
	}
	s.functions = protect(s.registry)
	return nil
}
