package ralph_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/ralph"
	"github.com/blackbox4/switchgear/ralph/detect"
)

// TestThresholdsSayWhatIsAllowed: at their borders, and as what they are mistaken for.
func TestThresholdsSayWhatIsAllowed(t *testing.T) {
	yes, no := true, false
	for _, c := range []ralph.Config{
		{AgentFailureThreshold: 1_000_000, Breaker: core.Config{FailureThreshold: -1}},
		{HandoffThreshold: 1<<31 - 1},
		{StuckTaskThreshold: 1_000_000},
		{AgentFailureThreshold: -1, HandoffThreshold: -1, StuckTaskThreshold: -1, LowConfidenceThreshold: -1},
		{LowConfidenceThreshold: 1},
		{CPUThreshold: 1, MemoryThreshold: 100, DiskThreshold: -1},
		{AutoResumeEnabled: &yes},
		{AutoResumeEnabled: &no, AutoResumeAfter: -1},
		{AutoResumeEnabled: &no, AutoResumeAfter: 3 * time.Minute}, // which is off
		{AutoResumeEnabled: &no, MaxResumeAfter: 1},
		{AutoResumeEnabled: &yes, AutoResumeAfter: 1},
		{Breaker: core.Config{FailureThreshold: 3}},
		{Breaker: core.Config{FailureThreshold: -1}},
		{AgentFailureThreshold: -1, Breaker: core.Config{FailureThreshold: 1}},
		{Rules: detect.Rules{Failures: detect.Limits{Nudge: 1, Trip: 2}}, Breaker: core.Config{FailureThreshold: 2}},
		{MaxResumeAfter: 1, AutoResumeAfter: -1},
		{MaxResumeAfter: 0, AutoResumeAfter: -1},
	} {
		if err := c.Validate(); err != nil {
			t.Error(err)
		}
	}
	share := "percent, 1 to 100; 0 for 90, negative for not read"
	sure := "in (0, 1], how sure the agent is; 0 for 0.3, negative for off"
	for want, c := range map[string]ralph.Config{
		"AgentFailureThreshold is 1000001, allowed: 1 to 1000000; 0 for 3, negative for off":            {AgentFailureThreshold: 1_000_001, Breaker: core.Config{FailureThreshold: -1}},
		"HandoffThreshold is 1000001, allowed: 1 to 1000000; 0 for 200, negative for off":               {HandoffThreshold: 1_000_001},
		"StuckTaskThreshold is 1000001, allowed: 1 to 1000000; 0 for 10, negative for off":              {StuckTaskThreshold: 1_000_001},
		"LowConfidenceThreshold is 1.5, allowed: " + sure + "; 1.5 percent is 0.015":                    {LowConfidenceThreshold: 1.5},
		"LowConfidenceThreshold is 100, allowed: " + sure + "; 100 percent is 1":                        {LowConfidenceThreshold: 100},
		"LowConfidenceThreshold is 100.5, allowed: " + sure:                                             {LowConfidenceThreshold: 100.5},
		"CPUThreshold is 0.5, allowed: " + share + "; the share 0.5 is 50 percent":                      {CPUThreshold: 0.5},
		"MemoryThreshold is 100.5, allowed: " + share:                                                   {MemoryThreshold: 100.5},
		"DiskThreshold is 0.9, allowed: " + share + "; the share 0.9 is 90 percent":                     {DiskThreshold: 0.9},
		"AutoResumeAfter is -1ns, allowed: not negative, which is off, while AutoResumeEnabled is true": {AutoResumeEnabled: &yes, AutoResumeAfter: -1},
		"Breaker.FailureThreshold is 2, allowed: at least 3, as many failures as pause the agent: a breaker that opens before refuses it and tells no person; 0 for the same": {
			Breaker: core.Config{FailureThreshold: 2},
		},
		"Rules.Failures.Trip is 5, allowed: none besides AgentFailureThreshold, which sets the same":                    {AgentFailureThreshold: 5, Rules: detect.Rules{Failures: detect.Limits{Trip: 5}}},
		"Rules.Budgets.Hops is 5, allowed: none besides HandoffThreshold, which sets the same":                          {HandoffThreshold: 5, Rules: detect.Rules{Budgets: detect.Budgets{Hops: 5}}},
		"Rules.NoProgress.Trip is 5, allowed: none besides StuckTaskThreshold, which sets the same":                     {StuckTaskThreshold: 5, Rules: detect.Rules{NoProgress: detect.Limits{Trip: 5}}},
		`Vitals is "given", allowed: none besides CPUThreshold, MemoryThreshold and DiskThreshold, which sets the same`: {DiskThreshold: 90, Vitals: new(host)},
	} {
		var texts []string
		if joined, ok := c.Validate().(interface{ Unwrap() []error }); ok {
			for _, one := range joined.Unwrap() {
				texts = append(texts, strings.TrimPrefix(one.Error(), "switchgear: "))
			}
		}
		if len(texts) != 1 || texts[0] != want {
			t.Errorf("%q, want %q", texts, want)
		}
	}
}

