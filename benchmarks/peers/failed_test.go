package main

import (
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/blackbox4/switchgear/core"
)

var errRow = errors.New("a row with a | in it")

// ofBreaker is a row of a breaker under some work.
func ofBreaker(name string, cfg core.Config, w work, l loop) bench {
	s := permit(name, cfg)
	run := through(w, warm, neverRefused, l)
	return bench{scenario: closedSerial, subject: s.name, run: func(b *testing.B) error { return run(b, s) }}
}

// TestAFailedRowCostsNothingElse: whatever a row does, the others keep what was
// measured, the file is written, and the command says which failed and why.
func TestAFailedRowCostsNothingElse(t *testing.T) {
	pass := 0
	panics := func() call { return func() error { panic("in a call") } }
	rows := []bench{
		ofBreaker(engineDefault, core.Config{}, succeeding, serially),
		{scenario: "Bad", subject: "second pass", run: func(b *testing.B) error {
			if b.N == 1 { // the first run of a sample
				pass++
			}
			if pass == 2 {
				return errRow
			}
			for range b.N {
				time.Now()
			}
			return nil
		}},
		{scenario: "Bad", subject: "panics", run: func(*testing.B) error { panic("in a row") }},
		{scenario: "Bad", subject: "panics in parallel", run: func(b *testing.B) error { return neverRefused(b, inParallel(b, panics)) }},
		{scenario: "Bad", subject: "panics in lookups", run: func(b *testing.B) error {
			return eachParallel(b, []string{"a"}, func(string) bool { panic("in a lookup") })
		}},
		{scenario: "Bad", subject: "gives up", run: func(b *testing.B) error { b.FailNow(); return nil }},
		ofBreaker("opens", core.Config{FailureThreshold: 1}, failing, serially),
		ofBreaker("opens in parallel", core.Config{FailureThreshold: 1}, failing, inParallel),
		ofBreaker(engineCount, core.Config{}, succeeding, serially),
	}
	file := filepath.Join(t.TempDir(), "RESULTS.md")
	p := plan{passes: 3, length: time.Millisecond, wait: math.Inf(1), instances: 1, updates: updates{breakers: 1, times: 1, patience: time.Second}}
	var out strings.Builder
	err := measureAndReport(rows, p, "command", file, &out, io.Discard)
	if err == nil {
		t.Fatal("rows failed, but the command did not")
	}
	text, _ := os.ReadFile(file)
	if string(text) != out.String() || len(text) == 0 {
		t.Error("what was measured is not in the file")
	}
	for _, want := range []string{
		"Bad/second pass failed in pass [2]: a row with a | in it",
		"Bad/panics failed in pass [1 2 3]: panic: in a row",
		"Bad/panics in parallel failed in pass [1 2 3]: panic: in a call",
		"Bad/panics in lookups failed in pass [1 2 3]: panic: in a lookup",
		"Bad/gives up failed in pass [1 2 3]: it ended without a result",
		"ClosedSerial/opens (permit) failed in pass [1 2 3]: the breaker opened by itself",
		"ClosedSerial/opens in parallel (permit) failed in pass [1 2 3]: the breaker opened by itself",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not say %q:\n%v", want, err)
		}
	}
	for _, want := range []string{
		"## Rows that failed",
		"| Bad/second pass | 1 of 3, first in pass 2 | a row with a \\| in it |",
		"| Bad/panics | 3 of 3, first in pass 1 | panic: in a row |",
		"| " + engineDefault + permitAPI + " | ", // that of the table of times
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the report does not say %q", want)
		}
	}

	m, failed, err := measure(rows, p, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	for _, good := range []bench{rows[0], rows[8]} {
		if n := len(m.valid(good.key())); n != p.passes {
			t.Errorf("%v has %d samples, want %d", good.key(), n, p.passes)
		}
	}
	if len(failed) != 6 || slices.ContainsFunc(failed, func(f failure) bool { return f.row == rows[0].key() }) {
		t.Errorf("failed: %v", failed)
	}
}

// TestARowThatRefusesByItself has the numbers and the refusal.
func TestARowThatRefusesByItself(t *testing.T) {
	refusing := func() call { return func() error { return errRefused } }
	r := testing.Benchmark(func(b *testing.B) {
		if err := neverRefused(b, serially(b, refusing)); err == nil || !strings.Contains(err.Error(), errRefused.Error()) || !errors.Is(err, errRefused) {
			t.Errorf("a row whose calls are all refused: %v", err)
		}
		if err := rarelyAdmitted(b, refusals{calls: b.N, broken: errRow}); err != errRow {
			t.Errorf("a loop that panicked: %v", err)
		}
	})
	_ = r
}

// TestRegistryUpdateIsMeasured: an Update that fails, or a registry that cannot
// be made, is a result and no panic.
func TestRegistryUpdateIsMeasured(t *testing.T) {
	all := measureUpdates(updates{breakers: 50, times: 2, patience: 10 * time.Second}, io.Discard)
	for _, r := range all {
		if r.err != nil || r.took <= 0 || r.slowest <= 0 {
			t.Errorf("an update of 50 breakers: %+v", r)
		}
	}
	targets := updateTargets([]updated{{took: 3 * time.Second, slowest: 4 * time.Millisecond}})
	if _, met, err := targets[0].met(nil, nil); met || err != nil {
		t.Errorf("3 s: met %v, %v", met, err)
	}
	if s, met, err := targets[1].met(nil, nil); !met || err != nil || s.median != 4 {
		t.Errorf("4 ms: %v, met %v, %v", s, met, err)
	}
	if _, _, err := updateTargets(nil)[0].met(nil, nil); err == nil {
		t.Error("a target that was not measured must be an error")
	}
}
