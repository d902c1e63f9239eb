package detect_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/blackbox4/switchgear/ralph/detect"
	"github.com/blackbox4/switchgear/ralph/internal/transcripttest"
)

// dice are the same in every version of Go.
type dice uint64

func (d *dice) roll(n int) int {
	*d = *d*6364136223846793005 + 1442695040888963407
	return int(uint64(*d) >> 33 % uint64(n))
}

func (d *dice) of(of ...string) string { return of[d.roll(len(of))] }

// one in so many.
func (d *dice) one(in int) bool { return in > 0 && d.roll(in) == 0 }

func written(w io.Writer, n int, found []detect.Finding) {
	for _, f := range found {
		fmt.Fprintf(w, "%4d %s %v %v/%v %.6g of %.6g %s", n, f.Rule, f.Level, f.Reason, f.Severity, f.Count, f.Threshold, f.At.Sub(start()))
		if len(f.Agents) > 0 {
			fmt.Fprintf(w, " %q", f.Agents)
		}
		for i, e := range f.Evidence {
			fmt.Fprintf(w, " %d", e.Index)
			if i == 0 || i == len(f.Evidence)-1 {
				fmt.Fprintf(w, ":%s%s>%s:%s:%x:%x:%x:%v", e.Tool, e.From, e.To, e.At.Sub(start()), e.Call, e.Outcome, e.Payload, e.Failed)
			}
		}
		fmt.Fprintln(w)
	}
}

func due(at time.Time) string {
	if at.IsZero() {
		return "never"
	}
	return at.Sub(start()).String()
}

// habit is how an agent of a transcript behaves: one in so many steps, or never.
type habit struct {
	name                              string
	rules                             detect.Rules
	tools, args, outs                 int
	fail, kind, reply, iterate        int
	fingerprint, nudged, resume, task int
	unsure, compact, own, think, asks int
	refused, jump, handed, check      int
	ids                               bool
}

func habits() []habit {
	all := detect.Budgets{Iterations: -1, Wall: -1, Idle: -1, Hops: -1}
	return []habit{
		{name: "repeats itself", tools: 1, args: 2, outs: 1, jump: 9, rules: detect.Rules{Budgets: all}},
		{name: "repeats itself after nudges", tools: 2, args: 2, outs: 2, nudged: 4, resume: 60, rules: detect.Rules{Budgets: all}},
		{name: "goes round", tools: 3, args: 1, outs: 1, nudged: 12, jump: 30, rules: detect.Rules{Budgets: all, Tools: map[string]detect.Class{"b": detect.ClassPoll}}},
		{name: "has ids", tools: 2, args: 3, outs: 2, ids: true, fail: 6, jump: 20, rules: detect.Rules{Budgets: all, Tools: map[string]detect.Class{"a": detect.ClassRepeatable}}},
		{name: "fails", tools: 3, args: 9, outs: 4, fail: 2, kind: 3, nudged: 15, ids: true, rules: detect.Rules{Budgets: all}},
		{name: "fails a little", tools: 4, args: 40, outs: 40, fail: 3, jump: 12, rules: detect.Rules{Budgets: all, ErrorRateFor: 30 * time.Second, ErrorRateSteps: 5}},
		{name: "talks", tools: 1, args: 9, outs: 9, reply: 2, think: 4, own: 9, handed: 25, rules: detect.Rules{Budgets: all}},
		{name: "iterates and fails", tools: 2, args: 5, outs: 5, iterate: 3, fail: 4, kind: 4, asks: 6, fingerprint: 8, rules: detect.Rules{Budgets: all}},
		{name: "makes no progress", tools: 4, args: 90, outs: 90, fingerprint: 20, jump: 7, check: 5, resume: 50, task: 90, rules: detect.Rules{Budgets: all}},
		{name: "makes no progress in iterations", tools: 4, args: 90, outs: 90, fingerprint: 9, iterate: 4, jump: 5, check: 4, rules: detect.Rules{Budgets: all}},
		{name: "is unsure", tools: 4, args: 90, outs: 90, unsure: 2, fingerprint: 15, refused: 25, rules: detect.Rules{Budgets: all}},
		{name: "is refused", tools: 3, args: 4, outs: 3, refused: 4, fingerprint: 30, fail: 9, rules: detect.Rules{Budgets: all, Tools: map[string]detect.Class{"c": detect.ClassUnjudged}}},
		{name: "shortens", tools: 2, args: 30, outs: 30, compact: 2, own: 5, rules: detect.Rules{Budgets: all}},
		{name: "uses up budgets", tools: 4, args: 90, outs: 90, iterate: 5, task: 70, check: 8, jump: 9, rules: detect.Rules{
			Budgets: detect.Budgets{Iterations: 12, Wall: 5 * time.Minute, Idle: 2 * time.Minute, Tokens: 3000, Cost: 0.9, ToolCalls: 50}, Calls: detect.Limits{Nudge: 5, Trip: 8},
		}},
		{name: "declines", tools: 3, args: 60, outs: 60, iterate: 2, unsure: 9, rules: detect.Rules{Budgets: all, Decline: detect.Limits{Nudge: 2, Trip: 3}, Stall: detect.Limits{Nudge: 1, Trip: 2}, Warn: -1}},
		{name: "does a bit of everything", tools: 4, args: 3, outs: 3, fail: 5, kind: 5, reply: 5, iterate: 9, fingerprint: 11, nudged: 9, resume: 70, task: 80, unsure: 8, compact: 12, own: 12, think: 9, asks: 15, refused: 12, jump: 10, handed: 30, check: 10, ids: true},
	}
}

