package detect_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/blackbox4/switchgear/core/failsafe/condition"
	"github.com/blackbox4/switchgear/ralph/detect"
)

// team feeds a graph.
type team struct {
	driver
	graph *detect.Graph
}

func gather(t *testing.T, rules detect.Rules) *team {
	t.Helper()
	d, err := detect.New(rules)
	if err != nil {
		t.Fatal(err)
	}
	return &team{driver: driver{t: t, now: start()}, graph: d.NewGraph()}
}

func (g *team) hand(from, to, payload string) []detect.Finding {
	g.t.Helper()
	g.now = g.now.Add(time.Second)
	found, err := g.graph.Handoff(detect.Handoff{At: g.now, From: from, To: to, Payload: payload})
	if err != nil {
		g.t.Errorf("hand-off %d: %v", g.n+1, err)
	}
	return g.keep(found)
}

// report is a text of its own.
func report(n int) string {
	return fmt.Sprintf("%s wants %s because %s knows %s and %s", word(n), word(7*n+1), word(11*n+2), word(13*n+3), word(17*n+5))
}

func TestOrchestratorThatDelegatesMuch(t *testing.T) {
	tasks := map[string]func(int) string{
		"numbers":    func(i int) string { return fmt.Sprintf("Summarise document %d and report back the key findings", i) },
		"two places": func(i int) string { return fmt.Sprintf("Translate chapter %d, pages %d to %d", i, 10*i, 10*i+9) },
		"names":      func(i int) string { return "Find the population of " + word(i) + " and report back to me" },
		"short":      func(i int) string { return fmt.Sprint("task ", i) },
		"other work": report,
	}
	answers := map[string]func(*team, string, int){
		"none":     func(*team, string, int) {},
		"text":     func(g *team, w string, i int) { g.hand(w, "boss", "It is "+report(i)) },
		"the same": func(g *team, w string, _ int) { g.hand(w, "boss", "Done, everything is as you wanted it.") },
		"empty":    func(g *team, w string, _ int) { g.hand(w, "boss", "") },
	}
	workers := map[string][]string{"one": {"ann"}, "three": {"ann", "bob", "cid"}}
	for task, payload := range tasks {
		for answer, reply := range answers {
			for crowd, names := range workers {
				t.Run(task+"/"+answer+"/"+crowd, func(t *testing.T) {
					g := gather(t, detect.Rules{})
					for i := range 30 {
						w := names[i%len(names)]
						g.hand("boss", w, payload(i))
						g.graph.Acted(w, uint64(1000+i))
						reply(g, w, i)
					}
					g.quiet()
				})
			}
		}
	}
}

func TestHandoffsBetweenPeers(t *testing.T) {
	g := gather(t, detect.Rules{})
	names := []string{"a", "b", "c", "d", "e", "f", "g"}
	for i := range 6 {
		g.hand(names[i], names[i+1], report(0))
	}
	g.want(detect.RuleHandoffs, "5 nudge", "6 trip")
	g.quiet(detect.RuleHandoffs)
	f := g.fired[1]
	if f.Severity != condition.High || f.Count != 5 || !slices.Equal(f.Agents, []string{"f", "g"}) || len(f.Evidence) != 6 {
		t.Errorf("%+v", f)
	}
}

func TestHandoffsInARingOfPeers(t *testing.T) {
	g := gather(t, detect.Rules{})
	ring := []string{"a", "b", "c"}
	for i := range 6 {
		g.hand(ring[i%3], ring[(i+1)%3], report(0))
	}
	g.want(detect.RuleHandoffs, "5 nudge", "6 trip")
}

func TestHandoffsWithProgress(t *testing.T) {
	g := gather(t, detect.Rules{})
	ring := []string{"a", "b", "c"}
	g.graph.Progress("start")
	for i := range 30 {
		if i%3 == 0 {
			g.graph.Progress(word(i))
		}
		g.hand(ring[i%3], ring[(i+1)%3], "please go on with the work as before")
	}
	g.quiet()
}

