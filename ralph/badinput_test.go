package ralph_test

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/core/failsafe"
	"github.com/blackbox4/switchgear/ralph"
	"github.com/blackbox4/switchgear/ralph/detect"
)

// TestBadNumbers: an error names the field; the step counts without the number, and
// what it says is believed nowhere.
func TestBadNumbers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := supervise(t, plain())
		defer closeNow(t, s)
		a := monitor(t, s, "a", ralph.Options{Tree: detect.Budgets{Cost: 1, Tokens: 1000}})
		nan, much := math.NaN(), 1.5
		for i, c := range []struct {
			step  detect.Step
			field string
		}{
			{detect.Step{Confidence: &nan}, "Confidence"},
			{detect.Step{Confidence: &much}, "Confidence"},
			{detect.Step{Cost: -1}, "Cost"},
			{detect.Step{Cost: math.NaN()}, "Cost"},
			{detect.Step{Cost: math.Inf(1)}, "Cost"},
			{detect.Step{Tokens: -5}, "Tokens"},
		} {
			c.step.Tool = word(i)
			_, err := a.Observe(c.step)
			if fault, ok := errors.AsType[*core.ConfigError](err); !ok || !strings.Contains(fault.Field, c.field) {
				t.Errorf("%d: %v", i, err)
			}
		}
		st := status(t, s, "a")
		if st.Totals.Steps != 6 || st.Totals.Cost != 0 || st.Totals.Tokens != 0 || st.TreeUsed.Cost != 0 || st.TreeUsed.Tokens != 0 || st.TreeUsed.ToolCalls != 6 || st.Confidence != nil || st.State != ralph.Running {
			t.Errorf("%+v, %+v", st, st.TreeUsed)
		}
	})
}

// TestClockSteps: a clock that is set back or far ahead neither resumes nor holds an
// agent, nor stops the loop detection.
func TestClockSteps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := supervise(t, plain())
		defer closeNow(t, s)
		a := monitor(t, s, "a", ralph.Options{})
		at := time.Now().Round(0)
		for _, by := range []time.Duration{0, -time.Hour, -2 * time.Hour, -1e6 * time.Hour, -1e6 * time.Hour} {
			step := doing("search", "{}")
			step.At = at.Add(by)
			observe(t, a, step)
		}
		wantState(t, s, "a", ralph.Escalated)

		var shift atomic.Int64 // of a clock of the caller's
		cfg := plain()
		cfg.Now = func() time.Time { return time.Now().Round(0).Add(time.Duration(shift.Load())) }
		s2, _ := supervise(t, cfg)
		defer closeNow(t, s2)
		b := monitor(t, s2, "b", ralph.Options{})
		shift.Store(int64(-10 * time.Second))
		stall(t, b)
		time.Sleep(10 * time.Second)
		wantState(t, s2, "b", ralph.Paused)
		time.Sleep(35 * time.Second)
		synctest.Wait()
		wantState(t, s2, "b", ralph.Recovering)
		shift.Store(int64(1000 * time.Hour))
		if err := iterate(b, nil); err != nil {
			t.Error(err)
		}
		wantState(t, s2, "b", ralph.Running)
	})
}

// TestHugeTextsAreNotKept. That they are not read either, TestHugeTextsAreNotRead shows.
func TestHugeTextsAreNotKept(t *testing.T) {
	s, _ := supervise(t, plain())
	a := monitor(t, s, "a", ralph.Options{})
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	func() {
		text := strings.Repeat("x", 50_000_000)
		_, _ = a.Observe(detect.Step{Tool: "x", Output: text, Err: text})
	}()
	runtime.GC()
	runtime.ReadMemStats(&after)
	if int64(after.HeapAlloc)-int64(before.HeapAlloc) > 1_000_000 {
		t.Errorf("%d bytes are kept", after.HeapAlloc-before.HeapAlloc)
	}
}

// TestStrangeTexts: what is not UTF-8, or has no end of brackets, is text.
func TestStrangeTexts(t *testing.T) {
	s, _ := supervise(t, plain())
	a := monitor(t, s, "a", ralph.Options{})
	monitor(t, s, "b", ralph.Options{})
	strange := []string{"", "\xff\xfe", "\x00", strings.Repeat("{\"a\":", 5000), strings.Repeat("[", 100_000), `{"a":1}{"b":2}`, "\u202e", strings.Repeat("\xf0\x9f", 999)}
	for i, text := range strange {
		if _, err := a.Observe(detect.Step{Tool: text, Args: text, Output: text, Err: text}); err != nil {
			t.Errorf("%d: %v", i, err)
		}
		a.Progress(text)
		a.NewTask(text)
		if _, err := s.Handoff("a", "b", text); err != nil && !refusedByAgent(err) {
			t.Errorf("%d: %v", i, err)
		}
		_ = a.AllowTool(t.Context(), text, text)
		if err := errors.Join(s.Pause("b", detect.ReasonStuck, text, text), s.Resume("b", text, text), s.Resume("a", text, text)); err != nil {
			t.Errorf("%d: %v", i, err)
		}
		if _, err := s.Monitor(text, ralph.Options{}); (err == nil) != (i == 5 || i == 6) {
			t.Errorf("%d as an id: %v", i, err)
		}
	}
	if text, err := s.Explain("a"); err != nil || len(text) > 100_000 {
		t.Errorf("%d bytes, %v", len(text), err)
	}
	long := strings.Repeat("very ", 100_000)
	if err := s.Pause("b", 0, long, long); err != nil {
		t.Fatal(err)
	}
	if text, _ := s.Explain("b"); len(text) > 20_000 {
		t.Errorf("%d bytes", len(text))
	}
}

