package detect_test

import (
	"encoding/json"
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/ralph/detect"
)

func TestZeroRulesAreTheDefaults(t *testing.T) {
	d, err := detect.New(detect.Rules{})
	if err != nil {
		t.Fatal(err)
	}
	r := d.Rules()
	for name, c := range map[string]struct{ got, want detect.Limits }{
		"Repeat":    {r.Repeat, detect.Limits{Nudge: 3, Trip: 5}},
		"Errors":    {r.Errors, detect.Limits{Nudge: 4, Trip: 10}},
		"Failures":  {r.Failures, detect.Limits{Nudge: 2, Trip: 3}},
		"Handoffs":  {r.Handoffs, detect.Limits{Nudge: 4, Trip: 5}},
		"Progress":  {r.NoProgress, detect.Limits{Nudge: 3, Trip: 10}},
		"ErrorRate": {r.ErrorRate, detect.Limits{Nudge: -1, Trip: 80}},
		"SameCall":  {r.SameCall, detect.Limits{Nudge: 10, Trip: -1}},
	} {
		if c.got != c.want {
			t.Errorf("%s: %+v", name, c.got)
		}
	}
	if r.Confidence != (detect.ConfidenceLimits{Nudge: 0.5, Trip: 0.3, High: 0.1, Leave: 0.6, Samples: 3}) {
		t.Errorf("%+v", r.Confidence)
	}
	if r.Budgets != (detect.Budgets{Iterations: -1, Wall: -1, Idle: -1, Hops: 200}) {
		t.Errorf("%+v", r.Budgets)
	}
	if r.NoProgressFor != (detect.DurationLimits{Nudge: -1, Trip: -1}) || r.ErrorRateFor != time.Minute {
		t.Errorf("%v, %v", r.NoProgressFor, r.ErrorRateFor)
	}
	r.Budgets.Iterations, r.Budgets.Wall, r.Budgets.Idle = -1, -1, -1
	again, err := detect.New(r)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(again.Rules(), r) {
		t.Errorf("the defaults of the defaults are others: %+v", again.Rules())
	}
}

func TestTripBelowTheDefaultNudge(t *testing.T) {
	d := drive(t, detect.Rules{Repeat: detect.Limits{Trip: 2}, Errors: detect.Limits{Nudge: -1, Trip: 3}})
	for range 3 {
		d.step(detect.Step{Tool: "x", Failed: true})
	}
	d.want(detect.RuleRepeat, "2 trip")
	d.want(detect.RuleErrors, "3 trip")
}

func TestEachRuleCanBeOff(t *testing.T) {
	v := reflect.ValueOf(&detect.Rules{}).Elem()
	for i := range v.NumField() {
		if v.Type().Field(i).Type != reflect.TypeFor[detect.Limits]() {
			continue
		}
		var r detect.Rules
		reflect.ValueOf(&r).Elem().Field(i).Set(reflect.ValueOf(off()))
		d, err := detect.New(r)
		if err != nil {
			t.Errorf("%s: %v", v.Type().Field(i).Name, err)
			continue
		}
		got := reflect.ValueOf(d.Rules()).Field(i).Interface()
		if got != off() {
			t.Errorf("%s: %+v", v.Type().Field(i).Name, got)
		}
	}
}

func TestFaultsAreToldAllAtOnce(t *testing.T) {
	err := detect.Rules{
		Repeat:         detect.Limits{Nudge: 5, Trip: 4},
		Window:         detect.Limits{Trip: 21},
		Cycle:          detect.Limits{Nudge: 1},
		ErrorRate:      detect.Limits{Trip: 101},
		NoProgressFor:  detect.DurationLimits{Nudge: time.Hour, Trip: time.Minute},
		ErrorRateFor:   time.Millisecond,
		ErrorRateSteps: -1,
		Warn:           1,
		Confidence:     detect.ConfidenceLimits{Trip: math.NaN(), Leave: 2, Samples: -1},
		Budgets:        detect.Budgets{Cost: math.Inf(1)},
		Tools:          map[string]detect.Class{"x": 9},
	}.Validate()
	for _, field := range []string{
		"Repeat.Nudge", "Window.Trip", "Cycle.Nudge", "ErrorRate.Trip", "NoProgressFor.Nudge", "ErrorRateFor", "ErrorRateSteps",
		"Warn", "Confidence.Trip", "Confidence.Leave", "Confidence.Samples", "Budgets.Cost", "Tools[x]",
	} {
		if !strings.Contains(err.Error(), field+" is ") {
			t.Errorf("%s is not named in\n%v", field, err)
		}
	}
	faults, ok := err.(interface{ Unwrap() []error })
	if !ok {
		t.Fatal("not joined")
	}
	for _, one := range faults.Unwrap() {
		if _, ok := errors.AsType[*core.ConfigError](one); !ok {
			t.Errorf("%T", one)
		}
	}
	if _, err := detect.New(detect.Rules{Warn: 2}); err == nil {
		t.Error("New accepts it")
	}
	tools := map[string]detect.Class{}
	for i := range 1001 {
		tools[word(i)] = detect.ClassPoll
	}
	if err := (detect.Rules{Tools: tools}).Validate(); err == nil {
		t.Error("1001 tools")
	}
}

