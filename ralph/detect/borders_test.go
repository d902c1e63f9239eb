package detect_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/blackbox4/switchgear/core/failsafe/condition"
	"github.com/blackbox4/switchgear/ralph/detect"
)

// TestRepliesThatFailByKind count with the calls that did.
func TestRepliesThatFailByKind(t *testing.T) {
	d := drive(t, detect.Rules{})
	d.step(detect.Step{Output: "I may not", Kind: detect.ErrorKindPermission})
	d.step(detect.Step{Output: "I may not", Kind: detect.ErrorKindPermission}) // replies are in no window
	d.want(detect.RulePermission, "1 nudge")
	d.step(detect.Step{Tool: "rm", Kind: detect.ErrorKindPermission})
	d.step(detect.Step{Output: "I may not", Kind: detect.ErrorKindPermission})
	d.want(detect.RulePermission, "1 nudge", "4 trip")
	d = drive(t, detect.Rules{})
	for range 6 { // one that fails says nothing about what was said
		d.step(detect.Step{Output: "the same", Failed: true})
	}
	d.want(detect.RuleEmpty)
	if d.run.Totals().Errors != 6 {
		t.Errorf("%+v", d.run.Totals())
	}
}

// TestFailedIterationsOfOneKind are those in a row: others between begin anew.
func TestFailedIterationsOfOneKind(t *testing.T) {
	d := drive(t, detect.Rules{Failures: off(), UnknownTool: detect.Limits{Nudge: 2, Trip: 3}, Permission: detect.Limits{Nudge: 2, Trip: 3}})
	for _, kind := range []detect.ErrorKind{detect.ErrorKindUnknownTool, detect.ErrorKindPermission, detect.ErrorKindUnknownTool, detect.ErrorKindPermission, detect.ErrorKindPermission, detect.ErrorKindOther, detect.ErrorKindPermission} {
		d.iteration(detect.Iteration{Failed: true, Kind: kind})
	}
	d.want(detect.RuleUnknownTool)
	d.want(detect.RulePermission, "5 nudge")
	d.iteration(detect.Iteration{Failed: true, Kind: detect.ErrorKindPermission})
	d.iteration(detect.Iteration{Failed: true, Kind: detect.ErrorKindPermission})
	d.want(detect.RulePermission, "5 nudge", "9 trip")
	d.iteration(detect.Iteration{}) // one that goes well
	d.iteration(detect.Iteration{Failed: true, Kind: detect.ErrorKindPermission})
	if n := d.run.Totals(); n.Failures != 10 || n.Iterations != 11 {
		t.Errorf("%+v", n)
	}
}

// TestBordersOfConfidence: what nudges, trips, and ends it, to the point.
func TestBordersOfConfidence(t *testing.T) {
	say := func(c detect.ConfidenceLimits, values ...float64) *driver {
		d := drive(t, detect.Rules{Confidence: c, Stall: off()})
		for i, v := range values {
			d.step(detect.Step{Tool: word(i), Output: word(i), Confidence: &v})
		}
		return d
	}
	say(detect.ConfidenceLimits{}, 0.5, 0.5, 0.5).want(detect.RuleConfidence)
	say(detect.ConfidenceLimits{}, 0.4999).want(detect.RuleConfidence, "1 nudge")
	say(detect.ConfidenceLimits{}, 0.3, 0.3, 0.3, 0.3).want(detect.RuleConfidence, "1 nudge")
	say(detect.ConfidenceLimits{}, 0.2999, 0.2999, 0.2999).want(detect.RuleConfidence, "1 nudge", "3 trip")
	say(detect.ConfidenceLimits{Samples: 2}, 0.2, 0.2).want(detect.RuleConfidence, "1 nudge", "2 trip")
	say(detect.ConfidenceLimits{}, 1, 0.1).want(detect.RuleConfidence, "2 nudge") // one value, the average is 0.73
	say(detect.ConfidenceLimits{}, 1, 0.1001).want(detect.RuleConfidence)
	say(detect.ConfidenceLimits{Nudge: -1}, 1, 0.1, 0.05).want(detect.RuleConfidence)
	say(detect.ConfidenceLimits{High: -1}, 1, 0).want(detect.RuleConfidence)
	say(detect.ConfidenceLimits{Trip: -1}, 0, 0, 0, 0).want(detect.RuleConfidence, "1 nudge")
	say(detect.ConfidenceLimits{Leave: 0.5}, 0.4, 0.75, 0.75, 0.2).want(detect.RuleConfidence, "1 nudge", "4 nudge") // 0.4, 0.505, 0.58, 0.465
	say(detect.ConfidenceLimits{}, 0.4, 0.75, 0.75, 0.2).want(detect.RuleConfidence, "1 nudge")                      // never back to 0.6
	for trip, want := range map[float64]condition.Severity{0.11: condition.Medium, 0.1: condition.High} {
		d := say(detect.ConfidenceLimits{Nudge: -1}, trip, trip, trip)
		if len(d.fired) != 1 || d.fired[0].Severity != want || math.Abs(d.fired[0].Count-trip) > 1e-9 || d.fired[0].Threshold != 0.3 {
			t.Errorf("of %v: %+v", trip, d.fired)
		}
	}
}

