package ralph_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/blackbox4/switchgear/ralph"
	"github.com/blackbox4/switchgear/ralph/detect"
)

// only are rules of which one is left to the case: all others are off.
func only(set func(*detect.Rules)) detect.Rules {
	off := detect.Limits{Nudge: -1, Trip: -1}
	r := detect.Rules{
		Repeat: off, Poll: off, SameCall: off, Window: off, Cycle: off, SameError: off, Permission: off, UnknownTool: off, Auth: off, Quota: off,
		Transient: off, Errors: off, ErrorsAlike: off, Fruitless: off, NoSteps: off, ErrorRate: off, Failures: off, HandoffRepeat: off, HandoffStall: off, HandoffEcho: off, HandoffCycle: off, Handoffs: off,
		NoProgress: off, NoProgressSteps: off, NoProgressFor: detect.DurationLimits{Nudge: -1, Trip: -1}, Blocked: off, Empty: off, Decline: off,
		Confidence: detect.ConfidenceLimits{Nudge: -1, Trip: -1, High: -1}, Stall: off, Compaction: off, Calls: off,
		Budgets: detect.Budgets{Iterations: -1, Wall: -1, Idle: -1, Hops: -1},
	}
	set(&r)
	return r
}

// scene is what a case plays on.
type scene struct {
	t *testing.T
	s *ralph.Supervisor
	a *ralph.Agent // "a"; there are "b" and "c", too
}

func (sc scene) observe(step detect.Step) { observe(sc.t, sc.a, step) }

func (sc scene) handoff(from, to, payload string) {
	if _, err := sc.s.Handoff(from, to, payload); err != nil && !refusedByAgent(err) {
		sc.t.Fatal(err)
	}
}

