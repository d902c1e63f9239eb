package ralph

import (
	"context"
	"encoding/json"
	"math"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/blackbox4/switchgear/ralph/detect"
)

// bareSupervisor is closed when the test ends.
func bareSupervisor(t *testing.T) *Supervisor {
	t.Helper()
	s, err := New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close(context.Background()) })
	return s
}

// TestRecordsThatMakeNoSense are told from those that do.
func TestRecordsThatMakeNoSense(t *testing.T) {
	s := bareSupervisor(t)
	cause := &Cause{Rule: "empty"}
	tree, err1 := detect.NewBudget(detect.Budgets{Tokens: 5}, nil)
	if err1 != nil {
		t.Fatal(err1)
	}
	used, _ := tree.AppendBinary(nil)
	run, _ := s.detector.NewRun().AppendBinary(nil)
	own, whole := &limits{Own: detect.Budgets{Tokens: 5}}, &limits{Tree: detect.Budgets{Tokens: 5}}
	for name, c := range map[string]struct {
		r    record
		want string // of the error
	}{
		"nothing":                     {record{}, ""},
		"the last state":              {record{State: numStates - 1}, ""},
		"one state more":              {record{State: numStates}, "its state makes no sense"},
		"since later":                 {record{Since: -1}, "its state makes no sense"},
		"resumed before":              {record{ResumeIn: -1}, "its state makes no sense"},
		"escalated before":            {record{EscalateIn: -1}, "its state makes no sense"},
		"attempts":                    {record{Attempts: -1}, "its state makes no sense"},
		"paused for nothing":          {record{State: Paused}, "it is not running and has no cause"},
		"recovering of nothing":       {record{State: Recovering}, "it is not running and has no cause"},
		"escalated for nothing":       {record{State: Escalated}, "it is not running and has no cause"},
		"paused":                      {record{State: Paused, Cause: cause}, ""},
		"recovering":                  {record{State: Recovering, Cause: cause}, ""},
		"escalated":                   {record{State: Escalated, Cause: cause}, ""},
		"used of no budget":           {record{Tree: used}, "it has used a budget that it does not have"},
		"used of one of its own":      {record{Tree: used, Limits: own}, "it has used a budget that it does not have"},
		"used of a tree's":            {record{Tree: used, Limits: whole}, ""},
		"used of it, and is damaged":  {record{Tree: used[1:], Limits: whole}, "detect: saved budget"},
		"a run":                       {record{Run: run}, ""},
		"a run of budgets of its own": {record{Run: run, Limits: own}, ""},
		"a run that is damaged":       {record{Run: run[1:]}, "detect: saved run"},
	} {
		a := s.newAgent("a", 0)
		a.role = s.roles.get("x")
		err := a.restore(&c.r, nil, time.Now(), 0)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.HasPrefix(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
		if (a.refusal.Load() != nil) != (c.want == "" && (c.r.State == Paused || c.r.State == Escalated || c.r.State == Stopped)) {
			t.Errorf("%s: refused with %v", name, a.refusal.Load())
		}
		if (a.probation != nil) != (c.want == "" && c.r.State == Recovering) {
			t.Errorf("%s: on probation %t", name, a.probation != nil)
		}
		if c.want == "" && (a.run != nil) != (c.r.Run != nil) {
			t.Errorf("%s: it has a run: %t", name, a.run != nil)
		}
	}
}

// TestRecordsAreReadBack: all of it; and times are those of the new clock.
func TestRecordsAreReadBack(t *testing.T) {
	s := bareSupervisor(t)
	tree, _ := detect.NewBudget(detect.Budgets{Tokens: 5}, nil)
	used, _ := tree.AppendBinary(nil)
	run, _ := s.detector.NewRun().AppendBinary(nil)
	sure, at := 0.25, time.Unix(1000, 0)
	whole := record{
		Saved: at, Name: "writer", Parent: "boss", Session: "s", TaskID: "t", State: Paused, Cause: &Cause{Rule: "empty", Count: 3}, Since: 7 * time.Second,
		ResumeIn: 20 * time.Second, EscalateIn: 30 * time.Second, Attempts: 2, Iterates: true, Fingerprints: true, Task: 99, Seq: 5, Handoffs: 6, Hops: 4,
		Steps: [numResults]uint32{1, 2, 3}, Limits: &limits{Own: detect.Budgets{Cost: 1}, Tree: detect.Budgets{Tokens: 5}}, Confidence: &sure, Run: run, Tree: used,
	}
	for i, v := 0, reflect.ValueOf(whole); i < v.NumField(); i++ {
		if v.Field(i).IsZero() {
			t.Errorf("%s is not tried", v.Type().Field(i).Name)
		}
	}
	text, err := json.Marshal(whole)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		away time.Duration
		set  func(r *record)
		want func(r *record)
	}{
		"at once":                  {0, func(*record) {}, func(*record) {}},
		"with the clock set back":  {-time.Hour, func(*record) {}, func(*record) {}},
		"a little set back":        {-1, func(*record) {}, func(*record) {}},
		"after a while":            {5 * time.Second, func(*record) {}, func(r *record) { r.Since, r.ResumeIn, r.EscalateIn = 12*time.Second, 15*time.Second, 25*time.Second }},
		"when it is overdue":       {25 * time.Second, func(*record) {}, func(r *record) { r.Since, r.ResumeIn, r.EscalateIn = 32*time.Second, 0, 5*time.Second }},
		"that waits for a person":  {5 * time.Second, func(r *record) { r.ResumeIn, r.EscalateIn = never, never }, func(r *record) { r.Since, r.ResumeIn, r.EscalateIn = 12*time.Second, never, never }},
		"quite sure":               {0, func(r *record) { *r.Confidence = 1 }, func(r *record) { *r.Confidence = 1 }},
		"not sure at all":          {0, func(r *record) { *r.Confidence = 0 }, func(r *record) { *r.Confidence = 0 }},
		"less than that":           {0, func(r *record) { *r.Confidence = -0.1 }, func(r *record) { r.Confidence = nil }},
		"more than quite":          {0, func(r *record) { *r.Confidence = 1.1 }, func(r *record) { r.Confidence = nil }},
		"that has said nothing":    {0, func(r *record) { r.Confidence = nil }, func(r *record) { r.Confidence = nil }},
		"that no event is told of": {0, func(r *record) { r.Seq = 0 }, func(r *record) { r.Seq = 0 }},
	} {
		var r, want record
		if err := json.Unmarshal(text, &r); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(text, &want); err != nil {
			t.Fatal(err)
		}
		c.set(&r)
		c.want(&want)
		a := s.newAgent("a", 0)
		a.role, a.parent = s.roles.get("writer"), &Agent{id: "boss"}
		const now = time.Hour
		if err := a.restore(&r, nil, at.Add(c.away), now); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if !a.dormant || a.seen.Load() != int64(now) || (a.journal != nil) != (r.Seq > 0) {
			t.Errorf("%s: %+v", name, a)
		}
		got := a.record(at, now)
		want.Run = got.Run // which goes on from another time
		gotText, err1 := json.Marshal(got)
		wantText, err2 := json.Marshal(want)
		if err1 != nil || err2 != nil || string(gotText) != string(wantText) {
			t.Errorf("%s:\n%s\nwant\n%s", name, gotText, wantText)
		}
	}
}

