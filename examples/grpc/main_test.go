package main

import (
	"bytes"
	"context"
	"errors"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// lines are what the program prints, in this order, with others between.
var lines = []*regexp.Regexp{
	regexp.MustCompile(`^No breaker`),
	regexp.MustCompile(`^  Get   OK; arrived: 1, handled: 1$`),
	regexp.MustCompile(`^  List  OK; arrived: 1, handled: 1$`),
	regexp.MustCompile(`^ plain falls ill\.$`),
	regexp.MustCompile(`^  Get   Unavailable; arrived: 4, handled: 4$`),
	regexp.MustCompile(`^  Get   Unavailable; arrived: 4, handled: 4$`),
	regexp.MustCompile(`^  List  Unavailable; arrived: 4, handled: 4$`),
	regexp.MustCompile(`^  List  Unavailable; arrived: 4, handled: 4$`),
	regexp.MustCompile(`^A breaker in the server`),
	regexp.MustCompile(`^ guarded falls ill\.$`),
	regexp.MustCompile(`^  >> breaker of the server, Get: closed -> open: consecutive failures \(4\)$`),
	regexp.MustCompile(`^  Get   Unavailable; arrived: 4, handled: 4$`),
	regexp.MustCompile(`^  Get   Unavailable, refused there; arrived: 1, handled: 0$`),
	regexp.MustCompile(`^  Get   Unavailable, refused there; arrived: 1, handled: 0$`),
	regexp.MustCompile(`^  >> breaker of the server, List: closed -> open: consecutive failures \(4\)$`),
	regexp.MustCompile(`^  List  Unavailable; arrived: 4, handled: 4$`),
	regexp.MustCompile(`^  List  Unavailable, refused there; arrived: 1, handled: 0$`),
	regexp.MustCompile(`^ guarded is well again\.$`),
	regexp.MustCompile(`^  Get   OK; arrived: 1, handled: 1$`),
	regexp.MustCompile(`^  List  OK; arrived: 1, handled: 1$`),
	regexp.MustCompile(`^A breaker in the client`),
	regexp.MustCompile(`^ plain falls ill\.$`),
	regexp.MustCompile(`^  Get   Unavailable; arrived: 4, handled: 4$`),
	regexp.MustCompile(`^  >> breaker of the client, Get: closed -> open: consecutive failures \(4\)$`),
	regexp.MustCompile(`^  Get   Unavailable, refused here; arrived: 0, handled: 0$`),
	regexp.MustCompile(`^  >> breaker of the client, List: closed -> open: consecutive failures \(4\)$`),
	regexp.MustCompile(`^  List  Unavailable, refused here; arrived: 0, handled: 0$`),
	regexp.MustCompile(`^ plain is well again\.$`),
	regexp.MustCompile(`^  >> breaker of the client, Get: half-open -> closed: the probes passed$`),
	regexp.MustCompile(`^  Get   OK; arrived: 1, handled: 1$`),
	regexp.MustCompile(`^  List  OK; arrived: 1, handled: 1$`),
}

// checkStory reports the first of lines that text does not have.
func checkStory(t *testing.T, text string) {
	t.Helper()
	rest := strings.Split(text, "\n")
	for _, want := range lines {
		for len(rest) > 0 && !want.MatchString(rest[0]) {
			rest = rest[1:]
		}
		if len(rest) == 0 {
			t.Fatalf("no line %q, or not in its place, in\n%s", want, text)
		}
		rest = rest[1:]
	}
}

func TestTheStory(t *testing.T) {
	var out bytes.Buffer
	if err := run(t.Context(), &out); err != nil {
		t.Fatalf("%v\n%s", err, &out)
	}
	checkStory(t, out.String())
}

// TestInterrupted ends the program in the middle of its story.
func TestInterrupted(t *testing.T) {
	for _, mark := range []string{"No breaker", "guarded falls ill", "guarded is well again"} {
		ctx, cancel := context.WithCancel(t.Context())
		if err := run(ctx, &onLine{mark: mark, do: cancel}); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v, want %v", mark, err, context.Canceled)
		}
		cancel()
	}
}

// onLine calls do when what is written contains mark.
type onLine struct {
	mark string
	do   func()
}

func (w *onLine) Write(p []byte) (int, error) {
	if bytes.Contains(p, []byte(w.mark)) {
		w.do()
	}
	return len(p), nil
}

// TestProgram builds the program and runs it as a person would.
func TestProgram(t *testing.T) {
	if testing.Short() {
		t.Skip("builds and runs a program")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute) // most of it for a cold build
	defer cancel()
	program := filepath.Join(t.TempDir(), "grpc.exe") // the ending that every system takes
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if out, err := exec.CommandContext(ctx, program).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	} else {
		checkStory(t, string(out))
	}
	for _, arg := range []string{"orders", "-fast"} {
		out, err := exec.CommandContext(ctx, program, arg).CombinedOutput()
		if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.ExitCode() != 2 || len(out) == 0 {
			t.Errorf("%s: %v\n%s\nwant exit 2, and why", arg, err, out)
		}
	}
}
