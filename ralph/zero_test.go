package ralph_test

import (
	"context"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/ralph"
)

// TestNilAndZero: whatever is called on a Supervisor or an Agent that was never made
// does not panic, and says so where it can.
func TestNilAndZero(t *testing.T) {
	for name, v := range map[string]any{
		"a nil Supervisor":  (*ralph.Supervisor)(nil),
		"a zero Supervisor": new(ralph.Supervisor),
		"a nil Agent":       (*ralph.Agent)(nil),
		"a zero Agent":      new(ralph.Agent),
	} {
		value := reflect.ValueOf(v)
		want := "ralph: the " + value.Type().Elem().Name() + " is nil, or was not made by "
		for i := range value.NumMethod() {
			method := value.Type().Method(i).Name
			t.Run(name+"/"+method, func(t *testing.T) {
				for _, fill := range []bool{false, true} {
					f := value.Method(i)
					args := make([]reflect.Value, f.Type().NumIn())
					for k := range args {
						args[k] = reflect.Zero(f.Type().In(k))
						if fill {
							args[k] = some(args[k])
						}
					}
					results := f.Call(args)
					if len(results) == 0 {
						continue
					}
					last := results[len(results)-1].Interface()
					if err, ok := last.(error); ok && !strings.HasPrefix(err.Error(), want) || !ok && f.Type().Out(len(results)-1) == reflect.TypeFor[error]() {
						t.Errorf("returned %v, want %s…", last, want)
					}
					if results[0].Kind() == reflect.Pointer && !results[0].IsNil() {
						t.Errorf("returned %v", results[0])
					}
				}
			})
		}
	}
}

// some is an argument like those that users give.
func some(zero reflect.Value) reflect.Value {
	switch zero.Interface().(type) {
	case string:
		return reflect.ValueOf("a")
	case func(context.Context) error:
		return reflect.ValueOf(func(context.Context) error { panic("it was called") })
	}
	if zero.Type() == reflect.TypeFor[context.Context]() {
		return reflect.ValueOf(context.Background())
	}
	return zero
}

// TestNilAndZeroGates: an Agent that was never made refuses as any gate does, also where
// the interface hides that it is nil, and is not taken for one that is paused.
func TestNilAndZeroGates(t *testing.T) {
	for _, agent := range []*ralph.Agent{nil, new(ralph.Agent)} {
		_, err := core.Do(t.Context(), core.All(core.MustNew("b", core.Config{}), agent), func(context.Context) (int, error) {
			t.Error("it was called")
			return 0, nil
		})
		if err == nil || !strings.Contains(err.Error(), "the Agent is nil") {
			t.Errorf("%v", err)
		}
	}
}

// TestNilAndZeroFindNoAgents: what cannot return an error finds nothing, and says so.
func TestNilAndZeroFindNoAgents(t *testing.T) {
	for _, s := range []*ralph.Supervisor{nil, new(ralph.Supervisor)} {
		if n := len(slices.Collect(s.All())) + len(s.Statuses()) + len(s.AgentSteps()) + len(s.AgentHandoffs()) + len(s.AgentConfidence()) + len(s.AgentEscalations()); n != 0 {
			t.Errorf("%d things were found", n)
		}
		if st := s.Stats(); st.Agents != 0 || st.EventsDropped != 0 || len(st.States) != 0 {
			t.Errorf("%+v", st)
		}
	}
	for _, a := range []*ralph.Agent{nil, new(ralph.Agent)} {
		if text, ok := a.Nudge(); ok || text != "" || a.Progress("x") || a.ID() != "" || !reflect.DeepEqual(a.Status(), ralph.Status{}) || !strings.Contains(a.Explain(), "was not made by") {
			t.Errorf("%q, %v, %q, %+v, %q", text, ok, a.ID(), a.Status(), a.Explain())
		}
	}
}
