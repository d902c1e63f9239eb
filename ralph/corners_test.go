package ralph_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/ralph"
	"github.com/blackbox4/switchgear/ralph/detect"
)

// TestNudgeOfHandoffs: agents that were told of it have a chance, and then less time.
func TestNudgeOfHandoffs(t *testing.T) {
	for _, told := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			cfg := plain()
			cfg.Rules = only(func(r *detect.Rules) { r.HandoffStall = detect.Limits{Nudge: 2, Trip: 5} })
			s, d := supervise(t, cfg)
			defer closeNow(t, s)
			a := monitor(t, s, "a", ralph.Options{})
			monitor(t, s, "b", ralph.Options{})
			n := 0
			for ; n < 20; n++ {
				if _, err := s.Handoff("a", "b", "please look after the garden while I am away"); err != nil {
					break
				}
				if got := d.of(ralph.EventNudged); told && len(got) == 1 && n == 2 {
					text, ok := a.Nudge()
					if !ok || text != got[0].Cause.Message {
						t.Errorf("%q, want %q", text, got[0].Cause.Message)
					}
					if _, again := a.Nudge(); again {
						t.Error("told twice")
					}
				}
			}
			count, after := 5.0, 5
			if told {
				count = 3
			}
			st := status(t, s, "a")
			if st.State == ralph.Running || st.Cause.Rule != "handoff_stall" || st.Cause.Count != count || st.Cause.Threshold != count || n != after {
				t.Errorf("told %t: after %d, %v for %+v", told, n, st.State, st.Cause)
			}
		})
	}
}

// TestWarnOfHops: at 80 % of the hand-offs, once, unless warnings are off.
func TestWarnOfHops(t *testing.T) {
	for _, warn := range []float64{0, -1} {
		synctest.Test(t, func(t *testing.T) {
			cfg := plain()
			cfg.Rules.Warn, cfg.HandoffThreshold = warn, 10
			s, d := supervise(t, cfg)
			defer closeNow(t, s)
			for _, id := range []string{"a", "b"} {
				monitor(t, s, id, ralph.Options{})
			}
			for i := range 9 {
				f, err := s.Handoff("a", "b", word(i)+" "+word(i*13)+" "+word(i*17))
				if err != nil || (f.Rule == detect.RuleHops) != (i == 7 && warn == 0) {
					t.Errorf("%d: %+v, %v", i, f, err)
				}
			}
			if n := len(d.all()); n != map[float64]int{0: 1, -1: 0}[warn] {
				t.Errorf("%v", d.all())
			}
		})
	}
}

// TestBeginLiftsOneBelow: a new task of an agent that was paused for a budget plans its
// resume, also if it is not the root of its tree.
func TestBeginLiftsOneBelow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := supervise(t, plain())
		defer closeNow(t, s)
		monitor(t, s, "boss", ralph.Options{})
		a := monitor(t, s, "a", ralph.Options{Parent: "boss"})
		if err := s.Pause("a", detect.ReasonExhausted, "eve", ""); err != nil {
			t.Fatal(err)
		}
		if st := status(t, s, "a"); !st.ResumeAt.IsZero() {
			t.Fatalf("%+v", st)
		}
		a.NewTask("another task")
		time.Sleep(30*time.Second + 1)
		synctest.Wait()
		wantState(t, s, "a", ralph.Recovering)
	})
}

// TestWallTimeOfATreeStopsAnAgentThatHasNotBegun: with those that are at work, and not
// only when it asks.
func TestWallTimeOfATreeStopsAnAgentThatHasNotBegun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := supervise(t, plain())
		defer closeNow(t, s)
		observe(t, monitor(t, s, "boss", ralph.Options{Tree: detect.Budgets{Wall: time.Hour}}), fresh(1))
		a := monitor(t, s, "a", ralph.Options{Parent: "boss"})
		time.Sleep(time.Hour + time.Second)
		synctest.Wait()
		wantState(t, s, "boss", ralph.Escalated)
		wantState(t, s, "a", ralph.Escalated)
		if err := a.AllowModelCall(t.Context()); !errors.Is(err, ralph.ErrFailsafeTriggered) {
			t.Error(err)
		}
		wantState(t, s, "a", ralph.Escalated)
	})
}

// TestSetAsideInShadow: nothing is refused, also where what is left is set aside.
func TestSetAsideInShadow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := plain()
		cfg.Shadow = true
		s, _ := supervise(t, cfg)
		defer closeNow(t, s)
		a := monitor(t, s, "a", ralph.Options{Tree: detect.Budgets{Iterations: 1}})
		p, err := a.AllowIteration(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		q, err := a.AllowIteration(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		p.Settle(t.Context(), core.Ignored)
		q.Settle(t.Context(), core.Ignored)
		wantState(t, s, "a", ralph.Running)
	})
}

