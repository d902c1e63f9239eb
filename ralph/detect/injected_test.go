package detect_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/blackbox4/switchgear/ralph/detect"
)

// kind is something that agents do, as steps that are spliced into a run.
type kind func(rng *rand.Rand) []detect.Step

func times(rng *rand.Rand, least, most int, f func(i int) detect.Step) []detect.Step {
	n := least + rng.IntN(most-least+1)
	steps := make([]detect.Step, n)
	for i := range steps {
		steps[i] = f(i)
	}
	return steps
}

func pick(rng *rand.Rand, of ...string) string { return of[rng.IntN(len(of))] }

// healthyKinds are what must never be stopped.
func healthyKinds() map[string]kind {
	return map[string]kind{
		"a poll": func(rng *rand.Rand) []detect.Step {
			state := pick(rng, "pending", "still running", "IN_PROGRESS", "queued", "building image", "job is not ready yet")
			tool := pick(rng, "bash", "get_job", "kubectl", "check")
			return times(rng, 5, 60, func(int) detect.Step {
				return detect.Step{Tool: tool, Args: `{"id":"job-a"}`, Output: `{"state":"` + state + `"}`}
			})
		},
		"a poll with words between": func(rng *rand.Rand) []detect.Step {
			return times(rng, 10, 50, func(i int) detect.Step {
				if i%2 == 1 {
					return detect.Step{Output: report(rng.IntN(1 << 24))}
				}
				return detect.Step{Tool: "bash", Args: "sleep 30; gh run view", Output: "workflow"}
			})
		},
		"a poll that moves": func(rng *rand.Rand) []detect.Step {
			at := 0
			return times(rng, 5, 60, func(int) detect.Step {
				at += 1 + rng.IntN(9)
				return detect.Step{Tool: "bash", Args: "cat log", Output: fmt.Sprintf("%d of 700 files done", at)}
			})
		},
		"pages": func(rng *rand.Rand) []detect.Step {
			return times(rng, 5, 40, func(i int) detect.Step {
				return detect.Step{Tool: "next_page", Args: "{}", Output: fmt.Sprintf("page %d: rows %d to %d", i, 20*i, 20*i+19)}
			})
		},
		"steps of a debugger": func(rng *rand.Rand) []detect.Step {
			line := rng.IntN(100)
			return times(rng, 5, 40, func(i int) detect.Step {
				return detect.Step{Tool: "debug", Args: "next", Output: fmt.Sprintf("at main.go:%d, i = %d", line+i%3, i/3)}
			})
		},
		"a batch": func(rng *rand.Rand) []detect.Step {
			return times(rng, 5, 60, func(i int) detect.Step {
				return detect.Step{Tool: "send", Args: fmt.Sprintf(`{"to":"user %d"}`, i), Output: "ok"}
			})
		},
		"a batch of edits without output": func(rng *rand.Rand) []detect.Step {
			return times(rng, 5, 60, func(i int) detect.Step {
				return detect.Step{Tool: "bash", Args: fmt.Sprintf("sed -i s/a/b/ %s.go", word(i))}
			})
		},
		"fewer failures each time": func(rng *rand.Rand) []detect.Step {
			failing := 30 + rng.IntN(20)
			exit := rng.IntN(2)
			return times(rng, 10, 40, func(i int) detect.Step {
				if i%2 == 1 {
					return detect.Step{Tool: "edit", Args: word(rng.IntN(1 << 30)), Output: "ok"}
				}
				failing -= 1 - 3*rng.IntN(2)*(i%4/2)
				return detect.Step{Tool: "bash", Args: "pytest -q", Output: fmt.Sprintf("%d failed, %d passed in 0.%ds", failing, 90-failing, rng.IntN(99)), Exit: exit}
			})
		},
		"other tests that fail each time": func(rng *rand.Rand) []detect.Step {
			return times(rng, 10, 40, func(i int) detect.Step {
				if i%2 == 1 {
					return detect.Step{Tool: "edit", Args: word(rng.IntN(1 << 30)), Output: "ok"}
				}
				return detect.Step{Tool: "run_tests", Args: "{}", Output: "FAILED test_" + word(rng.IntN(1<<20)), Exit: 1, Failed: true}
			})
		},
		"empty searches": func(rng *rand.Rand) []detect.Step {
			return times(rng, 3, 20, func(i int) detect.Step {
				return detect.Step{Tool: "bash", Args: fmt.Sprintf(`{"command":"rg %s"}`, word(rng.IntN(1<<30)))}
			})
		},
		"grep file by file": func(rng *rand.Rand) []detect.Step {
			program := pick(rng, "grep -n TODO", "rg TODO", "cd src && grep x", "diff -u old", "git diff --exit-code")
			return times(rng, 3, 30, func(i int) detect.Step {
				return detect.Step{Tool: "bash", Args: fmt.Sprintf(`{"command":"%s %s.go"}`, program, word(i)), Exit: 1, Failed: rng.IntN(2) == 0}
			})
		},
		"five or six different errors": func(rng *rand.Rand) []detect.Step {
			return times(rng, 4, 7, func(i int) detect.Step {
				w := word(rng.IntN(1 << 30))
				return detect.Step{Tool: "sql", Args: "select " + w, Output: "unknown column " + w, Failed: true}
			})
		},
		"parallel calls of one reply": func(rng *rand.Rand) []detect.Step {
			return times(rng, 2, 8, func(i int) detect.Step {
				return detect.Step{Tool: "read", Args: fmt.Sprintf(`{"path":"%s"}`, word(i)), Err: "no such file: " + word(i), Failed: true}
			})
		},
	}
}

