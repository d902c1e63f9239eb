package condition

import (
	"errors"
	"slices"
	"testing"

	"github.com/blackbox4/switchgear/core"
)

func TestSeveritiesAreOrderedAndReadBack(t *testing.T) {
	if order := []Severity{0, Low, Medium, High, Critical}; !slices.IsSorted(order) {
		t.Errorf("severities are not in order: %v", order)
	}
	for s, want := range map[Severity]string{0: "none", Low: "low", Medium: "medium", High: "high", Critical: "critical", 9: "Severity(9)"} {
		text, _ := s.MarshalText()
		var back Severity
		if err := back.UnmarshalText(text); string(text) != want || err != nil || back != s {
			t.Errorf("%d is %q and read as %d, %v; want %q", s, text, back, err, want)
		}
	}
	var s Severity
	if fault, ok := errors.AsType[*core.ConfigError](s.UnmarshalText([]byte("hihg"))); !ok || fault.Field != "Severity" {
		t.Errorf("a text that is none: %v", fault)
	}
}
