package detect_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/blackbox4/switchgear/core/failsafe/condition"
	"github.com/blackbox4/switchgear/ralph/detect"
)

// fails is a call of its own that fails in a way of its own.
func (d *driver) fails() []detect.Finding {
	d.t.Helper()
	return d.step(detect.Step{Tool: "bash", Args: word(d.n), Err: "cannot find " + word(d.n)})
}

func TestSameError(t *testing.T) {
	d := drive(t, detect.Rules{})
	for i := range 5 {
		d.step(detect.Step{Tool: "edit", Args: word(i), Err: fmt.Sprintf("line %d: no match in /tmp/x%d", i, i)})
		d.fresh()
	}
	d.want(detect.RuleSameError, "5 nudge", "9 trip")
	d.quiet(detect.RuleSameError, detect.RuleErrorRate)
}

// Tools that begin with a banner are told apart by what follows it.
func TestSameErrorLooksBehindBanners(t *testing.T) {
	d := drive(t, detect.Rules{})
	for i := range 5 {
		head := fmt.Sprintf("%-400s", "no match")
		d.step(detect.Step{Tool: "edit", Args: word(i), Failed: true, Output: head + word(i)})
		d.fresh()
	}
	d.want(detect.RuleSameError)
}

func TestExitStatusIsPartOfAnError(t *testing.T) {
	d := drive(t, detect.Rules{Errors: off(), ErrorRate: off()})
	for i := range 10 {
		d.step(detect.Step{Tool: "make", Args: word(i), Exit: i + 1})
	}
	d.quiet()
	if n := d.run.Totals().Errors; n != 10 {
		t.Errorf("%d errors", n)
	}
}

func TestKindsOfErrors(t *testing.T) {
	for _, c := range []struct {
		kind   detect.ErrorKind
		rule   detect.Rule
		reason detect.Reason
		want   []string
	}{
		{detect.ErrorKindPermission, detect.RulePermission, detect.ReasonBlocked, []string{"1 nudge", "3 trip"}},
		{detect.ErrorKindUnknownTool, detect.RuleUnknownTool, detect.ReasonFailing, []string{"3 nudge", "5 trip"}},
		{detect.ErrorKindAuth, detect.RuleAuth, detect.ReasonBlocked, []string{"1 trip"}},
		{detect.ErrorKindQuota, detect.RuleQuota, detect.ReasonExhausted, []string{"1 trip"}},
	} {
		t.Run(c.kind.String(), func(t *testing.T) {
			d := drive(t, detect.Rules{})
			for i := range 4 {
				d.step(detect.Step{Tool: word(i), Kind: c.kind})
				d.fresh()
			}
			d.want(c.rule, c.want...)
			d.quiet(c.rule)
			if f := d.fired[len(d.fired)-1]; f.Reason != c.reason {
				t.Errorf("reason %v", f.Reason)
			}
		})
	}
}

func TestModelThatRefusesTheCredentials(t *testing.T) {
	d := drive(t, detect.Rules{})
	d.step(detect.Step{Kind: detect.ErrorKindAuth, Err: "401"}) // not of a tool
	d.want(detect.RuleAuth, "1 trip")
}

func TestPassingErrorsAreNotFailure(t *testing.T) {
	d := drive(t, detect.Rules{})
	for i := range 6 {
		d.step(detect.Step{Tool: "get", Args: word(i), Kind: detect.ErrorKindTransient, Err: "429"})
	}
	d.want(detect.RuleTransient, "3 nudge", "5 trip")
	d.quiet(detect.RuleTransient)
	for range 2 { // now it is more than that: the model hears of it before it is stopped
		d.step(detect.Step{Tool: "get", Failed: true})
	}
	d.want(detect.RuleErrors, "7 nudge", "8 trip")
}

// The same may work later, so who makes the same call again does what he should.
func TestPassingErrorsAreNoRepetition(t *testing.T) {
	d := drive(t, detect.Rules{})
	for range 6 {
		d.step(detect.Step{Tool: "send", Args: "x", Kind: detect.ErrorKindTransient, Err: "503"})
	}
	d.want(detect.RuleTransient, "3 nudge", "5 trip")
	d.quiet(detect.RuleTransient)
}

