//go:build !race

package detect_test

import (
	"testing"
	"time"

	"github.com/blackbox4/switchgear/ralph/detect"
)

func TestObserveDoesNotAllocate(t *testing.T) {
	d, err := detect.New(detect.Rules{Budgets: detect.Budgets{Wall: -1, Iterations: -1}, Calls: off(), ErrorRate: off()})
	if err != nil {
		t.Fatal(err)
	}
	run, graph, now := d.NewRun(), d.NewGraph(), start()
	var steps []detect.Step
	for i := range 64 {
		steps = append(steps, typical(i), detect.Step{Tool: word(i % 7), ArgsBytes: []byte(word(i)), OutputBytes: []byte(word(i))})
		if i%4 == 0 {
			steps = append(steps,
				detect.Step{Tool: "x", Args: word(i), Err: "no " + word(i), Exit: 1},
				detect.Step{Output: "I look at " + word(i) + " and " + report(i), Confidence: new(0.9)},
				detect.Step{Own: true, Output: "go on"})
		}
	}
	i, found := 0, 0
	once := func() {
		now = now.Add(time.Second)
		s := steps[i%len(steps)]
		s.At = now
		fs, err := run.Observe(s)
		if err != nil {
			t.Fatal(err)
		}
		found += len(fs)
		graph.Acted("a", run.Call())
		if i%10 == 0 {
			if _, err := run.Iteration(detect.Iteration{At: now, Output: 100}); err != nil {
				t.Fatal(err)
			}
			run.Progress(steps[i%len(steps)].Tool, now)
			run.Check(now)
			run.Due()
			i++
		}
		i++
	}
	for range 500 { // the names of the tools are noted
		once()
	}
	run.Resume(now)
	found = 0
	if n := testing.AllocsPerRun(2000, once); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if found > 0 {
		t.Errorf("%d findings: they allocate", found)
	}
}

func TestBudgetErrDoesNotAllocate(t *testing.T) {
	b := budget(t, detect.Budgets{Tokens: 10}, budget(t, detect.Budgets{}, nil))
	if n := testing.AllocsPerRun(100, func() { _ = b.Err() }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if _, err := b.Spend(detect.Use{Tokens: 10}, start()); err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(100, func() { _ = b.Err() }); n != 0 {
		t.Errorf("%v allocations of a refusal", n)
	}
}