// TestEveryRuleFires: no rule is there that cannot fire through what the
// loop of an agent calls. Each case has the defaults of one rule, with all others
// off, and plays until it has nudged, tripped, or both; the event has its name.
func TestEveryRuleFires(t *testing.T) {
	sure := func(v float64) *float64 { return &v }
	cases := []struct {
		rule  detect.Rule
		set   func(*detect.Rules)
		play  func(sc scene, i int) // the i-th time, until the rule is done
		trips bool                  // it does not only nudge
	}{
		{detect.RuleRepeat, func(r *detect.Rules) { r.Repeat = detect.Limits{} }, func(sc scene, _ int) { sc.observe(doing("search", "{}")) }, true},
		{detect.RulePoll, func(r *detect.Rules) {
			r.Poll, r.Tools = detect.Limits{}, map[string]detect.Class{"wait": detect.ClassPoll}
		}, func(sc scene, _ int) { time.Sleep(time.Minute); sc.observe(doing("wait", "{}")) }, true},
		{detect.RuleSameCall, func(r *detect.Rules) { r.SameCall = detect.Limits{} }, func(sc scene, i int) {
			sc.observe(detect.Step{Tool: "search", Args: "{}", Output: word(i)})
		}, false},
		{detect.RuleWindow, func(r *detect.Rules) { r.Window = detect.Limits{} }, func(sc scene, i int) {
			if i%2 == 0 {
				sc.observe(detect.Step{Tool: "search", Args: "{}", Failed: true})
			} else {
				sc.observe(fresh(i))
			}
		}, true},
		{detect.RuleCycle, func(r *detect.Rules) { r.Cycle = detect.Limits{} }, func(sc scene, i int) { sc.observe(doing("tool", word(i%3))) }, true},
		{detect.RuleSameError, func(r *detect.Rules) { r.SameError = detect.Limits{} }, func(sc scene, i int) {
			sc.observe(detect.Step{Tool: "build", Args: word(i), Err: fmt.Sprintf("exit at line %d", i)})
		}, true},
		{detect.RulePermission, func(r *detect.Rules) { r.Permission = detect.Limits{} }, func(sc scene, i int) {
			sc.observe(detect.Step{Tool: "rm", Args: word(i), Kind: detect.ErrorKindPermission})
		}, true},
		{detect.RuleUnknownTool, func(r *detect.Rules) { r.UnknownTool = detect.Limits{} }, func(sc scene, i int) {
			sc.observe(detect.Step{Tool: word(i), Kind: detect.ErrorKindUnknownTool})
		}, true},
		{detect.RuleAuth, func(r *detect.Rules) { r.Auth = detect.Limits{} }, func(sc scene, _ int) { sc.observe(detect.Step{Tool: "mail", Kind: detect.ErrorKindAuth}) }, true},
		{detect.RuleQuota, func(r *detect.Rules) { r.Quota = detect.Limits{} }, func(sc scene, _ int) { sc.observe(detect.Step{Tool: "mail", Kind: detect.ErrorKindQuota}) }, true},
		{detect.RuleTransient, func(r *detect.Rules) { r.Transient = detect.Limits{} }, func(sc scene, i int) {
			sc.observe(detect.Step{Tool: "mail", Args: word(i), Kind: detect.ErrorKindTransient})
		}, true},
		{detect.RuleErrors, func(r *detect.Rules) { r.Errors = detect.Limits{} }, func(sc scene, i int) {
			sc.observe(detect.Step{Tool: word(i), Err: "cannot " + word(i*3)})
		}, true},
		{detect.RuleErrorRate, func(r *detect.Rules) { r.ErrorRate = detect.Limits{} }, func(sc scene, i int) {
			time.Sleep(5 * time.Second)
			sc.observe(detect.Step{Tool: word(i), Failed: i%2 == 0})
		}, true},
		{detect.RuleFailures, func(r *detect.Rules) { r.Failures = detect.Limits{} }, func(sc scene, _ int) { _ = iterate(sc.a, errWork) }, true},
		{detect.RuleHandoffRepeat, func(r *detect.Rules) { r.HandoffRepeat = detect.Limits{} }, func(sc scene, i int) {
			sc.handoff("a", string(rune('b'+i%2)), "please look into the payment of order seven hundred")
		}, false},
		{detect.RuleHandoffStall, func(r *detect.Rules) { r.HandoffStall = detect.Limits{} }, func(sc scene, i int) {
			sc.handoff("a", "b", "please find the opening hours of the museum in the old town and report them "+[]string{"soon", "now", "quickly", "today"}[i%4])
			sc.handoff("b", "a", "this is what I have found "+word(i))
		}, true},
		{detect.RuleHandoffEcho, func(r *detect.Rules) { r.HandoffEcho = detect.Limits{} }, func(sc scene, i int) {
			sc.handoff("b", "a", "do the work called "+word(i)+" "+word(i*5)+" "+word(i*11))
			sc.observe(doing("search", "{}"))
			sc.handoff("a", "b", "here it is "+word(i*13)+" "+word(i*17))
		}, true},
		{detect.RuleHandoffCycle, func(r *detect.Rules) { r.HandoffCycle = detect.Limits{} }, func(sc scene, i int) {
			sc.handoff(string(rune('a'+i%3)), string(rune('a'+(i+1)%3)), "this is not my work, please take it over")
		}, true},
		{detect.RuleHandoffs, func(r *detect.Rules) { r.Handoffs = detect.Limits{} }, func(sc scene, i int) {
			from, to := fmt.Sprint("peer", i), fmt.Sprint("peer", i+1)
			monitor(sc.t, sc.s, from, ralph.Options{})
			monitor(sc.t, sc.s, to, ralph.Options{})
			sc.handoff(from, to, "take this, it is not mine")
		}, true},
		{detect.RuleNoProgress, func(r *detect.Rules) { r.NoProgress = detect.Limits{} }, func(sc scene, _ int) {
			sc.a.Progress("the same")
			_ = iterate(sc.a, nil)
		}, true},
		{detect.RuleNoProgress, func(r *detect.Rules) { r.NoProgressSteps = detect.Limits{} }, func(sc scene, i int) {
			sc.a.Progress("the same")
			sc.observe(fresh(i))
		}, true},
		{detect.RuleNoProgress, func(r *detect.Rules) { r.NoProgressFor = detect.DurationLimits{} }, func(sc scene, _ int) {
			sc.a.Progress("the same")
			time.Sleep(time.Minute)
		}, true},
		{detect.RuleBlocked, func(r *detect.Rules) { r.Blocked = detect.Limits{} }, func(sc scene, i int) {
			if p, err := sc.a.AllowIteration(sc.t.Context()); err == nil {
				sc.observe(detect.Step{Output: "Shall I " + word(i) + " " + word(i*5) + "?", Question: true})
				p.Done(sc.t.Context(), nil)
			}
		}, true},
		{detect.RuleEmpty, func(r *detect.Rules) { r.Empty = detect.Limits{} }, func(sc scene, _ int) { sc.observe(detect.Step{}) }, true},
		{detect.RuleDecline, func(r *detect.Rules) { r.Decline = detect.Limits{} }, func(sc scene, i int) {
			if p, err := sc.a.AllowIteration(sc.t.Context()); err == nil {
				sc.observe(detect.Step{Output: strings.Repeat(word(i)+" ", 1+1000/(1+i*i*i))})
				p.Done(sc.t.Context(), nil)
			}
		}, false},
		{detect.RuleConfidence, func(r *detect.Rules) { r.Confidence = detect.ConfidenceLimits{} }, func(sc scene, i int) {
			step := fresh(i)
			step.Confidence = sure(max(0.6-0.1*float64(i), 0))
			sc.observe(step)
		}, true},
		{detect.RuleStall, func(r *detect.Rules) { r.Stall = detect.Limits{} }, func(sc scene, _ int) {
			step := doing("mail", "{}")
			step.Refused = true
			sc.observe(step)
		}, true},
		{detect.RuleCompaction, func(r *detect.Rules) { r.Compaction = detect.Limits{} }, func(sc scene, _ int) { sc.observe(detect.Step{Compaction: true}) }, true},
		{detect.RuleCalls, func(r *detect.Rules) { r.Calls = detect.Limits{} }, func(sc scene, i int) { sc.observe(fresh(i)) }, true},
		{detect.RuleIterations, func(r *detect.Rules) { r.Budgets.Iterations = 0 }, func(sc scene, _ int) { _ = iterate(sc.a, nil) }, true},
		{detect.RuleWall, func(r *detect.Rules) { r.Budgets.Wall = 0 }, func(sc scene, i int) { sc.observe(fresh(i)); time.Sleep(time.Minute) }, true},
		{detect.RuleIdle, func(r *detect.Rules) { r.Budgets.Idle = 0 }, func(sc scene, i int) {
			if i == 0 {
				sc.observe(fresh(i))
			}
			time.Sleep(time.Minute)
		}, true},
		{detect.RuleTokens, func(r *detect.Rules) { r.Budgets.Tokens = 1000 }, func(sc scene, i int) { sc.observe(detect.Step{Tool: word(i), Tokens: 100}) }, true},
		{detect.RuleCost, func(r *detect.Rules) { r.Budgets.Cost = 3 }, func(sc scene, i int) { sc.observe(detect.Step{Tool: word(i), Cost: 0.1}) }, true},
		{detect.RuleHops, func(r *detect.Rules) { r.Budgets.Hops = 5 }, func(sc scene, i int) { sc.handoff("a", "b", word(i*31)+" "+word(i*37)) }, true},
		{detect.RuleFruitless, func(r *detect.Rules) { r.Fruitless = detect.Limits{} }, func(sc scene, i int) {
			sc.observe(detect.Step{Tool: "search", Args: word(i), Output: "no results"})
		}, true},
		{detect.RuleNoSteps, func(r *detect.Rules) { r.NoSteps = detect.Limits{} }, func(sc scene, i int) {
			if i == 0 {
				sc.observe(fresh(i))
			}
			_ = iterate(sc.a, nil)
		}, true},
		{detect.RuleToolCalls, func(r *detect.Rules) { r.Budgets.ToolCalls = 10 }, func(sc scene, i int) { sc.observe(fresh(i)) }, true},
	}
	fired := make(map[detect.Rule]bool)
	for _, c := range cases {
		fired[c.rule] = true
		t.Run(c.rule.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cfg := plain()
				cfg.Profile, cfg.Rules = detect.ProfileStrict, only(c.set)
				cfg.Breaker.FailureThreshold = -1
				s, d := supervise(t, cfg)
				defer closeNow(t, s)
				a := monitor(t, s, "a", ralph.Options{})
				monitor(t, s, "b", ralph.Options{})
				monitor(t, s, "c", ralph.Options{})
				nudged, tripped := "", ""
				for i := 0; i < 300 && (c.trips && tripped == "" || nudged == "" && tripped == ""); i++ {
					c.play(scene{t, s, a}, i)
					synctest.Wait()
					for _, e := range d.all() {
						switch {
						case e.Kind == ralph.EventNudged:
							nudged = e.Cause.Rule
						case e.Cause.Rule != "":
							tripped = e.Cause.Rule
						}
						if e.Cause.Rule != "" && (e.Cause.Message == "" || e.Cause.Reason == 0 || e.Cause.Severity == 0 || e.Cause.Threshold <= 0) {
							t.Fatalf("a cause that says too little: %+v", e.Cause)
						}
					}
				}
				want := c.rule.String()
				if c.trips && tripped != want || !c.trips && (nudged != want || tripped != "") || nudged != "" && nudged != want {
					t.Errorf("nudged for %q, tripped for %q", nudged, tripped)
				}
			})
		})
	}
	for rule := detect.RuleRepeat; rule.String() != fmt.Sprintf("Rule(%d)", rule); rule++ {
		if !fired[rule] {
			t.Errorf("no case fires %v", rule)
		}
	}
}

// TestRulesAreOff: with every rule off nothing is ever found.
func TestRulesAreOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := plain()
		cfg.Rules = only(func(*detect.Rules) {})
		s, d := supervise(t, cfg)
		defer closeNow(t, s)
		a := monitor(t, s, "a", ralph.Options{})
		monitor(t, s, "b", ralph.Options{})
		for range 500 {
			observe(t, a, detect.Step{Tool: "search", Err: "no"})
			observe(t, a, detect.Step{})
			a.Progress("same")
			if _, err := s.Handoff("a", "b", "do it, please, once more"); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(24 * time.Hour)
		if all := d.all(); len(all) > 0 {
			t.Errorf("%v", all[0])
		}
	})
}