// TestEvidenceOfTheFirstStep: there is some, though no call is it.
func TestEvidenceOfTheFirstStep(t *testing.T) {
	d := drive(t, detect.Rules{})
	d.step(detect.Step{Blocked: true, Output: "I need the password."})
	if len(d.fired) != 1 || len(d.fired[0].Evidence) != 1 || d.fired[0].Evidence[0].Index != 1 || !d.fired[0].Evidence[0].At.Equal(d.now) {
		t.Errorf("%+v", d.fired)
	}
	d = drive(t, detect.Rules{})
	d.now = d.now.Add(time.Hour)
	d.iteration(detect.Iteration{Kind: detect.ErrorKindAuth})
	if len(d.fired) != 1 || d.fired[0].Evidence != nil {
		t.Errorf("%+v", d.fired)
	}
}

// TestNamesAreFitToBeShown: of a tool, without what a terminal would take for more.
func TestNamesAreFitToBeShown(t *testing.T) {
	for name, want := range map[string]string{
		"a\nb": "a?b", "a\x7fb": "a?b", "a\x1fb": "a?b", "a b": "a b", "\xffa": "a", "é": "é", strings.Repeat("x", 64): strings.Repeat("x", 64), strings.Repeat("x", 65): strings.Repeat("x", 64),
		strings.Repeat("x", 63) + "é": strings.Repeat("x", 63),
	} {
		d := drive(t, detect.Rules{})
		for range 3 {
			d.call(name, "x", "y")
		}
		if len(d.fired) != 1 || d.fired[0].Evidence[0].Tool != want || !strings.Contains(d.fired[0].Message, want) {
			t.Errorf("%q is shown as %+v, want %q", name, d.fired, want)
		}
	}
}

// TestManyNamesAreNotKept: of a thousand tools names are known.
func TestManyNamesAreNotKept(t *testing.T) {
	detector, err := detect.New(detect.Rules{Calls: off()})
	if err != nil {
		t.Fatal(err)
	}
	shown := func(tool string) string {
		run := detector.NewRun()
		for range 5 {
			found, err := run.Observe(detect.Step{At: start(), Tool: tool})
			if err != nil {
				t.Fatal(err)
			}
			if len(found) > 0 {
				return found[0].Evidence[0].Tool
			}
		}
		t.Fatal("nothing was found")
		return ""
	}
	for i := range 1001 {
		want := word(i)
		if i == 1000 {
			want = "" // no longer known
		}
		if got := shown(word(i)); got != want {
			t.Errorf("tool %d is shown as %q, want %q", i, got, want)
		}
	}
	if got := shown(word(0)); got != word(0) {
		t.Errorf("the first is shown as %q", got)
	}
}