func TestRulesKeepNothingOfTheCaller(t *testing.T) {
	tools := map[string]detect.Class{"x": detect.ClassUnjudged}
	d, err := detect.New(detect.Rules{Tools: tools})
	if err != nil {
		t.Fatal(err)
	}
	tools["x"] = detect.ClassOrdinary
	d.Rules().Tools["x"] = detect.ClassOrdinary
	if d.Rules().Tools["x"] != detect.ClassUnjudged {
		t.Error("the map is shared")
	}
}

func TestRulesFromJSON(t *testing.T) {
	var r detect.Rules
	data := `{"repeat":{"nudge":2,"trip":-1},"poll_for":60000000000,"tools":{"gdb":"repeatable"},"budgets":{"cost":2.5},"confidence":{"trip":-1}}`
	if err := json.Unmarshal([]byte(data), &r); err != nil {
		t.Fatal(err)
	}
	want := detect.Rules{
		Repeat: detect.Limits{Nudge: 2, Trip: -1}, PollFor: time.Minute, Tools: map[string]detect.Class{"gdb": detect.ClassRepeatable},
		Budgets: detect.Budgets{Cost: 2.5}, Confidence: detect.ConfidenceLimits{Trip: -1},
	}
	if !reflect.DeepEqual(r, want) {
		t.Errorf("%+v", r)
	}
	out, err := json.Marshal(detect.Rules{})
	if err != nil || string(out) != "{}" {
		t.Errorf("%s, %v", out, err)
	}
}

func TestNames(t *testing.T) {
	seen := map[string]bool{}
	for rule := detect.RuleRepeat; rule <= detect.RuleHops; rule++ {
		text, err := rule.MarshalText()
		var back detect.Rule
		if err != nil || back.UnmarshalText(text) != nil || back != rule || seen[string(text)] || strings.Contains(string(text), "(") {
			t.Errorf("%d is %q", rule, text)
		}
		seen[string(text)] = true
	}
	for _, one := range []interface{ UnmarshalText([]byte) error }{new(detect.Rule), new(detect.Level), new(detect.Reason), new(detect.Class), new(detect.ErrorKind)} {
		if err := one.UnmarshalText([]byte("nonsense")); err == nil || !strings.Contains(err.Error(), "allowed: ") {
			t.Errorf("%T: %v", one, err)
		}
	}
	for want, got := range map[string]string{
		"trip": detect.LevelTrip.String(), "Level(9)": detect.Level(9).String(), "blocked": detect.ReasonBlocked.String(), "Reason(9)": detect.Reason(9).String(),
		"poll": detect.ClassPoll.String(), "Class(9)": detect.Class(9).String(), "quota": detect.ErrorKindQuota.String(), "ErrorKind(9)": detect.ErrorKind(9).String(),
		"Rule(99)": detect.Rule(99).String(), "none": detect.Rule(0).String(),
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestFindingTellsAll(t *testing.T) {
	d := drive(t, detect.Rules{})
	d.fresh()
	for range 5 {
		d.call("bash", "make", "error")
	}
	f := d.fired[1].Finding
	if f.Rule != detect.RuleRepeat || f.Level != detect.LevelTrip || f.Reason != detect.ReasonStuck || f.Count != 5 || f.Threshold != 5 || !f.At.Equal(d.now) {
		t.Errorf("%+v", f)
	}
	if !strings.Contains(f.Message, "bash 5 times") {
		t.Errorf("%q", f.Message)
	}
	if len(f.Evidence) != 5 {
		t.Fatalf("%+v", f.Evidence)
	}
	for i, e := range f.Evidence {
		if e.Index != uint64(2+i) || e.Tool != "bash" || !e.At.Equal(start().Add(time.Duration(2+i)*time.Second)) || e.Call != f.Evidence[0].Call {
			t.Errorf("%d: %+v", i, e)
		}
	}
	c := f.Condition()
	if c.Type != "repeat" || c.Severity != f.Severity || c.Value != 5 || c.Threshold != 5 || c.Message != f.Message || !c.At.Equal(f.At) ||
		c.Metadata["level"] != "trip" || c.Metadata["reason"] != "stuck" || c.Metadata["steps"] != "2,3,4,5,6" {
		t.Errorf("%+v", c)
	}
	data, err := json.Marshal(f)
	var back detect.Finding
	if err != nil || json.Unmarshal(data, &back) != nil || !reflect.DeepEqual(back, f) {
		t.Errorf("%s, %v: %+v", data, err, back)
	}
	g := gather(t, detect.Rules{})
	for range 2 {
		g.hand("a", "b", "this and that and more")
	}
	if c := g.fired[0].Condition(); c.Metadata["agents"] != "a,b" {
		t.Errorf("%+v", c)
	}
}

func TestWorstFirst(t *testing.T) {
	d := drive(t, detect.Rules{SameError: detect.Limits{Nudge: 1}})
	var found []detect.Finding
	for range 5 {
		found = d.step(detect.Step{Tool: "x", Err: "no"})
	}
	if len(found) < 2 || found[0].Level != detect.LevelTrip {
		t.Fatalf("%+v", found)
	}
	for i := 1; i < len(found); i++ {
		a, b := found[i-1], found[i]
		if a.Level < b.Level || a.Level == b.Level && a.Severity < b.Severity {
			t.Errorf("%v before %v", a.Rule, b.Rule)
		}
	}
}
