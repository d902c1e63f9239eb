package ralph_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/blackbox4/switchgear/core/failsafe"
	"github.com/blackbox4/switchgear/ralph"
	"github.com/blackbox4/switchgear/ralph/detect"
)

// TestTryResume: what the original's auto_resume did: at once and on probation, if it is
// safe, and it says whether.
func TestTryResume(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, cfg := new(host), plain()
		cfg.Vitals = h
		s, d := supervise(t, cfg)
		defer closeNow(t, s)
		try := func(id string, want bool, state ralph.State) {
			t.Helper()
			if got := s.TryResume(id); got != want {
				text, _ := s.Explain(id)
				t.Errorf("TryResume(%s) is %t, want %t: %s", id, got, want, text)
			}
			wantState(t, s, id, state)
		}

		a := monitor(t, s, "a", ralph.Options{})
		try("a", false, ralph.Running)
		stall(t, a)
		try("a", true, ralph.Recovering)
		if st := status(t, s, "a"); st.Attempts != 1 {
			t.Errorf("%+v", st)
		}
		try("a", false, ralph.Recovering)
		if err := iterate(a, nil); err != nil {
			t.Fatal(err)
		}
		if got := d.kinds("a"); got != "paused resumed recovered" {
			t.Error(got)
		}

		monitor(t, s, "by hand", ralph.Options{})
		_ = s.Pause("by hand", 0, "eve", "")
		h.set(hot(failsafe.Medium))
		try("by hand", false, ralph.Paused)
		h.set()
		try("by hand", true, ralph.Recovering)

		stall(t, monitor(t, s, "often", ralph.Options{}))
		for range 3 {
			try("often", true, ralph.Recovering)
			_ = s.Pause("often", detect.ReasonStuck, "eve", "")
		}
		try("often", false, ralph.Paused)

		failing := monitor(t, s, "failing", ralph.Options{})
		for range 3 {
			_ = iterate(failing, errWork)
		}
		try("failing", false, ralph.Paused) // its breaker is open
		failing.Breaker().Reset()
		try("failing", true, ralph.Recovering)

		spent := monitor(t, s, "spent", ralph.Options{Tree: detect.Budgets{Tokens: 10}})
		_ = s.Pause("spent", detect.ReasonStuck, "eve", "")
		observe(t, spent, detect.Step{Tool: "x", Tokens: 11})
		try("spent", false, ralph.Escalated)

		_ = s.Stop("a", "eve", "")
		try("a", false, ralph.Stopped)
		if s.TryResume("unknown") {
			t.Error("resumed an unknown agent")
		}
		time.Sleep(time.Hour)
		try("by hand", false, state(t, s, "by hand"))
	})
	s, _ := supervise(t, plain())
	stall(t, monitor(t, s, "a", ralph.Options{}))
	if err := s.Close(context.Background()); err != nil || s.TryResume("a") {
		t.Errorf("resumed after Close, %v", err)
	}
}
