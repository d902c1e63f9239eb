package detect_test

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/ralph/detect"
)

// Whatever is called on a value that was never made does not panic, and says so where
// it can: also what a Detector hands out that is nil or zero itself.
func TestNilAndZero(t *testing.T) {
	for name, v := range map[string]any{
		"a nil Detector":             (*detect.Detector)(nil),
		"a zero Detector":            new(detect.Detector),
		"a nil Run":                  (*detect.Run)(nil),
		"a zero Run":                 new(detect.Run),
		"a Run of a nil Detector":    (*detect.Detector)(nil).NewRun(),
		"a Run of a zero Detector":   new(detect.Detector).NewRun(),
		"a nil Graph":                (*detect.Graph)(nil),
		"a zero Graph":               new(detect.Graph),
		"a Graph of a nil Detector":  (*detect.Detector)(nil).NewGraph(),
		"a Graph of a zero Detector": new(detect.Detector).NewGraph(),
		"a nil Budget":               (*detect.Budget)(nil),
		"a zero Budget":              new(detect.Budget),
		"a nil Reservation":          (*detect.Reservation)(nil),
		"a zero Reservation":         new(detect.Reservation),
	} {
		value := reflect.ValueOf(v)
		want := "detect: the " + value.Type().Elem().Name() + " is nil, or was not made by "
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
					if len(results) == 0 || f.Type().Out(len(results)-1) != reflect.TypeFor[error]() {
						continue
					}
					if err, _ := reflect.TypeAssert[error](results[len(results)-1]); err == nil || !strings.HasPrefix(err.Error(), want) {
						t.Errorf("returned %v, want %s…", err, want)
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
	case uint64:
		return reflect.ValueOf(uint64(7))
	case time.Time:
		return reflect.ValueOf(time.Unix(1e9, 0))
	case detect.Rule:
		return reflect.ValueOf(detect.RuleRepeat)
	case []byte:
		return reflect.ValueOf([]byte("some"))
	case detect.Step:
		return reflect.ValueOf(detect.Step{Tool: "x", Args: "{}", Output: "y", Tokens: 1, Cost: 1, Confidence: new(0.1)})
	case detect.Iteration:
		return reflect.ValueOf(detect.Iteration{Err: "x"})
	case detect.Handoff:
		return reflect.ValueOf(detect.Handoff{From: "a", To: "b", Payload: "x"})
	case detect.Use:
		return reflect.ValueOf(detect.Use{Iterations: 1, Cost: 1})
	case detect.Budgets:
		return reflect.ValueOf(detect.Budgets{Tokens: 1})
	}
	return zero
}

// A Budget below one that was never made would share nothing.
func TestABudgetBelowTheZeroOne(t *testing.T) {
	_, err := detect.NewBudget(detect.Budgets{Tokens: 5}, new(detect.Budget))
	if fault, ok := errors.AsType[*core.ConfigError](err); !ok || fault.Field != "parent" {
		t.Errorf("%v", err)
	}
}

func TestGitTokenWithoutAContext(t *testing.T) {
	//nolint:staticcheck // a nil context is allowed
	if _, err := detect.GitFingerprint(nil, t.TempDir()); err == nil || errors.Is(err, context.Canceled) {
		t.Errorf("%v, want that there is no work tree", err)
	}
}
