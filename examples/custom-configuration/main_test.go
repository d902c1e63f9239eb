package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/blackbox4/switchgear/internal/exampletest"
)

// patient returns a file that is the program's own, but for the time that the
// breaker of payments stays open: on no machine is that over before a health
// check ends it.
func patient(t *testing.T) string {
	t.Helper()
	text := strings.Replace(string(builtIn), "timeout: 30s ", "timeout: 9h ", 1)
	path := filepath.Join(t.TempDir(), "breakers.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil || text == string(builtIn) {
		t.Fatal(err, "or there is no timeout of 30s")
	}
	return path
}

// lines are what the program prints, in this order, with others between.
var lines = []*regexp.Regexp{
	regexp.MustCompile(`^  payments +opens after 3 failures, for 9h0m0s; .*\(by name in breakers.yaml\)$`),
	regexp.MustCompile(`^  billing-eu +opens after 3 failures, for 45s; .*\(by pattern in breakers.yaml\)$`),
	regexp.MustCompile(`^  search +opens after 2 failures, for 30s; .*\(in the code\)$`),
	regexp.MustCompile(`^  charge, attempts: 2: the gateway does not answer$`),
	regexp.MustCompile(`^  charge, attempts: 1: circuit breaker "payments" refused the call: .*the last: the gateway does not answer`),
	regexp.MustCompile(`^  >> payments: closed -> open: consecutive failures \(3\)$`),
	regexp.MustCompile(`^  search, which has a fallback: yesterday's lamps \(the index is being built\), <nil>$`),
	regexp.MustCompile(`^  invoice, which has another breaker: <nil>$`),
	regexp.MustCompile(`^  payments +opens after 4 failures, for 9h0m0s; closes after 1 successes; call timeout 5s \(as in the new file\)$`),
	regexp.MustCompile(`^  payments +open: consecutive failures \(3\); .* 1 successes then close it \(what it has seen is kept\)$`),
	regexp.MustCompile(`^  breakers.yaml:4:5: policies.payments.failure_treshold is not a known field; did you mean "failure_threshold"\?$`),
	regexp.MustCompile(`^  payments +opens after 4 failures, .*\(as before\)$`),
	regexp.MustCompile(`^  >> payments: open -> half-open: a health check passed$`),
	regexp.MustCompile(`^  that is [89]h[0-9]+m[0-9.]+s before the end of the break$`),
	regexp.MustCompile(`^  charge: paid 19.99, <nil>$`),
	regexp.MustCompile(`^  >> payments: half-open -> closed: the probes passed$`),
}

func TestWhatBecomesOfAFile(t *testing.T) {
	config := patient(t)
	t.Setenv("TMPDIR", t.TempDir()) // to see what is left there
	var out bytes.Buffer
	if err := run(t.Context(), &out, config); err != nil {
		t.Fatalf("%v\n%s", err, &out)
	}
	exampletest.WantLines(t, out.String(), lines)
	if left, err := os.ReadDir(os.Getenv("TMPDIR")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// TestConfig runs the program with files other than its own.
func TestConfig(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		want string // in the error, or in the output if it begins with a >
	}{
		"JSON, one pattern":  {`{"policies": {"*": {"preset": "aggressive", "health_check_interval": "20ms"}}}`, "> payments: half-open -> closed"},
		"a spelling mistake": {"policies:\n  payments: {preset: databse}\n", `breakers.yaml:2:22: policies.payments.preset is "databse"`},
		"empty":              {"", "{} stands for nothing but defaults"},
		"never opens":        {"policies: {payments: {preset: none, failure_threshold: -1, failure_rate_threshold: -1}}", "give it a lower failure_threshold"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "breakers.yaml")
			if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
				t.Fatal(err)
			}
			var out bytes.Buffer
			err := run(t.Context(), &out, path)
			got := out.String()
			if err != nil {
				got = err.Error()
			}
			if failed := !strings.HasPrefix(c.want, ">"); failed != (err != nil) || !strings.Contains(got, c.want) {
				t.Errorf("%v\n%s\nwant %q", err, &out, c.want)
			}
			if after, err := os.ReadFile(path); err != nil || string(after) != c.text {
				t.Errorf("the file was written to: %v\n%s", err, after)
			}
		})
	}
	if err := run(t.Context(), new(bytes.Buffer), "no-such.yaml"); err == nil || !strings.Contains(err.Error(), "no-such.yaml: the file cannot be read") {
		t.Errorf("without a file: %v", err)
	}
}

// TestInterrupted ends the program while it waits for something.
func TestInterrupted(t *testing.T) {
	exampletest.WantInterrupted(t, func(ctx context.Context, w io.Writer) error { return run(ctx, w, "") }, "while the program runs", "in a hurry", "is well again")
}

// TestSchema checks that the editor finds the schema that the file names.
func TestSchema(t *testing.T) {
	first, _, _ := strings.Cut(string(builtIn), "\n")
	path, ok := strings.CutPrefix(first, "# yaml-language-server: $schema=")
	if _, err := os.Stat(path); !ok || err != nil {
		t.Errorf("%q: %v", first, err)
	}
}

// TestProgram builds the program and runs it as a person would.
func TestProgram(t *testing.T) {
	program := exampletest.Build(t)
	exampletest.WantLines(t, program.Output("-config", patient(t)), lines)
	for _, c := range []struct {
		args []string
		exit int
		want string
	}{
		{[]string{"my.yaml"}, 2, "did you mean -config my.yaml?"},
		{[]string{"-confg", "my.yaml"}, 2, "-config file"},
		{[]string{"-config", "my.yaml"}, 1, "my.yaml: the file cannot be read"},
		{[]string{"-config", "."}, 1, "not a regular one"},
	} {
		program.WantExit(c.exit, c.want, c.args...)
	}
}
