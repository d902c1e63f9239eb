package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/blackbox4/switchgear/ralph/detect"
)

const boss = "Orchestrator"

// ledger is what the orchestrator notes before each round.
type ledger struct {
	loop      bool
	to, asked string
}

// loadWhoWhen reads all JSON files, each a run: every ledger is work handed to the
// next speaker, what the others say are their steps.
func loadWhoWhen(dir string) ([]trace, error) {
	paths, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil {
		return nil, err
	}
	var traces []trace
	for _, path := range paths {
		data, err := os.ReadFile(path) //nolint:gosec // the user has named the folder
		if err != nil {
			return nil, err
		}
		var run struct {
			History []struct{ Role, Content string } `json:"history"`
		}
		if err := json.Unmarshal(data, &run); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		t := trace{name: filepath.Base(path), first: -1}
		for i, m := range run.History {
			switch {
			case strings.HasPrefix(m.Role, boss):
				note, ok := strings.CutPrefix(m.Content, "Updated Ledger:")
				if !ok {
					continue
				}
				if l, err := readLedger(note); err != nil {
					t.unread = append(t.unread, fmt.Sprintf("%s: message %d: %v", path, i, err))
				} else {
					t.round(l)
				}
			case m.Role != "human" && t.units > 0:
				t.answer(m.Role, m.Content)
			}
		}
		traces = append(traces, t)
	}
	return traces, nil
}

func (t *trace) round(l ledger) {
	if l.loop {
		t.sort = bad
		if t.first < 0 {
			t.first = t.units
		}
	}
	t.labels = append(t.labels, l.loop)
	t.events = append(t.events, event{
		handoff: &detect.Handoff{From: boss, To: l.to, Payload: l.asked}, unit: t.units,
	})
	t.units++
}

// answer takes the first line for what was done, and the rest for what was seen.
func (t *trace) answer(role, content string) {
	head, rest, _ := strings.Cut(strings.TrimSpace(content), "\n")
	s := detect.Step{Tool: role, Args: head, Output: rest}
	s.Failed = strings.Contains(head, "Unix exit code: 1")
	t.events = append(t.events, event{step: &s, agent: role, unit: t.units - 1})
}

// readLedger reads JSON that may have lines of a log in it, or be damaged otherwise.
func readLedger(note string) (ledger, error) {
	var fields map[string]struct {
		Answer any `json:"answer"`
	}
	err := json.NewDecoder(strings.NewReader(note)).Decode(&fields)
	if err != nil {
		var kept []string
		for s := range strings.SplitSeq(note, "\n") {
			if s == "{" || s == "}" || strings.HasPrefix(s, "  \"") || strings.HasPrefix(s, "    \"") || strings.HasPrefix(s, "  }") {
				kept = append(kept, s)
			}
		}
		fields = nil
		if json.NewDecoder(strings.NewReader(strings.Join(kept, "\n"))).Decode(&fields) != nil {
			return ledger{}, err
		}
	}
	loop, ok := fields["is_in_loop"].Answer.(bool)
	if !ok {
		return ledger{}, fmt.Errorf("is_in_loop is %v, allowed: true, false", fields["is_in_loop"].Answer)
	}
	l := ledger{loop: loop, to: "nobody"}
	if to, ok := fields["next_speaker"].Answer.(string); ok && to != "" {
		l.to = to
	}
	switch asked := fields["instruction_or_question"].Answer.(type) {
	case string:
		l.asked = asked
	case nil:
	default:
		l.asked = fmt.Sprint(asked)
	}
	return l, nil
}