// step is the next one of an agent with that habit.
func (h *habit) step(d *dice) detect.Step {
	s := detect.Step{Tokens: int64(d.roll(90)), Cost: float64(d.roll(30)) / 1000}
	switch {
	case d.one(h.compact):
		s.Compaction = true
		return s
	case d.one(h.own):
		s.Own, s.Output = true, "go on"
		return s
	}
	if d.one(h.unsure) {
		s.Confidence = new(float64(d.roll(101)) / 100)
	}
	subject := word(d.roll(max(h.outs, 1)))
	if d.one(h.reply) {
		s.Output = d.of("", "I will look at it "+subject, "Now I look at "+subject+" and at what comes after it, once more, in detail",
			"Now I look at "+subject+" and at what came before it, once more, in detail")
		s.Reasoning = d.one(h.think)
		s.Blocked = d.one(60)
		return s
	}
	s.Tool = string(rune('a' + d.roll(h.tools)))
	s.Args = d.of(`{"path":"`, `{"query":{"of":[1,2,"`, "look for {[\"") + word(d.roll(h.args)) + `"}`
	if d.one(2) {
		s.Args = `{"path":"` + word(d.roll(h.args)) + `","n":` + fmt.Sprint(d.roll(2)) + `}`
	}
	s.Output = "the result of it is " + subject
	if h.ids {
		n := d.roll(1 << 20)
		s.Args += d.of("", fmt.Sprintf(" /tmp/x%d/f", n), fmt.Sprintf(" %08x-1111-4222-8333-%012d", n, n), fmt.Sprintf(" %d", n%3))
		s.Output += d.of("", fmt.Sprintf(" in %dms at 2026-01-02T03:%02d:00Z", n%900, n%60), fmt.Sprintf(" 0x%xab at localhost:%d", n, 1024+n%9999), fmt.Sprint(n))
	}
	if d.one(h.fail) {
		switch d.roll(4) {
		case 0:
			s.Failed = true
		case 1:
			s.Err = "cannot do it: " + subject
		case 2:
			s.Exit = 1 + d.roll(2)
		case 3:
			s.Err, s.Failed = strings.Repeat("no such thing ", 40)+subject, true
		}
		if d.one(h.kind) {
			s.Kind = detect.ErrorKind(1 + d.roll(5))
		}
	}
	s.Question = d.one(h.asks)
	s.Refused = d.one(h.refused)
	return s
}

