package detect_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/blackbox4/switchgear/ralph/detect"
)

// TestErrorRateAfterManyYears: its intervals do not run out.
func TestErrorRateAfterManyYears(t *testing.T) {
	rules := detect.Rules{Errors: off(), Transient: off(), SameError: off(), Repeat: off(), Window: off(), ErrorRateFor: time.Second, Budgets: detect.Budgets{Wall: -1}}
	for _, years := range []int{4, 8, 100} {
		d := drive(t, rules)
		d.fresh()
		d.every = 0
		d.now = d.now.Add(time.Duration(years) * 365 * 24 * time.Hour)
		for range 9 {
			d.step(detect.Step{Tool: word(d.n), Err: word(d.n)})
		}
		if years == 4 {
			d.now = d.now.Add(time.Minute) // all that is over
			for range 9 {
				d.fresh()
			}
			d.want(detect.RuleErrorRate)
			continue
		}
		d.step(detect.Step{Tool: word(d.n), Err: word(d.n)})
		d.want(detect.RuleErrorRate, "11 trip")
	}
}

// TestErrorRateAtItsEnds: of few steps there is none; and near 100 % it does not flap
// either.
func TestErrorRateAtItsEnds(t *testing.T) {
	rules := detect.Rules{Errors: off(), Transient: off(), SameError: off(), Repeat: off(), Window: off(), Budgets: detect.Budgets{Wall: -1}}
	rules.ErrorRate = detect.Limits{Nudge: -1, Trip: 1}
	d := drive(t, rules)
	for range 9 {
		d.fresh()
	}
	d.want(detect.RuleErrorRate)
	rules.ErrorRate = detect.Limits{Nudge: -1, Trip: 100}
	d = drive(t, rules)
	for i := range 100 {
		if i == 11 {
			d.fresh()
		} else {
			d.step(detect.Step{Tool: word(d.n), Err: word(d.n)})
		}
	}
	d.want(detect.RuleErrorRate, "71 trip")
}

// TestWaitingMakesUpForRepeats: each call after a wait for one that was made at once.
func TestWaitingMakesUpForRepeats(t *testing.T) {
	d := drive(t, detect.Rules{Window: off(), Cycle: off(), Poll: off(), Budgets: detect.Budgets{Wall: -1}})
	same := func(n int, every time.Duration) {
		d.every = every
		for range n {
			d.call("look", "{}", "same")
		}
	}
	same(4, time.Second)
	same(3, time.Minute)
	same(3, time.Second)
	d.want(detect.RuleRepeat, "3 nudge", "9 nudge")
	same(1, time.Second)
	d.want(detect.RuleRepeat, "3 nudge", "9 nudge", "11 trip")
}

// TestFirstCallAfterATime: there is none before it that it could have waited after.
func TestFirstCallAfterATime(t *testing.T) {
	d := drive(t, detect.Rules{Cycle: off()})
	d.step(detect.Step{Output: "Let me see."})
	d.now = d.now.Add(time.Minute)
	for i, tool := range []string{"a", "b", "a", "c", "a"} {
		d.step(detect.Step{Tool: tool, Failed: i%2 == 0, Output: "same"})
	}
	d.want(detect.RuleWindow, "6 nudge")
}

// TestEachRuleBeginsAnew where what it has counted is over, also if one is enough.
func TestEachRuleBeginsAnew(t *testing.T) {
	one := detect.Limits{Nudge: 1, Trip: -1}
	for rule, c := range map[detect.Rule]struct {
		rules detect.Rules
		bad   func(d *driver)
		over  func(d *driver)
	}{
		detect.RuleCalls:      {detect.Rules{Calls: one}, func(d *driver) { d.fresh() }, func(d *driver) { d.iteration(detect.Iteration{}) }},
		detect.RuleCompaction: {detect.Rules{Compaction: one}, func(d *driver) { d.step(detect.Step{Compaction: true}) }, func(d *driver) { d.fresh(); d.fresh(); d.fresh(); d.n -= 2 }},
		detect.RuleEmpty:      {detect.Rules{Empty: one}, func(d *driver) { d.step(detect.Step{}) }, func(d *driver) { d.fresh() }},
		detect.RuleFailures:   {detect.Rules{Failures: one}, func(d *driver) { d.iteration(detect.Iteration{Failed: true}) }, func(d *driver) { d.iteration(detect.Iteration{}) }},
		detect.RuleErrors:     {detect.Rules{Errors: one}, func(d *driver) { d.step(detect.Step{Tool: "x", Failed: true}) }, func(d *driver) { d.fresh() }},
		detect.RuleTransient:  {detect.Rules{Transient: one}, func(d *driver) { d.step(detect.Step{Tool: "x", Kind: detect.ErrorKindTransient}) }, func(d *driver) { d.fresh() }},
		detect.RuleBlocked:    {detect.Rules{Blocked: one}, func(d *driver) { d.iteration(detect.Iteration{Question: true}) }, func(d *driver) { d.iteration(detect.Iteration{}) }},
	} {
		d := drive(t, c.rules)
		c.bad(d)
		c.bad(d)
		c.over(d)
		c.bad(d)
		d.want(rule, "1 nudge", "4 nudge")
	}
	d := drive(t, detect.Rules{Empty: one}) // a hand-off is something, too
	d.step(detect.Step{})
	d.run.HandedOff(d.now)
	d.step(detect.Step{})
	d.want(detect.RuleEmpty, "1 nudge", "2 nudge")
}

