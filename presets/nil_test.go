package presets_test

import (
	"context"
	"io"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/presets"
)

// A nil or zero by mistake is reported by an error, where there is one to give,
// and never by a panic.
func TestNilIsTold(t *testing.T) {
	var r *presets.Registry
	var f *presets.Fleet
	var fn func(context.Context, int) (int, error)
	for name, row := range map[string]struct {
		err  error
		want string
	}{
		"WriteJSON of a nil Registry":          {r.WriteJSON(io.Discard), "nil Registry"},
		"WriteJSON to nothing":                 {new(presets.Registry).WriteJSON(nil), "nil Writer"},
		"Apply of a nil Registry":              {r.Apply(&presets.Fleet{}), "nil Registry"},
		"Apply of nil to a nil Registry":       {r.Apply(nil), "nil Registry"},
		"CheckHealth of a nil Registry":        {r.CheckHealth(t.Context()), "nil Registry"},
		"Decode of nothing":                    {errOf(presets.Decode(nil)), "nil Reader"},
		"Encode of nothing":                    {presets.Encode(io.Discard, nil), "nil Fleet"},
		"Encode to nowhere":                    {presets.Encode(nil, &presets.Fleet{}), "nil Writer"},
		"Protect of nothing":                   {errOf(presets.Protect("nothing", noRetry(core.Config{}), fn)), `protecting "nothing": nil function`},
		"ProtectFunc of nothing":               {errOf(presets.ProtectFunc("nothing", noRetry(core.Config{}), nil)), `protecting "nothing": nil function`},
		"a fallback of nothing":                {errOf(presets.Fallback(fn, nil)(t.Context(), 1)), "nil function"},
		"a fallback of nothing, with an other": {errOf(presets.Fallback(fn, func(context.Context, int, error) (int, error) { return 1, nil })(t.Context(), 1)), "nil function"},
		"a section into nothing":               {errOf(f.Section("ralph", nil)), "pointer to a struct"},
	} {
		if row.err == nil || !strings.HasPrefix(row.err.Error(), "presets: ") || !strings.Contains(row.err.Error(), row.want) {
			t.Errorf("%s: %v, want an error of presets that says %q", name, row.err, row.want)
		}
	}
	if b := r.Breakers(); b != nil {
		t.Errorf("the breakers of a nil Registry are %v, want nil", b)
	}
	for name, p := range map[string]presets.Policy{"a nil Registry": r.Policy("x"), "a nil Fleet": f.Policy("x")} {
		if !samePolicy(p, presets.Moderate()) {
			t.Errorf("the policy of %s is %s, want Moderate", name, shownPolicy(p))
		}
	}
	if err := f.Validate(); err != nil {
		t.Errorf("a nil Fleet: %v, want it valid", err)
	}
}

func errOf[T any](_ T, err error) error { return err }

// Zero values are ready.
func TestZeroIsReady(t *testing.T) {
	var r presets.Registry
	if err := r.Apply(nil); err != nil {
		t.Errorf("Apply of nothing to a zero Registry: %v", err)
	}
	call := presets.MustProtectFunc("x", presets.Policy{Registry: &r}, func(context.Context) error { return nil })
	var none context.Context
	if err := call(none); err != nil {
		t.Errorf("a call with a nil context and the zero Policy: %v", err)
	}
	if err := new(presets.Fleet).Validate(); err != nil {
		t.Errorf("the zero Fleet: %v", err)
	}
	if err := (presets.Policy{}).Validate(); err != nil {
		t.Errorf("the zero Policy: %v", err)
	}
}

// A nil context is one that never ends.
func TestNilContext(t *testing.T) {
	var none context.Context
	inBubble(t, "of retries", func(t *testing.T) {
		f := failsAlways()
		if _, err := presets.MustProtect("x", retrying(presets.Retry{Enabled: true, Strategy: presets.StrategyFixed}), f.call)(none, ""); err != errDown || f.calls() != 3 {
			t.Errorf("the call = %v after %d attempts, want 3 that fail", err, f.calls())
		}
	})
	t.Run("of Watch and CheckHealth", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "breakers.yaml")
		write(t, path, file(11))
		r := new(presets.Registry)
		go presets.Watch(none, path, r, func(error) {}) // that is what is tried; it ends with the process
		eventually(t, func() bool { return r.Policy("x").FailureThreshold == 11 }, func() string { return "the file is not applied" })
		go func() {
			for r.CheckHealth(none) != nil { // the look below was there first, for a moment
				runtime.Gosched()
			}
		}()
		eventually(t, func() bool { return r.CheckHealth(canceled()) != nil }, func() string { return "the checks do not go on" })
	})
}

func canceled() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}