func TestErrorsInARow(t *testing.T) {
	d := drive(t, detect.Rules{})
	for range 4 {
		d.fails()
	}
	d.fresh()
	for range 5 {
		d.fails()
		d.step(detect.Step{Output: "I will try something else: " + word(d.n)}) // ends nothing
	}
	d.want(detect.RuleErrors, "4 nudge", "12 nudge", "14 trip")
	d.quiet(detect.RuleErrors, detect.RuleErrorRate, detect.RuleStall)
	if f := d.fired[len(d.fired)-1]; f.Severity != condition.High || f.Reason != detect.ReasonFailing {
		t.Errorf("%v %v", f.Severity, f.Reason)
	}
}

func TestThinkingDoesNotEndErrors(t *testing.T) {
	d := drive(t, detect.Rules{ErrorRate: off(), Tools: map[string]detect.Class{"think": detect.ClassUnjudged}})
	for range 5 {
		d.call("think", word(d.n), "")
		d.fails()
	}
	d.want(detect.RuleErrors, "8 nudge", "10 trip")
}

func TestErrorsOfEverySort(t *testing.T) {
	d := drive(t, detect.Rules{})
	for _, s := range []detect.Step{
		{Failed: true}, {Err: "x"}, {Exit: 1}, {Tool: "a", Kind: detect.ErrorKindPermission}, {Tool: "b", Exit: -1},
	} {
		d.step(s)
	}
	d.want(detect.RuleErrors, "4 nudge", "5 trip")
}

func TestErrorRate(t *testing.T) {
	for _, c := range []struct {
		errors int // of 10
		want   []string
		sev    condition.Severity
	}{
		{4, nil, 0},
		{5, []string{"10 trip"}, condition.Medium},
		{7, []string{"10 trip"}, condition.High},
		{9, []string{"10 trip"}, condition.Critical},
	} {
		d := drive(t, detect.Rules{Errors: off(), Transient: off(), ErrorRateFor: 9 * time.Second, ErrorRateSteps: 9})
		for i := range 10 {
			if i < 10-c.errors {
				d.fresh()
			} else {
				d.fails()
			}
		}
		d.want(detect.RuleErrorRate, c.want...)
		if c.want != nil && d.fired[len(d.fired)-1].Severity != c.sev {
			t.Errorf("%d of 10: %v", c.errors, d.fired[0].Severity)
		}
	}
}

func TestErrorRateGrowsWorse(t *testing.T) {
	d := drive(t, detect.Rules{Errors: off(), Transient: off()})
	for range 60 {
		d.fresh()
	}
	for range 60 {
		d.fails()
	}
	d.want(detect.RuleErrorRate, "90 trip", "101 trip", "111 trip") // 50, 70 and 90 %
}

func TestErrorRateDoesNotFlap(t *testing.T) {
	d := drive(t, detect.Rules{Errors: off(), Transient: off()})
	for range 200 { // the rate is 50 % at most, and just below in between
		d.fresh()
		d.fails()
	}
	d.want(detect.RuleErrorRate, "62 trip") // once the task has taken as long
	for range 60 {
		d.fresh()
	}
	for range 30 {
		d.fails()
	}
	d.want(detect.RuleErrorRate, "62 trip", "490 trip")
}

func TestErrorRateForgets(t *testing.T) {
	d := drive(t, detect.Rules{Errors: off(), Transient: off()})
	for range 9 {
		d.fails()
	}
	d.now = d.now.Add(time.Minute)
	for range 9 {
		d.fresh()
	}
	d.fails()
	d.quiet(detect.RuleFruitless)
}

