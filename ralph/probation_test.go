package ralph_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/ralph"
	"github.com/blackbox4/switchgear/ralph/detect"
)

// TestTrialByStepsAlone: an agent without fingerprints of progress and without iterations has
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
	for name, probe := range map[string]ralph.Probation{"steps": {Steps: 1}, "tokens": {Tokens: 1}, "cost": {Cost: 0.5}} {
		synctest.Test(t, func(t *testing.T) {
			cfg := plain()
			cfg.Probation = probe
			s, _ := supervise(t, cfg)
			defer closeNow(t, s)
			a := monitor(t, s, "a", ralph.Options{})
			a.Progress("one")
			if err := s.Pause("a", detect.ReasonStuck, "", ""); err != nil || !s.TryResume("a") {
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

// TestRelapseOfOneThatWaitedForAPerson: resumed on probation all the same, it is stuck.
func TestRelapseOfOneThatWaitedForAPerson(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := plain()
		cfg.Probation.Steps = 1
		s, _ := supervise(t, cfg)
		defer closeNow(t, s)
		for _, why := range []detect.Reason{detect.ReasonBlocked, detect.ReasonFailing} {
			id := why.String()
			a := monitor(t, s, id, ralph.Options{})
			a.Progress("one")
			if err := s.Pause(id, why, "eve", "wait"); err != nil || !s.TryResume(id) {
				t.Fatal(err)
			}
			observe(t, a, fresh(1))
			want := map[detect.Reason]detect.Reason{detect.ReasonBlocked: detect.ReasonStuck, detect.ReasonFailing: detect.ReasonFailing}[why]
			if st := status(t, s, id); st.State != ralph.Paused || st.Cause.Reason != want || st.Cause.After != ralph.RuleManual || st.Cause.Count != 1 || st.Cause.Threshold != 1 || st.ResumeAt.IsZero() {
				t.Errorf("%v: %+v", why, st)
			}
		}
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
			return errors.Join(s.Resume("a", "eve", ""), s.Pause("a", detect.ReasonStuck, "eve", ""))
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

// TestCancelledWhileTheHostIsAsked: that the caller goes is no illness of the host.
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
