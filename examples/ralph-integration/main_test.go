package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// events are all that the supervisors tell, and when. Of the coder there is none.
var events = []string{
	"0.12s researcher: nudged: stuck, rule repeat (3 of 3)",
	"0.14s researcher: running -> escalated: stuck, rule repeat (5 of 5)",
	"0.14s researcher: escalated -> running, by sam: look on the museum's own site",

	"0.20s mailer: nudged: transient, rule transient (3 of 3)",
	"0.22s mailer: running -> paused: transient, rule transient (5 of 5), to be resumed in 1s",
	"1.22s mailer: paused -> recovering, on probation, attempt 1",
	"1.25s mailer: recovering -> running: it has shown progress",

	"1.35s fixer: nudged: stuck, rule no_progress (3 of 3)",
	"1.39s fixer: running -> paused: stuck, rule no_progress (5 of 5), to be resumed in 1s",
	"2.39s fixer: paused -> recovering, on probation, attempt 1",
	"2.46s fixer: nudged: stuck, rule no_progress (3 of 3)",
	"2.46s fixer: recovering -> paused: stuck, rule recovery (3 of 3), to be resumed in 2s",
	"4.46s fixer: paused -> recovering, on probation, attempt 2",
	"4.53s fixer: nudged: stuck, rule no_progress (3 of 3)",
	"4.53s fixer: recovering -> escalated: stuck, rule recovery (3 of 3): resumed 2 times by itself, and none of it lasted",
	"4.53s fixer: escalated -> stopped, by sam: I do this one myself",

	"4.59s planner: nudged: stuck, rule handoff_repeat (2 of 2)",
	"4.61s critic: nudged: stuck, rule handoff_cycle (2 of 2)",
	"4.63s planner: nudged: stuck, rule handoff_stall (2 of 2)",
	"4.65s critic: running -> escalated: stuck, rule handoff_cycle (1 of 1)",
	"4.65s planner: running -> escalated: stuck, rule handoff_cycle (1 of 1)",
	"4.65s critic: escalated -> running, by sam: wait for the notes",
	"4.65s planner: escalated -> running, by sam: write them yourself",

	"4.81s reader-1: nudged: exhausted, rule cost (0.84 of 0.8)",
	"4.85s reader-1: running -> escalated: exhausted, rule cost (1.08 of 1)",
	"4.85s editor: running -> escalated: exhausted, rule cost (1.08 of 1)",
	"4.85s reader-2: running -> escalated: exhausted, rule cost (1.08 of 1)",
	"4.85s editor: its budget was changed",
	"4.85s editor: escalated -> running, by sam: you may spend 2.00",
	"4.85s reader-1: escalated -> running, by sam: go on",
	"4.87s reader-2: escalated -> running, by sam: go on",

	"4.92s builder: running -> paused: transient, rule memory (MEMORY of 1), to be resumed in 1s",
	"7.92s builder: paused -> escalated: transient, rule memory (MEMORY of 1): paused for 3s",
}

// lines are what else the program prints, in this order, with others between.
var lines = []string{
	`  coder       write_test {"of": "order 4"}: tests that pass: 4`,
	`  researcher  search {"query": "museum opening hours"}: no results`,
	`  researcher  is told: You have called search 3 times in a row`,
	`  researcher  search {"query": "museum opening hours"} is refused, and told: This call was not made. You have called search 5 times in a row`,
	`  researcher  fetch {"url": "https://museum.example/visit"}: open from 10 to 18`,
	`  mailer      send {"to": "ann"}: error: 503 service unavailable`,
	`  mailer      is told: What you call was not available 3 times in a row.`,
	`  mailer      send {"to": "fay"} is refused, and told: This call was not made. What you call was not available 5 times`,
	`  mailer      send {"to": "fay"}: sent`,
	`  fixer       is told: There was no progress for a while.`,
	`  fixer       edit {"change": 11}: tests that pass: 12`,
	`  fixer       explained: agent "fixer" ("agent") is escalated, since `,
	`  critic      is told: The work has gone round the same agents 2 times without anything new.`,
	`  critic      this is refused, and told: This call was not made. The work has gone round`,
	`  planner     write {"file": "NOTES.md"}: written`,
	`  reader-1    is told: The task has cost 0.84.`,
	`  reader-2    read {"file": "reader-2", "page": 6}: a page of text`,
	`In the end:`,
	`  coder       running    iterations:  4, steps:  4, errors: 0, refused: 0, hand-offs: 0`,
	`  critic      running    iterations:  3, steps:  0, errors: 0, refused: 0, hand-offs: 3`,
	`  editor      running    iterations:  0, steps:  0, errors: 0, refused: 0, hand-offs: 0`,
	`  fixer       stopped    iterations: 11, steps: 11, errors: 0, refused: 0, hand-offs: 0`,
	`  mailer      running    iterations:  6, steps: 12, errors: 5, refused: 1, hand-offs: 0`,
	`  planner     running    iterations:  4, steps:  1, errors: 0, refused: 0, hand-offs: 3`,
	`  reader-1    running    iterations:  6, steps:  6, errors: 0, refused: 0, hand-offs: 0`,
	`  reader-2    running    iterations:  6, steps:  6, errors: 0, refused: 0, hand-offs: 0`,
	`  researcher  running    iterations:  4, steps:  7, errors: 0, refused: 1, hand-offs: 0`,
}