// TestTrialByStepsAlone: an agent without tokens of progress and without iterations has
// shown progress by as many new steps as there may be iterations.
func TestTrialByStepsAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, d := supervise(t, plain())
		defer closeNow(t, s)
		a := monitor(t, s, "a", ralph.Options{})
		stall(t, a)
		time.Sleep(30*time.Second + 1)
		synctest.Wait()
		for i := range 3 {
			wantState(t, s, "a", ralph.Recovering)
			observe(t, a, fresh(0)) // the first is new
			observe(t, a, fresh(i+1))
			if i == 1 {
				break
			}
		}
		wantState(t, s, "a", ralph.Running)
		if got := d.kinds("a"); got != "paused resumed recovered" {
			t.Error(got)
		}
	})
}

// TestTheLeastThatATrialMayUse is used up at once.
func TestTheLeastThatATrialMayUse(t *testing.T) {
	for name, probe := range map[string]ralph.Probe{"steps": {Steps: 1}, "tokens": {Tokens: 1}, "cost": {Cost: 0.5}} {
		synctest.Test(t, func(t *testing.T) {
			cfg := plain()
			cfg.Probe = probe
			s, _ := supervise(t, cfg)
			defer closeNow(t, s)
			a := monitor(t, s, "a", ralph.Options{})
			a.Progress("one")
			if err := s.Pause("a", detect.Stuck, "", ""); err != nil || !s.TryResume("a") {
				t.Fatal(err)
			}
			observe(t, a, detect.Step{Tool: "x", Tokens: 1, Cost: 0.5})
			if st := status(t, s, "a"); st.State != ralph.Paused || st.Cause.Count != st.Cause.Threshold || st.Cause.Count == 0 {
				t.Errorf("%s: %+v", name, st)
			}
		})
	}
}

// TestTheCallThatEscalates is refused as one of an agent that is escalated.
func TestTheCallThatEscalates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := supervise(t, plain())
		defer closeNow(t, s)
		a := monitor(t, s, "a", ralph.Options{})
		stall(t, a)
		for range 20 {
			err := a.AllowTool(t.Context(), "search", "{}")
			escalated := state(t, s, "a") == ralph.Escalated
			if refusal, ok := errors.AsType[*ralph.PausedError](err); !ok || refusal == nil || (refusal.State == ralph.Escalated) != escalated {
				t.Fatalf("%+v, escalated %t", err, escalated)
			}
			if escalated {
				return
			}
		}
		t.Error("it was never escalated")
	})
}

// TestRelapseOfOneThatWaitedForAPerson: resumed on trial all the same, it is stuck.
func TestRelapseOfOneThatWaitedForAPerson(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := plain()
		cfg.Probe.Steps = 1
		s, _ := supervise(t, cfg)
		defer closeNow(t, s)
		for _, why := range []detect.Reason{detect.Blocked, detect.Failing} {
			id := why.String()
			a := monitor(t, s, id, ralph.Options{})
			a.Progress("one")
			if err := s.Pause(id, why, "eve", "wait"); err != nil || !s.TryResume(id) {
				t.Fatal(err)
			}
			observe(t, a, fresh(1))
			want := map[detect.Reason]detect.Reason{detect.Blocked: detect.Stuck, detect.Failing: detect.Failing}[why]
			if st := status(t, s, id); st.State != ralph.Paused || st.Cause.Reason != want || st.Cause.After != ralph.RuleManual || st.Cause.Count != 1 || st.Cause.Threshold != 1 || st.ResumeAt.IsZero() {
				t.Errorf("%v: %+v", why, st)
			}
		}
	})
}

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
		if err := s.Pause("a", detect.Exhausted, "eve", ""); err != nil {
			t.Fatal(err)
		}
		if st := status(t, s, "a"); !st.ResumeAt.IsZero() {
			t.Fatalf("%+v", st)
		}
		a.Begin("another task")
		time.Sleep(30*time.Second + 1)
		synctest.Wait()
		wantState(t, s, "a", ralph.Recovering)
	})
}