// TestSavedThatCannotBe: each error says what it is about.
func TestSavedThatCannotBe(t *testing.T) {
	d := drive(t, detect.Rules{})
	d.fresh()
	g := gather(t, detect.Rules{})
	g.hand("a", "b", "have a look")
	type saved interface {
		AppendBinary(b []byte) ([]byte, error)
		UnmarshalBinary(data []byte) error
	}
	for name, v := range map[string]saved{"run": d.run, "graph": g.graph, "budget": budget(t, detect.Budgets{}, nil)} {
		data, err := v.AppendBinary(nil)
		if err != nil {
			t.Fatal(err)
		}
		kinds := map[string]byte{"run": 'r', "graph": 'g', "budget": 'b'}
		for want, change := range map[string]func(b []byte) []byte{
			fmt.Sprintf("detect: saved %s has 5 bytes, at least 6 are needed", name):          func(b []byte) []byte { return b[:5] },
			fmt.Sprintf("detect: saved %s has 0 bytes", name):                                 func([]byte) []byte { return nil },
			fmt.Sprintf("detect: saved %s begins with 0x78, allowed: %#x", name, kinds[name]): func(b []byte) []byte { b[0] = 'x'; return b },
			fmt.Sprintf("detect: saved %s is of version 1, allowed: 3", name):                 func(b []byte) []byte { b[1] = 1; return b },
			fmt.Sprintf("detect: saved %s is damaged: its checksum does not match", name):     func(b []byte) []byte { b[len(b)-1] ^= 1; return b },
			"detect: saved " + name + " is damaged: its checksum does not match":              func(b []byte) []byte { b[2] ^= 1; return b },
		} {
			err := v.UnmarshalBinary(change(append([]byte(nil), data...)))
			if err == nil || !strings.HasPrefix(err.Error(), want) {
				t.Errorf("%v, want %s", err, want)
			}
		}
		if err := v.UnmarshalBinary(data); err != nil {
			t.Errorf("it is not as before: %v", err)
		}
	}
}

// TestSavedThatIsCut, or has something behind it, is refused wherever the cut is, also
// where the checksum is right; and what it was read into is as before.
func TestSavedThatIsCut(t *testing.T) {
	d, g := drive(t, detect.Rules{}), gather(t, detect.Rules{})
	b := budget(t, detect.Budgets{Tokens: 10}, nil)
	for i := range 20 {
		d.fresh()
		g.hand(word(i%5), word(i%3), report(i))
	}
	if _, err := b.Spend(detect.Use{Tokens: 3}, start()); err != nil {
		t.Fatal(err)
	}
	for name, v := range map[string]interface {
		AppendBinary(b []byte) ([]byte, error)
		UnmarshalBinary(data []byte) error
	}{"run": d.run, "graph": g.graph, "budget": b} {
		whole, err := v.AppendBinary(nil)
		if err != nil {
			t.Fatal(err)
		}
		sealed := func(rest []byte) []byte {
			head := binary.LittleEndian.AppendUint32([]byte{whole[0], whole[1]}, crc32.ChecksumIEEE(rest))
			return append(head, rest...)
		}
		for cut := 6; cut < len(whole); cut++ {
			if err := v.UnmarshalBinary(sealed(whole[6:cut])); err == nil || !strings.HasPrefix(err.Error(), "detect: saved "+name+" ") {
				t.Fatalf("%d bytes of a %s of %d: %v", cut, name, len(whole), err)
			}
		}
		if err := v.UnmarshalBinary(sealed(append(slices.Clone(whole[6:]), 0))); err == nil {
			t.Errorf("a %s with a byte too many is taken", name)
		}
		if again, err := v.AppendBinary(nil); err != nil || !bytes.Equal(again, whole) {
			t.Errorf("the %s is not as before, %v", name, err)
		}
		if err := v.UnmarshalBinary(sealed(whole[6:])); err != nil {
			t.Error(err)
		}
	}
}

