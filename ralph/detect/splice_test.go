package detect_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/blackbox4/switchgear/ralph/detect"
)

// healthy is a run of an agent that gets on: it looks, edits, tests, now and then
// fails or says something, and comes back to some calls with other outcomes.
func healthy(rng *rand.Rand, n int) []detect.Step {
	steps := make([]detect.Step, 0, n)
	for i := range n {
		w := word(rng.IntN(1 << 30))
		switch rng.IntN(10) {
		case 0, 1, 2:
			steps = append(steps, detect.Step{Tool: "read", Args: `{"path":"` + w + `.go"}`, Output: "package " + w})
		case 3, 4:
			steps = append(steps, detect.Step{Tool: "edit", Args: `{"path":"a.go","new":"` + w + `"}`, Output: "ok"})
		case 5, 6:
			steps = append(steps, detect.Step{Tool: "test", Args: `{"package":"./..."}`, Output: "FAIL " + w})
		case 7:
			s := detect.Step{Tool: "bash", Args: `{"command":"grep ` + w + `"}`, Exit: 1, Err: "no match for " + w}
			if i > 0 && steps[i-1].Exit != 0 {
				s.Exit, s.Err = 0, ""
			}
			steps = append(steps, s)
		case 8:
			steps = append(steps, detect.Step{Output: report(rng.IntN(1 << 24))})
		case 9:
			steps = append(steps, detect.Step{Tool: "search", Args: fmt.Sprintf(`{"q":"%s","page":%d}`, w, i), Output: fmt.Sprintf("%d results for %s", i, w)})
		}
	}
	return steps
}

// mutant is the call number i of a cycle. The ids in its outcome are new every time,
// and so are those in its arguments if it fails: with other ids, what goes well may
// be the next item of a batch.
func mutant(rng *rand.Rand, i int) detect.Step {
	id := func() string {
		return fmt.Sprintf("%08x-%04x-4%03x-8%03x-%012x", rng.Uint32(), rng.IntN(1<<16), rng.IntN(1<<12), rng.IntN(1<<12), rng.Int64N(1<<48))
	}
	w := word(i)
	switch i % 4 {
	case 0:
		return detect.Step{
			Tool: "send", Args: fmt.Sprintf(`{"to":"%s","request":"5f0c3e6a-1111-4222-8333-444455556666"}`, w),
			Output: fmt.Sprintf(`{"status":"queued","message":"%s","at":"2026-01-02T03:%02d:05Z"}`, id(), rng.IntN(60)),
		}
	case 1:
		return detect.Step{
			Tool: "bash", Args: fmt.Sprintf(`{"cmd":"python /tmp/work/run.py --for 5ms %s"}`, w),
			Output: fmt.Sprintf("pid %d: done in %d.%ds, log in /tmp/log%d", rng.IntN(99999), rng.IntN(60), rng.IntN(10), rng.IntN(999)),
		}
	case 2:
		return detect.Step{
			Tool: "fetch", Args: fmt.Sprintf(`{"url":"http://localhost:8080/%s"}`, w),
			Output: fmt.Sprintf("ETag: %x%x", 0xabcdef+rng.IntN(1<<20), rng.Uint64()),
		}
	default:
		return detect.Step{
			Tool: "query", Args: fmt.Sprintf(`{"at":"2026-01-02T03:04:%02dZ","table":"%s","ptr":"0x%x"}`, rng.IntN(60), w, rng.Uint64()),
			Err: fmt.Sprintf("row %d: not found (%s)", rng.IntN(1e6), id()), Failed: true,
		}
	}
}

// A cycle whose outcomes are the same to the letter and that is spliced into a healthy run
// is found after exactly so many of its calls, wherever that is, and nothing is found
// before.
func TestSpliceToTheLetter(t *testing.T) {
	for period := 1; period <= 4; period++ {
		nudge, trip, rule := 3, 5, detect.RuleRepeat
		if period > 1 {
			nudge, trip, rule = 2*period, 3*period, detect.RuleCycle
		}
		for seed := range uint64(200) {
			rng := rand.New(rand.NewPCG(seed, uint64(period)))
			d := drive(t, detect.Rules{ErrorRate: off(), Calls: off()})
			before := healthy(rng, 10+rng.IntN(100))
			for _, s := range before {
				d.step(s)
			}
			d.quiet()
			first := rng.IntN(100) // of the cycle, among the sorts of calls
			for i := range 6 * period {
				n := first + i%period
				d.step(mutant(rand.New(rand.NewPCG(uint64(n), seed)), n))
			}
			at := len(before)
			d.want(rule, fmt.Sprintf("%d nudge", at+nudge), fmt.Sprintf("%d trip", at+trip))
			if t.Failed() {
				t.Fatalf("period %d, seed %d", period, seed)
			}
		}
	}
}

// A cycle that is spliced into a healthy run is found, wherever that is, and nothing is
// found before: after so many of its calls, or, where its outcomes have numbers that go up
// and down, after three times as many at most.
func TestSplice(t *testing.T) {
	for period := 1; period <= 4; period++ {
		nudge, trip, rule := 3, 5, detect.RuleRepeat
		if period > 1 {
			nudge, trip, rule = 2*period, 3*period, detect.RuleCycle
		}
		for seed := range uint64(200) {
			rng := rand.New(rand.NewPCG(seed, uint64(period)))
			d := drive(t, detect.Rules{ErrorRate: off(), Calls: off(), Budgets: detect.Budgets{Wall: -1}})
			before := healthy(rng, 10+rng.IntN(100))
			for _, s := range before {
				d.step(s)
			}
			d.quiet()
			first := rng.IntN(100) // of the cycle, among the sorts of calls
			for i := range 12 * period {
				d.step(mutant(rng, first+i%period))
			}
			at := len(before)
			nudged, tripped := -1, -1
			for _, f := range d.fired {
				if f.Rule == rule && f.Level == detect.LevelTrip && tripped < 0 {
					tripped = f.n - at
				} else if f.Rule == rule && nudged < 0 {
					nudged = f.n - at
				}
			}
			if nudged < nudge || nudged >= tripped || tripped < trip || tripped > 3*trip {
				t.Errorf("nudged at %d, tripped at %d, want %d and %d to %d: %v", nudged, tripped, nudge, trip, 3*trip, d.fired)
			}
			count := len(d.fired)
			for _, s := range healthy(rng, 50) {
				d.step(s)
			}
			if len(d.fired) != count {
				t.Errorf("period %d, seed %d: found after it has ended: %v", period, seed, d.fired[count].Rule)
			}
			if t.Failed() {
				t.Fatalf("period %d, seed %d", period, seed)
			}
		}
	}
}

// The same with hand-offs.
func TestSpliceHandoffs(t *testing.T) {
	for period := 2; period <= 4; period++ {
		for seed := range uint64(100) {
			rng := rand.New(rand.NewPCG(seed, uint64(period)))
			g := gather(t, detect.Rules{Handoffs: off()})
			before := 5 + rng.IntN(60)
			for i := range before {
				g.hand("boss", word(i%5), report(i+1000*int(seed)))
			}
			g.quiet()
			for i := range 5 * period {
				g.hand(word(100+i%period), word(100+(i+1)%period), fmt.Sprintf("please take over the work on %s, log in /tmp/%x", word(i%period), rng.Uint32()))
			}
			g.want(detect.RuleHandoffCycle, fmt.Sprintf("%d nudge", before+2*period), fmt.Sprintf("%d trip", before+3*period))
			if t.Failed() {
				t.Fatalf("period %d, seed %d", period, seed)
			}
		}
	}
}