// TestHandoffToOneself is passing work on like any other, and found like any other.
func TestHandoffToOneself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := supervise(t, plain())
		defer closeNow(t, s)
		monitor(t, s, "a", ralph.Options{})
		n := 0
		for ; n < 50; n++ {
			if _, err := s.Handoff("a", "a", "I will do this myself"); err != nil {
				if !refusedByAgent(err) {
					t.Fatal(err)
				}
				break
			}
		}
		if n < 2 || n > 8 || state(t, s, "a") == ralph.Running {
			t.Errorf("%d hand-offs to itself, %v", n, state(t, s, "a"))
		}
	})
}

// TestEverythingAtOnce has many goroutines do all there is with few agents. What
// must hold all the same: counts of states add up, nothing deadlocks, an agent that
// is refused has a refusal, and what is escalated was told so.
func TestEverythingAtOnce(t *testing.T) {
	h := new(host)
	cfg := ralph.Config{
		Vitals: h, MaxAgents: 40, Idle: 20 * time.Millisecond, Events: 8,
		AutoResumeAfter: time.Millisecond, EscalationTimeout: 20 * time.Millisecond, MaxRecoveryAttempts: 2,
		Budget: detect.Budgets{Tokens: 100_000},
	}
	cfg.Path = stored(t).Path
	var s *ralph.Supervisor
	var escalated atomic.Int64
	cfg.OnEvent = func(e ralph.Event) {
		if e.Kind == ralph.EventEscalated {
			escalated.Add(1)
		}
		if rand.IntN(50) == 0 {
			_, _ = s.Status(e.Agent)
		}
	}
	s = reopen(t, cfg)
	ids := make([]string, 60)
	for i := range ids {
		ids[i] = fmt.Sprint("agent", i)
	}
	rounds := 3000
	if testing.Short() {
		rounds = 500
	}
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(uint64(g), 7))
			for i := range rounds {
				id, other := ids[r.IntN(len(ids))], ids[r.IntN(len(ids))]
				o := ralph.Options{Name: fmt.Sprint("role", r.IntN(3))}
				if r.IntN(3) == 0 && other < id {
					o.Parent = other
				}
				a, err := s.Monitor(id, o)
				if err != nil {
					if a, err = s.Agent(id); err != nil {
						continue
					}
				}
				switch r.IntN(16) {
				case 0, 1, 2:
					_ = iterate(a, []error{nil, nil, errWork, core.ErrOpen}[r.IntN(4)])
				case 3, 4, 5:
					_, _ = a.Observe(detect.Step{Tool: word(r.IntN(3)), Output: "same", Tokens: 10, Failed: r.IntN(9) == 0})
				case 6:
					a.Progress(word(r.IntN(50)))
				case 7, 8:
					_, _ = s.Handoff(id, other, word(r.IntN(4))+" "+word(3))
				case 9:
					_ = a.AllowTool(t.Context(), "x", word(r.IntN(3)))
				case 10:
					_ = s.Resume(id, "eve", "")
				case 11:
					_ = s.Pause(id, detect.Reason(r.IntN(6)), "eve", "")
				case 12:
					a.NewTask(word(r.IntN(100)))
					a.Nudge()
				case 13:
					h.set([][]failsafe.Condition{nil, nil, nil, {hot(failsafe.Medium)}}[r.IntN(4)]...)
				case 14:
					_, _ = s.Explain(id)
					_, _ = s.Detect(id)
					_ = s.Update(id, ralph.Options{Budget: detect.Budgets{Iterations: 1 + r.IntN(1000)}})
				case 15:
					if r.IntN(4) == 0 {
						_ = s.Reset(id)
					}
					_ = s.Statuses()
				}
				if i%100 == 0 {
					time.Sleep(time.Millisecond)
				}
			}
		})
	}
	wg.Wait()
	h.set()
	closeNow(t, s)
	sum := make(map[string]int64)
	for _, st := range s.Statuses() {
		sum[st.State.String()]++
		if st.InFlight != 0 {
			t.Errorf("%s has %d iterations out", st.ID, st.InFlight)
		}
		a, _ := s.Agent(st.ID)
		refused := a.AllowModelCall(t.Context())
		spent := st.TreeUsed != nil && refusedByAgent(refused) // found out only now
		if open := st.State == ralph.Running || st.State == ralph.Recovering; open != (refused == nil) && (!open || !spent) {
			t.Errorf("%s is %v: %v", st.ID, st.State, refused)
		}
	}
	for state, n := range s.AgentStates() {
		if sum[state] != n && n != sum[state] {
			t.Errorf("%d are %s, and counted are %d", sum[state], state, n)
		}
	}
	if escalated.Load() == 0 {
		t.Error("nothing was escalated in all of this")
	}
	before := len(s.Statuses())
	again := reopen(t, cfg) // and all of it is in the file
	if after := len(again.Statuses()); after != before {
		t.Errorf("%d agents, then %d", before, after)
	}
	closeNow(t, again)
}
