package ralph_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/ralph"
	"github.com/blackbox4/switchgear/ralph/detect"
)

// TestSessionAndTask: the ids that the original's context had are told with everything
// that happens, live through a restart, and come into no metric.
func TestSessionAndTask(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := stored(t)
		var log bytes.Buffer
		cfg.Logger = slog.New(slog.NewTextHandler(&log, nil))
		s, d := supervise(t, cfg)
		a := monitor(t, s, "a", ralph.Options{Name: "writer", Session: "session-123", Task: "task-456"})
		want := func(session, task string) {
			t.Helper()
			if st := status(t, s, "a"); st.Session != session || st.Task != task {
				t.Errorf("%q, %q, want %q, %q", st.Session, st.Task, session, task)
			}
		}
		want("session-123", "task-456")
		for range 10 {
			_ = iterate(a, nil)
		}
		a.NewTask("task-456") // the one that it was made for
		if st := status(t, s, "a"); st.Used.Iterations != 10 {
			t.Errorf("%+v", st.Used)
		}
		stall(t, a)
		for _, e := range d.all() {
			if e.Session != "session-123" || e.Task != "task-456" {
				t.Errorf("%+v", e)
			}
		}
		if !strings.Contains(log.String(), "session=session-123 task=task-456") {
			t.Error(log.String())
		}
		if _, err := s.Monitor("a", ralph.Options{Task: "task-457"}); err != nil { // another task begins
			t.Error(err)
		}
		want("session-123", "task-457")
		if st := status(t, s, "a"); st.Used.Iterations != 0 {
			t.Errorf("%+v", st.Used)
		}
		if err := s.Update("a", ralph.Options{Session: "session-124"}); err != nil {
			t.Error(err)
		}
		want("session-124", "task-457")
		if err := s.Update("a", ralph.Options{Task: "task-458"}); err != nil {
			t.Error(err)
		}
		want("session-124", "task-458")
		a.NewTask("what a person has said:\nfix it " + strings.Repeat("please ", 100))
		if st := status(t, s, "a"); len(st.Task) > 256 || !strings.HasPrefix(st.Task, "what a person has said: fix it please") {
			t.Errorf("%q", st.Task)
		}
		a.NewTask("task-459")
		for _, o := range []ralph.Options{{Session: "a\nb"}, {Task: strings.Repeat("x", 257)}, {Task: "\xff"}} {
			if _, err := s.Monitor("b", o); err == nil {
				t.Errorf("%+v was taken", o)
			} else if _, ok := errors.AsType[*core.ConfigError](err); !ok {
				t.Error(err)
			}
		}
		for name := range s.AgentSteps() {
			if slices.ContainsFunc(name[:], func(s string) bool { return strings.Contains(s, "session") || strings.Contains(s, "task-") }) {
				t.Error(name)
			}
		}
		closeNow(t, s)
		s = reopen(t, cfg)
		defer closeNow(t, s)
		want("session-124", "task-459")
	})
}

// TestAgentsHaveBreakers: those that have worked, by names of their own.
func TestAgentsHaveBreakers(t *testing.T) {
	s, _ := supervise(t, plain())
	for i := range 3 {
		_ = iterate(monitor(t, s, fmt.Sprint("a", i), ralph.Options{}), []error{nil, errWork}[i%2])
	}
	idle := monitor(t, s, "idle", ralph.Options{})
	all := maps.Collect(s.AgentBreakers())
	if got := slices.Sorted(maps.Keys(all)); !slices.Equal(got, []string{"agent/a0", "agent/a1", "agent/a2"}) {
		t.Error(got)
	}
	if st := all["agent/a1"].Snapshot(); st.Name != "a1" || st.Totals.Failures != 1 {
		t.Errorf("%+v", st)
	}
	if b := idle.Breaker(); b == nil || b.Name() != "idle" || b.State() != core.Closed {
		t.Errorf("%v", b)
	}
	if a, err := s.Agent("a1"); err != nil || a.Breaker() != all["agent/a1"] {
		t.Errorf("another one, %v", err)
	}
	for range s.AgentBreakers() {
		break
	}
	for range (*ralph.Supervisor)(nil).AgentBreakers() {
		t.Error("a breaker of nothing")
	}
}

// TestJSONReadsBack: what json.Marshal wrote of a Status, an Event and a Config,
// json.Unmarshal reads back, whatever state the agent is in.
func TestJSONReadsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, d := supervise(t, ralph.Config{})
		defer closeNow(t, s)
		boss := monitor(t, s, "boss", ralph.Options{Name: "boss", Session: "s", Task: "t", Tree: detect.Budgets{Cost: 5, Wall: -1}, Budget: detect.Budgets{Tokens: 7, Wall: time.Hour}})
		observe(t, boss, detect.Step{Tool: "x", Cost: 0.1, Confidence: new(0.75)})
		for _, c := range []float64{0.2, 0.1} {
			observe(t, monitor(t, s, fmt.Sprint("unsure ", c), ralph.Options{Parent: "boss"}), detect.Step{Confidence: &c})
		}
		for range 3 {
			_ = iterate(monitor(t, s, "failing", ralph.Options{}), errWork)
		}
		for range 6 {
			observe(t, monitor(t, s, "repeats", ralph.Options{}), doing("search", "{}"))
		}
		for range 3 {
			_, _ = s.Handoff("boss", "other", "the same for the same")
			monitor(t, s, "other", ralph.Options{})
		}
		stall(t, monitor(t, s, "back", ralph.Options{}))
		s.TryResume("back")
		_ = s.Stop("other", "eve", "done")
		for _, st := range s.Statuses() {
			readsBack(t, st)
		}
		for _, e := range d.all() {
			readsBack(t, e)
		}
		readsBack(t, s.Stats())
		readsBack(t, ralph.Config{HandoffThreshold: 5, AutoResumeEnabled: new(false), CPUThreshold: 80, Rules: detect.Rules{Tools: map[string]detect.Class{"wait": detect.ClassPoll}}})
	})
}

// readsBack compares by values; of times, by the moment.
func readsBack[T any](t *testing.T, v T) {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var again T
	if err := json.Unmarshal(text, &again); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	second, err := json.Marshal(again)
	if err != nil || !bytes.Equal(text, second) {
		t.Errorf("%v\n%s\n%s", err, text, second)
	}
	if was, is := bare(reflect.ValueOf(v)), bare(reflect.ValueOf(again)); was != is {
		t.Errorf("%s\nwas %s\nis  %s", text, was, is)
	}
}

// bare says a value in a line, without what no JSON can keep of a time.
func bare(v reflect.Value) string {
	if at, ok := reflect.TypeAssert[time.Time](v); ok {
		return at.UTC().Round(0).String()
	}
	switch v.Kind() { //nolint:exhaustive // the rest is said as it is
	case reflect.Pointer:
		if !v.IsNil() {
			return "&" + bare(v.Elem())
		}
	case reflect.Struct:
		var all []string
		for i := range v.NumField() {
			if f := v.Type().Field(i); f.IsExported() && f.Tag.Get("json") != "-" {
				all = append(all, f.Name+":"+bare(v.Field(i)))
			}
		}
		return "{" + strings.Join(all, " ") + "}"
	case reflect.Slice:
		var all []string
		for i := range v.Len() {
			all = append(all, bare(v.Index(i)))
		}
		return "[" + strings.Join(all, " ") + "]"
	case reflect.Func:
		return "func"
	}
	return fmt.Sprintf("%#v", v.Interface())
}
