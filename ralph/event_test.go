package ralph_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/blackbox4/switchgear/ralph"
	"github.com/blackbox4/switchgear/ralph/detect"
)

// TestEventsMisbehave: a hook that panics, leaves its goroutine or is slow loses no
// later event and hurts no agent.
func TestEventsMisbehave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		cfg := plain()
		cfg.OnEvent = func(e ralph.Event) {
			if n++; n == 1 {
				panic("boom")
			} else if n == 2 {
				runtime.Goexit()
			}
		}
		s, d := supervise(t, cfg)
		defer closeNow(t, s)
		for _, id := range []string{"a", "b", "c"} {
			a := monitor(t, s, id, ralph.Options{})
			done := make(chan bool)
			go func() {
				defer close(done)
				stall(t, a)
			}()
			<-done
		}
		var told []string
		for _, e := range d.all() {
			told = append(told, e.Agent+" "+e.Kind.String())
		}
		if got := strings.Join(told, ", "); got != "a nudged, a paused, b nudged, b paused, c nudged, c paused" {
			t.Errorf("told %s", got)
		}
		if st := s.Stats(); st.HookPanics != 1 || st.EventsDropped != 0 {
			t.Errorf("%+v", st)
		}
		wantState(t, s, "c", ralph.Paused)
	})
}

// TestEventsReenter: a hook may call the supervisor; what that causes is told after.
func TestEventsReenter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s *ralph.Supervisor
		cfg := plain()
		cfg.OnEvent = func(e ralph.Event) {
			if e.Kind == ralph.EventEscalated {
				if err := s.Resume(e.Agent, "the hook", "never mind"); err != nil {
					t.Error(err)
				}
				wantState(t, s, e.Agent, ralph.Running)
				if _, err := s.Explain(e.Agent); err != nil {
					t.Error(err)
				}
			}
		}
		d := new(diary)
		hook := cfg.OnEvent
		cfg.OnEvent = func(e ralph.Event) { d.note(e); hook(e) }
		s = reopen(t, cfg)
		defer closeNow(t, s)
		a := monitor(t, s, "a", ralph.Options{})
		for range 5 {
			observe(t, a, doing("search", "{}"))
		}
		if got := d.kinds("a"); got != "escalated resumed" {
			t.Errorf("told %q", got)
		}
	})
}

// TestEventsInOrder: one at a time, and each agent's in the order of its numbers.
func TestEventsInOrder(t *testing.T) {
	cfg := ralph.Config{Rules: steady(), Events: 4}
	var busy sync.Mutex
	cfg.OnEvent = func(ralph.Event) {
		if !busy.TryLock() {
			t.Error("two at a time")
			return
		}
		busy.Unlock()
	}
	s, d := supervise(t, cfg)
	var wg sync.WaitGroup
	for g := range 8 {
		a := monitor(t, s, fmt.Sprint("a", g), ralph.Options{})
		wg.Go(func() {
			for i := range 200 {
				for range 5 {
					_, _ = a.Observe(doing("search", fmt.Sprint(i)))
				}
				if err := s.Resume(a.ID(), "eve", ""); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	closeNow(t, s) // a goroutine may be telling the rest
	last := make(map[string]uint64)
	for _, e := range d.all() {
		if e.Seq <= last[e.Agent] {
			t.Fatalf("%v after %d", e, last[e.Agent])
		}
		last[e.Agent] = e.Seq
	}
	for id, seq := range last {
		st := status(t, s, id)
		if len(st.Events) != 4 || st.Events[3].Seq < seq || st.Events[0].Seq+3 != st.Events[3].Seq {
			t.Errorf("%s keeps %v", id, st.Events)
		}
	}
	if st := s.Stats(); uint64(len(d.all()))+st.EventsDropped < 8*200*2 {
		t.Errorf("%d events told, %d dropped", len(d.all()), st.EventsDropped)
	}
}

// TestASlowHook: who waits for it is one caller; the timer goes on for others.
func TestASlowHook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := plain()
		release := make(chan bool)
		cfg.OnEvent = func(e ralph.Event) {
			if e.Kind == ralph.EventResumed && e.Agent == "a" {
				<-release // hours later
			}
		}
		s, d := supervise(t, cfg)
		defer closeNow(t, s)
		stall(t, monitor(t, s, "a", ralph.Options{}))
		time.Sleep(time.Second)
		b := monitor(t, s, "b", ralph.Options{})
		stall(t, b)
		time.Sleep(time.Minute)
		synctest.Wait()
		wantState(t, s, "b", ralph.Recovering)
		if err := iterate(b, nil); err != nil {
			t.Error(err)
		}
		close(release)
		synctest.Wait()
		if got := d.kinds("b"); got != "paused resumed recovered" {
			t.Error(got)
		}
	})
}

func TestLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		cfg := plain()
		cfg.Logger = slog.New(slog.NewJSONHandler(&out, nil))
		s, _ := supervise(t, cfg)
		defer closeNow(t, s)
		a := monitor(t, s, "run-1", ralph.Options{Name: "writer"})
		secret := detect.Step{Tool: "login", Args: `{"password":"hunter2"}`, Output: "token=hunter2", Err: "hunter2 was wrong"}
		for range 5 {
			observe(t, a, secret)
		}
		if err := s.Resume("run-1", "eve", "it is fine"); err != nil {
			t.Fatal(err)
		}
		text := out.String()
		for _, want := range []string{`"msg":"ralph: agent nudged"`, `"level":"WARN","msg":"ralph: agent escalated"`, `"agent":"run-1","name":"writer"`, `"rule":"`, `"reason":"failing"`, `"count":5,"threshold":5`, `"by":"eve","note":"it is fine"`} {
			if !strings.Contains(text, want) {
				t.Errorf("no %s in\n%s", want, text)
			}
		}
		state, err := json.Marshal(status(t, s, "run-1"))
		if err != nil {
			t.Fatal(err)
		}
		if explain, _ := s.Explain("run-1"); strings.Contains(text+explain+string(state), "hunter2") {
			t.Error("a secret was told")
		}
	})
}

