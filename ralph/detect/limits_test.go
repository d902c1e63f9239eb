package detect_test

import (
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/ralph/detect"
)

// TestEveryLimit: its defaults, and the least and the most that it may be. A default of
// -1 is never.
func TestEveryLimit(t *testing.T) {
	const many = 1_000_000
	want := map[string][4]int{ // nudge and trip by default, least and most
		"Repeat": {3, 5, 2, many}, "Poll": {10, 20, 2, many}, "SameCall": {10, -1, 2, many}, "Window": {3, 5, 2, 20}, "Cycle": {2, 3, 2, 1000},
		"SameError": {3, 5, 1, 20}, "Permission": {1, 2, 1, 20}, "UnknownTool": {2, 3, 1, 20}, "Auth": {-1, 1, 1, 20}, "Quota": {-1, 1, 1, 20},
		"Transient": {3, 5, 1, many}, "Errors": {4, 10, 1, many}, "ErrorsAlike": {-1, 5, 1, many}, "Fruitless": {6, 40, 2, many}, "NoSteps": {5, 50, 1, many}, "ErrorRate": {-1, 80, 1, 100}, "Failures": {2, 3, 1, many},
		"HandoffRepeat": {2, -1, 2, 9}, "HandoffStall": {2, 4, 1, 1000}, "HandoffEcho": {-1, 2, 1, 1000}, "HandoffCycle": {2, 3, 2, 1000}, "Handoffs": {4, 5, 1, 1000},
		"NoProgress": {3, 10, 1, many}, "NoProgressSteps": {40, 120, 1, many}, "Blocked": {1, 2, 1, 1000}, "Empty": {2, 3, 1, 1000}, "Decline": {3, -1, 1, 1000},
		"Stall": {2, 4, 1, 1000}, "Compaction": {3, 10, 1, 1000}, "Calls": {500, -1, 1, many},
	}
	d, err := detect.New(detect.Rules{})
	if err != nil {
		t.Fatal(err)
	}
	full, seen := reflect.ValueOf(d.Rules()), 0
	for i := range full.NumField() {
		name := full.Type().Field(i).Name
		got, ok := reflect.TypeAssert[detect.Limits](full.Field(i))
		if !ok {
			continue
		}
		seen++
		w := want[name]
		if got != (detect.Limits{Nudge: w[0], Trip: w[1]}) {
			t.Errorf("%s is %+v by default, want %v", name, got, w[:2])
		}
		set := func(nudge, trip int) error {
			var r detect.Rules
			reflect.ValueOf(&r).Elem().Field(i).Set(reflect.ValueOf(detect.Limits{Nudge: nudge, Trip: trip}))
			return r.Validate()
		}
		for _, c := range []struct {
			nudge, trip int
			field       string // of the fault; "" for none
		}{
			{-1, w[2], ""},
			{-1, w[3], ""},
			{w[2], -1, ""},
			{w[3], -1, ""},
			{-1, -1, ""},
			{-5, -9, ""},
			{w[2], w[3], ""},
			{w[3] - 1, w[3], ""},
			{-1, w[3] + 1, "Trip"},
			{w[3] + 1, -1, "Nudge"},
			{w[3], w[3], "Nudge"},
			{w[2] + 1, w[2], "Nudge"},
			{0, w[2], ""}, // a nudge by default that would come too late does not come
		} {
			err := set(c.nudge, c.trip)
			fault, ok := errors.AsType[*core.ConfigError](err)
			if (c.field == "") != (err == nil) || c.field != "" && (!ok || fault.Field != name+"."+c.field) {
				t.Errorf("%s of %d and %d: %v, want a fault of %q", name, c.nudge, c.trip, err, c.field)
			}
		}
		if w[2] > 1 {
			if set(-1, w[2]-1) == nil || set(w[2]-1, -1) == nil {
				t.Errorf("%s may be %d", name, w[2]-1)
			}
		}
	}
	if seen != len(want) {
		t.Errorf("%d limits, want %d", seen, len(want))
	}
	err = detect.Rules{Window: detect.Limits{Nudge: 21, Trip: -1}, Cycle: detect.Limits{Nudge: 5, Trip: 5}}.Validate()
	for _, text := range []string{"Window.Nudge is 21, allowed: 2 to 20; 0 for the default, negative for never", "Cycle.Nudge is 5, allowed: less than Trip (5); negative for never"} {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("%v\ndoes not say %q", err, text)
		}
	}
}