// TestProgressBeginsRepeatsAnew: after it, the same may be done as often as before.
func TestProgressBeginsRepeatsAnew(t *testing.T) {
	for rule, rules := range map[detect.Rule]detect.Rules{
		detect.RuleRepeat:   {Repeat: detect.Limits{Nudge: 3, Trip: -1}},
		detect.RuleSameCall: {SameCall: detect.Limits{Nudge: 3, Trip: -1}},
		detect.RulePoll:     {Poll: detect.Limits{Nudge: 3, Trip: -1}, Tools: map[string]detect.Class{"look": detect.ClassPoll}},
	} {
		d := drive(t, rules)
		look := func(n int) {
			for range n {
				out := "same"
				if rule == detect.RuleSameCall {
					out = word(d.n)
				}
				d.call("look", "{}", out)
			}
		}
		d.run.Progress("zero", d.now)
		look(2)
		d.run.Progress("one", d.now)
		look(2)
		d.want(rule)
		look(1)
		d.want(rule, "5 nudge")
	}
}

// TestATaskHasATime: what comes of a hand-off without one is of that time.
func TestATaskHasATime(t *testing.T) {
	for name, begin := range map[string]func(g *detect.Graph, at time.Time){"NewTask": (*detect.Graph).NewTask, "Resume": (*detect.Graph).Resume} {
		g := gather(t, detect.Rules{Budgets: detect.Budgets{Hops: 2}})
		if _, err := g.graph.Handoff(detect.Handoff{At: start(), From: "a", To: "b", Payload: "one thing and then"}); err != nil {
			t.Fatal(err)
		}
		at := start().Add(10 * time.Minute)
		begin(g.graph, at)
		var found []detect.Finding
		for i := range 2 {
			found, _ = g.graph.Handoff(detect.Handoff{From: "a", To: "b", Payload: word(i) + " and so forth"})
			if len(found) > 0 {
				break
			}
		}
		if len(found) != 1 || found[0].Rule != detect.RuleHops || !found[0].At.Equal(at) {
			t.Errorf("%s: %+v", name, found)
		}
	}
}

// TestCyclesWithinAFamily are none: what goes to a child on the way is its parent's to
// give, however many others there are.
func TestCyclesWithinAFamily(t *testing.T) {
	for _, parent := range [][2]string{{"a", "b"}, {"b", "a"}, {"", ""}} {
		g := gather(t, detect.Rules{HandoffStall: off(), HandoffRepeat: off(), HandoffEcho: off(), Handoffs: off()})
		if parent[0] != "" {
			if err := g.graph.Parent(parent[0], parent[1]); err != nil {
				t.Fatal(err)
			}
		}
		names := []string{"a", "b", "c"}
		for i := range 30 {
			g.hand(names[i%3], names[(i+1)%3], "please have a look at the plan")
		}
		if (len(g.fired) == 0) != (parent[0] != "") {
			t.Errorf("%q: %+v", parent, g.fired)
		}
	}
}

// TestEachAmountIsReserved: no more of it than there is.
func TestEachAmountIsReserved(t *testing.T) {
	limits := detect.Budgets{Iterations: 5, Tokens: 5, Cost: 5, ToolCalls: 5, Hops: 5}
	for rule, of := range map[detect.Rule]func(n int) detect.Use{
		detect.RuleIterations: func(n int) detect.Use { return detect.Use{Iterations: n} },
		detect.RuleTokens:     func(n int) detect.Use { return detect.Use{Tokens: int64(n)} },
		detect.RuleCost:       func(n int) detect.Use { return detect.Use{Cost: float64(n)} },
		detect.RuleToolCalls:  func(n int) detect.Use { return detect.Use{ToolCalls: n} },
		detect.RuleHops:       func(n int) detect.Use { return detect.Use{Hops: n} },
	} {
		b := budget(t, limits, nil)
		if _, err := b.Spend(of(2), start()); err != nil {
			t.Fatal(err)
		}
		one, err := b.Reserve(of(1), start())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.Reserve(of(3), start()); err == nil {
			t.Errorf("%v: 6 of 5 are set aside", rule)
		} else if e, ok := err.(*detect.ExhaustedError); !ok || e.Finding.Rule != rule || e.Finding.Count != 3 || e.Finding.Threshold != 5 {
			t.Errorf("%v: %+v", rule, err)
		}
		two, err := b.Reserve(of(2), start())
		if err != nil || b.Used() != of(5) {
			t.Errorf("%v: %v, used %+v", rule, err, b.Used())
		}
		one.Release()
		if b.Used() != of(4) {
			t.Errorf("%v: used %+v", rule, b.Used())
		}
		if found, err := two.Settle(of(3), start()); err != nil || len(found) != 1 || found[0].Rule != rule || found[0].Level != detect.LevelTrip || b.Used() != of(5) {
			t.Errorf("%v: %+v, %v, used %+v", rule, found, err, b.Used())
		}
	}
}

