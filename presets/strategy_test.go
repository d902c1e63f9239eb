package presets_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"testing"

	"go.yaml.in/yaml/v4"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/presets"
)

var everyStrategy = []presets.Strategy{presets.StrategyNone, presets.StrategyFixed, presets.StrategyLinear, presets.StrategyExponential, presets.StrategyRandom}

func TestStrategyNames(t *testing.T) {
	for s, want := range map[presets.Strategy]string{
		presets.StrategyNone: "none", presets.StrategyFixed: "fixed", presets.StrategyLinear: "linear", presets.StrategyExponential: "exponential", presets.StrategyRandom: "random",
		presets.StrategyRandom + 1: "Strategy(5)", 255: "Strategy(255)",
	} {
		if got := s.String(); got != want {
			t.Errorf("String() = %q, want %q", got, want)
		}
	}
}

// A strategy that a program writes can be read back, alone and within other
// values, in JSON and in YAML.
func TestStrategiesAreReadBack(t *testing.T) {
	type document struct {
		Own   presets.Strategy            `json:"own"   yaml:"own"`
		All   []presets.Strategy          `json:"all"   yaml:"all"`
		ByKey map[presets.Strategy]string `json:"byKey" yaml:"byKey"`
	}
	for name, format := range map[string]struct {
		write func(any) ([]byte, error)
		read  func([]byte, any) error
	}{
		"JSON": {json.Marshal, json.Unmarshal},
		"YAML": {func(v any) ([]byte, error) { return yaml.Dump(v) }, func(data []byte, v any) error { return yaml.Load(data, v) }},
	} {
		for _, s := range everyStrategy {
			want := document{s, everyStrategy, map[presets.Strategy]string{s: "x"}}
			if s == presets.StrategyNone {
				want.ByKey[presets.StrategyRandom] = "y"
			}
			text, err := format.write(want)
			if err != nil {
				t.Fatal(err)
			}
			var got document
			if err := format.read(text, &got); err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("%s: %s is read back as %+v, %v; want %+v", name, text, got, err, want)
			}
		}
	}
}

func TestStrategyUnmarshalRefuses(t *testing.T) {
	for _, text := range []string{"", "None", "fixed ", "Strategy(1)", "1", "random_jitters"} {
		s := presets.StrategyLinear
		err := s.UnmarshalText([]byte(text))
		if fault, ok := errors.AsType[*core.ConfigError](err); !ok || fault.Field != "Strategy" || fault.Value != text || s != presets.StrategyLinear {
			t.Errorf("%q is read as %v, %v; want an error about Strategy, and no change", text, s, err)
		}
	}
}

// A Policy is plain data: what JSON writes of one it reads back.
func TestPoliciesAreReadBack(t *testing.T) {
	all := map[string]presets.Policy{"every field": everyFieldRead().Policies["all"]}
	for _, g := range presetRows() {
		all[g.name] = g.policy()
	}
	for name, want := range all {
		text, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		var got presets.Policy
		if err := json.Unmarshal(text, &got); err != nil || !same(got, want) {
			t.Errorf("%s: %s is read back as %s, %v", name, text, shownPolicy(got), err)
		}
	}
}
