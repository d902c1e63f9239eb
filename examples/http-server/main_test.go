package main

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net/http"
	"os"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"github.com/blackbox4/switchgear/internal/exampletest"
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

func TestTheStory(t *testing.T) {
	var out bytes.Buffer
	if err := run(t.Context(), &out, "127.0.0.1:0", false); err != nil {
		t.Fatalf("%v\n%s", err, &out)
	}
	exampletest.WantLines(t, out.String(), lines)
}

// TestInterrupted ends the program in the middle of its story.
func TestInterrupted(t *testing.T) {
	exampletest.WantInterrupted(t, func(ctx context.Context, w io.Writer) error { return run(ctx, w, "127.0.0.1:0", false) }, "All is well", "goes down", "wait for")
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
	program := exampletest.Build(t)
	exampletest.WantLines(t, program.Output(), lines)
	for _, c := range []struct {
		args []string
		exit int
		want string
	}{
		{[]string{"8080"}, 2, "takes no arguments but"},
		{[]string{"-port", "8080"}, 2, "-addr address"},
		{[]string{"-addr", "here"}, 1, "http-server: listen tcp"},
	} {
		program.WantExit(c.exit, c.want, c.args...)
	}

	serving := program.Command("-serve")
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
