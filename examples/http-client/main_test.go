package main

import (
	"bytes"
	"regexp"
	"strings"
	"testing"

	"github.com/blackbox4/switchgear/internal/exampletest"
)

// lines are what the program prints, in this order, with others between.
var lines = []*regexp.Regexp{
	regexp.MustCompile(`^All is well\.$`),
	regexp.MustCompile(`^  payments  200 OK, in .*, requests: 1$`),
	regexp.MustCompile(`^payments falls sick\.`),
	regexp.MustCompile(`^  payments  500 Internal Server Error, in .*, requests: 2$`),
	regexp.MustCompile(`^  payments  500 Internal Server Error, in .*, requests: 2$`),
	regexp.MustCompile(`^  >> payments: closed -> open: consecutive failures \(5\)$`),
	regexp.MustCompile(`^  payments  refused: consecutive failures, in .*, requests: 1$`),
	regexp.MustCompile(`^  payments  refused: consecutive failures, in .*, requests: 0$`),
	regexp.MustCompile(`^payments is well again`),
	regexp.MustCompile(`^  >> payments: open -> half-open: timeout elapsed$`),
	regexp.MustCompile(`^  payments  200 OK, in .*, requests: 1$`),
	regexp.MustCompile(`^  >> payments: half-open -> closed: the probes passed$`),
	regexp.MustCompile(`^  payments  200 OK, in .*, requests: 1$`),
}

// weather is what each line of the host that is well says.
var weather = regexp.MustCompile(`^  weather   200 OK, in .*, requests: 1$`)

// checkStory reports the first of lines that text does not have, and whatever
// happens to the host that is well.
func checkStory(t *testing.T, text string) {
	t.Helper()
	for line := range strings.SplitSeq(text, "\n") {
		if strings.HasPrefix(line, "  weather") && !weather.MatchString(line) || strings.HasPrefix(line, "  >> weather") {
			t.Errorf("the host that is well is touched: %q", line)
		}
	}
	if n := strings.Count(text, "\n  weather "); n != 9 {
		t.Errorf("%d calls of the host that is well, want 9", n)
	}
	exampletest.WantLines(t, text, lines)
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
	exampletest.WantInterrupted(t, run, "All is well", "falls sick", "well again")
}

// TestProgram builds the program and runs it as a person would.
func TestProgram(t *testing.T) {
	program := exampletest.Build(t)
	checkStory(t, program.Output())
	for _, arg := range []string{"payments", "-fast"} {
		program.WantExit(2, "", arg)
	}
}
