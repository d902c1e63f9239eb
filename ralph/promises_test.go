package ralph_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/blackbox4/switchgear/core/failsafe"
	"github.com/blackbox4/switchgear/ralph"
	"github.com/blackbox4/switchgear/ralph/detect"
)

// What other state machines for agents have got wrong, one test for each lesson.

// A trip is latched and met at the gates of iterations and of model calls; what
// AllowTool refuses counts, and is not the only gate.
func TestLatchedAtEveryGate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := plain()
		cfg.AutoResumeAfter, cfg.EscalationTimeout = -1, -1
		s, d := supervise(t, cfg)
		defer closeNow(t, s)
		a := monitor(t, s, "a", ralph.Options{})
		p, err := a.AllowIteration(t.Context()) // tripped in the middle of it
		if err != nil {
			t.Fatal(err)
		}
		stall(t, a)
		observe(t, a, fresh(1)) // what is better now changes nothing
		p.Done(t.Context(), nil)
		for range 3 {
			time.Sleep(time.Hour)
			for name, err := range map[string]error{"iteration": iterate(a, nil), "model": a.AllowModelCall(t.Context()), "tool": a.AllowTool(t.Context(), "x", "")} {
				if !refusedByAgent(err) {
					t.Errorf("%s: %v", name, err)
				}
			}
		}
		before := status(t, s, "a")
		for range 5 {
			if err := a.AllowTool(t.Context(), "y", ""); err == nil {
				t.Error("admitted")
			}
		}
		st := status(t, s, "a")
		if st.Totals.Refused != before.Totals.Refused+5 || st.NoProgress != before.NoProgress+5 || st.Progress != before.Progress {
			t.Errorf("refusals were not counted: %+v", st)
		}
		// One that does nothing but try the same is escalated, though it never asks
		// another gate.
		if st.State != ralph.Escalated || len(d.of(ralph.EventEscalated)) != 1 {
			t.Errorf("%v, %v", st.State, d.all())
		}
	})
}

// A nudge that was passed on clears the window but starts a probation; the
// supervisor's own words end no streak.
func TestNudgeClearsTheWindowAndShortensTheWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, d := supervise(t, plain())
		defer closeNow(t, s)
		trips := func(id string, told bool, between func(a *ralph.Agent)) (steps int) {
			a := monitor(t, s, id, ralph.Options{})
			for steps = 1; steps < 30; steps++ {
				if f := observe(t, a, doing("search", "{}")); f.Level == detect.LevelTrip {
					return steps
				}
				between(a)
				if text, ok := a.Nudge(); told && ok && !strings.Contains(text, "search") {
					t.Errorf("told %q", text)
				}
			}
			return steps
		}
		nothing := func(*ralph.Agent) {}
		if n := trips("told", true, nothing); n != 5 {
			t.Errorf("told: %d calls", n)
		}
		// Own words in between are neither progress nor an end.
		if n := trips("own words", true, func(a *ralph.Agent) { observe(t, a, detect.Step{Own: true, Output: "Try something else!"}) }); n != 5 {
			t.Errorf("with own words in between: %d calls", n)
		}
		// What was told of is counted on its own: two more of it within the next
		// calls trip, though so many lie between that the first have left the window.
		for _, told := range []bool{true, false} {
			id := fmt.Sprint("fails, told ", told)
			a := monitor(t, s, id, ralph.Options{})
			fail := func() {
				observe(t, a, detect.Step{Tool: "build", Args: "{}", Err: "cannot find the module"})
			}
			for i := range 3 {
				fail()
				observe(t, a, fresh(50+i))
			}
			if told {
				a.Nudge()
			}
			for i := range 14 {
				observe(t, a, fresh(i))
			}
			fail()
			observe(t, a, fresh(60))
			fail()
			if got := state(t, s, id) != ralph.Running; got != told {
				t.Errorf("%s: %v", id, state(t, s, id))
			}
		}
		// Who complies is left alone.
		a := monitor(t, s, "complies", ralph.Options{})
		for range 3 {
			observe(t, a, doing("search", "{}"))
		}
		if _, ok := a.Nudge(); !ok {
			t.Fatal("no nudge")
		}
		if _, ok := a.Nudge(); ok {
			t.Error("told twice")
		}
		for i := range 18 {
			observe(t, a, fresh(i))
		}
		observe(t, a, doing("search", "{}")) // once more is no crime, but twice would be
		wantState(t, s, "complies", ralph.Running)
		if n := len(d.of(ralph.EventNudged)); n == 0 {
			t.Error("no nudge was an event")
		}
	})
}

