package ralph_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/ralph"
	"github.com/blackbox4/switchgear/ralph/detect"
)

// held is how long one caller may be held by hooks that take that long each.
func held(hook time.Duration) time.Duration { return 100*time.Millisecond + hook }

// numbered checks that the events of each agent were told in order and without gaps.
func numbered(t *testing.T, d *diary) {
	t.Helper()
	last := make(map[string]uint64)
	for _, e := range d.all() {
		if e.Seq != last[e.Agent]+1 {
			t.Fatalf("%s: event %d after %d", e.Agent, e.Seq, last[e.Agent])
		}
		last[e.Agent] = e.Seq
	}
}

// TestHooksHoldACallerBriefly: whatever is queued, a caller goes on after 100 ms and
// the hook that is running, and the rest is told all the same.
func TestHooksHoldACallerBriefly(t *testing.T) {
	const hook = 60 * time.Millisecond
	for name, queue := range map[string]func(t *testing.T, s *ralph.Supervisor){
		"by others meanwhile": func(t *testing.T, s *ralph.Supervisor) {
			for i := range 4 {
				id := fmt.Sprint("other", i)
				monitor(t, s, id, ralph.Options{})
				go func() {
					for range 100 {
						time.Sleep(hook / 2)
						if err := errors.Join(s.Stop(id, "eve", ""), s.Resume(id, "eve", "")); err != nil {
							t.Error(err)
						}
					}
				}()
			}
		},
		"by nudges": func(t *testing.T, s *ralph.Supervisor) {
			a := monitor(t, s, "other", ralph.Options{})
			go func() {
				for i := range 100 {
					time.Sleep(hook / 2)
					for range 3 {
						observe(t, a, doing("search", word(i)))
					}
				}
			}()
		},
		"by the hook itself": nil,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var s *ralph.Supervisor
				var busy sync.Mutex
				again := 0
				cfg := ralph.Config{Rules: steady(), OnEvent: func(e ralph.Event) {
					if !busy.TryLock() {
						t.Error("two at a time")
						return
					}
					defer busy.Unlock()
					time.Sleep(hook)
					if queue == nil && again < 100 {
						again++
						if err := errors.Join(s.Stop("itself", "the hook", ""), s.Resume("itself", "the hook", "")); err != nil {
							t.Error(err)
						}
					}
				}}
				s, d := supervise(t, cfg)
				monitor(t, s, "itself", ralph.Options{})
				monitor(t, s, "a", ralph.Options{})
				if queue != nil {
					queue(t, s)
					time.Sleep(time.Millisecond)
				}
				for range 50 {
					begun := time.Now()
					if err := errors.Join(s.Stop("a", "eve", ""), s.Reset("a")); err != nil {
						t.Fatal(err)
					}
					if took := time.Since(begun); took > 2*held(hook) {
						t.Fatalf("two calls were held for %v, want %v at most", took, 2*held(hook))
					}
					time.Sleep(time.Second / 8)
				}
				time.Sleep(time.Hour)
				synctest.Wait()
				numbered(t, d)
				if st := s.Stats(); st.EventsDropped != 0 {
					t.Errorf("%d events were dropped", st.EventsDropped)
				}
				if last := status(t, s, "a").Events; len(d.all()) < 100 || d.of(ralph.EventReset)[49].Seq != last[len(last)-1].Seq {
					t.Errorf("%d events were told", len(d.all()))
				}
				closeNow(t, s)
			})
		})
	}
}

// TestALogHoldsACallerBriefly: a line and a hook are two, and the second one is left
// to another goroutine when the first has taken long.
func TestALogHoldsACallerBriefly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const slow = time.Second
		cfg := plain()
		lines := &slowLog{takes: slow}
		cfg.Logger = slog.New(lines)
		cfg.OnEvent = func(ralph.Event) { time.Sleep(slow) }
		s, d := supervise(t, cfg)
		monitor(t, s, "a", ralph.Options{})
		begun := time.Now()
		if err := s.Stop("a", "eve", ""); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(begun); took > held(slow) {
			t.Errorf("the caller was held for %v, want %v at most", took, held(slow))
		}
		closeNow(t, s) // waits
		if took := time.Since(begun); took != 2*slow || lines.n != 1 || len(d.all()) != 1 {
			t.Errorf("after %v, %d lines and %d events, want one each after %v", took, lines.n, len(d.all()), 2*slow)
		}
	})
}

// slowLog is a handler that takes its time, or leaves.
type slowLog struct {
	takes time.Duration
	do    func()
	n     int
}

func (l *slowLog) Enabled(context.Context, slog.Level) bool { return true }
func (l *slowLog) WithAttrs([]slog.Attr) slog.Handler       { return l }
func (l *slowLog) WithGroup(string) slog.Handler            { return l }
func (l *slowLog) Handle(context.Context, slog.Record) error {
	l.n++
	time.Sleep(l.takes)
	if l.do != nil {
		l.do()
	}
	return nil
}

