package main

import (
	"bytes"
	"regexp"
	"testing"

	"github.com/blackbox4/switchgear/internal/exampletest"
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

func TestTheStory(t *testing.T) {
	var out bytes.Buffer
	if err := run(t.Context(), &out); err != nil {
		t.Fatalf("%v\n%s", err, &out)
	}
	exampletest.WantLines(t, out.String(), lines)
}

// TestInterrupted ends the program in the middle of its story.
func TestInterrupted(t *testing.T) {
	exampletest.WantInterrupted(t, run, "No breaker", "guarded falls ill", "guarded is well again")
}

// TestProgram builds the program and runs it as a person would.
func TestProgram(t *testing.T) {
	program := exampletest.Build(t)
	exampletest.WantLines(t, program.Output(), lines)
	for _, arg := range []string{"orders", "-fast"} {
		program.WantExit(2, "", arg)
	}
}