// What agents do that are well is never stopped, wherever in a run, and at any pace.
func TestHealthyKindsAreNeverStopped(t *testing.T) {
	for name, steps := range healthyKinds() {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(200) {
				rng := rand.New(rand.NewPCG(seed, 7))
				d := driveBy(t, detect.Rules{})
				d.every = time.Duration(rng.IntN(4)) * time.Duration(rng.IntN(20)) * time.Second
				all := append(healthy(rng, rng.IntN(60)), steps(rng)...)
				for _, s := range append(all, healthy(rng, 20)...) {
					d.step(s)
				}
				for _, f := range d.fired {
					if f.Level == detect.LevelTrip {
						t.Fatalf("seed %d, step %d: %v, %v of %v: %+v", seed, f.n, f.Rule, f.Count, f.Threshold, f.Evidence)
					}
				}
			}
		})
	}
}

// What gets nowhere is found: the agent is told at least, and stopped where that is said.
func TestLoopsAreFound(t *testing.T) {
	for name, c := range map[string]struct {
		steps func(rng *rand.Rand) []detect.Step
		trips bool
	}{
		"the same call": {func(rng *rand.Rand) []detect.Step {
			return times(rng, 8, 12, func(int) detect.Step { return detect.Step{Tool: "read", Args: "a", Output: "text"} })
		}, true},
		"noise in the outcome": {func(rng *rand.Rand) []detect.Step {
			return times(rng, 14, 18, func(int) detect.Step {
				return detect.Step{Tool: "run", Args: "a", Output: fmt.Sprintf("process %d has ended", 1000+rng.IntN(60000))}
			})
		}, true},
		"white space in the arguments": {func(rng *rand.Rand) []detect.Step {
			return times(rng, 8, 12, func(i int) detect.Step {
				return detect.Step{Tool: "search", Args: fmt.Sprintf(`{"q":"the answer%s"}`, strings.Repeat(pick(rng, " ", "."), rng.IntN(3))), Output: "a page"}
			})
		}, true},
		"a count of the attempts": {func(rng *rand.Rand) []detect.Step {
			return times(rng, 8, 12, func(i int) detect.Step {
				return detect.Step{Tool: "deploy", Args: fmt.Sprintf(`{"to":"x","attempt":%d}`, i), Output: "denied by the server"}
			})
		}, true},
		"new queries, no results": {func(rng *rand.Rand) []detect.Step {
			return times(rng, 45, 60, func(i int) detect.Step {
				return detect.Step{Tool: "search", Args: word(rng.IntN(1 << 30)), Output: pick(rng, "No results.", "nothing found", "[]", "0")}
			})
		}, true},
		"a cycle of many calls": {func(rng *rand.Rand) []detect.Step {
			p := 9 + rng.IntN(24)
			return times(rng, 4*p, 4*p, func(i int) detect.Step {
				return detect.Step{Tool: "read", Args: word(i % p), Output: "text of " + word(i%p)}
			})
		}, true},
		"two replies in turn": {func(rng *rand.Rand) []detect.Step {
			return times(rng, 10, 14, func(i int) detect.Step {
				return detect.Step{Output: []string{"I will now go on with the next part of the work", "Please tell me whether this is what you have meant"}[i%2]}
			})
		}, true},
		"compaction again and again": {func(rng *rand.Rand) []detect.Step {
			return times(rng, 30, 40, func(i int) detect.Step {
				if i%2 == 0 {
					return detect.Step{Compaction: true}
				}
				return detect.Step{Tool: "read", Args: word(i), Output: word(i)}
			})
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(100) {
				rng := rand.New(rand.NewPCG(seed, 9))
				d := driveBy(t, detect.Rules{})
				for _, s := range append(healthy(rng, rng.IntN(40)), c.steps(rng)...) {
					d.step(s)
				}
				worst := detect.Level(0)
				for _, f := range d.fired {
					worst = max(worst, f.Level)
				}
				if worst < detect.LevelNudge || c.trips && worst < detect.LevelTrip {
					t.Fatalf("seed %d: %v", seed, worst)
				}
			}
		})
	}
}

