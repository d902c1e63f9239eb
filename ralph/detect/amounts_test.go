package detect_test

import (
	"testing"
	"time"

	"github.com/blackbox4/switchgear/core/failsafe/condition"
	"github.com/blackbox4/switchgear/ralph/detect"
)

func TestCallsInOneIteration(t *testing.T) {
	d := drive(t, detect.Rules{Budgets: detect.Budgets{Wall: -1}})
	for range 150 {
		d.fresh()
	}
	d.iteration(detect.Iteration{})
	for range 210 {
		d.fresh()
	}
	d.want(detect.RuleCalls, "311 nudge", "351 trip")
	d.quiet(detect.RuleCalls)
}

func TestIterations(t *testing.T) {
	d := drive(t, detect.Rules{})
	for range 110 {
		d.iteration(detect.Iteration{})
	}
	d.want(detect.RuleIterations, "80 nudge", "100 trip")
	f := d.fired[len(d.fired)-1]
	if f.Severity != condition.High || f.Reason != detect.ReasonExhausted || f.Count != 100 || f.Threshold != 100 {
		t.Errorf("%+v", f)
	}
	d.run.NewTask(d.now)
	d.iteration(detect.Iteration{})
	if n := d.run.Used().Iterations; n != 1 {
		t.Errorf("%d iterations of the new task", n)
	}
	if n := d.run.Totals().Iterations; n != 111 {
		t.Errorf("%d iterations in all", n)
	}
}

func TestWall(t *testing.T) {
	d := drive(t, detect.Rules{})
	for range 310 {
		d.fresh()
	}
	d.want(detect.RuleWall, "241 nudge", "301 trip") // since the first event
	if f := d.fired[len(d.fired)-1]; f.Severity != condition.High || f.Reason != detect.ReasonExhausted {
		t.Errorf("%v %v", f.Severity, f.Reason)
	}
}

func TestIdle(t *testing.T) {
	d := drive(t, detect.Rules{Budgets: detect.Budgets{Wall: -1}})
	d.fresh()
	check := func(after time.Duration, want ...string) {
		t.Helper()
		d.keep(d.run.Check(d.now.Add(after)))
		d.want(detect.RuleIdle, want...)
	}
	check(479 * time.Second)
	if due := d.run.Due(); !due.Equal(d.now.Add(480 * time.Second)) {
		t.Errorf("due %v", due)
	}
	check(480*time.Second, "3 nudge")
	if due := d.run.Due(); !due.Equal(d.now.Add(600 * time.Second)) {
		t.Errorf("due %v", due)
	}
	check(599*time.Second, "3 nudge")
	check(600*time.Second, "3 nudge", "5 trip")
	if due := d.run.Due(); !due.IsZero() {
		t.Errorf("due %v", due)
	}
	if f := d.fired[1]; f.Severity != condition.Medium || f.Reason != detect.ReasonStuck {
		t.Errorf("%v %v", f.Severity, f.Reason)
	}
	d.now = d.now.Add(time.Hour)
	d.fresh()
	check(480*time.Second, "3 nudge", "5 trip", "7 nudge")
}

func TestAmounts(t *testing.T) {
	d := drive(t, detect.Rules{Budgets: detect.Budgets{Tokens: 1000, Cost: 1, ToolCalls: 10}})
	for i := range 12 {
		d.step(detect.Step{Tool: "x", Args: word(i), Tokens: 100, Cost: 0.1})
	}
	for _, rule := range []detect.Rule{detect.RuleTokens, detect.RuleCost, detect.RuleToolCalls} {
		d.want(rule, "8 nudge", "10 trip")
	}
	d.iteration(detect.Iteration{Tokens: 5, Cost: 0.25})
	if u := d.run.Used(); u != (detect.Use{Iterations: 1, Tokens: 1205, Cost: 1.45, ToolCalls: 12}) {
		t.Errorf("%+v", u)
	}
}

func TestWarn(t *testing.T) {
	d := drive(t, detect.Rules{Warn: -1})
	for range 100 {
		d.iteration(detect.Iteration{})
	}
	d.want(detect.RuleIterations, "100 trip")
	d = drive(t, detect.Rules{Warn: 0.5})
	for range 100 {
		d.iteration(detect.Iteration{})
	}
	d.want(detect.RuleIterations, "50 nudge", "100 trip")
}

func TestNoProgressNeedsAReporter(t *testing.T) {
	d := drive(t, detect.Rules{})
	for range 30 {
		d.iteration(detect.Iteration{})
	}
	d.quiet()
}

func TestNoProgressByIterations(t *testing.T) {
	d := drive(t, detect.Rules{NoProgressFor: detect.DurationLimits{Nudge: -1, Trip: -1}})
	d.run.Progress("", d.now)
	for range 12 {
		d.iteration(detect.Iteration{})
	}
	d.want(detect.RuleNoProgress, "3 nudge", "10 trip")
	f := d.fired[1]
	if f.Severity != condition.Medium || f.Reason != detect.ReasonStuck || f.Count != 10 {
		t.Errorf("%+v", f)
	}
	if d.run.Progress("a", d.now) {
		t.Error("the first fingerprint is where it starts")
	}
	if !d.run.Progress("b", d.now) {
		t.Error("a new fingerprint is progress")
	}
	for range 3 {
		d.iteration(detect.Iteration{})
	}
	d.want(detect.RuleNoProgress, "3 nudge", "10 trip", "15 nudge")
}