func TestFailedIterations(t *testing.T) {
	for name, it := range map[string]detect.Iteration{
		"exit": {Exit: 1}, "is error": {Failed: true}, "error": {Err: "timeout"}, "denied": {Kind: detect.ErrorKindPermission},
	} {
		t.Run(name, func(t *testing.T) {
			d := drive(t, detect.Rules{Permission: off()})
			d.iteration(it)
			d.iteration(it)
			d.iteration(detect.Iteration{})
			for range 55 {
				d.iteration(it)
			}
			d.want(detect.RuleFailures, "2 nudge", "5 nudge", "6 trip")
			if n := d.run.Totals(); n.Failures != 57 || n.Iterations != 58 {
				t.Errorf("%+v", n)
			}
		})
	}
}

func TestFailedIterationsByKind(t *testing.T) {
	d := drive(t, detect.Rules{})
	for range 5 {
		d.iteration(detect.Iteration{Kind: detect.ErrorKindTransient})
	}
	d.want(detect.RuleTransient, "3 nudge", "5 trip")
	d.quiet(detect.RuleTransient)

	d = drive(t, detect.Rules{})
	d.iteration(detect.Iteration{Kind: detect.ErrorKindPermission})
	d.iteration(detect.Iteration{Kind: detect.ErrorKindPermission})
	d.want(detect.RulePermission, "1 nudge", "2 trip")

	d = drive(t, detect.Rules{})
	d.iteration(detect.Iteration{Kind: detect.ErrorKindAuth})
	d.want(detect.RuleAuth, "1 trip")
}

func TestBlockedOnAHuman(t *testing.T) {
	d := drive(t, detect.Rules{})
	d.iteration(detect.Iteration{Question: true})
	d.fresh()
	d.iteration(detect.Iteration{Question: true}) // it has worked, too
	d.want(detect.RuleBlocked, "1 nudge")
	for i := range 8 {
		d.step(detect.Step{Tool: "ask", Args: word(i), Output: word(i), Question: true})
		d.iteration(detect.Iteration{})
	}
	d.want(detect.RuleBlocked, "1 nudge", "5 nudge", "7 trip")
	if f := d.fired[len(d.fired)-1]; f.Reason != detect.ReasonBlocked {
		t.Errorf("reason %v", f.Reason)
	}

	d = drive(t, detect.Rules{})
	d.step(detect.Step{Blocked: true, Output: "I need the password."})
	d.want(detect.RuleBlocked, "1 trip")
	d = drive(t, detect.Rules{Blocked: off()})
	d.step(detect.Step{Blocked: true})
	d.want(detect.RuleBlocked)
}

func TestEmptyReplies(t *testing.T) {
	say := func(d *driver, s string) { d.step(detect.Step{Output: s}) }
	d := drive(t, detect.Rules{})
	for range 4 {
		say(d, "")
	}
	d.want(detect.RuleEmpty, "2 nudge", "3 trip")

	d = drive(t, detect.Rules{})
	for range 2 {
		say(d, "The work is done and all of the tests pass, what shall I do next?")
		say(d, "The work is done, and all of the tests pass. What shall I do next?")
	}
	d.want(detect.RuleEmpty, "2 nudge", "3 trip")

	d = drive(t, detect.Rules{})
	for range 6 {
		say(d, "I will run the tests and then look at what they say about it.")
		d.fresh()
	}
	say(d, "")
	say(d, "Here is the answer that you have asked for, in all its beauty.")
	say(d, "")
	say(d, "And now for something completely different: the other half of it.")
	d.quiet()

	d = drive(t, detect.Rules{})
	for range 9 {
		d.step(detect.Step{Reasoning: true})
	}
	d.want(detect.RuleEmpty, "2 nudge")

	d = drive(t, detect.Rules{})
	for range 3 { // one's own words end nothing
		say(d, "")
		d.step(detect.Step{Own: true, Output: "Please go on with the work that you were given."})
	}
	d.want(detect.RuleEmpty, "3 nudge", "5 trip")
}

func TestDecline(t *testing.T) {
	d := drive(t, detect.Rules{})
	for range 3 {
		d.iteration(detect.Iteration{Output: 1000})
	}
	for range 6 {
		d.iteration(detect.Iteration{Output: 100})
	}
	d.want(detect.RuleDecline, "6 nudge")
	d.quiet(detect.RuleDecline)

	d = drive(t, detect.Rules{})
	for i := range 20 { // every other iteration
		d.iteration(detect.Iteration{Output: 100 + 900*(i%2)})
	}
	d.quiet()
}