// An agent whose iterations have no step is told, and stopped in the end; one whose
// steps are never told is left alone.
func TestIterationsWithoutSteps(t *testing.T) {
	d := driveBy(t, detect.Rules{})
	d.fresh()
	for range 60 {
		d.iteration(detect.Iteration{})
	}
	d.want(detect.RuleNoSteps, "7 nudge", "52 trip")
	d = driveBy(t, detect.Rules{})
	for range 60 {
		d.iteration(detect.Iteration{})
	}
	d.quiet()
}

// A time is no progress, whatever it is written like.
func TestTimesAreNoProgress(t *testing.T) {
	for _, form := range []string{"2026-01-02T03:04:%02dZ", "last run: 2026-01-02 03:04:%02d", "17000000%02d", "run at 17000000%02d123"} {
		d := driveBy(t, detect.Rules{})
		for i := range 20 {
			if d.run.Progress(fmt.Sprintf(form, i), time.Time{}) {
				t.Fatalf("%q is progress", form)
			}
		}
	}
	d := driveBy(t, detect.Rules{})
	d.run.Progress("4f2a9c1d", time.Time{})
	if !d.run.Progress("5f2a9c1d", time.Time{}) || !d.run.Progress("12 tests pass", time.Time{}) {
		t.Error("new work is no progress")
	}
}

// Hand-offs of agents that are well are never stopped.
func TestHealthyHandoffsAreNeverStopped(t *testing.T) {
	for name, hand := range map[string]func(g *team, rng *rand.Rand){
		"a group chat": func(g *team, rng *rand.Rand) {
			for range 40 {
				g.hand(word(rng.IntN(4)), word(4+rng.IntN(4)), report(rng.IntN(1<<24)))
			}
		},
		"a pipeline": func(g *team, rng *rand.Rand) {
			for i := range 20 {
				g.graph.Acted(word(i), rng.Uint64())
				g.hand(word(i), word(i+1), report(rng.IntN(1<<24)))
			}
		},
		"an orchestrator": func(g *team, rng *rand.Rand) {
			for i := range 40 {
				g.hand("boss", word(i%5), report(rng.IntN(1<<24)))
				g.hand(word(i%5), "boss", report(rng.IntN(1<<24)))
			}
		},
		"a list that shrinks": func(g *team, rng *rand.Rand) {
			var left []string
			for range 12 {
				left = append(left, word(rng.IntN(1<<30)))
			}
			for i := range left {
				g.graph.Acted("worker", rng.Uint64())
				g.hand("boss", "worker", "please check these modules next: "+strings.Join(left[i:], ", "))
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(200) {
				g := gather(t, detect.Rules{})
				hand(g, rand.New(rand.NewPCG(seed, 3)))
				for _, f := range g.fired {
					if f.Level == detect.LevelTrip {
						t.Fatalf("seed %d, hand-off %d: %v, %v of %v", seed, f.n, f.Rule, f.Count, f.Threshold)
					}
				}
			}
		})
	}
}