// TestDetectLooksAtTheTime: where the timer does not go by the clock, it finds what is due.
func TestDetectLooksAtTheTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ahead time.Duration
		cfg := plain()
		cfg.Now = func() time.Time { return time.Now().Add(ahead) }
		s, _ := supervise(t, cfg)
		defer closeNow(t, s)
		observe(t, monitor(t, s, "own", ralph.Options{Budget: detect.Budgets{Wall: 5 * time.Minute}}), fresh(1))
		observe(t, monitor(t, s, "tree", ralph.Options{Tree: detect.Budgets{Wall: time.Hour}}), fresh(1))
		ahead = time.Hour
		for id, seconds := range map[string]float64{"own": 300, "tree": 3600} {
			wantState(t, s, id, ralph.Running)
			all, err := s.Detect(id)
			if err != nil || len(all) != 1 || all[0].Type != "wall" || all[0].Value != seconds {
				t.Errorf("%s: %+v, %v", id, all, err)
			}
			wantState(t, s, id, ralph.Escalated)
		}
	})
}

// TestNoResumeWhileTheBudgetIsUsedUp: a pause that is over goes on, and says that nothing
// will end it by itself.
func TestNoResumeWhileTheBudgetIsUsedUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := supervise(t, plain())
		defer closeNow(t, s)
		stall(t, monitor(t, s, "boss", ralph.Options{Tree: detect.Budgets{Wall: 20 * time.Second}}))
		observe(t, monitor(t, s, "a", ralph.Options{Parent: "boss"}), fresh(1))
		time.Sleep(21 * time.Second)
		synctest.Wait()
		wantState(t, s, "a", ralph.Escalated)
		wantState(t, s, "boss", ralph.Paused)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if st := status(t, s, "boss"); st.State != ralph.Paused || !st.ResumeAt.IsZero() || time.Until(st.EscalateAt) != 89*time.Second {
			t.Errorf("%+v", st)
		}
	})
}

// TestSharesOfATimeAreFound, also where 80 % of it are no round number: a little late at
// most, and without looking all the time.
func TestSharesOfATimeAreFound(t *testing.T) {
	for _, wall := range []time.Duration{7 * time.Second, 13 * time.Second, 3*time.Second + 1, 11*time.Second + 7, 33 * time.Second} {
		for _, o := range []ralph.Options{{Budget: detect.Budgets{Wall: wall}}, {Tree: detect.Budgets{Wall: wall}}} {
			synctest.Test(t, func(t *testing.T) {
				s, d := supervise(t, plain())
				defer closeNow(t, s)
				a := monitor(t, s, "a", o)
				observe(t, a, fresh(1))
				begun := time.Now()
				time.Sleep(wall + 2*time.Second)
				synctest.Wait()
				if got := d.kinds("a"); got != "escalated" {
					t.Errorf("%v: %s", wall, got)
				}
				for _, e := range d.all() {
					due := wall
					if e.Kind == ralph.EventNudged {
						due = wall * 4 / 5
					}
					if late := e.At.Sub(begun) - due; late < 0 || late > time.Second+time.Microsecond {
						t.Errorf("%v: %v is %v late", wall, e.Kind, late)
					}
				}
			})
		}
	}
}

// TestHopsOfATree are what all of it have together.
func TestHopsOfATree(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := supervise(t, plain())
		defer closeNow(t, s)
		monitor(t, s, "boss", ralph.Options{Tree: detect.Budgets{Hops: 3}})
		monitor(t, s, "a", ralph.Options{Parent: "boss"})
		for i, from := range []string{"boss", "a", "boss"} {
			f, err := s.Handoff(from, map[string]string{"boss": "a", "a": "boss"}[from], word(i)+" "+word(i*17)+" "+word(i*31))
			if (err != nil) != (i == 2) || (f.Rule == detect.RuleHops) != (i == 2) {
				t.Errorf("%d: %+v, %v", i, f, err)
			}
		}
		wantState(t, s, "boss", ralph.Escalated)
		wantState(t, s, "a", ralph.Escalated)
	})
}

// TestDeadlinesPass: iterations that were too late are waited for, not the agent's fault.
func TestDeadlinesPass(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, d := supervise(t, plain())
		defer closeNow(t, s)
		a := monitor(t, s, "a", ralph.Options{})
		for range 5 {
			_ = a.Execute(t.Context(), func(context.Context) error { return fmt.Errorf("the tool: %w", context.DeadlineExceeded) })
			a.Breaker().Reset()
		}
		if st := status(t, s, "a"); st.State != ralph.Paused || st.Cause.Rule != "transient" || st.Cause.Reason != detect.ReasonTransient {
			t.Errorf("%+v, %v", st, d.all())
		}
	})
}

// TestAFindingHidesNoError: what is wrong with a step's numbers is told besides.
func TestAFindingHidesNoError(t *testing.T) {
	s, _ := supervise(t, plain())
	a := monitor(t, s, "a", ralph.Options{})
	for i := range 3 {
		f, err := a.Observe(detect.Step{Output: "Let me think about this.", Cost: -1})
		if err == nil || (f.Level != 0) != (i > 0) {
			t.Errorf("%d: %+v, %v", i, f, err)
		}
	}
}

// TestCloseWithoutAContext waits as long as it takes.
func TestCloseWithoutAContext(t *testing.T) {
	s, err := ralph.New(stored(t))
	if err != nil {
		t.Fatal(err)
	}
	var none context.Context
	if err := errors.Join(s.Close(none), s.Close(none)); err != nil {
		t.Error(err)
	}
}
