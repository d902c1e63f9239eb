package detect_test

import (
	"maps"
	"testing"

	"go.yaml.in/yaml/v4"

	"github.com/blackbox4/switchgear/ralph/detect"
	"github.com/blackbox4/switchgear/ralph/internal/enumtest"
)

var inYAML = enumtest.Format{
	Name:      "YAML",
	Marshal:   yaml.Marshal,
	Unmarshal: yaml.Unmarshal,
}

// TestEnumsReadBackWhatTheyWrote fails for a new enum, and for a new constant, until it
// is in here.
func TestEnumsReadBackWhatTheyWrote(t *testing.T) {
	want := map[string]int{"Reason": 5, "Rule": 36, "Profile": 3, "Level": 2, "Class": 4, "ErrorKind": 6}
	if got := enumtest.Exported(t, "."); !maps.Equal(got, want) {
		t.Errorf("the enums and their constants are %v, and checked are %v", got, want)
	}
	t.Run("Reason", func(t *testing.T) { enumtest.RoundTrip(t, inYAML, detect.Reason(0), detect.ReasonTransient) })
	t.Run("Rule", func(t *testing.T) { enumtest.RoundTrip(t, inYAML, detect.Rule(0), detect.RuleNoSteps) })
	t.Run("Profile", func(t *testing.T) { enumtest.RoundTrip(t, inYAML, detect.ProfileDefault, detect.ProfileUnattended) })
	t.Run("Level", func(t *testing.T) { enumtest.RoundTrip(t, inYAML, detect.Level(0), detect.LevelTrip) })
	t.Run("Class", func(t *testing.T) { enumtest.RoundTrip(t, inYAML, detect.ClassOrdinary, detect.ClassUnjudged) })
	t.Run("ErrorKind", func(t *testing.T) { enumtest.RoundTrip(t, inYAML, detect.ErrorKindOther, detect.ErrorKindTransient) })
}