func TestProgressThatCannotBeSeen(t *testing.T) {
	d := drive(t, detect.Rules{})
	d.run.Progress("a", d.now)
	for range 40 {
		for range 9 {
			d.fresh()
		}
		d.run.ProgressUnknown(d.now)
	}
	d.quiet(detect.RuleWall, detect.RuleCalls)
}

func TestProgressThatIsUndone(t *testing.T) {
	d := drive(t, detect.Rules{NoProgressFor: detect.DurationLimits{Nudge: -1, Trip: -1}})
	fingerprints := []string{"a", "b"}
	var got []bool
	for i := range 12 {
		got = append(got, d.run.Progress(fingerprints[i%2], d.now))
		d.iteration(detect.Iteration{})
	}
	if !got[1] {
		t.Error("b is new")
	}
	for i, progress := range got {
		if progress && i != 1 {
			t.Errorf("token %d was there before", i)
		}
	}
	d.want(detect.RuleNoProgress, "4 nudge", "11 trip")
}

func TestProgressRemembers24Tokens(t *testing.T) {
	d := drive(t, detect.Rules{})
	for i := range 24 {
		d.run.Progress(word(i), d.now)
	}
	if d.run.Progress(word(0), d.now) {
		t.Error("the first of 24 is forgotten")
	}
	d.run.Progress(word(24), d.now)
	if !d.run.Progress(word(0), d.now) {
		t.Error("the first of 25 is remembered")
	}
}

func TestNoProgressBySteps(t *testing.T) {
	d := drive(t, detect.Rules{})
	d.run.Progress("a", d.now)
	for range 20 {
		d.fresh()
	}
	d.want(detect.RuleNoProgress, "10 nudge", "15 trip")

	d = drive(t, detect.Rules{}) // with iterations, these count
	d.run.Progress("a", d.now)
	d.iteration(detect.Iteration{})
	for range 20 {
		d.fresh()
	}
	d.quiet()
}

func TestNoProgressByTime(t *testing.T) {
	d := drive(t, detect.Rules{NoProgressSteps: off()})
	d.run.Progress("a", d.now)
	for range 30 {
		d.fresh()
	}
	d.run.Progress("b", d.now)
	from := d.now
	for range 70 {
		d.fresh()
	}
	d.want(detect.RuleNoProgress, "90 nudge")
	if due := d.run.Due(); !due.Equal(from.Add(120 * time.Second)) {
		t.Errorf("due %v after", due.Sub(from))
	}
	d.keep(d.run.Check(from.Add(119 * time.Second)))
	d.keep(d.run.Check(from.Add(120 * time.Second)))
	d.want(detect.RuleNoProgress, "90 nudge", "102 trip")
	if f := d.fired[1]; f.Severity != condition.Medium || f.Count != 120 || f.Threshold != 120 {
		t.Errorf("%+v", f)
	}
}

func TestDueWithoutEvents(t *testing.T) {
	d := drive(t, detect.Rules{})
	if due := d.run.Due(); !due.IsZero() {
		t.Errorf("due %v", due)
	}
	d.fresh()
	if due := d.run.Due(); !due.Equal(d.now.Add(240 * time.Second)) {
		t.Errorf("due %v", due)
	}
}

func TestResume(t *testing.T) {
	d := drive(t, detect.Rules{Budgets: detect.Budgets{Tokens: 1000}})
	for range 5 {
		d.step(detect.Step{Tool: "x", Tokens: 100})
	}
	d.want(detect.RuleRepeat, "3 nudge", "5 trip")
	d.now = d.now.Add(time.Hour)
	d.run.Resume(d.now)
	d.keep(d.run.Check(d.now)) // the pause is no idling, and no time of the task
	for range 2 {
		d.step(detect.Step{Tool: "x", Tokens: 100})
	}
	d.want(detect.RuleRepeat, "3 nudge", "5 trip")
	d.quiet(detect.RuleRepeat)
	d.step(detect.Step{Tool: "x", Tokens: 100})
	d.want(detect.RuleRepeat, "3 nudge", "5 trip", "9 nudge")
	d.want(detect.RuleTokens, "9 nudge") // what was used stays used
	if n := d.run.Totals().Steps; n != 8 {
		t.Errorf("%d steps", n)
	}
}

func TestNewTask(t *testing.T) {
	d := drive(t, detect.Rules{Budgets: detect.Budgets{Tokens: 1000}})
	for range 20 {
		for range 2 {
			d.step(detect.Step{Tool: "x", Tokens: 100})
		}
		d.run.NewTask(d.now)
	}
	d.quiet()
	if u, n := d.run.Used(), d.run.Totals(); u.Tokens != 0 || n.Tokens != 4000 {
		t.Errorf("used %+v, in all %+v", u, n)
	}
}
