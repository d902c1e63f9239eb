package detect_test

import (
	"bytes"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/blackbox4/switchgear/ralph/detect"
)

// A run that is saved and got back after every event finds what the other does.
func TestRunIsSaved(t *testing.T) {
	play := func(save bool) []fired {
		d := drive(t, detect.Rules{Budgets: detect.Budgets{Tokens: 1000}})
		det, err := detect.New(detect.Rules{Profile: detect.ProfileStrict, Budgets: detect.Budgets{Tokens: 1000}})
		if err != nil {
			t.Fatal(err)
		}
		restart := func() {
			if !save {
				return
			}
			data, err := d.run.AppendBinary([]byte{1, 2})
			if err != nil || len(data) > 2400 {
				t.Fatalf("%d bytes, %v", len(data), err)
			}
			d.run = det.NewRun()
			if err := d.run.UnmarshalBinary(data[2:]); err != nil {
				t.Fatal(err)
			}
		}
		low := 0.2
		for i := range 60 {
			switch {
			case i < 6:
				d.step(detect.Step{Tool: "bash", Args: "make", Output: "error", Tokens: 50})
			case i < 20:
				d.call("tool"+word(i%3), "x", "same")
			case i < 30:
				d.step(detect.Step{Tool: word(i), Err: "cannot", Confidence: &low, Tokens: 60})
			case i < 34:
				d.step(detect.Step{Output: "Done."})
			case i < 40:
				d.iteration(detect.Iteration{Failed: i%2 == 0, Question: i%3 == 0, Output: 1000 * (40 - i)})
			default:
				d.run.Progress(word(i%7), d.now)
				d.fresh()
			}
			if i == 10 {
				d.run.Nudged(detect.RuleCycle)
			}
			restart()
			d.keep(d.run.Check(d.now.Add(100 * time.Millisecond)))
		}
		return d.fired
	}
	want, got := play(false), play(true)
	if len(want) < 10 {
		t.Fatalf("only %d findings", len(want))
	}
	for i := range min(len(want), len(got)) {
		a, b := want[i], got[i]
		a.Evidence, b.Evidence = slices.Clone(a.Evidence), slices.Clone(b.Evidence)
		for _, f := range []*fired{&a, &b} {
			f.Message = "" // names may be lost
			f.At = f.At.UTC()
			for j := range f.Evidence {
				f.Evidence[j].Tool = ""
				f.Evidence[j].At = f.Evidence[j].At.UTC()
			}
		}
		if !reflect.DeepEqual(a, b) {
			t.Errorf("%d:\n%+v\n%+v", i, a, b)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d findings, want %d", len(got), len(want))
	}
}

func TestGraphIsSaved(t *testing.T) {
	play := func(save bool) []fired {
		g := gather(t, detect.Rules{})
		det, err := detect.New(detect.Rules{})
		if err != nil {
			t.Fatal(err)
		}
		if err := g.graph.Parent("worker", "boss"); err != nil {
			t.Fatal(err)
		}
		for i := range 60 {
			switch {
			case i < 12:
				g.hand([]string{"a", "b"}[i%2], []string{"b", "a"}[i%2], "please take over")
			case i < 30:
				g.hand("boss", "worker", "look up the opening hours of "+word(i/3))
				g.graph.Acted("worker", uint64(i/3))
			default:
				g.hand(word(i), word(i+1), report(i))
			}
			if save {
				data, err := g.graph.AppendBinary([]byte("x"))
				if err != nil {
					t.Fatal(err)
				}
				g.graph = det.NewGraph()
				if err := g.graph.UnmarshalBinary(data[1:]); err != nil {
					t.Fatal(err)
				}
			}
		}
		return g.fired
	}
	want, got := play(false), play(true)
	if len(want) < 5 || len(got) != len(want) {
		t.Fatalf("%d findings, want %d", len(got), len(want))
	}
	for i := range want {
		a, b := want[i], got[i]
		if a.n != b.n || a.Rule != b.Rule || a.Level != b.Level || a.Message != b.Message || !slices.Equal(a.Agents, b.Agents) ||
			len(a.Evidence) != len(b.Evidence) || a.Evidence[0].From != b.Evidence[0].From || !a.At.Equal(b.At) {
			t.Errorf("%d:\n%+v\n%+v", i, a, b)
		}
	}
}

// What is not whole is refused, and changes nothing.
func TestDamagedStates(t *testing.T) {
	det, err := detect.New(detect.Rules{})
	if err != nil {
		t.Fatal(err)
	}
	run, graph, money := det.NewRun(), det.NewGraph(), budget(t, detect.Budgets{}, nil)
	for range 3 {
		if _, err := run.Observe(detect.Step{Tool: "x"}); err != nil {
			t.Fatal(err)
		}
		if _, err := graph.Handoff(detect.Handoff{From: "a", To: "b", Payload: "this and that"}); err != nil {
			t.Fatal(err)
		}
		if _, err := money.Spend(detect.Use{Tokens: 3}, start()); err != nil {
			t.Fatal(err)
		}
	}
	type state interface {
		AppendBinary([]byte) ([]byte, error)
		UnmarshalBinary([]byte) error
	}
	states := map[string]state{"run": run, "graph": graph, "budget": money}
	for name, s := range states {
		good, err := s.AppendBinary(nil)
		if err != nil {
			t.Fatal(err)
		}
		bad := map[string][]byte{"nothing": nil, "other": []byte("{}"), "cut": good[:len(good)-1], "long": append(slices.Clone(good), 0)}
		for i := range good {
			flipped := slices.Clone(good)
			flipped[i] ^= 0x10
			bad["flipped "+word(i)] = flipped
		}
		newer := slices.Clone(good)
		newer[1]++
		bad["newer"] = newer
		for other, o := range states {
			if other != name {
				bad[other], _ = o.AppendBinary(nil)
			}
		}
		for what, data := range bad {
			if err := s.UnmarshalBinary(data); err == nil || !strings.HasPrefix(err.Error(), "detect: saved "+name) {
				t.Errorf("%s, %s: %v", name, what, err)
			}
			if now, _ := s.AppendBinary(nil); !bytes.Equal(now, good) {
				t.Fatalf("%s, %s: changed", name, what)
			}
		}
		if err := s.UnmarshalBinary(newer); !strings.Contains(err.Error(), "version 4, allowed: 3") {
			t.Errorf("%v", err)
		}
		if err := s.UnmarshalBinary(good); err != nil {
			t.Error(err)
		}
	}
}