// play drives a run by a habit; restarts says that it is saved and got back now and then.
func (h *habit) play(t *testing.T, w io.Writer, restarts bool) {
	detector, err := detect.New(h.rules)
	if err != nil {
		t.Fatal(err)
	}
	run, now := detector.NewRun(), start()
	d, r := dice(7), dice(1)
	for n := range 400 {
		now = now.Add(time.Second)
		if d.one(h.jump) {
			now = now.Add([]time.Duration{-10 * time.Second, -2 * time.Minute, 29 * time.Second, 40 * time.Second, 3 * time.Minute, 20 * time.Minute}[d.roll(6)])
		}
		s := h.step(&d)
		s.At = now
		found, err := run.Observe(s)
		if err != nil {
			t.Fatal(err)
		}
		written(w, n, found)
		if d.one(h.iterate) {
			it := detect.Iteration{At: now, Tokens: 5, Output: d.roll(3) * 400, Failed: d.one(h.fail), Question: d.one(h.asks)}
			if d.one(h.kind) {
				it.Kind = detect.ErrorKind(d.roll(6))
			}
			if d.one(7) {
				it.Output = 0
			}
			found, err := run.Iteration(it)
			if err != nil {
				t.Fatal(err)
			}
			written(w, n, found)
		}
		if d.one(h.fingerprint) && run.Progress(word(d.roll(30)), now) {
			fmt.Fprintf(w, "%4d progress\n", n)
		}
		if d.one(h.nudged) {
			run.Nudged(detect.Rule(d.roll(int(detect.RuleHops) + 1)))
		}
		if d.one(h.resume) {
			run.Resume(now)
		}
		if d.one(h.task) {
			run.NewTask(now)
		}
		if d.one(h.handed) {
			run.HandedOff(now)
		}
		if h.check > 0 && d.one(3*h.check) {
			run.ProgressUnknown(now)
		}
		if d.one(h.check) {
			written(w, n, run.Check(now.Add(time.Duration(d.roll(90))*time.Second)))
		}
		if n%50 == 49 {
			fmt.Fprintf(w, "%4d due %s, call %x, used %+v\n", n, due(run.Due()), run.Call(), run.Used())
		}
		if restarts && r.one(9) {
			data, err := run.AppendBinary([]byte("before"))
			if err != nil {
				t.Fatal(err)
			}
			run = detector.NewRun()
			if err := run.UnmarshalBinary(data[len("before"):]); err != nil {
				t.Fatal(err)
			}
		}
	}
	fmt.Fprintf(w, "     %+v\n", run.Totals())
}

func TestRunsAreAsTheyWere(t *testing.T) {
	var all bytes.Buffer
	for _, h := range habits() {
		var one, restarted bytes.Buffer
		h.play(t, &one, false)
		h.play(t, &restarted, true)
		if !bytes.Equal(one.Bytes(), restarted.Bytes()) {
			t.Errorf("an agent that %s is found other things when it is saved and got back now and then", h.name)
		}
		if one.Len() < 400 {
			t.Errorf("of an agent that %s, next to nothing is found", h.name)
		}
		fmt.Fprintf(&all, "an agent that %s\n%s", h.name, &one)
	}
	transcripttest.Compare(t, "runs.txt", all.Bytes())
}

// session is how the agents of a transcript hand work on.
type session struct {
	name                                                 string
	rules                                                detect.Rules
	agents, texts                                        int
	act, calls, parent, fingerprint, nudged, resume, new int
	chain                                                bool // from one to the next, mostly
}

func sessions() []session {
	return []session{
		{name: "two who ask and answer", agents: 2, texts: 3, act: 2, calls: 4},
		{name: "two who repeat themselves", agents: 2, texts: 1, nudged: 5, fingerprint: 30},
		{name: "a ring", agents: 3, texts: 2, chain: true, act: 4, calls: 9, fingerprint: 40, resume: 60},
		{name: "a ring of many", agents: 7, texts: 2, chain: true, nudged: 8},
		{name: "a long way", agents: 12, texts: 90, chain: true, act: 2, calls: 90, new: 40},
		{name: "a family", agents: 6, texts: 5, parent: 4, act: 2, calls: 3, fingerprint: 25},
		{name: "a crowd", agents: 90, texts: 9, act: 3, calls: 5},
		{name: "strict limits", agents: 3, texts: 4, act: 2, calls: 2, rules: detect.Rules{
			HandoffRepeat: detect.Limits{Nudge: 2, Trip: 3}, HandoffEcho: detect.Limits{Nudge: 1, Trip: 2}, HandoffStall: detect.Limits{Nudge: 1, Trip: 2},
			HandoffCycle: detect.Limits{Nudge: 2, Trip: 3}, Handoffs: detect.Limits{Nudge: 1, Trip: 3}, Budgets: detect.Budgets{Hops: 50},
		}},
	}
}