// TestValuesAreSealed: what is not as it was written is told from what is.
func TestValuesAreSealed(t *testing.T) {
	key := []byte("key")
	value, err := seal(key, map[string]int{"a": 1})
	if err != nil {
		t.Fatal(err)
	}
	var into map[string]int
	if err := unseal(key, value, &into); err != nil || into["a"] != 1 {
		t.Errorf("%v, %v", into, err)
	}
	if _, err := seal(key, math.NaN()); err == nil {
		t.Error("what JSON has no words for is written")
	}
	for n := range value {
		if err := unseal(key, value[:n], &into); err == nil || err.Error() != `the record of "key" is damaged` {
			t.Errorf("%d bytes of it: %v", n, err)
		}
		other := append([]byte(nil), value...)
		other[n]++
		if err := unseal(key, other, &into); err == nil {
			t.Errorf("another byte %d was taken", n)
		}
	}
	if err := unseal([]byte("other"), value, &into); err == nil {
		t.Error("it was taken for another's")
	}
	if err := unseal(key, value, new([]string)); err == nil || !strings.HasPrefix(err.Error(), `the record of "key": json`) {
		t.Errorf("%v", err)
	}
}

// TestForgottenAgentsHaveNoPlace in the schedule, and those that were not forgotten are
// not put back.
func TestForgottenAgentsHaveNoPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := New(Config{})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close(context.Background())
		a, err := s.Monitor("a", Options{Budget: detect.Budgets{Idle: 9 * time.Hour}})
		if err != nil {
			t.Fatal(err)
		}
		a.ProgressUnknown()
		if err := s.readmit(a, 0); err != nil {
			t.Errorf("one that was there is not let back: %v", err)
		}
		if a.heapEntry.index == 0 || len(s.schedule.queue) != 1 || a.due != a.heapEntry.due {
			t.Fatalf("it has no place: %+v, due %v", a.heapEntry, a.due)
		}
		time.Sleep(2 * time.Hour)
		if _, err := s.Monitor("b", Options{}); err != nil || !a.evicted.Load() {
			t.Fatalf("it was not forgotten, %v", err)
		}
		if a.heapEntry.index != 0 || len(s.schedule.queue) != 0 || a.due != never {
			t.Errorf("it has a place: %+v, due %v", a.heapEntry, a.due)
		}
	})
}

// TestFewNudgesWait: the first ones, each once.
func TestFewNudgesWait(t *testing.T) {
	s := bareSupervisor(t)
	a, err := s.Monitor("a", Options{})
	if err != nil {
		t.Fatal(err)
	}
	a.mu.Lock()
	for _, text := range []string{"one", "two", "one", "three", "four"} {
		a.judge([]detect.Finding{{Level: detect.LevelNudge, Rule: detect.RuleIdle, Message: text}}, 0)
	}
	a.mu.Unlock()
	if n := a.Status().Nudges; n != 4 {
		t.Errorf("%d wait", n)
	}
	if text, ok := a.Nudge(); !ok || text != "one\ntwo\nthree" {
		t.Errorf("%q", text)
	}
	if text, ok := a.Nudge(); ok || text != "" {
		t.Errorf("%q again", text)
	}
}

// TestClosingWaitsForTheReadings no longer than it may.
func TestClosingWaitsForTheReadings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stopped := false
		v := &vitals{stop: func() { stopped = true }, over: make(chan struct{})}
		done, cancel := context.WithCancel(context.Background())
		cancel()
		if err := v.close(done); err != context.Canceled || !stopped {
			t.Errorf("%v", err)
		}
		close(v.over)
		if err := v.close(context.Background()); err != nil {
			t.Error(err)
		}
		var none *vitals
		if err := none.close(done); err != nil {
			t.Error(err)
		}
		s := &Supervisor{vitals: &vitals{stop: func() {}, over: make(chan struct{})}}
		if err := s.closeAll(done); err != context.Canceled {
			t.Errorf("%v", err)
		}
	})
}
