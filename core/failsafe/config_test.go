package failsafe

import (
	"encoding/json"
	"errors"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/presets"
)

// fields are the fields that a validation finds fault with.
func fields(err error) []string {
	var names []string
	for _, one := range unjoin(err) {
		if fault, ok := errors.AsType[*core.ConfigError](one); ok {
			names = append(names, fault.Field)
		} else {
			names = append(names, "not a ConfigError: "+one.Error())
		}
	}
	return names
}

func unjoin(err error) []error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		return joined.Unwrap()
	}
	if err == nil {
		return nil
	}
	return []error{err}
}

func TestConfigValidate(t *testing.T) {
	for _, row := range []struct {
		name string
		cfg  Config
		want []string
	}{
		{"zero", Config{}, nil},
		{"off", Config{CPU: -1, Memory: -0.001, Disk: math.Inf(-1)}, nil},
		{"the limits of what is allowed", Config{CPU: 1, Memory: 100, Margin: 0.5, Interval: 100 * time.Millisecond, MaxAge: 200 * time.Millisecond, Samples: 100, Refuse: Critical}, nil},
		{"a share for a percentage", Config{CPU: 0.9, Memory: 0.9, Disk: 0.9, Margin: -1}, []string{"CPU", "Memory", "Disk"}},
		{"no numbers", Config{CPU: nan, Memory: math.Inf(1), Disk: 101, Margin: nan}, []string{"CPU", "Memory", "Disk", "Margin"}},
		{"times", Config{Interval: time.Millisecond, MaxAge: time.Millisecond}, []string{"Interval", "MaxAge"}},
		{"long times", Config{Interval: time.Hour, MaxAge: 3 * time.Hour}, []string{"Interval"}},
		{"negative times", Config{Interval: -1, MaxAge: -1}, []string{"Interval", "MaxAge"}},
		{"MaxAge against the default of Interval", Config{MaxAge: 9 * time.Second}, []string{"MaxAge"}},
		{"Samples", Config{Samples: 101}, []string{"Samples"}},
		{"negative Samples", Config{Samples: -1}, []string{"Samples"}},
		{"Refuse", Config{Refuse: Critical + 1}, []string{"Refuse"}},
		{"Margin is as much as the least threshold", Config{Memory: 40, Margin: 40}, []string{"Margin"}},
		{"Margin does not look at what is off", Config{Memory: -1, Margin: 40}, nil},
		{"the default of Margin against a low threshold", Config{Disk: 5}, []string{"Margin"}},
		{"paths", Config{DiskPaths: []string{"/", "", "/", "a\x00b", strings.Repeat("x", 4097)}}, []string{"DiskPaths[1]", "DiskPaths[2]", "DiskPaths[3]", "DiskPaths[4]"}},
		{"many paths", Config{DiskPaths: manyPaths(33)}, []string{"DiskPaths"}},
		{"as many as may be", Config{DiskPaths: manyPaths(32)}, nil},
	} {
		t.Run(row.name, func(t *testing.T) {
			err := row.cfg.Validate()
			if got := fields(err); !slices.Equal(got, row.want) {
				t.Errorf("faults of %q, want %q: %v", got, row.want, err)
			}
			if v, made := New(row.cfg); (made == nil) != (row.want == nil) || (v == nil) != (row.want != nil) || made != nil && made.Error() != err.Error() {
				t.Errorf("New = %v, %v", v, made)
			}
		})
	}
	err := Config{CPU: 0.9}.Validate()
	if got, want := err.Error(), "switchgear: CPU is 0.9, allowed: 1 to 100 percent; 0 for 90, negative for off"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func manyPaths(n int) []string {
	paths := make([]string, n)
	for i := range paths {
		paths[i] = strings.Repeat("/x", i+1)
	}
	return paths
}

func TestConfigDefaults(t *testing.T) {
	paths := []string{"sub"}
	for _, cfg := range []Config{{}, {DiskPaths: paths}} {
		v, err := New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		c := v.config
		if c.CPU != 90 || c.Memory != 90 || c.Disk != 90 || c.Interval != 5*time.Second || c.Samples != 2 || c.Margin != 5 || c.MaxAge != 15*time.Second || c.Refuse != Medium {
			t.Errorf("defaults are %+v", c)
		}
		if len(c.DiskPaths) != 1 || !filepath.IsAbs(c.DiskPaths[0]) {
			t.Errorf("disks at %q", c.DiskPaths)
		}
	}
	if paths[0] != "sub" {
		t.Error("the caller's paths were changed")
	}
}

// A Config and what is told can be written and read as JSON.
func TestJSON(t *testing.T) {
	want := Config{CPU: 80, Memory: -1, DiskPaths: []string{"/data"}, Interval: time.Second, Samples: 3, Margin: 2, MaxAge: time.Minute, Refuse: High}
	data, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	if text := string(data); !strings.Contains(text, `"refuse":"high"`) || strings.Contains(text, `"disk":`) {
		t.Errorf("JSON: %s", text)
	}
	var got Config
	if err := json.Unmarshal(data, &got); err != nil || got.Refuse != High || got.CPU != 80 || !slices.Equal(got.DiskPaths, want.DiskPaths) || got.MaxAge != time.Minute {
		t.Errorf("read %+v, %v", got, err)
	}
	if err := json.Unmarshal([]byte(`{"refuse":"hihg"}`), &got); err == nil || !strings.Contains(err.Error(), `"hihg", allowed: none, low, medium, high, critical`) {
		t.Errorf("a severity that is none: %v", err)
	}

	c := Condition{Type: "iterations", Severity: High, Message: "m", Threshold: 100, Value: 101, At: time.Now().Round(0), Metadata: map[string]string{"agent": "a"}}
	data, err = json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	var back Condition
	if err := json.Unmarshal(data, &back); err != nil || !back.At.Equal(c.At) || back.Severity != High || back.Type != c.Type || back.Metadata["agent"] != "a" || back.Value != 101 || back.Threshold != 100 {
		t.Errorf("%s read as %+v, %v", data, back, err)
	}
}

// A file of presets has a section for it.
func TestSection(t *testing.T) {
	file, err := presets.Decode(strings.NewReader("failsafe:\n  cpu: 80\n  memory: -1\n  interval: 10s\n  refuse: high\n  disk_paths: [/data, .]\n"))
	if err != nil {
		t.Fatal(err)
	}
	var c Config
	if found, err := file.Section("failsafe", &c); !found || err != nil {
		t.Fatal(found, err)
	}
	if c.CPU != 80 || c.Memory != -1 || c.Interval != 10*time.Second || c.Refuse != High || !slices.Equal(c.DiskPaths, []string{"/data", "."}) || c.Validate() != nil {
		t.Errorf("read %+v", c)
	}
}
