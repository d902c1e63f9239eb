package presets_test

import (
	"context"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/presets"
)

// notData calls each for every field of a Policy that no file gives, with its name.
// RetriesEnabled is none: it follows Retry, which a file gives.
func notData(v reflect.Value, name string, each func(name string, v reflect.Value)) {
	for i := range v.NumField() {
		field, f := v.Field(i), v.Type().Field(i)
		switch {
		case f.Name == "RetriesEnabled":
		case field.Kind() == reflect.Struct:
			notData(field, name+f.Name+".", each)
		case field.Kind() == reflect.Func || strings.HasPrefix(f.Tag.Get("json"), "-"):
			each(name+f.Name, field)
		}
	}
}

// full returns a Policy in which every field is set that no file gives. Its funcs
// call mark.
func full(mark func()) presets.Policy {
	p := presets.Policy{Retry: presets.Retry{Enabled: true, Strategy: presets.StrategyFixed}}
	notData(reflect.ValueOf(&p).Elem(), "", func(_ string, v reflect.Value) {
		if v.Kind() == reflect.Func {
			v.Set(reflect.MakeFunc(v.Type(), func([]reflect.Value) []reflect.Value {
				mark()
				results := make([]reflect.Value, v.Type().NumOut())
				for i := range results {
					results[i] = reflect.Zero(v.Type().Out(i))
				}
				return results
			}))
		} else {
			v.Set(reflect.New(v.Type().Elem()))
		}
	})
	return p
}

// Whatever funcs there are, those of Protect's policy stay when a file, which has
// none, describes the name. A field that is added is among them.
func TestEveryFuncIsKept(t *testing.T) {
	given := full(func() {})
	names := 0
	given.Registry = registryFor(t, &presets.Fleet{Policies: map[string]presets.Policy{
		"x": {Config: core.Config{FailureThreshold: 7}, Retry: presets.Retry{Enabled: true, Strategy: presets.StrategyLinear}},
	}})
	protectNothing("x", given)
	got := given.Registry.Policy("x")
	if got.FailureThreshold != 7 || got.Retry.Strategy != presets.StrategyLinear {
		t.Errorf("the policy is %s, want the numbers of the file", shownPolicy(got))
	}
	notData(reflect.ValueOf(got), "", func(name string, v reflect.Value) {
		names++
		if v.IsNil() {
			t.Errorf("%s is lost", name)
		}
	})
	if names < 9 {
		t.Errorf("%d fields were looked at, want Classify, four hooks, Logger, Now, If, HealthCheck and Registry at least", names)
	}
}

// A Fleet that is made in Go may have one func of its own, whichever.
func TestTheFuncOfAFleetIsKept(t *testing.T) {
	var called string
	code := full(func() { called = "the code's" })
	notData(reflect.ValueOf(&presets.Policy{}).Elem(), "", func(name string, v reflect.Value) {
		if v.Kind() != reflect.Func {
			return
		}
		ofFleet := presets.Policy{Retry: presets.Retry{Enabled: true, Strategy: presets.StrategyFixed}}
		own := full(func() { called = "the fleet's" })
		named(&ofFleet, name).Set(named(&own, name))
		r := registryFor(t, &presets.Fleet{Policies: map[string]presets.Policy{"x": ofFleet}})
		protectNothing("x", in(r, code))
		p := r.Policy("x")
		notData(reflect.ValueOf(p), "", func(other string, v reflect.Value) {
			if v.Kind() != reflect.Func {
				return
			}
			want := "the code's"
			if other == name {
				want = "the fleet's"
			}
			called = "none"
			if !v.IsNil() {
				v.Call(zeros(v.Type()))
			}
			if called != want {
				t.Errorf("with %s of the fleet, %s is %s, want %s", name, other, called, want)
			}
		})
	})
}

// named returns the field of p that notData calls so.
func named(p *presets.Policy, name string) (field reflect.Value) {
	notData(reflect.ValueOf(p).Elem(), "", func(n string, v reflect.Value) {
		if n == name {
			field = v
		}
	})
	return field
}

// zeros are arguments for a func.
func zeros(t reflect.Type) []reflect.Value {
	args := make([]reflect.Value, t.NumIn())
	for i := range args {
		args[i] = reflect.Zero(t.In(i))
	}
	return args
}

// A Fleet that is made in Go may have funcs of its own: each comes before that of
// Protect's policy, which still gives those that the Fleet has not.
func TestFuncsOfTheFleetComeFirst(t *testing.T) {
	inBubble(t, "each of them", func(t *testing.T) {
		var told []string
		say := func(who, what string) { told = append(told, who+" "+what) }
		hooks := func(who string) core.Hooks {
			return core.Hooks{
				Transition: func(context.Context, core.Transition) { say(who, "transition") },
				Refused:    func(context.Context, *core.OpenError) { say(who, "refused") },
				Probe:      func(context.Context, string) { say(who, "probe") },
				Settled:    func(context.Context, core.Settlement) { say(who, "settled") },
			}
		}
		ofFleet := presets.Policy{Config: core.Config{FailureThreshold: 1, Hooks: hooks("fleet")}}
		ofFleet.Hooks.Refused, ofFleet.Hooks.Probe = nil, nil
		ofFleet.Logger = slog.New(slog.DiscardHandler)
		r := registryFor(t, &presets.Fleet{Policies: map[string]presets.Policy{"x": ofFleet}})
		down := true
		p := in(r, presets.Policy{Config: core.Config{FailureThreshold: 1, Hooks: hooks("code"), Logger: slog.Default()}})
		call := presets.MustProtectFunc("x", p, func(context.Context) error {
			if down {
				return errDown
			}
			return nil
		})
		_ = call(t.Context())
		_ = call(t.Context())
		down = false
		if err := r.Policy("x").Validate(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(breakerOf(t, r, "x").Config().Timeout)
		_ = call(t.Context())
		want := []string{"fleet settled", "fleet transition", "code refused", "fleet transition", "code probe", "fleet settled"}
		slices.Sort(told)
		slices.Sort(want)
		if !slices.Equal(told, want) {
			t.Errorf("told %q, want %q", told, want)
		}
		if got := r.Policy("x").Logger; got != ofFleet.Logger {
			t.Errorf("the Logger is %v, want that of the fleet", got)
		}
	})
}

// A copy shares nothing with what it was copied from that a change could reach.
func TestWithCopiesWhatItPointsTo(t *testing.T) {
	p := full(func() {})
	p.Health = &core.HealthLimits{}
	c := reflect.ValueOf(p.With(func(*presets.Policy) {}))
	for _, f := range reflect.VisibleFields(reflect.TypeFor[presets.Policy]()) {
		if f.Anonymous || strings.HasPrefix(f.Tag.Get("json"), "-") {
			continue
		}
		switch before, after := reflect.ValueOf(p).FieldByIndex(f.Index), c.FieldByIndex(f.Index); f.Type.Kind() { //nolint:exhaustive // others hold their values
		case reflect.Pointer, reflect.Map, reflect.Slice:
			if before.IsNil() || before.Pointer() == after.Pointer() {
				t.Errorf("%s is nil, or shared with the copy", f.Name)
			}
		}
	}
	if got := p.With(nil); !same(got.Health, p.Health) || got.Retry.Strategy != presets.StrategyFixed {
		t.Errorf("With(nil) = %s, want a copy", shownPolicy(got))
	}
}