// payload is a text for an agent: none, few words, a template, or a page.
func (s *session) payload(d *dice) string {
	what := word(d.roll(s.texts))
	switch d.roll(7) {
	case 0:
		return d.of("", "go on", "done", "please "+what)
	case 1:
		return "Please look at " + what + " and tell me what is wrong with it, and what it would take to mend it."
	case 2:
		return fmt.Sprintf("Attempt %d: please look at the file that we talked about and tell me what is wrong with it", d.roll(9))
	case 3:
		return "Order 66" + fmt.Sprint(d.roll(3)) + " of " + what + " has to be sent to the customer before the end of the day, with a note"
	case 4:
		return strings.Repeat("this is what everybody has to know before they begin with the work ", 5) + what + " " + word(d.roll(3)) + strings.Repeat(" is what this time is about", d.roll(2))
	case 5:
		return what + " " + strings.Repeat("and this is what everybody has to know when they are done with the work ", 5)
	}
	return "What I know of " + what + ": it is at /tmp/" + what + "/x, it was made at 03:04:05, and nobody has asked for " + word(d.roll(3)) + " yet"
}

func (s *session) play(t *testing.T, w io.Writer, restarts bool) {
	detector, err := detect.New(s.rules)
	if err != nil {
		t.Fatal(err)
	}
	g, now, at := detector.NewGraph(), start(), 0
	d, r := dice(11), dice(1)
	name := func(i int) string { return "agent-" + word(i%s.agents) }
	for n := range 250 {
		now = now.Add(time.Duration(d.roll(20)) * time.Second)
		from, to := d.roll(s.agents), d.roll(s.agents)
		if s.chain && !d.one(5) {
			from, to = at, at+1
		}
		at = to % s.agents
		found, err := g.Handoff(detect.Handoff{At: now, From: name(from), To: name(to), Payload: s.payload(&d)})
		if err != nil {
			t.Fatal(err)
		}
		written(w, n, found)
		if d.one(s.act) {
			g.Acted(name(d.roll(s.agents)), uint64(d.roll(s.calls)))
		}
		if d.one(s.act) {
			g.Acted(name(to), uint64(d.roll(s.calls)))
		}
		if d.one(s.parent) {
			if err := g.Parent(name(d.roll(s.agents)), name(d.roll(2))); err != nil {
				t.Fatal(err)
			}
		}
		if d.one(s.fingerprint) && g.Progress(word(d.roll(30))) {
			fmt.Fprintf(w, "%4d progress\n", n)
		}
		if d.one(s.nudged) {
			g.Nudged(detect.Rule(d.roll(int(detect.RuleHops) + 1)))
		}
		if d.one(s.resume) {
			g.Resume(now)
		}
		if d.one(s.new) {
			g.NewTask(now)
		}
		if restarts && r.one(9) {
			data, err := g.AppendBinary([]byte("before"))
			if err != nil {
				t.Fatal(err)
			}
			g = detector.NewGraph()
			if err := g.UnmarshalBinary(data[len("before"):]); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestGraphsAreAsTheyWere(t *testing.T) {
	var all bytes.Buffer
	for _, s := range sessions() {
		var one, restarted bytes.Buffer
		s.play(t, &one, false)
		s.play(t, &restarted, true)
		if !bytes.Equal(one.Bytes(), restarted.Bytes()) {
			t.Errorf("of %s, other things are found when the graph is saved and got back now and then", s.name)
		}
		if one.Len() < 200 {
			t.Errorf("of %s, next to nothing is found", s.name)
		}
		fmt.Fprintf(&all, "%s\n%s", s.name, &one)
	}
	transcripttest.Compare(t, "graphs.txt", all.Bytes())
}

// TestBudgetsAreAsTheyWere: three levels, of which much is set aside, used and raised.
func TestBudgetsAreAsTheyWere(t *testing.T) {
	var all bytes.Buffer
	for seed := range 6 {
		var got [2]bytes.Buffer
		for restarts := range got {
			playBudgets(t, &got[restarts], dice(seed), restarts == 1)
		}
		// What was used when it was first used up is not saved.
		said := regexp.MustCompile(`exhausted: .*`)
		if !bytes.Equal(said.ReplaceAll(got[0].Bytes(), nil), said.ReplaceAll(got[1].Bytes(), nil)) {
			t.Errorf("budgets %d are found otherwise when they are saved and got back now and then", seed)
		}
		fmt.Fprintf(&all, "budgets %d\n%s", seed, &got[0])
	}
	transcripttest.Compare(t, "budgets.txt", all.Bytes())
}

func playBudgets(t *testing.T, w io.Writer, d dice, restarts bool) {
	limits := func() detect.Budgets {
		return detect.Budgets{
			Iterations: d.roll(40), Wall: time.Duration(d.roll(4)) * 20 * time.Minute, Idle: time.Duration(d.roll(3)) * time.Minute,
			Tokens: int64(d.roll(4000)), Cost: float64(d.roll(900)) / 100, ToolCalls: d.roll(60), Hops: d.roll(50) - 10,
		}
	}
	tree := make([]*detect.Budget, 3)
	for i := range tree {
		var above *detect.Budget
		if i > 0 {
			above = tree[(i-1)/2]
		}
		tree[i] = budget(t, limits(), above)
	}
	use := func() detect.Use {
		return detect.Use{Iterations: d.roll(2), Tokens: int64(d.roll(90)), Cost: float64(d.roll(20)) / 100, ToolCalls: d.roll(3), Hops: d.roll(2)}
	}
	now, r := start(), dice(3)
	var out []*detect.Reservation
	for n := range 150 {
		now = now.Add(time.Duration(d.roll(40)) * time.Second)
		b := tree[d.roll(3)]
		switch d.roll(7) {
		case 0, 1:
			found, err := b.Spend(use(), now)
			if err != nil {
				t.Fatal(err)
			}
			written(w, n, found)
		case 2, 3:
			one, err := b.Reserve(use(), now)
			if err != nil {
				fmt.Fprintf(w, "%4d refused: %v\n", n, err)
				continue
			}
			out = append(out, one)
		case 4:
			if len(out) == 0 {
				continue
			}
			one := out[0]
			out = out[1:]
			if d.one(3) {
				one.Release()
			}
			found, err := one.Settle(use(), now)
			if err != nil {
				t.Fatal(err)
			}
			written(w, n, found)
		case 5:
			written(w, n, b.Check(now))
		case 6:
			if d.one(4) {
				if err := b.Raise(limits()); err != nil {
					t.Fatal(err)
				}
			}
			fmt.Fprintf(w, "%4d due %s, used %+v of %+v, %v\n", n, due(b.Due()), b.Used(), b.Limits(), b.Err())
		}
		if restarts && len(out) == 0 && r.one(3) {
			for _, one := range tree {
				data, err := one.AppendBinary([]byte("before"))
				if err == nil {
					err = one.UnmarshalBinary(data[len("before"):])
				}
				if err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}

// TestSavedByEarlierVersions: what this version has written, later ones read.
func TestSavedByEarlierVersions(t *testing.T) {
	h := habits()[len(habits())-1]
	detector, err := detect.New(h.rules)
	if err != nil {
		t.Fatal(err)
	}
	run, graph, b := detector.NewRun(), detector.NewGraph(), budget(t, detect.Budgets{Tokens: 100, Cost: 3}, nil)
	d := dice(5)
	for i := range 30 {
		s := h.step(&d)
		s.At = start().Add(time.Duration(i) * time.Second)
		_, err1 := run.Observe(s)
		_, err2 := graph.Handoff(detect.Handoff{At: s.At, From: word(i % 3), To: word(i % 2), Payload: word(i % 5)})
		_, err3 := b.Spend(detect.Use{Tokens: 2, Cost: 0.01}, s.At)
		if err := errors.Join(err1, err2, err3); err != nil {
			t.Fatal(err)
		}
		run.Progress(word(i%7), s.At)
	}
	for name, v := range map[string]interface {
		AppendBinary(b []byte) ([]byte, error)
		UnmarshalBinary(data []byte) error
	}{"run.bin": run, "graph.bin": graph, "budget.bin": b} {
		got, err := v.AppendBinary(nil)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join("testdata", name)
		if *transcripttest.Update {
			if err := os.WriteFile(path, got, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s is written otherwise, so that what earlier versions wrote may not be read: write version 2", name)
		}
		if err := v.UnmarshalBinary(want); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
