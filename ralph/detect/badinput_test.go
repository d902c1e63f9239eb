package detect_test

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/ralph/detect"
)

// wantField checks that err is a fault of the field.
func wantField(t *testing.T, err error, field string) {
	t.Helper()
	fault, ok := errors.AsType[*core.ConfigError](err)
	if !ok || fault.Field != field || fault.Allowed == "" {
		t.Errorf("error %v, want one of %s", err, field)
	}
}

func TestNumbersThatCannotBe(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	for _, c := range []struct {
		field string
		step  detect.Step
	}{
		{"Step.Confidence", detect.Step{Confidence: &nan}},
		{"Step.Confidence", detect.Step{Confidence: &inf}},
		{"Step.Confidence", detect.Step{Confidence: new(-0.1)}},
		{"Step.Confidence", detect.Step{Confidence: new(1.1)}},
		{"Step.Cost", detect.Step{Cost: nan}},
		{"Step.Cost", detect.Step{Cost: -1}},
		{"Step.Cost", detect.Step{Cost: inf}},
		{"Step.Cost", detect.Step{Cost: 1e10}},
		{"Step.Tokens", detect.Step{Tokens: -1}},
	} {
		d := drive(t, detect.Rules{Budgets: detect.Budgets{Cost: 1, Tokens: 10}})
		for i := range 5 { // the loop is found all the same
			c.step.Tool = "x"
			found, err := d.run.Observe(c.step)
			wantField(t, err, c.field)
			if trip := len(found) > 0 && found[0].Level == detect.LevelTrip; trip != (i == 4) {
				t.Errorf("%s: step %d: %v", c.field, i, found)
			}
		}
		if u := d.run.Used(); u.Tokens != 0 || u.Cost != 0 || u.ToolCalls != 5 {
			t.Errorf("%s: used %+v", c.field, u)
		}
	}
	d := drive(t, detect.Rules{})
	_, err := d.run.Observe(detect.Step{Tokens: -1, Cost: nan, Confidence: &nan})
	for _, field := range []string{"Step.Tokens", "Step.Cost", "Step.Confidence"} {
		if !strings.Contains(err.Error(), field) {
			t.Errorf("%v does not name %s", err, field)
		}
	}
	_, err = d.run.Iteration(detect.Iteration{Failed: true, Cost: nan})
	wantField(t, err, "Step.Cost")
	if n := d.run.Totals().Failures; n != 1 {
		t.Errorf("%d failures", n)
	}
	d.step(detect.Step{Tokens: math.MaxInt64, Cost: 1e9})
	d.step(detect.Step{Tokens: math.MaxInt64, Cost: 1e9})
	if u := d.run.Used(); u.Tokens != math.MaxInt64 {
		t.Errorf("%+v", u)
	}
}

func TestNamesThatCannotBe(t *testing.T) {
	g := gather(t, detect.Rules{})
	_, err := g.graph.Handoff(detect.Handoff{To: "b"})
	wantField(t, err, "Handoff.From")
	_, err = g.graph.Handoff(detect.Handoff{From: "a"})
	wantField(t, err, "Handoff.To")
	wantField(t, g.graph.Parent("", "a"), "child")
	wantField(t, g.graph.Parent("a", ""), "parent")
	hostile := strings.Repeat("\xff\x00", 1<<16)
	if _, err := g.graph.Handoff(detect.Handoff{From: hostile, To: hostile + "x", Payload: hostile}); err != nil {
		t.Error(err)
	}
}

func TestHandoffToOneself(t *testing.T) {
	g := gather(t, detect.Rules{HandoffCycle: off()})
	for range 6 {
		g.hand("a", "a", report(0))
	}
	g.quiet(detect.RuleHandoffs, detect.RuleHandoffRepeat, detect.RuleHandoffStall)
	g.want(detect.RuleHandoffs, "5 nudge", "6 trip")
}

