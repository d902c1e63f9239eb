package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"
)

// lines are what the program prints, in this order, with others between.
var lines = []*regexp.Regexp{
	regexp.MustCompile(`^All is well\.$`),
	regexp.MustCompile(`^  GET /orders/1 -> 200 OK in .*: order 1$`),
	regexp.MustCompile(`^  POST /database/down -> 200 OK in `),
	regexp.MustCompile(`^  GET /orders/2 -> 500 Internal Server Error in [0-9.]+m?s: the database does not answer$`),
	regexp.MustCompile(`^  >> GET /orders/\{id\}: closed -> open: consecutive failures \(3\)$`),
	regexp.MustCompile(`^  GET /orders/5 -> 503 Service Unavailable in .*, Retry-After: [12]$`),
	regexp.MustCompile(`^  GET /orders/6 -> 503 Service Unavailable in .*, Retry-After: [12]$`),
	regexp.MustCompile(`^  GET /prices/tea -> 200 OK in .*: tea is 4.20$`),
	regexp.MustCompile(`^  GET /healthz -> 200 OK in .*: alive$`),
	regexp.MustCompile(`^  POST /database/up -> 200 OK in `),
	regexp.MustCompile(`^  A refusal says when to try again, so wait for [12]s\.$`),
	regexp.MustCompile(`^  >> GET /orders/\{id\}: open -> half-open: timeout elapsed$`),
	regexp.MustCompile(`^  GET /orders/7 -> 200 OK in .*: order 7$`),
	regexp.MustCompile(`^  >> GET /orders/\{id\}: half-open -> closed: the probes passed$`),
	regexp.MustCompile(`^  GET /orders/8 -> 200 OK in .*: order 8$`),
	regexp.MustCompile(`^  GET /breakers -> 200 OK in .*GET /(orders/\{id\}|prices/\{item\}): closed: 0 of 3 consecutive failures; failure rate [^;]*; GET /`),
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
	if err := run(t.Context(), &out, "127.0.0.1:0", false); err != nil {
		t.Fatalf("%v\n%s", err, &out)
	}
	checkStory(t, out.String())
}

// TestInterrupted ends the program in the middle of its story.
func TestInterrupted(t *testing.T) {
	for _, mark := range []string{"All is well", "goes down", "wait for"} {
		ctx, cancel := context.WithCancel(t.Context())
		if err := run(ctx, &onLine{mark: mark, do: cancel}, "127.0.0.1:0", false); !errors.Is(err, context.Canceled) {
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

// TestServe does what the curl lines do.
func TestServe(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	from, to := io.Pipe()
	done := make(chan error, 1)
	go func() { done <- run(ctx, to, "127.0.0.1:0", true); to.Close() }()
	tryCurlLines(t, from)
	go func() { _, _ = io.Copy(io.Discard, from) }()
	cancel()
	if err := <-done; err != nil {
		t.Errorf("interrupted, it ends with %v, want no error", err)
	}
}

// tryCurlLines reads the invitation from a server and sends what it says.
func tryCurlLines(t *testing.T, from io.Reader) {
	t.Helper()
	curl := regexp.MustCompile(`^  curl (?:-i )?(?:-X (POST) )?(http://\S+) +# \S`)
	want := map[string]string{"/orders/1": "order 1", "/prices/tea": "tea is", "/database/down": "down", "/breakers": "closed", "/database/up": "up", "/healthz": "alive"}
	var found [][]string
	for in := bufio.NewScanner(from); len(found) < len(want) && in.Scan(); {
		if m := curl.FindStringSubmatch(in.Text()); m != nil {
			found = append(found, m)
		}
	}
	if len(found) != len(want) {
		t.Fatalf("%d curl lines, want %d", len(found), len(want))
	}
	defer http.DefaultClient.CloseIdleConnections()
	for _, m := range found {
		method, url := m[1], m[2]
		req, err := http.NewRequestWithContext(t.Context(), method, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK || !strings.Contains(string(body), want[req.URL.Path]) {
			t.Errorf("%s: %s %s, want 200 and %q", m[0], resp.Status, body, want[req.URL.Path])
		}
	}
}

// TestProgram builds the program and runs it as a person would.
func TestProgram(t *testing.T) {
	if testing.Short() {
		t.Skip("builds and runs a program")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute) // most of it for a cold build
	defer cancel()
	program := filepath.Join(t.TempDir(), "http-server.exe") // the ending that every system takes
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if out, err := exec.CommandContext(ctx, program).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	} else {
		checkStory(t, string(out))
	}
	for _, c := range []struct {
		args []string
		exit int
		want string
	}{
		{[]string{"8080"}, 2, "takes no arguments but"},
		{[]string{"-port", "8080"}, 2, "-addr address"},
		{[]string{"-addr", "here"}, 1, "http-server: listen tcp"},
	} {
		out, err := exec.CommandContext(ctx, program, c.args...).CombinedOutput()
		if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.ExitCode() != c.exit || !strings.Contains(string(out), c.want) {
			t.Errorf("%q: %v\n%s\nwant exit %d and %q", c.args, err, out, c.exit, c.want)
		}
	}

	serving := exec.CommandContext(ctx, program, "-serve")
	out, err := serving.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := serving.Start(); err != nil {
		t.Fatal(err)
	}
	tryCurlLines(t, out)
	if runtime.GOOS == "windows" {
		_ = serving.Process.Kill() // there is no other way
		_ = serving.Wait()
		return
	}
	if err := serving.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := serving.Wait(); err != nil {
		t.Errorf("interrupted, it ends with %v, want no error", err)
	}
}