// TestEveryOtherLimit: what it may be just so, and what not.
func TestEveryOtherLimit(t *testing.T) {
	nan, tools := math.NaN(), map[string]detect.Class{}
	for i := range 1000 {
		tools[word(i)] = detect.ClassUnjudged
	}
	for _, r := range []detect.Rules{
		{ErrorRateFor: time.Second},
		{ErrorRateFor: 8760 * time.Hour},
		{ErrorRateSteps: 1},
		{ErrorRateSteps: 1000},
		{Warn: 0.999},
		{Warn: -1},
		{Tools: tools},
		{Confidence: detect.ConfidenceLimits{Nudge: 1, Trip: 1, High: 1, Leave: 1, Samples: 1000}},
		{Confidence: detect.ConfidenceLimits{Nudge: -1, Trip: -1, High: -1}},
		{Confidence: detect.ConfidenceLimits{Nudge: 0.7}},
		{Confidence: detect.ConfidenceLimits{Nudge: 0.6, Leave: 0.6}},
		{Budgets: detect.Budgets{Cost: 1e9}},
		{Budgets: detect.Budgets{Cost: -1}},
		{NoProgressFor: detect.DurationLimits{Nudge: 1, Trip: 2}},
		{NoProgressFor: detect.DurationLimits{Nudge: 2, Trip: -1}},
		{NoProgressFor: detect.DurationLimits{Nudge: -1, Trip: 1}},
		{NoProgressFor: detect.DurationLimits{Trip: 1}},
	} {
		if err := r.Validate(); err != nil {
			t.Error(err)
		}
	}
	for field, r := range map[string]detect.Rules{
		"ErrorRateFor is 999.999999ms":     {ErrorRateFor: time.Second - 1},
		"ErrorRateFor is 8760h0m0.00":      {ErrorRateFor: 8760*time.Hour + 1},
		"ErrorRateFor is -1s":              {ErrorRateFor: -time.Second},
		"ErrorRateSteps is 1001":           {ErrorRateSteps: 1001},
		"ErrorRateSteps is -1":             {ErrorRateSteps: -1},
		"Warn is 1,":                       {Warn: 1},
		"Warn is NaN":                      {Warn: nan},
		"Confidence.Nudge is 1.1":          {Confidence: detect.ConfidenceLimits{Nudge: 1.1}},
		"Confidence.Nudge is NaN":          {Confidence: detect.ConfidenceLimits{Nudge: nan}},
		"Confidence.Trip is 1.1":           {Confidence: detect.ConfidenceLimits{Trip: 1.1}},
		"Confidence.High is 1.1":           {Confidence: detect.ConfidenceLimits{High: 1.1}},
		"Confidence.Leave is 1.1":          {Confidence: detect.ConfidenceLimits{Leave: 1.1}},
		"Confidence.Leave is -0.1":         {Confidence: detect.ConfidenceLimits{Leave: -0.1}},
		"Confidence.Leave is 0.4,":         {Confidence: detect.ConfidenceLimits{Leave: 0.4, Nudge: 0.41}},
		"Confidence.Leave is 0.3,":         {Confidence: detect.ConfidenceLimits{Leave: 0.3, Nudge: -1, Trip: 0.31}},
		"Confidence.Samples is 1001":       {Confidence: detect.ConfidenceLimits{Samples: 1001}},
		"Confidence.Samples is -1":         {Confidence: detect.ConfidenceLimits{Samples: -1}},
		"Budgets.Cost is 1.000000001e+09,": {Budgets: detect.Budgets{Cost: 1e9 + 1}},
		"NoProgressFor.Nudge is 1s":        {NoProgressFor: detect.DurationLimits{Nudge: time.Second, Trip: time.Second}},
		"Tools[x] is Class(4), allowed: o": {Tools: map[string]detect.Class{"x": 4}},
	} {
		if err := r.Validate(); err == nil || !strings.Contains(err.Error(), "switchgear: "+field) {
			t.Errorf("%v, want that %s", err, field)
		}
	}
}

