package ralph_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/blackbox4/switchgear/ralph"
	"github.com/blackbox4/switchgear/ralph/detect"
)

// rally has two agents hand the same to each other until one is refused, or so
// often. It returns how often they could.
func rally(t *testing.T, s *ralph.Supervisor, a, b string, most int) int {
	t.Helper()
	for n := range most {
		if _, err := s.Handoff(a, b, "somebody has to decide this, and it is not me"); err != nil {
			if !refusedByAgent(err) {
				t.Fatal(err)
			}
			return n
		}
		a, b = b, a
	}
	return most
}

func four(t *testing.T) (*ralph.Supervisor, *diary) {
	t.Helper()
	s, d := supervise(t, plain())
	for _, id := range []string{"a", "b", "c", "d"} {
		monitor(t, s, id, ralph.Options{})
	}
	return s, d
}

// TestSessionsJoin: when two sessions become one, what was counted in the larger is
// not forgotten.
func TestSessionsJoin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := four(t)
		defer closeNow(t, s)
		limit := rally(t, s, "a", "b", 100) // they are refused at the next
		if limit < 3 || limit > 10 {
			t.Fatalf("refused after %d", limit)
		}
		for _, order := range [][2]string{{"c", "a"}, {"a", "c"}} {
			for _, id := range []string{"a", "b", "c", "d"} {
				if err := s.Reset(id); err != nil {
					t.Fatal(err)
				}
				a, _ := s.Agent(id)
				a.NewTask(order[0] + " again")
			}
			if n := rally(t, s, "a", "b", limit-1); n != limit-1 {
				t.Fatalf("refused after %d", n)
			}
			rally(t, s, "c", "d", 1)
			if _, err := s.Handoff(order[0], order[1], "by the way, the weather is fine today"); err != nil {
				t.Fatal(err)
			}
			from, to := "a", "b"
			if (limit-1)%2 == 1 {
				from, to = "b", "a"
			}
			if n := rally(t, s, from, to, 20); n > 2 {
				t.Errorf("%v: %d more, though they had had %d", order, n, limit-1)
			}
		}
	})
}

// TestSessionProgress: work that goes round and gets on is no circle.
func TestSessionProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, on := range []bool{true, false} {
			cfg := plain()
			cfg.Rules = only(func(r *detect.Rules) { r.Handoffs = detect.Limits{} })
			s, _ := supervise(t, cfg)
			n := 0
			previous := monitor(t, s, "peer", ralph.Options{})
			for ; n < 20; n++ {
				next := monitor(t, s, "peer "+word(n), ralph.Options{})
				if on {
					previous.Progress("part " + word(n))
				}
				if _, err := s.Handoff(previous.ID(), next.ID(), "go on from here, please"); err != nil {
					break
				}
				previous = next
			}
			if on && n != 20 || !on && n > 6 {
				t.Errorf("with progress %t: %d hand-offs", on, n)
			}
			closeNow(t, s)
		}
	})
}

// TestSessionResumed: agents that were resumed are not stopped for what they did
// before.
func TestSessionResumed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := four(t)
		defer closeNow(t, s)
		limit := rally(t, s, "a", "b", 100)
		for range 3 {
			for _, id := range []string{"a", "b"} {
				if err := s.Resume(id, "eve", "once more"); err != nil {
					t.Fatal(err)
				}
			}
			if n := rally(t, s, "a", "b", 100); n < limit-1 {
				t.Errorf("refused after %d, and %d before", n, limit)
			}
		}
	})
}

// TestSessionBegin: what a user says is a new window for hand-offs, too.
func TestSessionBegin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := four(t)
		defer closeNow(t, s)
		a, err := s.Agent("a")
		if err != nil {
			t.Fatal(err)
		}
		for i := range 10 {
			a.NewTask("message " + word(i))
			if n := rally(t, s, "a", "b", 2); n != 2 {
				t.Fatalf("message %d: refused after %d", i, n)
			}
		}
		a.NewTask("the last message")
		if n := rally(t, s, "a", "b", 100); n > 10 {
			t.Errorf("%d hand-offs for one message", n)
		}
	})
}

// TestTimerMovesForward: an agent that is due sooner than those before is looked at
// when due.
func TestTimerMovesForward(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := four(t)
		defer closeNow(t, s)
		for _, id := range []string{"a", "b"} {
			if err := s.Pause(id, detect.ReasonBlocked, "", ""); err != nil { // due in 2 min
				t.Fatal(err)
			}
		}
		if err := s.Pause("c", detect.ReasonStuck, "", ""); err != nil { // due in 30 s
			t.Fatal(err)
		}
		time.Sleep(31 * time.Second)
		synctest.Wait()
		wantState(t, s, "c", ralph.Recovering)
		time.Sleep(90 * time.Second)
		synctest.Wait()
		wantState(t, s, "b", ralph.Escalated)
	})
}