// TestHooksThatLeave: a hook and a logger that always panic or call runtime.Goexit, at
// once or slowly, lose no event, and hold no caller for longer.
func TestHooksThatLeave(t *testing.T) {
	leave := map[string]func(){"Goexit": runtime.Goexit, "panic": func() { panic("boom") }}
	for name, do := range leave {
		for _, takes := range []time.Duration{0, 30 * time.Millisecond} {
			t.Run(fmt.Sprint(name, " after ", takes), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					cfg := plain()
					lines := &slowLog{takes: takes, do: do}
					cfg.Logger = slog.New(lines)
					cfg.OnEvent = func(ralph.Event) { time.Sleep(takes); do() }
					s, d := supervise(t, cfg)
					const n = 40
					for i := range n {
						monitor(t, s, fmt.Sprint("a", i), ralph.Options{})
					}
					for i := range n {
						ended := make(chan time.Duration)
						go func() { // which Goexit ends
							begun := time.Now()
							defer func() { ended <- time.Since(begun) }()
							_ = s.Stop(fmt.Sprint("a", i), "eve", "")
						}()
						if took := <-ended; took > held(takes) {
							t.Errorf("a caller was held for %v", took)
						}
					}
					closeNow(t, s)
					numbered(t, d)
					panics := uint64(0)
					if name == "panic" {
						panics = 2 * n
					}
					if st := s.Stats(); len(d.all()) != n || lines.n < n || st.HookPanics != panics || st.EventsDropped != 0 {
						t.Errorf("%d events, %d lines, %d panics, %d dropped; want %d, %d, %d and none", len(d.all()), lines.n, st.HookPanics, st.EventsDropped, n, n, panics)
					}
				})
			})
		}
	}
}

// TestQueueIsBounded: while a hook does not return, 4096 events wait, of which 2048
// nudges; what is more is dropped and counted, and no caller is held.
func TestQueueIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := ralph.Config{Rules: steady(), Events: -1}
		release := make(chan bool)
		cfg.OnEvent = func(ralph.Event) { <-release }
		s, d := supervise(t, cfg)
		a, b := monitor(t, s, "a", ralph.Options{}), monitor(t, s, "b", ralph.Options{})
		go s.Stop("b", "eve", "") // is held
		synctest.Wait()
		begun := time.Now()
		for i := range 3000 {
			for range 3 {
				observe(t, a, doing("search", word(i)))
			}
		}
		if st := s.Stats(); st.EventsDropped != 3000-2048 {
			t.Errorf("%d nudges were dropped, want %d", st.EventsDropped, 3000-2048)
		}
		for range 3000 {
			if err := errors.Join(s.Stop("a", "eve", ""), s.Resume("a", "eve", "")); err != nil {
				t.Fatal(err)
			}
		}
		if st := s.Stats(); st.EventsDropped != 3000+6000-4096 {
			t.Errorf("%d events were dropped, want %d", st.EventsDropped, 3000+6000-4096)
		}
		if took := time.Since(begun); took != 0 {
			t.Errorf("others were held for %v", took)
		}
		close(release)
		synctest.Wait()
		if n := len(d.all()); n != 1+4096 {
			t.Errorf("%d events were told, want %d", n, 1+4096)
		}
		if err := s.Reset("b"); err != nil { // and there is room again
			t.Fatal(err)
		}
		_ = b
		if n := len(d.all()); n != 1+4096+1 {
			t.Errorf("%d events were told, want one more", n)
		}
		closeNow(t, s)
	})
}

// TestCloseWaitsForHooks: until its context is done.
func TestCloseWaitsForHooks(t *testing.T) {
	for _, patience := range []time.Duration{time.Hour, time.Second} {
		synctest.Test(t, func(t *testing.T) {
			cfg := plain()
			cfg.OnEvent = func(ralph.Event) { time.Sleep(time.Minute) }
			s, d := supervise(t, cfg)
			for i := range 5 {
				monitor(t, s, fmt.Sprint("a", i), ralph.Options{})
				go s.Stop(fmt.Sprint("a", i), "eve", "")
			}
			time.Sleep(61 * time.Second)
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			begun := time.Now()
			err := s.Close(ctx)
			took := time.Since(begun)
			if patience == time.Second && (took != patience || !errors.Is(err, context.DeadlineExceeded)) {
				t.Errorf("Close: %v after %v", err, took)
			}
			if patience == time.Hour && (took != 4*time.Minute-time.Second || err != nil || len(d.all()) != 5) {
				t.Errorf("Close: %v after %v, with %d events told", err, took, len(d.all()))
			}
			time.Sleep(time.Hour)
		})
	}
}

// leaving is a gate that does what it should not on the timer's goroutine.
type leaving struct{ do func() }

func (g leaving) Allow(context.Context) (core.Permit, error) { g.do(); return core.Permit{}, nil }

// TestAGateThatLeavesTheTimer refuses: its agent is escalated in the end, and others
// are called on.
func TestAGateThatLeavesTheTimer(t *testing.T) {
	for name, do := range map[string]func(){"Goexit": runtime.Goexit, "panic": func() { panic("boom") }} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cfg := plain()
				cfg.Vitals = leaving{do}
				s, _ := supervise(t, cfg)
				defer closeNow(t, s)
				for i := range 3 {
					stall(t, monitor(t, s, fmt.Sprint("a", i), ralph.Options{}))
				}
				time.Sleep(time.Hour)
				synctest.Wait()
				for i := range 3 {
					wantState(t, s, fmt.Sprint("a", i), ralph.Escalated)
				}
				if err := s.Pause("a0", detect.ReasonStuck, "", ""); err != nil {
					t.Error(err)
				}
			})
		})
	}
}