func TestToolResult(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := supervise(t, plain())
		defer closeNow(t, s)
		for why, want := range map[detect.Reason]string{
			detect.ReasonStuck: "differently", detect.ReasonFailing: "differently", detect.ReasonExhausted: "budget", detect.ReasonBlocked: "person", detect.ReasonTransient: "not available",
		} {
			a := monitor(t, s, why.String(), ralph.Options{})
			if err := s.Pause(why.String(), why, "eve", "secret reasons of eve"); err != nil {
				t.Fatal(err)
			}
			refusal, ok := errors.AsType[*ralph.PausedError](a.AllowTool(t.Context(), "search", "{}"))
			if !ok {
				t.Fatal("admitted")
			}
			text := refusal.ToolResult()
			if !strings.HasPrefix(text, "This call was not made. ") || !strings.Contains(text, want) || strings.Contains(text, "eve") || strings.Contains(text, "ralph") {
				t.Errorf("%v: %s", why, text)
			}
		}
		a := monitor(t, s, "a", ralph.Options{})
		for range 5 {
			observe(t, a, doing("search", "{}"))
		}
		refusal, _ := errors.AsType[*ralph.PausedError](a.AllowTool(t.Context(), "search", "{}"))
		if text := refusal.ToolResult(); !strings.Contains(text, "5 times in a row") || !strings.Contains(text, "person") {
			t.Error(text)
		}
	})
}

func TestMetrics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := supervise(t, plain())
		defer closeNow(t, s)
		sure, unsure := 0.9, 0.6
		for i, c := range []*float64{&sure, &unsure, nil} {
			a := monitor(t, s, fmt.Sprint("w", i), ralph.Options{Name: "writer"})
			step := fresh(i)
			step.Confidence = c
			observe(t, a, step)
			observe(t, a, []detect.Step{{Tool: "x", Err: "no"}, {Tool: "x", Failed: true}, {Tool: "x", Exit: 1}}[i])
		}
		b := monitor(t, s, "b", ralph.Options{Name: "boss"})
		for range 5 {
			observe(t, b, doing("search", "{}"))
		}
		if _, err := s.Handoff("w0", "w1", "have a look"); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Handoff("w0", "b", "have a look"); err == nil {
			t.Fatal("handed to one that is escalated")
		}
		got := fmt.Sprint(s.AgentStates(), s.AgentSteps(), s.AgentEscalations()[[2]string{"boss", "stuck"}], s.AgentEscalations()[[2]string{"writer", "stuck"}], s.AgentHandoffs(), s.AgentConfidence())
		want := fmt.Sprint(
			map[string]int64{"running": 3, "paused": 0, "recovering": 0, "escalated": 1, "stopped": 0},
			map[[2]string]uint64{{"writer", "progress"}: 3, {"writer", "error"}: 4, {"writer", "no_progress"}: 0, {"boss", "progress"}: 1, {"boss", "no_progress"}: 4, {"boss", "error"}: 0},
			1, 0, map[[3]string]uint64{{"writer", "writer", "allowed"}: 1, {"writer", "boss", "refused"}: 1}, map[string]float64{"writer": 0.6})
		if got != want {
			t.Errorf("got\n%s, want\n%s", got, want)
		}

		for i := range 500 { // names are bounded
			a := monitor(t, s, fmt.Sprint("many", i), ralph.Options{Name: fmt.Sprint("name", i)})
			observe(t, a, fresh(i))
			if i > 0 {
				_, _ = s.Handoff(fmt.Sprint("many", i-1), fmt.Sprint("many", i), word(i))
			}
		}
		names := make(map[string]bool)
		sum := uint64(0)
		for key, n := range s.AgentSteps() {
			names[key[0]] = true
			sum += n
		}
		if len(names) != 201 || !names["(other)"] || sum < 512 {
			t.Errorf("%d names, %d steps", len(names), sum)
		}
		if n := len(s.AgentHandoffs()); n > 1001 {
			t.Errorf("%d pairs", n)
		}
	})
}