// TestTimeOfATreeForOneThatHasNotBegun: it is stopped when it asks, not before.
func TestTimeOfATreeForOneThatHasNotBegun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := supervise(t, plain())
		defer closeNow(t, s)
		observe(t, monitor(t, s, "boss", ralph.Options{Tree: detect.Budgets{Wall: time.Hour}}), fresh(1))
		a := monitor(t, s, "a", ralph.Options{Parent: "boss"})
		time.Sleep(time.Hour + time.Second)
		synctest.Wait()
		wantState(t, s, "boss", ralph.Escalated)
		wantState(t, s, "a", ralph.Running)
		if err := a.AllowModelCall(t.Context()); !errors.Is(err, ralph.ErrFailsafeTriggered) {
			t.Error(err)
		}
		wantState(t, s, "a", ralph.Escalated)
	})
}

// TestRestoredAgentsRestUntilUsed: time counts for none that was in the file, until it
// does something.
func TestRestoredAgentsRestUntilUsed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := stored(t)
		s := reopen(t, cfg)
		observe(t, monitor(t, s, "a", ralph.Options{Budget: detect.Budgets{Wall: time.Hour}}), fresh(1))
		closeNow(t, s)
		cfg.MaxAgents = 1 // as many as there are
		s, d := supervise(t, cfg)
		defer closeNow(t, s)
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		if len(d.all()) != 0 {
			t.Errorf("%v", d.all())
		}
		wantState(t, s, "a", ralph.Running)
	})
}

// meddler is a gate that does something when it is asked.
type meddler struct {
	mu sync.Mutex
	do func() error
}

func (m *meddler) Allow(context.Context) (core.Permit, error) {
	m.mu.Lock()
	do := m.do
	m.mu.Unlock()
	if do == nil {
		return core.Permit{}, nil
	}
	return core.Permit{}, do()
}

// TestChangedWhileTheHostIsAsked: what becomes of an agent meanwhile stands.
func TestChangedWhileTheHostIsAsked(t *testing.T) {
	for name, c := range map[string]struct {
		do    func(s *ralph.Supervisor) error
		state ralph.State
		after time.Duration // until it is resumed; 0 for never
	}{
		"stopped": {func(s *ralph.Supervisor) error { return s.Stop("a", "eve", "") }, ralph.Stopped, 0},
		"resumed": {func(s *ralph.Supervisor) error { return s.Resume("a", "eve", "") }, ralph.Running, 0},
		"paused again": {func(s *ralph.Supervisor) error {
			return errors.Join(s.Resume("a", "eve", ""), s.Pause("a", detect.Stuck, "eve", ""))
		}, ralph.Paused, 30 * time.Second},
	} {
		for _, byHand := range []bool{true, false} {
			t.Run(fmt.Sprint(name, ", by hand ", byHand), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					m, cfg := new(meddler), plain()
					cfg.Vitals = m
					s, _ := supervise(t, cfg)
					defer closeNow(t, s)
					stall(t, monitor(t, s, "a", ralph.Options{}))
					var once sync.Once
					m.mu.Lock()
					m.do = func() (err error) {
						once.Do(func() { err = c.do(s) })
						return err
					}
					m.mu.Unlock()
					if byHand {
						if s.TryResume("a") {
							t.Error("it says that it has resumed it")
						}
					} else {
						time.Sleep(30*time.Second + 1)
						synctest.Wait()
					}
					st := status(t, s, "a")
					if st.State != c.state || st.Attempts != 0 || (c.after == 0) != st.ResumeAt.IsZero() || c.after != 0 && st.ResumeAt.Sub(st.Since) != c.after {
						t.Errorf("%+v", st)
					}
				})
			})
		}
	}
}

