package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/blackbox4/switchgear/ralph/detect"
)

// loadHotpot reads all text files: sections of runs, each a question with actions
// and observations.
func loadHotpot(dir string) ([]trace, error) {
	paths, err := filepath.Glob(filepath.Join(dir, "*.txt"))
	if err != nil {
		return nil, err
	}
	var traces []trace
	seen := map[string]bool{}
	for _, path := range paths {
		data, err := os.ReadFile(path) //nolint:gosec // the user has named the folder
		if err != nil {
			return nil, err
		}
		more, err := hotpot(string(data), seen)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		traces = append(traces, more...)
	}
	return traces, nil
}

func hotpot(text string, seen map[string]bool) ([]trace, error) {
	section := regexp.MustCompile(`(?m)^-+ BEGIN (CORRECT|INCORRECT|HALTED) AGENTS -+$`)
	end := regexp.MustCompile(`(?m)^#{20,}$`)
	marks := section.FindAllStringSubmatchIndex(text, -1)
	if marks == nil {
		return nil, fmt.Errorf("there is no section that begins with %q", "--- BEGIN CORRECT AGENTS ---")
	}
	var traces []trace
	for i, m := range marks {
		part := text[m[1]:]
		if i+1 < len(marks) {
			part = text[m[1]:marks[i+1][0]]
		}
		if e := end.FindStringIndex(part); e != nil {
			part = part[:e[0]]
		}
		how := map[string]sort{"CORRECT": good, "INCORRECT": other, "HALTED": bad}[text[m[2]:m[3]]]
		for n, one := range strings.Split("\n"+part, "\nQuestion:")[1:] {
			one = strings.TrimSpace(one)
			if seen[one] {
				continue
			}
			seen[one] = true
			t := react(one)
			t.name, t.sort = fmt.Sprintf("%s %d", text[m[2]:m[3]], n), how
			traces = append(traces, t)
		}
	}
	return traces, nil
}

// react reads one run.
func react(text string) trace {
	action := regexp.MustCompile(`(?m)^Action \d+: ?(\w+)\[(.*)\]\s*$`)
	line := regexp.MustCompile(`(?m)^(Thought \d+:|Action \d+:|Correct answer:)`)
	result := regexp.MustCompile(`(?m)^Observation \d+: ?`)
	t := trace{first: -1}
	at := action.FindAllStringSubmatchIndex(text, -1)
	for i, m := range at {
		rest := text[m[1]:]
		if i+1 < len(at) {
			rest = text[m[1]:at[i+1][0]]
		}
		seen := ""
		if o := result.FindStringIndex(rest); o != nil {
			seen = rest[o[1]:]
			if e := line.FindStringIndex(seen); e != nil {
				seen = seen[:e[0]]
			}
			seen = strings.TrimSpace(seen)
		}
		tool, args := text[m[2]:m[3]], text[m[4]:m[5]]
		if tool == "Finish" { // what is seen then is the label
			t.events = append(t.events, event{step: &detect.Step{Output: args}, unit: t.units})
			continue
		}
		s := detect.Step{Tool: tool, Args: args, Output: seen}
		for _, sign := range []string{"Could not find", "No Results", "No more results", "Invalid Action", "The last page Searched was not found"} {
			s.Failed = s.Failed || strings.HasPrefix(seen, sign)
		}
		t.events = append(t.events, event{step: &s, unit: t.units})
		t.units++
	}
	return t
}