func TestClockSetBack(t *testing.T) {
	d := drive(t, detect.Rules{Calls: off()})
	d.fresh()
	d.now = d.now.Add(-time.Hour)
	for range 239 {
		d.fresh()
	}
	d.quiet()
	d.now = d.now.Add(-365 * 24 * time.Hour)
	for range 3 {
		d.fresh()
	}
	d.want(detect.RuleWall, "243 nudge") // time went on from where it was, twice
	if due := d.run.Due(); due.Sub(d.now) > 60*time.Second || due.Before(d.now) {
		t.Errorf("due %v after now", due.Sub(d.now))
	}
}

func TestClockLate(t *testing.T) {
	d := drive(t, detect.Rules{})
	for i := range 100 { // events of two goroutines, the one always 100 ms behind
		d.fresh()
		d.step(detect.Step{Tool: "read", Args: word(1000 + i), Output: word(i), At: d.now.Add(-100 * time.Millisecond)})
	}
	if due := d.run.Due(); due.Sub(start()) != 241*time.Second {
		t.Errorf("due %v after the start", due.Sub(start()))
	}
}

func TestClockSetForward(t *testing.T) {
	d := drive(t, detect.Rules{})
	d.step(detect.Step{At: start()})
	for _, at := range []time.Time{
		time.Unix(1<<40, 0), time.Unix(-1<<40, 0), time.Unix(1<<60, 0), {}, start(),
	} {
		d.step(detect.Step{Tool: word(d.n), At: at})
		d.keep(d.run.Check(at))
		d.run.Due()
	}
	d.want(detect.RuleWall, "2 trip") // a day has passed by that clock
}

func TestNoTimes(t *testing.T) {
	d := drive(t, detect.Rules{})
	for range 5 {
		found, err := d.run.Observe(detect.Step{Tool: "x"})
		if err != nil {
			t.Fatal(err)
		}
		d.keep(found)
	}
	d.want(detect.RuleRepeat, "3 nudge", "5 trip")
	if f := d.fired[1]; !f.At.IsZero() || !f.Evidence[0].At.IsZero() {
		t.Errorf("%+v", f)
	}
}

func TestHugeTexts(t *testing.T) {
	// What is in the middle is not looked at: the work is that of the ends.
	head, tail := strings.Repeat("h", 2048), strings.Repeat("t", 2048)
	middle := [2]string{strings.Repeat("a", 10<<20), strings.Repeat("b", 10<<20)}
	d := drive(t, detect.Rules{})
	for i := range 5 {
		text := head + middle[i%2] + tail
		d.step(detect.Step{Tool: "cat", Args: text, Output: text})
	}
	d.want(detect.RuleRepeat, "3 nudge", "5 trip")
	g := gather(t, detect.Rules{})
	for i := range 3 {
		g.hand("a", "b", strings.Repeat("w ", 8192)+middle[i%2]+strings.Repeat(" z", 4096))
	}
	g.want(detect.RuleHandoffRepeat, "2 nudge")
}

func TestInvalidTexts(t *testing.T) {
	for _, s := range []string{
		"\xff\xfe\xfd", "\x00", strings.Repeat("[", 100_000), strings.Repeat(`{"a":`, 1000), `{"a":"\`, `{"`, `"`,
		"/tmp/", "/tmp", "0x", "12:", "2024-", "1h", "::::", "\xc2", strings.Repeat("\xe8\xaf", 300),
	} {
		d := drive(t, detect.Rules{})
		for range 5 {
			d.step(detect.Step{Tool: s, Args: s, Output: s, Err: s})
		}
		d.want(detect.RuleRepeat, "3 nudge", "5 trip")
		for _, f := range d.fired {
			if !strings.Contains(f.Message, "in a row") && f.Rule == detect.RuleRepeat {
				t.Errorf("%q", f.Message)
			}
			for _, e := range f.Evidence {
				if len(e.Tool) > 64 {
					t.Errorf("a name of %d bytes", len(e.Tool))
				}
			}
		}
	}
}
