package detect_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/blackbox4/switchgear/ralph/detect"
)

func TestRepeat(t *testing.T) {
	d := drive(t, detect.Rules{})
	for range 7 {
		d.call("bash", `{"cmd":"make"}`, "make: *** no rule")
	}
	d.want(detect.RuleRepeat, "3 nudge", "5 trip")
	d.quiet(detect.RuleRepeat, detect.RuleFruitless)
	d.fresh() // ends it
	for range 3 {
		d.call("bash", `{"cmd":"make"}`, "make: *** no rule")
	}
	d.want(detect.RuleRepeat, "3 nudge", "5 trip", "11 nudge")
}

func TestRepeatNeedsTheSameOutcomeButForIds(t *testing.T) {
	d := drive(t, detect.Rules{})
	for i := range 9 {
		d.call("search", `{"q":"x"}`, "page "+word(i))
	}
	d.quiet()
	d = drive(t, detect.Rules{})
	for i := range 5 {
		d.call("send", `{"to":"ann"}`, fmt.Sprintf(`{"ok":true,"message":"%x","ms":100}`, int64(0xdeadbeef00)+int64(i)))
	}
	d.want(detect.RuleRepeat, "3 nudge", "5 trip")
	d = drive(t, detect.Rules{})
	for i := range 10 { // with noise it takes twice as many
		d.call("send", `{"to":"ann"}`, fmt.Sprintf(`{"ok":true,"ms":%d}`, 100+i%2))
	}
	d.want(detect.RuleRepeat, "3 nudge", "10 trip")
	d = drive(t, detect.Rules{})
	for i := range 5 {
		d.step(detect.Step{Tool: "send", Args: fmt.Sprintf(`{"to":"ann","id":"%08x-0000-4000-8000-00000000000a"}`, int64(0xabc00000)+int64(i)), Err: "no such name"})
	}
	d.want(detect.RuleRepeat, "3 nudge", "5 trip")
}

// With other ids that go well, it is a batch, or an agent that waits: only after a
// quarter of an hour is it too much.
func TestRepeatWithOtherIds(t *testing.T) {
	for name, call := range map[string]func(d *driver, i int){
		"files": func(d *driver, i int) { d.call("bash", fmt.Sprintf(`{"command":"gzip /tmp/part-%03d.csv"}`, i), "") },
		"records": func(d *driver, i int) {
			d.call("delete", fmt.Sprintf(`{"id":"5f0c3e6a-1111-4222-8333-%012d","confirm":"yes"}`, i), "deleted")
		},
		"commits": func(d *driver, i int) {
			d.call("bash", fmt.Sprintf(`{"command":"git cherry-pick 1%06xa"}`, 0xdcafe+i), "")
		},
		"two steps": func(d *driver, i int) {
			d.call("write", fmt.Sprintf(`{"path":"/tmp/page-%d.html","mode":"w"}`, i), "ok")
			d.call("bash", fmt.Sprintf(`{"command":"tidy /tmp/page-%d.html"}`, i), "")
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := drive(t, detect.Rules{Calls: off(), Budgets: detect.Budgets{Wall: -1}})
			d.every = 3 * time.Second
			for i := range 30 {
				call(d, i)
			}
			for _, f := range d.fired {
				if f.Rule != detect.RulePoll || f.Level != detect.LevelNudge {
					t.Errorf("at %d: %v, %v; want at most a nudge for a poll", f.n, f.Rule, f.Level)
				}
			}
			for i := range 500 {
				call(d, 100+i)
			}
			tripped := false
			for _, f := range d.fired {
				tripped = tripped || f.Rule == detect.RulePoll && f.Level == detect.LevelTrip
			}
			if !tripped {
				t.Error("and so on for ever, and nothing is found")
			}
		})
	}
}

// Who tests after each change does the same again, and it goes well each time.
func TestTheSameAfterEachChange(t *testing.T) {
	for name, between := range map[string]int{"test": 1, "add and commit": 2} {
		t.Run(name, func(t *testing.T) {
			d := drive(t, detect.Rules{Calls: off(), Budgets: detect.Budgets{Wall: -1}})
			for range 30 {
				d.call("bash", "go test ./...", "ok 0.01s")
				for range between {
					d.fresh()
				}
			}
			d.quiet()
		})
	}
}