func TestDeclaredParents(t *testing.T) {
	g := gather(t, detect.Rules{})
	for _, child := range []string{"a", "b", "c"} {
		if err := g.graph.Parent(child, "boss"); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 30 { // the answer comes from another than who was asked
		g.hand("boss", "a", report(3*i))
		g.hand("a", "b", report(3*i+1))
		g.hand("b", "boss", report(3*i+2))
	}
	g.quiet()
}

func TestDeclaredLine(t *testing.T) {
	g := gather(t, detect.Rules{})
	for i := range 8 {
		if err := g.graph.Parent(word(i+1), word(i)); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 8 { // down the line
		g.hand(word(i), word(i+1), report(i))
	}
	g.quiet()
	for range 9 { // and nothing said at all
		g.hand(word(0), word(1), "")
		g.hand(word(1), word(0), "")
	}
	g.quiet()
}

func TestSecondAnswer(t *testing.T) {
	g := gather(t, detect.Rules{})
	for i := range 9 {
		g.hand("boss", "ann", report(3*i))
		g.hand("ann", "boss", report(3*i+1)) // on the way
		g.hand("ann", "boss", report(3*i+2))
	}
	g.quiet()
}

func TestHandoffCycle(t *testing.T) {
	for _, c := range []struct {
		name    string
		agents  []string
		payload func(int) string
	}{
		{"two without a word", []string{"a", "b"}, func(int) string { return "" }},
		{"two with the same words", []string{"a", "b"}, func(int) string { return "please take this over from me" }},
		{"three", []string{"a", "b", "c"}, func(int) string { return "please take this over from me" }},
		{"itself", []string{"a"}, func(int) string { return "once more with feeling, please" }},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := gather(t, detect.Rules{Handoffs: off(), HandoffStall: off(), HandoffRepeat: off()})
			n := len(c.agents)
			for i := range 5 * n {
				g.hand(c.agents[i%n], c.agents[(i+1)%n], c.payload(i))
			}
			g.want(detect.RuleHandoffCycle, fmt.Sprintf("%d nudge", 2*n), fmt.Sprintf("%d trip", 3*n))
			g.quiet(detect.RuleHandoffCycle)
			f := g.fired[1]
			if slices.Sort(f.Agents); !slices.Equal(f.Agents, c.agents) || f.Severity != condition.High {
				t.Errorf("%v %v", f.Agents, f.Severity)
			}
		})
	}
}

func TestHandoffCycleWithWork(t *testing.T) {
	g := gather(t, detect.Rules{})
	for i := range 15 { // what is done is new each time
		g.hand("dev", "reviewer", "")
		g.graph.Acted("reviewer", uint64(2*i+1))
		g.hand("reviewer", "dev", "")
		g.graph.Acted("dev", uint64(2*i+2))
	}
	g.quiet()
	g = gather(t, detect.Rules{})
	for i := range 15 { // what is said is
		g.hand("dev", "reviewer", "please review")
		g.hand("reviewer", "dev", report(i))
	}
	g.want(detect.RuleHandoffCycle)
	g = gather(t, detect.Rules{})
	for i := range 15 {
		g.hand("dev", "reviewer", report(i))
		g.hand("reviewer", "dev", "please go on")
	}
	g.want(detect.RuleHandoffCycle)
}

func TestHandoffCycleAmongOthers(t *testing.T) {
	g := gather(t, detect.Rules{})
	for i := range 6 { // two pairs at once, one of which works
		g.hand([]string{"a", "b"}[i%2], []string{"b", "a"}[i%2], "over to you")
		g.hand("boss", "worker", report(i))
	}
	g.want(detect.RuleHandoffCycle, "7 nudge", "11 trip")
}

func TestHandoffRepeat(t *testing.T) {
	g := gather(t, detect.Rules{})
	g.hand("boss", "ann", "Look up the opening hours of the museum")
	for i := range 7 {
		g.hand("boss", "ann", report(i))
	}
	g.hand("boss", "bob", "Look up the opening hours of the museum")
	g.want(detect.RuleHandoffRepeat)
	g.hand("boss", "ann", report(8))
	g.hand("boss", "ann", "look up the opening hours of the museum!") // the last of nine
	g.want(detect.RuleHandoffRepeat)

	g = gather(t, detect.Rules{})
	g.hand("boss", "ann", "Look up the opening hours of the museum")
	for i := range 7 {
		g.hand("boss", "ann", report(i))
	}
	g.hand("boss", "ann", "look up the opening hours of the museum!")
	g.want(detect.RuleHandoffRepeat, "9 nudge")
	if f := g.fired[0]; len(f.Evidence) != 2 || f.Evidence[0].Index != 1 || f.Evidence[1].From != "boss" {
		t.Errorf("%+v", f.Evidence)
	}
}

func TestHandoffRepeatAmongAnswers(t *testing.T) {
	g := gather(t, detect.Rules{})
	g.hand("boss", "ann", "Look up the opening hours of the museum")
	for i := range 7 {
		g.hand("ann", "boss", report(100+i))
		g.hand("boss", "ann", report(i))
	}
	g.hand("boss", "ann", "Look up the opening hours of the museum")
	g.want(detect.RuleHandoffRepeat, "16 nudge")
}

func TestHandoffRepeatAfterNudge(t *testing.T) {
	g := gather(t, detect.Rules{HandoffStall: off(), HandoffRepeat: detect.Limits{Nudge: 2, Trip: 4}})
	same := func() { g.hand("boss", "ann", "Look up the opening hours of the museum") }
	same()
	same()
	g.graph.Nudged(detect.RuleHandoffRepeat)
	same()
	g.want(detect.RuleHandoffRepeat, "2 nudge")
	same()
	g.want(detect.RuleHandoffRepeat, "2 nudge", "4 trip")
}

