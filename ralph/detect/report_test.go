package detect_test

import (
	"testing"

	"github.com/blackbox4/switchgear/ralph/detect"
)

// How sure an agent is, said by itself, is no reply: neither an empty one, nor work, nor
// an end to what is counted in a row.
func TestAConfidenceAloneIsNoReply(t *testing.T) {
	d := drive(t, detect.Rules{})
	for range 50 {
		d.step(detect.Step{Confidence: new(0.9)})
	}
	d.want(detect.RuleEmpty)

	// An empty reply that cost something is one, whatever is said beside it.
	d = drive(t, detect.Rules{})
	for range 3 {
		d.step(detect.Step{Confidence: new(0.9), Tokens: 10})
	}
	d.want(detect.RuleEmpty, "2 nudge", "3 trip")

	// And between repeats it changes nothing.
	d = drive(t, detect.Rules{})
	for range 5 {
		d.step(detect.Step{Tool: "search", Args: "{}", Output: "nothing"})
		d.step(detect.Step{Confidence: new(0.9)})
	}
	d.want(detect.RuleRepeat, "5 nudge", "9 trip")

	// Work without progress is counted by its steps.
	d = drive(t, detect.Rules{})
	d.run.Progress("same", d.now)
	for range 20 {
		d.step(detect.Step{Confidence: new(0.9)})
	}
	d.want(detect.RuleNoProgress)
}

// Each value by itself, or an average: the option decides what trips.
func TestASingleConfidence(t *testing.T) {
	say := func(c detect.ConfidenceLimits, values ...float64) *driver {
		d := drive(t, detect.Rules{Confidence: c, Stall: off()})
		for _, v := range values {
			d.step(detect.Step{Confidence: &v})
		}
		return d
	}
	single := detect.ConfidenceLimits{Single: true, Nudge: -1, High: -1}
	say(single, 0.9, 0.9, 0.2999).want(detect.RuleConfidence, "3 trip")
	say(single, 0.9, 0.9, 0.3).want(detect.RuleConfidence)
	say(single, 0.2, 0.2, 0.9, 0.2).want(detect.RuleConfidence, "1 trip", "4 trip") // once until it is sure again
	say(detect.ConfidenceLimits{Single: true}, 0.9, 0.9, 0.2, 0.9, 0.9, 0.9).want(detect.RuleConfidence, "3 trip")
	say(detect.ConfidenceLimits{Single: true, Samples: 3, Nudge: -1, High: -1}, 0.2, 0.9, 0.2).want(detect.RuleConfidence, "3 trip")
	say(detect.ConfidenceLimits{Nudge: -1, High: -1}, 0.9, 0.9, 0.1, 0.9).want(detect.RuleConfidence) // the average
	// What is high is told from the value, too.
	d := say(detect.ConfidenceLimits{Single: true}, 0.9, 0.9, 0.1)
	if len(d.fired) != 1 || d.fired[0].Count != 0.1 || d.fired[0].Threshold != 0.3 {
		t.Errorf("%+v", d.fired)
	}
}