// TestCancelledWhileTheHostIsAsked: the caller's end is nobody's illness.
func TestCancelledWhileTheHostIsAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, cfg := new(meddler), plain()
		cfg.Vitals = m
		s, _ := supervise(t, cfg)
		defer closeNow(t, s)
		a := monitor(t, s, "a", ralph.Options{})
		for _, ask := range []func(ctx context.Context) error{
			func(ctx context.Context) error { return a.AllowModelCall(ctx) },
			func(ctx context.Context) error { _, err := a.AllowIteration(ctx); return err },
		} {
			ctx, cancel := context.WithCancel(t.Context())
			m.mu.Lock()
			m.do = func() error { cancel(); return errWork }
			m.mu.Unlock()
			if err := ask(ctx); !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		}
		wantState(t, s, "a", ralph.Running)
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

// TestFaultsOfUpdate are told, and nothing is changed.
func TestFaultsOfUpdate(t *testing.T) {
	s, d := supervise(t, plain())
	monitor(t, s, "a", ralph.Options{Name: "n", Session: "s", Task: "t"})
	before := status(t, s, "a")
	for field, o := range map[string]ralph.Options{
		"Name": {Name: "\n"}, "Session": {Session: "\n"}, "Task": {Task: "\n"}, "Parent": {Parent: "a"},
		"Budget.Cost": {Name: "other", Budget: detect.Budgets{Cost: 2e9}}, "Tree.Cost": {Name: "other", Tree: detect.Budgets{Cost: 2e9}},
	} {
		err := s.Update("a", o)
		if fault, ok := errors.AsType[*core.ConfigError](err); !ok || fault.Field != field {
			t.Errorf("%s: %v", field, err)
		}
	}
	if got := status(t, s, "a"); got.Name != before.Name || got.Session != before.Session || got.Task != before.Task || len(d.all()) != 0 {
		t.Errorf("%+v", got)
	}
	if err := s.Pause("a", detect.Transient+1, "", ""); err == nil || state(t, s, "a") != ralph.Running {
		t.Errorf("a reason that there is not: %v", err)
	}
}

// TestUpdateIsActivity: one that is changed is not idle.
func TestUpdateIsActivity(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := supervise(t, plain())
		defer closeNow(t, s)
		monitor(t, s, "a", ralph.Options{})
		for name, o := range map[string]ralph.Options{"name": {Name: "n"}, "budget": {Budget: detect.Budgets{Tokens: 5}}, "tree": {Tree: detect.Budgets{Tokens: 5}}, "nothing": {}} {
			time.Sleep(time.Minute)
			if err := s.Update("a", o); err != nil || !status(t, s, "a").LastSeen.Equal(time.Now()) {
				t.Errorf("%s: %v, last seen %v", name, err, status(t, s, "a").LastSeen)
			}
			time.Sleep(time.Minute)
			if _, err := s.Monitor("a", o); err != nil || !status(t, s, "a").LastSeen.Equal(time.Now()) {
				t.Errorf("%s: %v, last seen %v", name, err, status(t, s, "a").LastSeen)
			}
		}
	})
}

