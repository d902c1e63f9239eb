package ralph

import (
	"bytes"
	"errors"
	"log/slog"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/core/failsafe"
	"github.com/blackbox4/switchgear/ralph/detect"
)

// TestWordsOfCauses: all that there is to say, and no more than there is.
func TestWordsOfCauses(t *testing.T) {
	for want, c := range map[string]Cause{
		"manual":                                  {Rule: "manual"},
		"stuck, repeat (5 of 4.5): leave it":      {Rule: "repeat", Reason: detect.ReasonStuck, Count: 5, Threshold: 4.5, Message: "leave it"},
		"x [agents a]":                            {Rule: "x", Agents: []string{"a"}},
		"x [agents a, b]":                         {Rule: "x", Agents: []string{"a", "b"}, Count: 3},
		"x [events 7]":                            {Rule: "x", Evidence: []detect.Event{{Index: 7}}},
		"x [events 7 read, 8 a to b, 9]":          {Rule: "x", Evidence: []detect.Event{{Index: 7, Tool: "read"}, {Index: 8, From: "a", To: "b"}, {Index: 9}}},
		"x (0 of 1e+07): y [agents a] [events 1]": {Rule: "x", Threshold: 1e7, Message: "y", Agents: []string{"a"}, Evidence: []detect.Event{{Index: 1}}},
	} {
		if got := c.String(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	at := time.Unix(1, 0)
	for _, agents := range [][]string{nil, {"a"}, {"a", "b"}} {
		c := Cause{Rule: "r", Reason: detect.ReasonFailing, Severity: failsafe.High, Count: 2, Threshold: 3, Message: "m", Agents: agents, At: at}
		want := failsafe.Condition{Type: "r", Severity: failsafe.High, Message: "m", Threshold: 3, Value: 2, At: at, Metadata: map[string]string{"reason": "failing"}}
		if agents != nil {
			want.Metadata["agents"] = strings.Join(agents, ",")
		}
		if got := c.condition(); !reflect.DeepEqual(got, want) {
			t.Errorf("%+v, want %+v", got, want)
		}
	}
	f := detect.Finding{
		Rule: detect.RuleRepeat, Reason: detect.ReasonStuck, Severity: failsafe.High, Count: 1, Threshold: 2, Message: "m",
		Evidence: []detect.Event{{Index: 1}}, Agents: []string{"a"}, At: at,
	}
	if got, want := causeOf(f), (Cause{Rule: "repeat", Reason: detect.ReasonStuck, Severity: failsafe.High, Count: 1, Threshold: 2, Message: "m", Evidence: f.Evidence, Agents: f.Agents, At: at}); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
}

// TestWordsOfEvents: all that there is to say, and no more than there is.
func TestWordsOfEvents(t *testing.T) {
	for want, e := range map[string]Event{
		"store":                           {Kind: EventStore},
		`store, "it is full"`:             {Kind: EventStore, Note: "it is full"},
		`agent "a" paused`:                {Kind: EventPaused, Agent: "a"},
		`agent "a" paused (shadow): r`:    {Kind: EventPaused, Agent: "a", Shadow: true, Cause: Cause{Rule: "r"}},
		`agent "a" stopped by "eve", "n"`: {Kind: EventStopped, Agent: "a", By: "eve", Note: "n"},
	} {
		if got := e.String(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	for n, want := range map[int]string{-1: "no", 0: "no", 1: "1st", 2: "2nd", 3: "3rd", 4: "4th", 11: "11th"} {
		if got := ordinal(n); got != want {
			t.Errorf("%d is %q, want %q", n, got, want)
		}
	}
	for text, want := range map[string]string{"": "", " a ": "a.", "a.": "a.", "a!": "a!", "a? ": "a?", "a,": "a,."} {
		if got := sentence(text); got != want {
			t.Errorf("%q becomes %q, want %q", text, got, want)
		}
	}
	x := func(n int) string { return strings.Repeat("x", n) }
	for text, want := range map[string]string{x(64): `"` + x(64) + `"`, x(65): `"` + x(64) + `"…`, x(63) + "é": `"` + x(63) + `"…`, "\n": `"\n"`} {
		if got := quoted(text); got != want {
			t.Errorf("%q becomes %s, want %s", text, got, want)
		}
	}
	for text, want := range map[string]string{x(1024): x(1024), x(1025): x(1024) + "…", "\xff": "\uFFFD"} {
		if got := clipped(text); got != want {
			t.Errorf("%q becomes %q", text, got)
		}
	}
	for text, want := range map[string]string{x(9): x(9), x(10): x(10), x(11): x(10), "a\n\xffb": "a b", x(9) + "é": x(9)} {
		if got := clippedTo(text, 10); got != want {
			t.Errorf("%q becomes %q", text, got)
		}
	}
}

// TestLinesOfTheLog: what the logger is told of each event, and at which level.
func TestLinesOfTheLog(t *testing.T) {
	for want, e := range map[string]Event{
		`level=INFO msg="ralph: agent reset" agent=a name=n from=running to=running`: {Kind: EventReset, Agent: "a", Name: "n"},
		`level=WARN msg="ralph: agent paused" agent=a name=n from=running to=paused session=s task=t rule=r reason=stuck severity=medium count=1 threshold=2 message=m`: {
			Kind: EventPaused, Agent: "a", Name: "n", To: Paused, Session: "s", Task: "t", Cause: Cause{Rule: "r", Reason: detect.ReasonStuck, Severity: failsafe.Medium, Count: 1, Threshold: 2, Message: "m"},
		},
		`level=WARN msg="ralph: agent escalated" agent=a name="" from=running to=running by="" note=n attempt=1`:     {Kind: EventEscalated, Agent: "a", Note: "n", Attempt: 1},
		`level=INFO msg="ralph: agent resumed" agent=a name="" from=paused to=recovering by=eve note="" shadow=true`: {Kind: EventResumed, Agent: "a", From: Paused, To: Recovering, By: "eve", Shadow: true},
		`level=WARN msg="ralph: agent store" agent="" name="" from=running to=running`:                               {Kind: EventStore},
	} {
		var out bytes.Buffer
		d := delivery{logger: slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		}}))}
		d.log(e)
		if got := strings.TrimSpace(out.String()); got != want {
			t.Errorf("%s\nwant\n%s", got, want)
		}
	}
}