// TestUsesThatCannotBe are errors; what was set aside is taken to be used.
func TestUsesThatCannotBe(t *testing.T) {
	nan := math.NaN()
	for field, u := range map[string]detect.Use{
		"Use.Iterations": {Iterations: -1}, "Use.Tokens": {Tokens: -1}, "Use.Cost": {Cost: nan}, "Use.ToolCalls": {ToolCalls: -1}, "Use.Hops": {Hops: -1},
	} {
		b := budget(t, detect.Budgets{}, nil)
		_, err := b.Spend(u, start())
		wantField(t, err, field)
		_, err = b.Reserve(u, start())
		wantField(t, err, field)
		one, err := b.Reserve(detect.Use{Iterations: 2, Tokens: 3, Cost: 4, ToolCalls: 5, Hops: 6}, start())
		if err != nil {
			t.Fatal(err)
		}
		_, err = one.Settle(u, start())
		wantField(t, err, field)
		want := map[string]detect.Use{
			"Use.Iterations": {Iterations: 2}, "Use.Tokens": {Tokens: 3}, "Use.Cost": {Cost: 4}, "Use.ToolCalls": {ToolCalls: 5}, "Use.Hops": {Hops: 6},
		}[field]
		if got := b.Used(); got != want {
			t.Errorf("%s: used %+v, want what was set aside of it, %+v", field, got, want)
		}
	}
	for cost, ok := range map[float64]bool{0: true, 1e9: true, 1e9 + 1: false, -1e-12: false, math.Inf(1): false} {
		_, err := budget(t, detect.Budgets{}, nil).Spend(detect.Use{Cost: cost}, start())
		if (err == nil) != ok {
			t.Errorf("a cost of %v: %v", cost, err)
		}
	}
	b := budget(t, detect.Budgets{}, nil)
	for range 3 { // what is less than half a billionth is nothing
		if _, err := b.Spend(detect.Use{Cost: 0.4e-9}, start()); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := b.Spend(detect.Use{Cost: 0.6e-9}, start()); err != nil || b.Used().Cost != 1e-9 {
		t.Errorf("%v, %v", b.Used().Cost, err)
	}
}

// TestOneMoreRoundAfterANudge is one too many, and is counted as one.
func TestOneMoreRoundAfterANudge(t *testing.T) {
	g := gather(t, detect.Rules{HandoffStall: off(), HandoffRepeat: off(), HandoffEcho: off(), Handoffs: off()})
	names := []string{"a", "b", "c"}
	for i := range 30 {
		g.hand(names[i%3], names[(i+1)%3], "please have a look at the plan")
		if n := len(g.fired); n == 1 && g.fired[0].Level == detect.LevelNudge && g.fired[0].n == i+1 {
			g.graph.Nudged(detect.RuleHandoffCycle)
		} else if n > 1 {
			break
		}
	}
	if len(g.fired) != 2 || g.fired[1].Rule != detect.RuleHandoffCycle || g.fired[1].Level != detect.LevelTrip || g.fired[1].Count != 1 || g.fired[1].Threshold != 1 || g.fired[1].n != g.fired[0].n+3 {
		t.Errorf("%+v", g.fired)
	}
}

// TestAResumeForgetsTheQuestion of the iteration that was going on.
func TestAResumeForgetsTheQuestion(t *testing.T) {
	d := drive(t, detect.Rules{})
	d.run.Resume(d.now)
	d.iteration(detect.Iteration{}) // nothing was done in it, and nothing was asked
	d.want(detect.RuleBlocked)
	d.step(detect.Step{Output: "May I?", Question: true})
	d.run.Resume(d.now)
	d.iteration(detect.Iteration{})
	d.want(detect.RuleBlocked)
	d.step(detect.Step{Output: "May I?", Question: true})
	d.iteration(detect.Iteration{})
	d.want(detect.RuleBlocked, "5 nudge")
}

// TestTheLongestCycleIsSaved like any other.
func TestTheLongestCycleIsSaved(t *testing.T) {
	d := drive(t, detect.Rules{Budgets: detect.Budgets{Wall: -1}})
	for i := range 17 {
		d.call(word(i%8), "x", "same")
	}
	data, err := d.run.AppendBinary(nil)
	if err != nil || len(d.fired) == 0 || d.fired[0].Rule != detect.RuleCycle {
		t.Fatalf("%v, %v", d.fired, err)
	}
	if err := d.run.UnmarshalBinary(data); err != nil {
		t.Error(err)
	}
}