// TestSweepsAreApart: idle agents are looked for ten times in Idle, and no more often.
func TestSweepsAreApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := plain()
		cfg.MaxAgents, cfg.Idle = 1, time.Hour
		s, _ := supervise(t, cfg)
		defer closeNow(t, s)
		monitor(t, s, "a", ralph.Options{})
		for _, c := range []struct {
			after time.Duration
			room  bool
		}{{59 * time.Minute, false}, {6*time.Minute - 1, false}, {1, true}} {
			time.Sleep(c.after)
			if _, err := s.Monitor("b", ralph.Options{}); (err == nil) != c.room {
				t.Errorf("after %v: %v", c.after, err)
			}
		}
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
		observe(t, monitor(t, s, "own", ralph.Options{Budget: detect.Budgets{Wall: time.Hour}}), fresh(1))
		observe(t, monitor(t, s, "tree", ralph.Options{Tree: detect.Budgets{Wall: time.Hour}}), fresh(1))
		ahead = time.Hour
		for _, id := range []string{"own", "tree"} {
			wantState(t, s, id, ralph.Running)
			all, err := s.Detect(id)
			if err != nil || len(all) != 1 || all[0].Type != "wall" || all[0].Value != 3600 {
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
		if st := status(t, s, "a"); st.State != ralph.Paused || st.Cause.Rule != "transient" || st.Cause.Reason != detect.Transient {
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

// TestRangesEndEarly where the caller has enough.
func TestRangesEndEarly(t *testing.T) {
	s, _ := supervise(t, plain())
	for i := range 3 {
		_ = iterate(monitor(t, s, fmt.Sprint(i), ralph.Options{}), nil)
	}
	n := 0
	for range s.All() {
		n++
		break
	}
	for range s.AgentBreakers() {
		n++
		break
	}
	if n != 2 {
		t.Errorf("%d", n)
	}
}

// TestZeroSupervisorsHaveMaps that can be written to.
func TestZeroSupervisorsHaveMaps(t *testing.T) {
	var s *ralph.Supervisor
	s.AgentStates()["x"]++
	s.AgentSteps()[[2]string{}]++
	s.AgentEscalations()[[2]string{}]++
	s.AgentHandoffs()[[3]string{}]++
	s.AgentConfidence()["x"]++
	s.Stats().States[ralph.Running]++
	s = new(ralph.Supervisor)
	s.AgentHandoffs()[[3]string{}]++
}

// TestExplained: where an agent stands, in words.
func TestExplained(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := plain()
		cfg.Events = -1
		s, _ := supervise(t, cfg)
		defer closeNow(t, s)
		want := func(id, want string) {
			t.Helper()
			if got, err := s.Explain(id); err != nil || got != `agent "`+id+`" ("agent") is `+want {
				t.Errorf("%s\nwant\n%s", got, want)
			}
		}
		const none = "; 0 iterations (0 failed), 0 steps (0 errors, 0 refused), 0 hand-offs, 0 tokens, cost 0"
		a := monitor(t, s, "a", ralph.Options{})
		time.Sleep(1500 * time.Millisecond)
		want("a", "running, since 1.5s"+none)
		observe(t, a, detect.Step{Tool: "x", Tokens: 7, Cost: 0.5, Err: "no"})
		_ = iterate(a, errWork)
		want("a", "running, since 1.5s; 1 iterations (1 failed), 1 steps (1 errors, 0 refused), 0 hand-offs, 7 tokens, cost 0.5")

		monitor(t, s, "b", ralph.Options{})
		_ = s.Pause("b", detect.Stuck, "eve", "why")
		time.Sleep(time.Second)
		want("b", `paused, since 1s; stuck, manual: why; resumed on trial in 29s, for the 1st time of 3, unless the cause is still there; escalated in 1m59s`+none)
		time.Sleep(29*time.Second + 1)
		synctest.Wait()
		want("b", `recovering, since 0s; stuck, manual: why; resumed on trial 1 of 3 times: it has to show progress within 3 iterations`+none)
		b, _ := s.Agent("b")
		_ = iterate(b, nil)
		want("b", `running, since 0s; resumed by itself 1 times; 1 iterations (0 failed), 0 steps (0 errors, 0 refused), 0 hand-offs, 0 tokens, cost 0`)

		monitor(t, s, "c", ralph.Options{})
		_ = s.Pause("c", 0, "eve", "")
		want("c", `paused, since 0s; blocked, manual; a person has to resume it; escalated in 2m0s`+none)
		time.Sleep(2*time.Minute + 1)
		synctest.Wait()
		want("c", `escalated, since 0s; blocked, manual; a person has to resume it`+none)
		monitor(t, s, "d", ralph.Options{})
		_ = s.Pause("d", detect.Exhausted, "eve", "")
		want("d", `paused, since 0s; exhausted, manual; resumed when its budget is raised; escalated in 2m0s`+none)
		_ = s.Stop("d", "eve", "done")
		want("d", `stopped, since 0s; manual: done`+none)
	})
}