// TestEveryOtherDefault.
func TestEveryOtherDefault(t *testing.T) {
	of := func(r detect.Rules) detect.Rules {
		d, err := detect.New(r)
		if err != nil {
			t.Fatal(err)
		}
		return d.Rules()
	}
	r := of(detect.Rules{})
	if r.PollEvery != 30*time.Second || r.PollFor != time.Hour || r.ErrorRateFor != time.Minute || r.ErrorRateSteps != 10 || r.Warn != 0.8 {
		t.Errorf("%+v", r)
	}
	r = of(detect.Rules{
		PollEvery: -5, PollFor: -5, Warn: -5, NoProgressFor: detect.DurationLimits{Nudge: -5, Trip: -5}, Confidence: detect.ConfidenceLimits{Nudge: -5, Trip: -5, High: -5},
		Budgets: detect.Budgets{Iterations: -5, Wall: -5, Idle: -5, Tokens: -5, Cost: -5, ToolCalls: -5, Hops: -5},
	})
	if r.PollEvery != -1 || r.PollFor != -1 || r.Warn != -1 || r.NoProgressFor != (detect.DurationLimits{Nudge: -1, Trip: -1}) ||
		r.Confidence != (detect.ConfidenceLimits{Nudge: -1, Trip: -1, High: -1, Leave: 0.6, Samples: 3}) ||
		r.Budgets != (detect.Budgets{Iterations: -1, Wall: -1, Idle: -1, Hops: -1}) {
		t.Errorf("what is off is %+v", r)
	}
	if got := of(detect.Rules{Confidence: detect.ConfidenceLimits{Nudge: 0.8, Trip: 0.9}}).Confidence.Leave; got != 0.9 {
		t.Errorf("Leave is %v", got)
	}
	if got := of(detect.Rules{NoProgressFor: detect.DurationLimits{Trip: 30 * time.Second}}).NoProgressFor; got != (detect.DurationLimits{Nudge: -1, Trip: 30 * time.Second}) {
		t.Errorf("NoProgressFor is %v", got)
	}
	b := budget(t, detect.Budgets{Iterations: -1, Wall: -1, Idle: -1, Tokens: -1, Cost: -1, ToolCalls: -1, Hops: -1}, nil)
	if b.Limits() != (detect.Budgets{}) {
		t.Errorf("no limits are %+v", b.Limits())
	}
	if _, err := b.Spend(detect.Use{Iterations: 9, Tokens: 9, Cost: 9, ToolCalls: 9, Hops: 9}, start()); err != nil || b.Err() != nil {
		t.Error(err, b.Err())
	}
}

// TestWhatEveryRuleSays: its name, why it stops an agent, how bad that is, and what the
// model is told.
func TestWhatEveryRuleSays(t *testing.T) {
	var names []string
	for rule := detect.RuleRepeat; rule <= detect.RuleNoSteps; rule++ {
		names = append(names, rule.String())
	}
	if got := strings.Join(names, " "); got != "repeat poll same_call window cycle same_error permission unknown_tool auth quota transient errors error_rate failures "+
		"handoff_repeat handoff_stall handoff_echo handoff_cycle handoffs no_progress blocked empty decline confidence stall compaction calls "+
		"iterations wall idle tokens cost tool_calls hops fruitless no_steps" {
		t.Error(got)
	}
	if detect.Rule(37).String() != "Rule(37)" || detect.Rule(0).String() != "none" {
		t.Error("a rule that there is not")
	}
}
