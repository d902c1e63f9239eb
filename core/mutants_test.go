//go:build mutants

package core_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestMutants plants one fault after the other into core and runs the tests that
// must find it. It needs some minutes, hence the build tag:
//
//	go test -count=1 -tags mutants -timeout 60m -run TestMutants -v ./core
//
// A mutant is a file testdata/mutants/NAME.mutant:
//
//	# what is wrong with it
//	file: settle.go (or a path from core)
//	kill: TestModel|TestLinear
//	tags: perturb
//	--- old
//	text of the file, which must be there exactly once
//	--- new
//	what replaces it
//
// Kill is a pattern for -run; every test it matches must pass without the
// mutant, and one must fail with it. Tags are optional. A mutant whose old text
// is not found once, or that does not compile, fails the test: it has rotted.
func TestMutants(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("testdata", "mutants", "*.mutant"))
	if err != nil || len(files) < 15 {
		t.Fatalf("%d mutants, %v", len(files), err)
	}
	var mutants []mutant
	var kills []string
	for _, file := range files {
		m := readMutant(t, file)
		mutants = append(mutants, m)
		kills = append(kills, m.kill)
	}
	if t.Failed() {
		return
	}
	slices.Sort(kills)
	all := strings.Join(slices.Compact(kills), "|")
	for _, tags := range []string{"", "perturb"} {
		if out, err := runTests(t, "", tags, all); err != nil {
			t.Fatalf("without a mutant, tags %q: %v\n%s", tags, err, out)
		}
	}

	var mu sync.Mutex
	var report []string
	t.Run("planted", func(t *testing.T) {
		for _, m := range mutants {
			t.Run(m.name, func(t *testing.T) {
				t.Parallel()
				began := time.Now()
				by := m.run(t)
				mu.Lock()
				defer mu.Unlock()
				line := fmt.Sprintf("%-28s %-22s %4.1fs  %s", m.name, by, time.Since(began).Seconds(), m.what)
				report = append(report, line)
				t.Log(line)
			})
		}
	})
	slices.Sort(report)
	t.Logf("%d mutants\n%s", len(report), strings.Join(report, "\n"))
}

type mutant struct {
	name, what, file, kill, tags string
	source                       []byte // of the file, with the fault in it
}

func readMutant(t *testing.T, path string) mutant {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	m := mutant{name: strings.TrimSuffix(filepath.Base(path), ".mutant")}
	head, rest, ok1 := strings.Cut(string(text), "--- old\n")
	before, after, ok2 := strings.Cut(rest, "--- new\n")
	if !ok1 || !ok2 {
		t.Errorf("%s: it has no --- old and --- new", path)
		return m
	}
	for line := range strings.Lines(head) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch key {
		case "#":
			m.what = strings.TrimSpace(m.what + " " + value)
		case "file:":
			m.file = value
		case "kill:":
			m.kill = value
		case "tags:":
			m.tags = value
		default:
			t.Errorf("%s: %q is not understood", path, line)
		}
	}
	if m.what == "" || m.file == "" || m.kill == "" {
		t.Errorf("%s: what is wrong, file or kill is missing", path)
		return m
	}
	source, err := os.ReadFile(m.file)
	if err != nil {
		t.Errorf("%s: %v", path, err)
		return m
	}
	before, after = strings.TrimSuffix(before, "\n"), strings.TrimSuffix(after, "\n")
	if n := strings.Count(string(source), before); n != 1 {
		t.Errorf("%s: the old text is in %s %d times, want once; the mutant has rotted", path, m.file, n)
	}
	m.source = []byte(strings.Replace(string(source), before, after, 1))
	return m
}

var failedTest = regexp.MustCompile(`(?m)^--- FAIL: (\w+)`)

// run returns the test that killed the mutant.
func (m *mutant) run(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	mutated, overlay := filepath.Join(dir, filepath.Base(m.file)), filepath.Join(dir, "overlay.json")
	original, err := filepath.Abs(m.file)
	if err != nil {
		t.Fatal(err)
	}
	list, err := json.Marshal(map[string]map[string]string{"Replace": {original: mutated}})
	if err != nil {
		t.Fatal(err)
	}
	for path, text := range map[string][]byte{mutated: m.source, overlay: list} {
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	out, err := runTests(t, overlay, m.tags, m.kill)
	for range 3 { // a race shows by chance: more histories, and again
		if err == nil {
			out, err = runTests(t, overlay, m.tags, m.kill, "SWITCHGEAR_HISTORIES=2000")
		}
	}
	switch {
	case err == nil:
		t.Errorf("SURVIVED: %s; %s does not see it", m.what, m.kill)
		return "SURVIVED"
	case bytes.Contains(out, []byte("[build failed]")) || bytes.Contains(out, []byte("[setup failed]")):
		t.Fatalf("it does not compile:\n%s", out)
	}
	if killer := failedTest.FindSubmatch(out); killer != nil {
		return string(killer[1])
	}
	if hung := regexp.MustCompile(`(?m)^\s*running tests:\n\s*(\w+)`).FindSubmatch(out); hung != nil {
		return string(hung[1]) + " (hung)"
	}
	if bytes.Contains(out, []byte("panic: ")) || bytes.Contains(out, []byte("fatal error: ")) || bytes.Contains(out, []byte("goroutine ")) {
		return "a crash"
	}
	t.Fatalf("neither passed nor failed: %v\n%s", err, out)
	return ""
}

// runTests runs the tests of a pattern, with an overlay if there is one.
func runTests(t *testing.T, overlay, tags, pattern string, env ...string) ([]byte, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Minute)
	defer cancel()
	limit := "-timeout=10m"
	if overlay != "" {
		limit = "-timeout=2m" // a mutant may hang
	}
	args := []string{"test", "-count=1", "-short", "-failfast", "-vet=off", limit, "-tags=" + tags, "-run=^(" + pattern + ")$"}
	if overlay != "" {
		args = append(args, "-overlay="+overlay)
	}
	cmd := exec.CommandContext(ctx, "go", append(args, ".", "-rapid.nofailfile")...)
	cmd.Env = append(os.Environ(), env...)
	return cmd.CombinedOutput()
}