func TestRepeatSeesThroughRepliesAndOwnWords(t *testing.T) {
	d := drive(t, detect.Rules{})
	for i := range 5 {
		d.call("bash", "make", "error")
		d.step(detect.Step{Output: "Let me try it once more, " + word(i)})
		d.step(detect.Step{Own: true, Output: "You repeat yourself."})
	}
	d.want(detect.RuleRepeat, "7 nudge", "13 trip")
}

func TestRefusedCallsCountAsRepeats(t *testing.T) {
	d := drive(t, detect.Rules{Stall: off()})
	for range 3 {
		d.call("bash", "make", "error")
	}
	for range 2 {
		d.step(detect.Step{Tool: "bash", Args: "make", Refused: true, Output: "refused: try something else"})
	}
	d.want(detect.RuleRepeat, "3 nudge", "5 trip")
	if n := d.run.Totals(); n.Refused != 2 || n.Errors != 0 {
		t.Errorf("%d refused, %d errors", n.Refused, n.Errors)
	}
}

func TestRefusedCallsOfAgentThatRotatesTools(t *testing.T) {
	d := drive(t, detect.Rules{})
	for i := range 4 {
		d.step(detect.Step{Tool: word(i), Refused: true})
	}
	d.want(detect.RuleStall, "2 nudge", "4 trip")
}

func TestPollByClass(t *testing.T) {
	d := drive(t, detect.Rules{Tools: map[string]detect.Class{"wait": detect.ClassPoll}})
	d.every = time.Minute
	for range 25 {
		d.call("wait", "job", "running")
	}
	d.want(detect.RulePoll, "10 nudge", "20 trip") // 19 min after the first
	d.quiet(detect.RulePoll, detect.RuleWall)

	d = drive(t, detect.Rules{Tools: map[string]detect.Class{"wait": detect.ClassPoll}})
	d.every = 10 * time.Second
	for range 91 {
		d.call("wait", "job", "running")
	}
	d.want(detect.RulePoll, "10 nudge", "91 trip") // 15 min after the first
}

func TestPollByTime(t *testing.T) {
	d := drive(t, detect.Rules{})
	d.every = 5 * time.Minute // every 5 min, for 15 min
	for range 4 {
		d.call("status", "job", "running")
	}
	d.quiet(detect.RuleWall)
	for range 16 {
		d.call("status", "job", "running")
	}
	d.want(detect.RulePoll, "10 nudge", "20 trip")
	d.want(detect.RuleRepeat)
}

func TestPollInACycle(t *testing.T) {
	d := drive(t, detect.Rules{})
	for range 25 {
		d.now = d.now.Add(time.Minute)
		d.call("sleep", "60", "")
		d.call("status", "job", "running")
	}
	d.want(detect.RuleCycle)
	d.want(detect.RuleWindow)
	d.want(detect.RulePoll, "20 nudge", "40 trip") // 10 and 20 rounds
}

func TestWaitingEndsTheWindow(t *testing.T) {
	d := drive(t, detect.Rules{})
	for range 6 {
		d.call("start", word(d.n), word(d.n))
		d.now = d.now.Add(time.Minute)
		d.call("wait", word(d.n), word(d.n))
		d.call("status", "all", "running")
	}
	d.quiet(detect.RuleWall)
}

func TestPollThatChangesIsWork(t *testing.T) {
	d := drive(t, detect.Rules{Tools: map[string]detect.Class{"wait": detect.ClassPoll}})
	for i := range 60 {
		d.call("wait", "job", "running "+word(i))
	}
	d.quiet()
}

func TestVaried(t *testing.T) {
	d := drive(t, detect.Rules{})
	for i := range 30 {
		d.call("next", "", "line "+word(i))
	}
	d.want(detect.RuleSameCall, "10 nudge")
	d.quiet(detect.RuleSameCall)
}

