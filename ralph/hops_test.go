package ralph_test

import (
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/blackbox4/switchgear/ralph"
	"github.com/blackbox4/switchgear/ralph/detect"
)

// TestHopsAreEachAgentsOwn: a helper that many hand work to joins their sessions, and
// none of them pays for the others; what an agent's own Options say holds for it alone.
func TestHopsAreEachAgentsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := plain()
		cfg.HandoffThreshold = 5
		s, d := supervise(t, cfg)
		defer closeNow(t, s)
		monitor(t, s, "helper", ralph.Options{})
		n := 0
		hand := func(from string) error {
			n++
			_, err := s.Handoff(from, "helper", fmt.Sprint(word(n*31), " ", word(n*37), " ", word(n*41)))
			return err
		}
		for i := range 40 {
			id := fmt.Sprint("user ", i)
			monitor(t, s, id, ralph.Options{})
			for range 3 {
				if err := hand(id); err != nil {
					t.Fatal(err)
				}
			}
		}
		for id, c := range map[string]struct{ own, times int }{"one": {1, 1}, "less": {2, 2}, "more": {9, 9}, "usual": {0, 5}, "no limit": {-1, 60}} {
			monitor(t, s, id, ralph.Options{Budget: detect.Budgets{Hops: c.own}})
			for i := range c.times {
				wantState(t, s, id, ralph.Running)
				if err := hand(id); (err != nil) != (i == c.times-1 && c.own >= 0) {
					t.Fatalf("%s, %d: %v", id, i+1, err)
				}
			}
			if c.own >= 0 {
				wantState(t, s, id, ralph.Escalated)
				for range 50 { // and it stays so
					if err := hand(id); err == nil {
						t.Fatalf("%s hands over all the same", id)
					}
				}
			}
		}
		// A raise lets it go on, up to what it was raised to, all told.
		if err := s.Update("usual", ralph.Options{Budget: detect.Budgets{Hops: 7}}); err != nil {
			t.Fatal(err)
		}
		if err := s.Resume("usual", "eve", ""); err != nil {
			t.Fatal(err)
		}
		if err := hand("usual"); err != nil {
			t.Error(err)
		}
		if err := hand("usual"); err == nil || status(t, s, "usual").Used.Hops != 7 {
			t.Errorf("%v, %+v", err, status(t, s, "usual").Used)
		}
		nudged := 0
		for _, e := range d.of(ralph.EventNudged) {
			if e.Agent == "more" && e.Cause.Rule == "hops" {
				nudged++
			}
		}
		if nudged != 1 {
			t.Errorf("nudged %d times", nudged)
		}
	})
}
