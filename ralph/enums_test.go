package ralph_test

import (
	"maps"
	"testing"

	"go.yaml.in/yaml/v4"

	"github.com/blackbox4/switchgear/ralph"
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
	want := map[string]int{"State": 5, "EventKind": 9}
	if got := enumtest.Exported(t, "."); !maps.Equal(got, want) {
		t.Errorf("the enums and their constants are %v, and checked are %v", got, want)
	}
	t.Run("State", func(t *testing.T) { enumtest.RoundTrip(t, inYAML, ralph.Running, ralph.Stopped) })
	t.Run("Kind", func(t *testing.T) { enumtest.RoundTrip(t, inYAML, ralph.EventNudged, ralph.EventStore) })
}