func TestConfidence(t *testing.T) {
	sure := func(d *driver, v float64) {
		d.step(detect.Step{Tool: "x", Args: word(d.n), Output: word(d.n), Confidence: &v})
	}
	d := drive(t, detect.Rules{})
	sure(d, 0.45) // nudge
	sure(d, 0.3)  // 0.405
	sure(d, 0.05) // 0.2985
	d.want(detect.RuleConfidence, "1 nudge", "3 trip")
	if f := d.fired[1]; f.Severity != condition.Medium || f.Threshold != 0.3 {
		t.Errorf("%v at %v", f.Severity, f.Threshold)
	}
	for range 9 {
		sure(d, 0.02)
	}
	d.want(detect.RuleConfidence, "1 nudge", "3 trip", "7 trip")
	if f := d.fired[2]; f.Severity != condition.High {
		t.Errorf("%v", f.Severity)
	}

	d = drive(t, detect.Rules{}) // it does not flap
	sure(d, 0.45)
	sure(d, 0.7) // 0.525
	sure(d, 0.4) // 0.4875
	for range 9 {
		sure(d, 0.9)
	}
	sure(d, 0.1) // one very low value
	d.want(detect.RuleConfidence, "1 nudge", "13 nudge")

	d = drive(t, detect.Rules{Confidence: detect.ConfidenceLimits{Nudge: -1, Trip: -1, High: -1}})
	for range 9 {
		sure(d, 0)
	}
	d.quiet()
}

func TestStallNeedsTwoSorts(t *testing.T) {
	d := drive(t, detect.Rules{Confidence: detect.ConfidenceLimits{Trip: -1}})
	low, high := 0.1, 0.95
	for range 4 {
		d.step(detect.Step{Tool: "x", Args: word(d.n), Confidence: &low})
		for range 6 {
			d.step(detect.Step{Tool: "x", Args: word(d.n), Confidence: &high})
		}
	}
	d.want(detect.RuleConfidence, "1 nudge", "8 nudge", "15 nudge", "22 nudge")
	d.want(detect.RuleStall, "8 nudge")
	for range 4 {
		d.fails()
	}
	d.want(detect.RuleStall, "8 nudge", "32 trip")
}

func TestStallThatWasEmptyForgets(t *testing.T) {
	d := drive(t, detect.Rules{ErrorRate: off(), Confidence: detect.ConfidenceLimits{Trip: -1}})
	for range 4 { // one sign of a sort
		d.fails()
	}
	for range 20 {
		d.fresh()
	}
	low, high := 0.1, 0.95
	for range 4 { // four of another
		d.step(detect.Step{Tool: "x", Args: word(d.n), Confidence: &low})
		for range 6 {
			d.step(detect.Step{Tool: "x", Args: word(d.n), Output: word(d.n), Confidence: &high})
		}
	}
	d.want(detect.RuleStall, "32 nudge")
}

func TestStallDrains(t *testing.T) {
	d := drive(t, detect.Rules{})
	for range 2 {
		d.step(detect.Step{Tool: word(d.n), Refused: true})
		for range 20 {
			d.fresh()
		}
	}
	d.quiet()
	d = drive(t, detect.Rules{})
	d.run.Progress("a", d.now)
	for i := range 9 {
		d.step(detect.Step{Tool: word(d.n), Refused: true})
		d.run.Progress(word(i), d.now)
	}
	d.quiet()
}

func TestCompaction(t *testing.T) {
	d := drive(t, detect.Rules{})
	for range 12 {
		d.step(detect.Step{Compaction: true})
	}
	d.want(detect.RuleCompaction, "3 nudge", "10 trip")
	d.fresh()
	for range 2 {
		d.step(detect.Step{Compaction: true})
	}
	d.fresh()
	for range 2 {
		d.step(detect.Step{Compaction: true})
	}
	d.want(detect.RuleCompaction, "3 nudge", "10 trip")
}