var (
	memory = regexp.MustCompile(`rule memory \([0-9.e+]+ of`)
	clock  = regexp.MustCompile(`^[0-9.]+s `)
)

// checkStory reports the first of lines that text does not have, and each event that
// is not as it should be; when it was only matters if exact.
func checkStory(t *testing.T, text string, exact bool) {
	t.Helper()
	text = strings.ReplaceAll(text, "\n"+strings.Repeat(" ", 14), " ") // lines that were broken
	text = memory.ReplaceAllString(text, "rule memory (MEMORY of")
	var got, others []string
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		if event, ok := strings.CutPrefix(line, "  >> "); ok {
			got = append(got, event)
		} else {
			others = append(others, line)
		}
	}
	for i := range max(len(got), len(events)) {
		is, want := "nothing", "nothing"
		if i < len(got) {
			is = got[i]
		}
		if i < len(events) {
			want = events[i]
		}
		if is != want && (exact || clock.ReplaceAllString(is, "") != clock.ReplaceAllString(want, "")) {
			t.Fatalf("event %d is\n%s\nwant\n%s\nin\n%s", i, is, want, text)
		}
	}
	for _, want := range lines {
		i := slices.IndexFunc(others, func(line string) bool { return strings.HasPrefix(line, want) })
		if i < 0 {
			t.Fatalf("no line %q, or not in its place, in\n%s", want, text)
		}
		others = others[i+1:]
	}
}

// TestTheStory has no time to lose: in the bubble it is exact, and nothing that run
// has started may be left when it returns.
func TestTheStory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		begun := time.Now()
		if err := run(t.Context(), &out); err != nil {
			t.Fatalf("%v\n%s", err, &out)
		}
		checkStory(t, out.String(), true)
		// 44 calls of a model, pauses of 1 s, 1 s and 2 s, one that was escalated after
		// 3 s, 10 ms more for each, and for the first reading of the vitals.
		if took, want := time.Since(begun), 44*20*time.Millisecond+7*time.Second+5*10*time.Millisecond; took != want {
			t.Errorf("it took %v, want %v", took, want)
		}
	})
}

// TestInterrupted ends the program in the middle of its story.
func TestInterrupted(t *testing.T) {
	for _, mark := range []string{"gets on is left alone", "running -> paused: transient", "paused -> recovering", "page\": 3", "rule memory"} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			var out bytes.Buffer
			err := run(ctx, io.MultiWriter(&out, &onLine{mark: mark, do: cancel}))
			if !errors.Is(err, context.Canceled) || strings.Contains(out.String(), "In the end") {
				t.Errorf("%s: %v, want %v\n%s", mark, err, context.Canceled, &out)
			}
		})
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
	program := filepath.Join(t.TempDir(), "ralph-integration.exe") // the ending that every system takes
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if out, err := exec.CommandContext(ctx, program).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	} else {
		checkStory(t, string(out), false)
	}
	for _, arg := range []string{"agents", "-fast"} {
		out, err := exec.CommandContext(ctx, program, arg).CombinedOutput()
		if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.ExitCode() != 2 || len(out) == 0 {
			t.Errorf("%s: %v\n%s\nwant exit 2, and why", arg, err, out)
		}
	}
}