// What it is paused for decides how it goes on; a cool-down that grows; streaks
// begin anew and totals are kept.
func TestReasonsDecide(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := plain()
		cfg.EscalationTimeout = -1
		s, _ := supervise(t, cfg)
		defer closeNow(t, s)
		resumes := map[detect.Reason]bool{detect.ReasonStuck: true, detect.ReasonFailing: true, detect.ReasonTransient: true, detect.ReasonExhausted: false, detect.ReasonBlocked: false, 0: false}
		for why := range resumes {
			monitor(t, s, why.String(), ralph.Options{})
			if err := s.Pause(why.String(), why, "eve", ""); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		for why, want := range resumes {
			if why == detect.ReasonExhausted {
				continue // below
			}
			if got := state(t, s, why.String()) == ralph.Recovering; got != want {
				t.Errorf("%v: %v", why, state(t, s, why.String()))
			}
		}
		wantState(t, s, "exhausted", ralph.Paused)

		// The cool-down grows to its cap, and totals are kept.
		cfg.MaxRecoveryAttempts = 10
		s2, _ := supervise(t, cfg)
		defer closeNow(t, s2)
		a := monitor(t, s2, "a", ralph.Options{})
		var waits []time.Duration
		for i := range 10 {
			observe(t, a, detect.Step{Output: "."})
			stall(t, a)
			if got := status(t, s2, "a").Totals.Steps; got < uint64(3*(i+1)) {
				t.Errorf("totals are lost: %d steps", got)
			}
			wait := time.Until(status(t, s2, "a").ResumeAt)
			waits = append(waits, wait)
			time.Sleep(wait)
			synctest.Wait()
			wantState(t, s2, "a", ralph.Recovering)
			observe(t, a, detect.Step{Output: "."}) // kept counters would trip at once
			wantState(t, s2, "a", ralph.Recovering)
		}
		want := []time.Duration{30 * time.Second, time.Minute, 2 * time.Minute, 4 * time.Minute, 8 * time.Minute, 16 * time.Minute, 30 * time.Minute, 30 * time.Minute, 30 * time.Minute, 30 * time.Minute}
		for i := range want {
			if waits[i] != want[i] {
				t.Errorf("waits %v, want %v", waits, want)
				break
			}
		}
		stall(t, a)
		wantState(t, s2, "a", ralph.Escalated)
	})
}

// On probation there is a small budget, and a new fingerprint of progress is needed: see
// TestTrialNeedsProgress, TestTrialEndsWithANewToken and TestTrialBudgets. A revert
// to what was there before the pause is not new.
func TestProbationNeedsANewFingerprint(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := supervise(t, plain())
		defer closeNow(t, s)
		a := monitor(t, s, "a", ralph.Options{})
		for _, fingerprint := range []string{"A", "B", "A", "B"} {
			a.Progress(fingerprint)
		}
		stall(t, a)
		time.Sleep(31 * time.Second)
		synctest.Wait()
		wantState(t, s, "a", ralph.Recovering)
		for i := range 3 {
			if err := iterate(a, nil); err != nil {
				t.Fatal(i, err)
			}
			if a.Progress([]string{"A", "B"}[i%2]) {
				t.Error("a revert is progress")
			}
		}
		if err := iterate(a, nil); !refusedByAgent(err) {
			t.Errorf("a fourth: %v", err)
		}
		wantState(t, s, "a", ralph.Paused)
	})
}

// Agents, pairs and sessions; a new message of a user begins anew, one of the
// agent's own does not.
func TestScopesOfBudgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg, off := plain(), detect.Limits{Nudge: -1, Trip: -1}
		cfg.Rules.Handoffs, cfg.Rules.HandoffStall = off, off // which are about the last pair alone
		s, _ := supervise(t, cfg)
		defer closeNow(t, s)
		// Agent: its own loop is no other agent's, and rotating tools does not hide it.
		a, b := monitor(t, s, "a", ralph.Options{}), monitor(t, s, "b", ralph.Options{})
		n := 0
		for ; a.AllowModelCall(t.Context()) == nil && n < 100; n++ {
			observe(t, a, doing([]string{"grep", "find", "ls"}[n%3], "{}"))
			observe(t, b, fresh(n))
		}
		if n > 12 || state(t, s, "b") != ralph.Running {
			t.Errorf("%d steps; the other is %v", n, state(t, s, "b"))
		}

		// Pair and session: those that are concerned, and not those that are not.
		for _, id := range []string{"x", "y", "z", "other"} {
			monitor(t, s, id, ralph.Options{})
		}
		if _, err := s.Handoff("z", "other", "look into the second matter"); err != nil {
			t.Fatal(err)
		}
		for i := range 60 {
			way := []string{"x", "y", "z"}
			if _, err := s.Handoff(way[i%3], way[(i+1)%3], "somebody has to decide this"); err != nil {
				break
			}
		}
		for id, want := range map[string]bool{"x": true, "y": true, "z": true, "other": false, "b": false} {
			if got := state(t, s, id) != ralph.Running; got != want {
				t.Errorf("%s is %v", id, state(t, s, id))
			}
		}

		// A task of the user's is a new window, the same one again is not.
		for name, c := range map[string]struct {
			task func(i int) string
			want ralph.State
		}{
			"new tasks": {func(i int) string { return "message " + word(i) }, ralph.Running},
			"one task":  {func(int) string { return "message" }, ralph.Escalated},
		} {
			u := monitor(t, s, name, ralph.Options{})
			for i := range 12 {
				u.NewTask(c.task(i / 2))
				observe(t, u, doing("weather", "{}"))
				observe(t, u, detect.Step{Own: true, Output: "go on"})
			}
			wantState(t, s, name, c.want)
		}
	})
}