// TestSureAgainAtTheVeryValue: a single value that is Leave ends what was found.
func TestSureAgainAtTheVeryValue(t *testing.T) {
	d := drive(t, detect.Rules{Confidence: detect.ConfidenceLimits{Single: true, Nudge: -1, High: -1, Leave: 0.6}})
	for _, c := range []float64{0.2, 0.6, 0.2, 0.59, 0.2} {
		one := d.n
		d.step(detect.Step{Tool: word(one), Output: word(one), Confidence: &c})
	}
	d.want(detect.RuleConfidence, "1 trip", "3 trip")
}

// TestLimitsSayWhatIsAllowed: from which number on, to which.
func TestLimitsSayWhatIsAllowed(t *testing.T) {
	least := map[string]int{"Fruitless": 2, "Repeat": 2, "Poll": 2, "SameCall": 2, "Window": 2, "Cycle": 2, "HandoffRepeat": 2, "HandoffCycle": 2}
	v := reflect.ValueOf(&detect.Rules{}).Elem()
	for i := range v.NumField() {
		if v.Type().Field(i).Type != reflect.TypeFor[detect.Limits]() {
			continue
		}
		var r detect.Rules
		reflect.ValueOf(&r).Elem().Field(i).Set(reflect.ValueOf(detect.Limits{Nudge: -1, Trip: math.MaxInt32}))
		name := v.Type().Field(i).Name
		want := fmt.Sprintf("switchgear: %s.Trip is 2147483647, allowed: %d to ", name, max(least[name], 1))
		if err := r.Validate(); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

// TestNamesThatAreAllowed are those that there are, and no more.
func TestNamesThatAreAllowed(t *testing.T) {
	for last, v := range map[string]interface{ UnmarshalText(text []byte) error }{
		"no_steps": new(detect.Rule), "trip": new(detect.Level), "transient": new(detect.Reason), "unjudged": new(detect.Class),
	} {
		if err := v.UnmarshalText([]byte("nonsense")); err == nil || !strings.HasSuffix(err.Error(), " "+last) {
			t.Errorf("%T: %v, want %s for the last", v, err, last)
		}
	}
}

// TestNothingIsAppended by what was never made.
func TestNothingIsAppended(t *testing.T) {
	for _, v := range []interface {
		AppendBinary(b []byte) ([]byte, error)
	}{(*detect.Run)(nil), (*detect.Graph)(nil), (*detect.Budget)(nil), new(detect.Run), new(detect.Graph), new(detect.Budget)} {
		if data, err := v.AppendBinary([]byte("x")); err == nil || string(data) != "x" {
			t.Errorf("%T: %q, %v", v, data, err)
		}
	}
}

// TestNothingYetIsSaved like anything else.
func TestNothingYetIsSaved(t *testing.T) {
	g := gather(t, detect.Rules{})
	data, err := g.graph.AppendBinary(nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := g.graph.UnmarshalBinary(data); err != nil {
		t.Error(err)
	}
}

// TestDeclineNeedsAnAverage: of three iterations, before any is little.
func TestDeclineNeedsAnAverage(t *testing.T) {
	d := drive(t, detect.Rules{})
	for _, out := range []int{1000, 1000, 10, 10, 10, 10} {
		d.iteration(detect.Iteration{Output: out})
	}
	d.want(detect.RuleDecline, "6 nudge")
}

// TestSizesOfWhatIsSaved are told, as they are and as they should be.
func TestSizesOfWhatIsSaved(t *testing.T) {
	d := drive(t, detect.Rules{})
	for name, v := range map[string]interface {
		AppendBinary(b []byte) ([]byte, error)
		UnmarshalBinary(data []byte) error
	}{"run": d.run, "budget": budget(t, detect.Budgets{}, nil)} {
		whole, err := v.AppendBinary(nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, rest := range [][]byte{nil, whole[6 : len(whole)-1], append(bytes.Clone(whole[6:]), 0)} {
			data := binary.LittleEndian.AppendUint32([]byte{whole[0], whole[1]}, crc32.ChecksumIEEE(rest))
			data = append(data, rest...)
			want := fmt.Sprintf("detect: saved %s has %d bytes, %d were expected", name, len(data), len(whole))
			if err := v.UnmarshalBinary(data); err == nil || err.Error() != want {
				t.Errorf("%v, want %s", err, want)
			}
		}
	}
}