func TestRepeatableTool(t *testing.T) {
	d := drive(t, detect.Rules{Tools: map[string]detect.Class{"gdb": detect.ClassRepeatable, "scroll": detect.ClassRepeatable}})
	for i := range 30 { // through a loop of three lines, and down a page
		d.call("gdb", "next", []string{"10 for", "11 sum", "12 done"}[i%3])
	}
	for i := range 30 {
		d.call("scroll", "down", fmt.Sprintf("at %d %%", i))
	}
	d.quiet()
	for range 10 {
		d.call("scroll", "down", "at the end")
	}
	d.want(detect.RulePoll, "70 nudge")
}

func TestUnjudgedTool(t *testing.T) {
	d := drive(t, detect.Rules{Tools: map[string]detect.Class{"think": detect.ClassUnjudged}})
	for range 9 {
		d.call("think", "hm", "")
	}
	d.quiet()
	for range 5 { // does not hide what is around it
		d.call("bash", "make", "error")
		d.call("think", "hm", "")
	}
	d.want(detect.RuleRepeat, "14 nudge", "18 trip")
	d.quiet(detect.RuleRepeat)
}

func TestWindow(t *testing.T) {
	d := drive(t, detect.Rules{SameError: off()})
	for range 5 {
		d.step(detect.Step{Tool: "test", Args: "./...", Output: "FAIL", Exit: 1})
		d.fresh()
		d.fresh()
	}
	d.want(detect.RuleWindow, "7 nudge", "13 trip")
	d.quiet(detect.RuleWindow, detect.RuleSameError)
}

func TestWindowEnds(t *testing.T) {
	for gap, found := range map[int]bool{8: true, 9: true, 10: false} { // calls between three: 1+9+1+9 = 20
		d := drive(t, detect.Rules{SameError: off()})
		for range 3 {
			d.step(detect.Step{Tool: "test", Args: "./...", Output: "FAIL", Exit: 1})
			for range gap - 1 {
				d.fresh()
			}
		}
		if got := len(d.fired) > 0; got != found {
			t.Errorf("every %d calls: found %v, want %v", gap, got, found)
		}
	}
}

func TestCycle(t *testing.T) {
	for period := 2; period <= 8; period++ {
		t.Run(fmt.Sprint(period), func(t *testing.T) {
			d := drive(t, detect.Rules{})
			d.fresh()
			for i := range 4 * period {
				d.call("tool"+word(i%period), "x", "same")
			}
			d.want(detect.RuleCycle, fmt.Sprintf("%d nudge", 1+2*period), fmt.Sprintf("%d trip", 1+3*period))
			d.quiet(detect.RuleCycle)
		})
	}
}

func TestCycleNeedsTheSameOutcomes(t *testing.T) {
	d := drive(t, detect.Rules{})
	for i := range 12 {
		d.call("edit", word(i), "ok")
		d.call("test", "./...", "FAIL "+word(i))
	}
	d.quiet()
}

func TestBatchIsNoLoop(t *testing.T) {
	for name, args := range map[string]func(int) string{
		"files":   func(i int) string { return `{"path":"` + word(i) + `"}` },
		"numbers": func(i int) string { return fmt.Sprintf(`{"order":%d}`, 10_000_000+i) },
		"dates":   func(i int) string { return fmt.Sprintf(`{"from":"JFK","date":"2026-05-%02d"}`, 1+i) },
		"uuids":   func(i int) string { return fmt.Sprintf(`{"id":"%08x-0000-4000-8000-00000000000a"}`, i) },
		"lines":   func(i int) string { return fmt.Sprintf("sed -n %dp main.go:%d", i, i) },
	} {
		t.Run(name, func(t *testing.T) {
			d := drive(t, detect.Rules{})
			for i := range 28 {
				d.call("delete", args(i), `{"ok":true}`)
			}
			d.quiet()
		})
	}
}

func TestRepeatedSuccessOfOtherWork(t *testing.T) {
	// What an agent says it has done, again and again, of different things.
	d := drive(t, detect.Rules{})
	for i := range 20 {
		d.call("publish", `{"topic":"task.complete","payload":{"task":"`+word(i)+`"}}`, "published")
	}
	d.quiet()
}

