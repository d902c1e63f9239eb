// Package exampletest has what the tests of the examples share.
package exampletest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// WantLines fails the test unless text has a line for each pattern, in this order;
// others may stand between.
func WantLines(t *testing.T, text string, patterns []*regexp.Regexp) {
	t.Helper()
	rest := strings.Split(text, "\n")
	for _, want := range patterns {
		for len(rest) > 0 && !want.MatchString(rest[0]) {
			rest = rest[1:]
		}
		if len(rest) == 0 {
			t.Fatalf("no line %q, or not in its place, in\n%s", want, text)
		}
		rest = rest[1:]
	}
}

// WantInterrupted runs a program once for each mark, ends its context when it writes
// that, and fails the test unless it then ends with the context's error.
func WantInterrupted(t *testing.T, run func(context.Context, io.Writer) error, marks ...string) {
	t.Helper()
	for _, mark := range marks {
		ctx, cancel := context.WithCancel(t.Context())
		if err := run(ctx, OnMark(mark, cancel)); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v, want %v", mark, err, context.Canceled)
		}
		cancel()
	}
}

// OnMark returns a Writer that calls do whenever what is written contains mark.
func OnMark(mark string, do func()) io.Writer { return &onMark{mark, do} }

type onMark struct {
	mark string
	do   func()
}

func (w *onMark) Write(p []byte) (int, error) {
	if bytes.Contains(p, []byte(w.mark)) {
		w.do()
	}
	return len(p), nil
}

// Program is the program of the test's own package, built. Its context ends with the
// test, or after three minutes, most of them for a cold build.
type Program struct {
	t    *testing.T
	ctx  context.Context //nolint:containedctx // the test's
	path string
}

// Build builds the program, or skips the test in short mode.
func Build(t *testing.T) *Program {
	t.Helper()
	if testing.Short() {
		t.Skip("builds and runs a program")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	t.Cleanup(cancel)
	path := filepath.Join(t.TempDir(), "example.exe")                                                      // the ending that every system takes
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", path, ".").CombinedOutput(); err != nil { //nolint:gosec // a path of the test
		t.Fatalf("%v\n%s", err, out)
	}
	return &Program{t, ctx, path}
}

// Command returns the program with arguments, not yet started.
func (p *Program) Command(args ...string) *exec.Cmd {
	return exec.CommandContext(p.ctx, p.path, args...) //nolint:gosec // what the test builds
}

// Output runs the program, which must succeed, and returns what it prints.
func (p *Program) Output(args ...string) string {
	p.t.Helper()
	out, err := p.Command(args...).CombinedOutput()
	if err != nil {
		p.t.Fatalf("%q: %v\n%s", args, err, out)
	}
	return string(out)
}

// WantExit runs the program, which must end with this code and print a text that
// contains want, and be not empty.
func (p *Program) WantExit(code int, want string, args ...string) {
	p.t.Helper()
	out, err := p.Command(args...).CombinedOutput()
	if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.ExitCode() != code || len(out) == 0 || !strings.Contains(string(out), want) {
		p.t.Errorf("%q: %v\n%s\nwant exit %d and %q", args, err, out, code, want)
	}
}
