package ralph_test

import (
	"encoding/json"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/blackbox4/switchgear/ralph"
	"github.com/blackbox4/switchgear/ralph/detect"
)

// By default an agent that works for hours, through hundreds of iterations, goes on; in
// the profile strict it has a budget of both.
func TestWorkIsNotStoppedForItsTime(t *testing.T) {
	for profile, want := range map[detect.Profile]ralph.State{
		detect.ProfileDefault: ralph.Running, detect.ProfileStrict: ralph.Escalated, detect.ProfileUnattended: ralph.Running,
	} {
		t.Run(profile.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, _ := supervise(t, ralph.Config{Profile: profile})
				defer closeNow(t, s)
				a := monitor(t, s, "a", ralph.Options{})
				for i := range 400 {
					p, err := a.AllowIteration(t.Context())
					if err != nil {
						break
					}
					observe(t, a, fresh(i))
					time.Sleep(time.Minute)
					p.Done(t.Context(), nil)
				}
				wantState(t, s, "a", want)
			})
		})
	}
}

// A person who is away, or a child that is waited for, stops no agent.
func TestWaitingIsNotStopped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, d := supervise(t, ralph.Config{})
		defer closeNow(t, s)
		observe(t, monitor(t, s, "a", ralph.Options{}), fresh(1))
		time.Sleep(25 * time.Hour)
		synctest.Wait()
		if all := d.all(); len(all) != 0 {
			t.Errorf("%v", all)
		}
	})
}

// The profile is read by its name, and given once.
func TestProfileOfAConfig(t *testing.T) {
	var cfg ralph.Config
	if err := json.Unmarshal([]byte(`{"profile":"strict"}`), &cfg); err != nil || cfg.Profile != detect.ProfileStrict {
		t.Errorf("%v, %v", cfg.Profile, err)
	}
	cfg.Rules.Profile = detect.ProfileUnattended
	if err := cfg.Validate(); err == nil || !strings.Contains(err.Error(), "Rules.Profile is unattended, allowed: none besides Profile") {
		t.Error(err)
	}
	if err := (ralph.Config{Profile: 9}).Validate(); err == nil || !strings.Contains(err.Error(), "Profile") {
		t.Error(err)
	}
}