func TestNudgeGivesAChance(t *testing.T) {
	again := func(d *driver) { d.step(detect.Step{Tool: "test", Args: "./...", Output: "FAIL", Exit: 1}) }
	d := drive(t, detect.Rules{SameError: off()})
	for range 3 {
		again(d)
		d.fresh()
	}
	d.want(detect.RuleWindow, "5 nudge")
	d.run.Nudged(detect.RuleWindow)
	again(d) // the first after it
	d.want(detect.RuleWindow, "5 nudge")
	d.fresh()
	again(d) // the second
	d.want(detect.RuleWindow, "5 nudge", "9 trip")

	d = drive(t, detect.Rules{SameError: off()})
	for range 3 {
		again(d)
		d.fresh()
	}
	d.run.Nudged(detect.RuleWindow)
	for range 20 {
		d.fresh()
	}
	again(d)
	d.fresh()
	again(d) // the probation is over
	d.want(detect.RuleWindow, "5 nudge")

	d = drive(t, detect.Rules{SameError: off()})
	for range 3 {
		again(d)
		d.fresh()
	}
	d.run.Nudged(detect.RuleWindow)
	for range 2 { // the probation is not for others
		d.step(detect.Step{Tool: "build", Output: "FAIL", Exit: 1})
		d.fresh()
	}
	d.want(detect.RuleWindow, "5 nudge")
}

func TestNudgeForRepeatHoldsWhenInterleaved(t *testing.T) {
	d := drive(t, detect.Rules{SameError: off()})
	for range 3 {
		d.step(detect.Step{Tool: "test", Output: "FAIL", Exit: 1})
	}
	d.run.Nudged(detect.RuleRepeat)
	for range 2 {
		d.fresh()
		d.step(detect.Step{Tool: "test", Output: "FAIL", Exit: 1})
	}
	d.want(detect.RuleWindow, "7 trip")
}

func TestNudgeForCycle(t *testing.T) {
	d := drive(t, detect.Rules{})
	round := func() {
		d.call("a", "", "x")
		d.call("b", "", "y")
	}
	round()
	round()
	d.want(detect.RuleCycle, "4 nudge")
	d.run.Nudged(detect.RuleCycle)
	d.call("c", "", "z")
	d.call("d", "", "z")
	round() // had nothing before it to compare with
	d.want(detect.RuleCycle, "4 nudge")
	round()
	d.want(detect.RuleCycle, "4 nudge", "10 trip")

	d = drive(t, detect.Rules{})
	round()
	round()
	d.run.Nudged(detect.RuleCycle)
	round()
	d.want(detect.RuleCycle, "4 nudge", "6 trip")

	d = drive(t, detect.Rules{Cycle: detect.Limits{Nudge: 2, Trip: 5}, Window: off()})
	round()
	round()
	d.run.Nudged(detect.RuleCycle)
	round()
	round()
	d.want(detect.RuleCycle, "4 nudge")
	round()
	d.want(detect.RuleCycle, "4 nudge", "10 trip")
}

func TestProgressEndsRepetition(t *testing.T) {
	d := drive(t, detect.Rules{})
	d.run.Progress("start", d.now)
	for i := range 12 {
		d.call("next_item", "", "ok")
		d.run.Progress(fmt.Sprint("items done: ", i), d.now)
	}
	d.quiet()
}

func TestKeyOfTheUser(t *testing.T) {
	rules := detect.Rules{Key: func(tool, args string) (string, bool) {
		url, _, _ := strings.Cut(args, "?")
		return url, tool == "get"
	}}
	d := drive(t, rules)
	for i := range 5 {
		d.call("get", "http://x/page?session="+word(i), "not found")
	}
	d.want(detect.RuleRepeat, "3 nudge", "5 trip")
	for i := range 5 {
		d.call("put", "http://x/page?session="+word(i), "not found")
	}
	d.want(detect.RuleRepeat, "3 nudge", "5 trip")
}

func TestBytesAreLikeText(t *testing.T) {
	d := drive(t, detect.Rules{})
	for i := range 5 {
		s := detect.Step{Tool: "x", Args: "a", Output: "b"}
		if i%2 == 0 {
			s = detect.Step{Tool: "x", ArgsBytes: []byte("a"), OutputBytes: []byte("b")}
		}
		d.step(s)
	}
	d.want(detect.RuleRepeat, "3 nudge", "5 trip")
}
