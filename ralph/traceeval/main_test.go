package main

import (
	"encoding/json"
	"flag"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/blackbox4/switchgear/ralph/detect"
)

// update rewrites what the report is compared with.
func update() bool { return os.Getenv("UPDATE_GOLDEN") != "" }

// The whole report over small runs of our own: one good and one bad of each set.
func TestReport(t *testing.T) {
	var out strings.Builder
	if err := run([]string{"-data", "testdata"}, &out); err != nil {
		t.Fatal(err)
	}
	golden := filepath.Join("testdata", "report.golden")
	if update() {
		if err := os.WriteFile(golden, []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if out.String() != string(want) {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
}

func TestLoad(t *testing.T) {
	for _, s := range sets() {
		path, ok := s.find("testdata")
		if !ok {
			t.Errorf("%s is not in testdata", s.dir)
			continue
		}
		traces, err := s.load(path)
		if err != nil {
			t.Fatal(err)
		}
		sum := [3]int{}
		units := 0
		for _, tr := range traces {
			sum[tr.sort]++
			units += tr.units
		}
		want := map[string]struct {
			sum   [3]int
			units int
		}{
			"tau-bench-airline": {[3]int{good: 1, bad: 1}, 8},
			"hotpotqa-react":    {[3]int{good: 1, bad: 1, other: 2}, 1 + 6 + 2}, // what is there twice counts once
			"who-and-when":      {[3]int{good: 1, bad: 1}, 7 + 6},
			"recorded":          {[3]int{good: 1, bad: 1, other: 1}, 1 + 8 + 1},
		}[kindOfSet(&s)]
		if sum != want.sum || units != want.units {
			t.Errorf("%s: %v, %d units", s.dir, sum, units)
		}
	}
}

func TestLabelsOfRounds(t *testing.T) {
	traces, err := loadWhoWhen("testdata/who-and-when")
	if err != nil {
		t.Fatal(err)
	}
	loop := traces[0]
	if loop.first != 2 || len(loop.labels) != 7 || loop.labels[6] || !loop.labels[5] {
		t.Errorf("first %d, labels %v", loop.first, loop.labels)
	}
	first := loop.events[1]
	if first.agent != "Surfer" || first.step.Args != "I clicked 'Home'." || first.unit != 0 || loop.events[0].handoff.To != "Surfer" {
		t.Errorf("%+v", first)
	}
}

// The label of a run must not be among what its steps show.
func TestAnswersAreNotSeen(t *testing.T) {
	traces, err := loadHotpot("testdata/hotpotqa-react")
	if err != nil {
		t.Fatal(err)
	}
	for _, tr := range traces {
		for _, e := range tr.events {
			if strings.Contains(e.step.Output, "CORRECT") || strings.Contains(e.step.Output, "Correct answer") {
				t.Errorf("%s: %q", tr.name, e.step.Output)
			}
		}
	}
}

func TestBadData(t *testing.T) {
	dir := t.TempDir()
	for name, c := range map[string]struct{ path, content, want string }{
		"no flag":    {"", "", "-data is"},
		"nothing":    {"x", "", "allowed: a folder with"},
		"not JSON":   {"tau-bench-airline/runs.json", "[{]", "runs.json: invalid character"},
		"not there":  {"tau-bench-airline/other.json", "[]", "no such file"},
		"no section": {"hotpotqa-react/a.txt", "Question: why?", "a.txt: there is no section"},
		"not a run":  {"who-and-when/1.json", "[]", "1.json: json: cannot unmarshal"},
	} {
		t.Run(name, func(t *testing.T) {
			data := filepath.Join(dir, strings.ReplaceAll(name, " ", "-"))
			args := []string{"-data", data}
			if c.path == "" {
				args = nil
			} else {
				path := filepath.Join(data, c.path)
				if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte(c.content), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			var out strings.Builder
			if err := run(args, &out); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
	var out strings.Builder
	if err := run([]string{"-h"}, &out); err != flag.ErrHelp {
		t.Errorf("%v", err)
	}
}

func TestBaselines(t *testing.T) {
	traces, err := loadTau("testdata/tau-bench-airline")
	if err != nil {
		t.Fatal(err)
	}
	rounds6, err := loadWhoWhen("testdata/who-and-when")
	if err != nil {
		t.Fatal(err)
	}
	fires := map[string]int{}
	for _, d := range baselines() {
		if at := d.fire(&traces[0]); at != -1 {
			t.Errorf("%s: a good run, at %d", d.name, at)
		}
		fires[d.name] = d.fire(&traces[1])
	}
	for name, want := range map[string]int{
		"OpenHands: 4 repeats, 3 errors, 6 alternating": 2, "gemini-cli: 5 equal calls": 4, "opencode: 3 equal calls": 2, "Roo-Code: 4th equal call": 3,
		"crewAI: 2nd equal call": 1, "OpenClaw: 10 calls with equal outcome (warning)": -1, "ralph-claude-code: 5 errors in a row": 4,
		"3 errors in a row": 2, "ADK: 4th failure of a tool in a row": 3, "count: 10 calls or rounds": -1,
	} {
		if got, ok := fires[name]; !ok || got != want {
			t.Errorf("%s: at %d, want %d", name, got, want)
		}
	}
	for name, want := range map[string]int{"count: 6 rounds": 5, "count: 20 rounds": -1, "the orchestrator itself: leaky 3, on the labels": 4} {
		for _, d := range rounds() {
			if d.name == name && d.fire(&rounds6[0]) != want {
				t.Errorf("%s: at %d, want %d", name, d.fire(&rounds6[0]), want)
			}
		}
	}
}

func TestLedgersThatCannotBeRead(t *testing.T) {
	dir := t.TempDir()
	for i, note := range []string{"none", `{"is_in_loop":{"answer":"perhaps"}}`, `{"is_in_loop":{"answer":true},"next_speaker":{"answer":null},"instruction_or_question":{"answer":["a"]}}`} {
		content, err := json.Marshal("Updated Ledger:\n" + note)
		if err != nil {
			t.Fatal(err)
		}
		data := `{"history":[{"role":"Orchestrator (thought)","content":` + string(content) + `}]}`
		if err := os.WriteFile(filepath.Join(dir, string(rune('a'+i))+".json"), []byte(data), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	traces, err := loadWhoWhen(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(traces[0].unread) != 1 || len(traces[1].unread) != 1 || traces[2].unread != nil || traces[2].sort != bad {
		t.Errorf("%+v", traces)
	}
	if h := traces[2].events[0].handoff; h.To != "nobody" || h.Payload != "[a]" {
		t.Errorf("%+v", h)
	}
}

// kindOfSet names all files of recorded runs alike.
func kindOfSet(s *set) string {
	if s.brief {
		return "recorded"
	}
	return s.dir
}

// A figure that is worse than what is recorded fails the command, if it is asked to check.
func TestCheck(t *testing.T) {
	f := figures{title: "x", inLoop: 1}
	f.found[detect.LevelTrip] = [3]int{good: 1, bad: 1}
	if got := (least{goodTrips: 1, badTrips: 1, loops: 1}).missed(&f); got != nil {
		t.Errorf("%q", got)
	}
	if got := (least{goodTrips: 0, badTrips: 2, loops: 2}).missed(&f); len(got) != 3 {
		t.Errorf("%q", got)
	}
}

// The intervals are those of published tables.
func TestInterval(t *testing.T) {
	for _, c := range []struct {
		k, n      int
		low, high float64
	}{{0, 10, 0, 0.2775}, {5, 10, 0.2366, 0.7634}, {10, 10, 0.7225, 1}} {
		if low, high := interval(c.k, c.n); math.Abs(low-c.low) > 1e-3 || math.Abs(high-c.high) > 1e-3 {
			t.Errorf("%d of %d: %v, %v", c.k, c.n, low, high)
		}
	}
}