func TestHandoffStall(t *testing.T) {
	reworded := []string{
		"Please search for the historical members of the board around the date of the offering in older news articles",
		"Please continue to search for the historical members of the board around the date of the offering in older news articles",
		"Continue searching for the historical members of the board around the date of the offering in the older news articles",
		"Please search again for the historical members of the board around the date of the offering, in older news articles",
		"Please search once more for the historical members of the board around the date of the offering in older articles",
	}
	g := gather(t, detect.Rules{})
	for _, s := range reworded {
		g.hand("boss", "ann", s)
	}
	g.want(detect.RuleHandoffStall, "3 nudge", "5 trip")
	g.quiet(detect.RuleHandoffStall)

	g = gather(t, detect.Rules{})
	for i := range 4 {
		g.hand("boss", "ann", reworded[i%3])
		g.hand("boss", "ann", report(i))
		g.hand("boss", "ann", report(100+i))
	}
	g.want(detect.RuleHandoffStall)
}

func TestHandoffStallAfterNudge(t *testing.T) {
	g := gather(t, detect.Rules{HandoffRepeat: off()})
	same := func() { g.hand("boss", "ann", "Look up the opening hours of the museum") }
	same()
	same()
	same()
	g.want(detect.RuleHandoffStall, "3 nudge")
	g.graph.Nudged(detect.RuleHandoffStall)
	g.hand("boss", "ann", report(1))
	same()
	g.want(detect.RuleHandoffStall, "3 nudge")
	same()
	g.want(detect.RuleHandoffStall, "3 nudge", "6 trip")
}

func TestHandoffEcho(t *testing.T) {
	g := gather(t, detect.Rules{})
	for i := range 4 {
		g.hand("boss", "ann", report(i))
		g.graph.Acted("ann", 7)
	}
	g.want(detect.RuleHandoffEcho, "4 trip") // two turns with nothing but what was done before
	g.want(detect.RuleHandoffStall, "4 nudge")
	if f := g.fired[0]; f.Severity != condition.Medium {
		t.Errorf("%v", f.Severity)
	}

	g = gather(t, detect.Rules{})
	for i := range 9 { // the tests are run after each change
		g.hand("boss", "coder", report(2*i))
		g.graph.Acted("coder", uint64(100+i))
		g.hand("boss", "runner", report(2*i+1))
		g.graph.Acted("runner", 7)
	}
	g.quiet()

	g = gather(t, detect.Rules{})
	for i := range 9 { // the one who hands on keeps a list
		g.hand("boss", "ann", report(i))
		g.graph.Acted("boss", 7)
		g.graph.Acted("ann", 0) // a poll, say
	}
	g.quiet()

	g = gather(t, detect.Rules{})
	for i := range 9 { // something new is done, too
		g.hand("boss", "ann", report(i))
		g.graph.Acted("ann", 7)
		g.graph.Acted("ann", uint64(100+i))
	}
	g.quiet()
}

func TestHops(t *testing.T) {
	g := gather(t, detect.Rules{Budgets: detect.Budgets{Hops: 10}})
	for i := range 10 {
		g.hand("boss", "ann", report(i))
	}
	g.want(detect.RuleHops, "8 nudge", "10 trip")
	g.graph.NewTask(g.now)
	g.hand("boss", "ann", report(11))
	g.quiet(detect.RuleHops)
}

func TestGraphStartsAnew(t *testing.T) {
	for name, anew := range map[string]func(*team){
		"resume":   func(g *team) { g.graph.Resume(g.now) },
		"new task": func(g *team) { g.graph.NewTask(g.now) },
		"progress": func(g *team) { g.graph.Progress(word(g.n)) },
	} {
		g := gather(t, detect.Rules{})
		g.graph.Progress("start")
		for range 30 {
			g.hand("a", "b", "please take this over from me")
			anew(g)
		}
		if len(g.fired) != 0 {
			t.Errorf("%s: %+v", name, g.fired[0])
		}
	}
}

func TestManyNames(t *testing.T) {
	g := gather(t, detect.Rules{})
	for i := range 5000 {
		g.hand(fmt.Sprintf("agent-%d-%s", i, report(i)), "b", report(i))
		if i%100 == 0 {
			if err := g.graph.Parent(fmt.Sprint("child ", i), fmt.Sprint("parent ", i)); err != nil {
				t.Fatal(err)
			}
		}
	}
	data, err := g.graph.AppendBinary(nil)
	if err != nil || len(data) > 12*1024 {
		t.Errorf("%d bytes, %v", len(data), err)
	}
}