// In shadow nothing is refused and all is told; Explain says rule, count,
// threshold and the events.
func TestShadowAndExplain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, cfg := new(host), plain()
		cfg.Shadow, cfg.Vitals = true, h
		s, d := supervise(t, cfg)
		defer closeNow(t, s)
		a := monitor(t, s, "a", ralph.Options{Name: "writer"})
		monitor(t, s, "b", ralph.Options{})
		h.set(hot(failsafe.High))
		for i := range 50 {
			errs := errors.Join(iterate(a, errWork), a.AllowModelCall(t.Context()), a.AllowTool(t.Context(), "search", "{}"))
			_, err := s.Handoff("a", "b", "do it for me, please")
			if err := errors.Join(errs, err); err != nil {
				t.Fatalf("pass %d: %v", i, err)
			}
			observe(t, a, doing("search", "{}"))
			if _, ok := a.Nudge(); ok {
				t.Fatal("nudged in shadow")
			}
		}
		told := false
		for _, e := range d.all() {
			told = told || e.Kind == ralph.EventEscalated
			if !e.Shadow {
				t.Errorf("not said to be in shadow: %v", e)
			}
		}
		if !told {
			t.Error("it would have been escalated, and no event told of it")
		}

		s2, _ := supervise(t, plain())
		defer closeNow(t, s2)
		b := monitor(t, s2, "run-7", ralph.Options{Name: "writer"})
		for range 5 {
			observe(t, b, doing("search", "{}"))
		}
		time.Sleep(90 * time.Second)
		text, err := s2.Explain("run-7")
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{`agent "run-7" ("writer") is escalated, since 1m30s`, "stuck, repeat (5 of 5)", "search", "events 1 search, 2 search", "a person has to resume it", "nudged", "5 steps"} {
			if !strings.Contains(text, want) {
				t.Errorf("no %q in\n%s", want, text)
			}
		}
	})
}

// What is stored has a version; a corrupt file is refused; what is stale does not
// come back.
func TestStoreKeepsAgents(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ralph.db")
	cfg := plain()
	cfg.Path = path
	s, err := ralph.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	a := monitor(t, s, "a", ralph.Options{})
	for range 4 { // one more would trip
		observe(t, a, doing("search", "{}"))
	}
	step := fresh(1)
	step.Kind = detect.ErrorKindPermission // and so would one more of these
	observe(t, a, step)
	closeNow(t, s)

	s, err = ralph.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	a = monitor(t, s, "a", ralph.Options{})
	observe(t, a, doing("search", "{}"))
	observe(t, a, step)
	st := status(t, s, "a")
	if st.State != ralph.Running || st.Totals.Steps != 7 {
		t.Errorf("%+v", st)
	}
	if _, ok := a.Nudge(); !ok { // for the one denial of this run
		t.Error("no nudge")
	}
	closeNow(t, s)

	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := range data { // both meta pages, all of it
		data[i] ^= 0x55
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = ralph.New(cfg)
	if e, ok := errors.AsType[*ralph.StoreError](err); !ok || !strings.Contains(e.Error(), path) || !strings.Contains(e.Error(), "move it away") {
		t.Errorf("%v", err)
	}
	if now, err := os.ReadFile(path); err != nil || string(now) != string(data) {
		t.Errorf("the file was changed: %v", err)
	}
}

// Looking for progress has a deadline: a program that hangs does not hang the
// loop, and is no proof of anything.
func TestProgressHasADeadline(t *testing.T) {
	dir := t.TempDir()
	git := func(args ...string) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), "git", append([]string{"-C", dir, "-c", "user.name=t", "-c", "user.email=t@example.org"}, args...)...)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
	}
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, "file"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := exec.LookPath("git"); err != nil {
		t.Fatal("this test needs git:", err)
	}
	s, _ := supervise(t, plain())
	a := monitor(t, s, "a", ralph.Options{})
	fingerprint := func() bool {
		t.Helper()
		text, err := detect.GitFingerprint(t.Context(), dir)
		for errors.Is(err, context.DeadlineExceeded) { // a busy machine
			text, err = detect.GitFingerprint(t.Context(), dir)
		}
		if err != nil {
			t.Fatal(err)
		}
		return a.Progress(text)
	}
	git("init", "-q")
	if fingerprint() {
		t.Error("the start is progress")
	}
	write("one")
	if !fingerprint() {
		t.Error("an untracked file is no progress")
	}
	if fingerprint() {
		t.Error("a dirty tree is progress for ever")
	}
	git("add", ".")
	git("commit", "-qm", "one")
	if !fingerprint() {
		t.Error("a commit is no progress")
	}
	write("two")
	if !fingerprint() {
		t.Error("a change is no progress")
	}
	write("one")
	if fingerprint() {
		t.Error("a revert is progress")
	}
	if _, err := detect.GitFingerprint(t.Context(), t.TempDir()); err == nil { // not "no progress"
		t.Error("what is no repository is no error")
	}
}