// TestFaultsInside: of which field each is, also those that are no ConfigError.
func TestFaultsInside(t *testing.T) {
	if got := prefixFaults("F", nil); got != nil {
		t.Errorf("%v", got)
	}
	one := &core.ConfigError{Field: "X", Value: 1, Allowed: "2"}
	got := errors.Join(prefixFaults("F", errors.Join(one, errors.New("else")))...).Error()
	if want := "switchgear: F.X is 1, allowed: 2\nF: else"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// TestHandoffsAsArguments: short payloads as they are, of long ones both ends.
func TestHandoffsAsArguments(t *testing.T) {
	to := &Agent{id: "b"}
	head, tail := strings.Repeat("h", 4096), strings.Repeat("t", 4096)
	for payload, want := range map[string]string{
		"":                 "b ",
		head + tail:        "b " + head + tail,
		head + "x" + tail:  "b " + head + "8193" + tail,
		head + "xy" + tail: "b " + head + "8194" + tail,
	} {
		if got := handoffArgs(to, payload); got != want {
			t.Errorf("%d bytes become %d, want %d", len(payload), len(got), len(want))
		}
	}
	for limit, want := range map[int]int{1: 1, 5: 4, 6: 5, 10: 8, 200: 160} {
		if got := warnAt(limit); got != want {
			t.Errorf("warned at %d of %d, want %d", got, limit, want)
		}
	}
}
