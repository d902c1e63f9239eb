package core_test

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/blackbox4/switchgear/core"
)

func TestLoggerTransitions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &logbook{}
		b := newBreaker(t, core.Config{FailureThreshold: 2, SuccessThreshold: 1, Timeout: time.Second, Logger: slog.New(log)})
		play(t, b, "SFF")
		time.Sleep(time.Second)
		succeed(t, b, 1)
		want := []string{
			"WARN circuit breaker is open breaker=test seq=1 from=closed to=open cause=consecutive failures calls=3 failures=2 slow=0 consecutive=2 retry_at=" + fmt.Sprint(time.Now().Round(0)) + " opens=1",
			"INFO circuit breaker is half-open breaker=test seq=2 from=open to=half-open cause=timeout elapsed calls=0 failures=0 slow=0 consecutive=0",
			"INFO circuit breaker is closed breaker=test seq=3 from=half-open to=closed cause=the probes passed calls=1 failures=0 slow=0 consecutive=1",
		}
		if len(log.lines) != len(want) {
			t.Fatalf("logged %q, want %d lines", log.lines, len(want))
		}
		for i, got := range log.lines {
			if got != want[i] {
				t.Errorf("line %d\n %s, want\n %s", i+1, got, want[i])
			}
		}
	})
}

// Refusing is normal: it is logged at most once for each stay in a state.
func TestLoggerRefusals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &logbook{}
		b := newBreaker(t, core.Config{FailureThreshold: 1, SuccessThreshold: 1, HalfOpenMaxCalls: 1, Timeout: time.Second, RampUp: time.Hour, Logger: slog.New(log)})
		const line = "circuit breaker refuses calls"
		want := func(n int, what string) {
			t.Helper()
			for range 100 {
				if p, err := b.Allow(bg); err == nil {
					p.Settle(bg, core.Ignored)
				}
			}
			if got := log.count(line); got != n {
				t.Fatalf("%s: %d lines about refusals, want %d: %q", what, got, n, log.lines)
			}
		}
		want(0, "closed")
		fail(t, b, 1)
		want(1, "open")
		if got := log.count("WARN " + line + " breaker=test state=open cause=consecutive failures retry_at=2000-"); got != 1 {
			t.Errorf("logged %q, want the refusal with its cause", log.lines)
		}
		time.Sleep(time.Second)
		probe := take(t, b)
		want(2, "half-open")
		probe.Settle(bg, core.Failure)
		want(3, "open again")
		time.Sleep(time.Second)
		take(t, b).Settle(bg, core.Success)
		want(4, "ramping up")
		force(t, b, core.ForcedOpen)
		want(5, "forced open in the same phase")
	})
}

func TestLoggerRefusalOnceUnderACrowd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &logbook{}
		b := opened(t, core.Config{Logger: slog.New(log)})
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for range 100 {
					_, _ = b.Allow(bg)
				}
			})
		}
		wg.Wait()
		if got := log.count("refuses"); got != 1 {
			t.Errorf("%d lines about 800 refusals, want 1", got)
		}
	})
}

// A handler that misbehaves hurts neither the call, nor the hooks.
func TestLoggerMisbehaves(t *testing.T) {
	for name, misbehave := range map[string]func(){"panic": func() { panic("handler") }, "Goexit": runtime.Goexit} {
		bubble(t, name, func(t *testing.T) {
			var told diary
			log := &logbook{before: func(string) { misbehave() }}
			b := newBreaker(t, core.Config{FailureThreshold: 1, Timeout: time.Second, Logger: slog.New(log), Hooks: told.hooks()})
			var wg sync.WaitGroup
			wg.Go(func() { fail(t, b, 1) })
			wg.Wait()
			wg.Go(func() { _, _ = b.Allow(bg) })
			wg.Wait()
			wantPath(t, told.transitions, "closed open")
			if len(told.refused) != 1 || len(told.settled) != 1 {
				t.Errorf("told of %d refusals and %d settlements, want one of each", len(told.refused), len(told.settled))
			}
			if got := b.Snapshot().HookPanics; (got > 0) != (name == "panic") {
				t.Errorf("%d panics counted", got)
			}
		})
	}
}

func TestLoggerTellsOfAHooksPanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &logbook{}
		b := newBreaker(t, core.Config{FailureThreshold: 1, Logger: slog.New(log), Hooks: core.Hooks{
			Transition: func(context.Context, core.Transition) { panic("my hook") },
		}})
		fail(t, b, 1)
		if got := log.count("ERROR circuit breaker hook panicked breaker=test panic=my hook"); got != 1 {
			t.Errorf("logged %q, want one line about the panic", log.lines)
		}
	})
}

// Each Force and each Release is a line, and so is the first refusal that
// follows a ForcedOpen, whatever the phase below it has logged.
func TestLoggerOverride(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &logbook{}
		b := opened(t, core.Config{Timeout: time.Hour, Logger: slog.New(log)})
		refusal(t, b)
		want := func(n int, line string) {
			t.Helper()
			if got := log.count(line); got != n {
				t.Fatalf("%d lines %q, want %d: %q", got, line, n, log.lines)
			}
		}
		for i := range 3 {
			force(t, b, core.ForcedOpen)
			want(i+1, "WARN circuit breaker override breaker=test override=forced-open")
			for range 10 {
				refusal(t, b)
			}
			want(i+1, "WARN circuit breaker refuses calls breaker=test state=open cause=forced open by hand")
			b.Release()
			want(i+1, "WARN circuit breaker override breaker=test override=none")
			refusal(t, b)
		}
		want(1, "cause=consecutive failures retry_at")
		want(6, "override")
		force(t, b, core.Disabled)
		force(t, b, core.Shadow)
		want(1, "override=disabled")
		want(1, "override=shadow")
		if err := b.Force(99); err == nil || log.count("override") != 8 {
			t.Errorf("Force(99) = %v, logged %q; want an error and no line", err, log.lines)
		}
	})
}

// In shadow nothing is refused, and the line says so.
func TestLoggerShadow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &logbook{}
		b := opened(t, core.Config{Logger: slog.New(log)})
		force(t, b, core.Shadow)
		succeed(t, b, 10)
		const line = "WARN circuit breaker would refuse calls, but is in shadow breaker=test state=open cause=consecutive failures retry_at=2000-"
		if log.count(line) != 1 || log.count("refuses calls") != 0 {
			t.Errorf("logged %q, want one line %q", log.lines, line)
		}
	})
}

func TestLoggerForcedOnceOverUpdates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &logbook{}
		cfg := core.Config{Logger: slog.New(log)}
		b := newBreaker(t, cfg)
		force(t, b, core.ForcedOpen)
		for range 5 {
			refusal(t, b)
			refusal(t, b)
			update(t, b, cfg)
		}
		if n := log.count("refuses"); n != 1 {
			t.Errorf("%d lines about refusals of one Force, want 1", n)
		}
	})
}

func TestLoggerFloodKeepsWhatIsRare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &logbook{}
		cfg := core.Config{FailureThreshold: 1, Timeout: time.Hour, Logger: slog.New(log), Hooks: core.Hooks{Settled: func(context.Context, core.Settlement) { time.Sleep(time.Millisecond) }}}
		b := newBreaker(t, cfg)
		var wg sync.WaitGroup
		wg.Go(func() { succeed(t, b, 1) })
		synctest.Wait()
		succeed(t, b, 2000)
		force(t, b, core.ForcedOpen)
		b.Release()
		fail(t, b, 1)
		refusal(t, b)
		wg.Wait()
		refusal(t, b)
		time.Sleep(time.Minute) // for what is queued
		synctest.Wait()
		if overrides, refusals := log.count("override"), log.count("refuses"); overrides != 2 || refusals != 1 {
			t.Errorf("%d lines about overrides and %d about refusals, want 2 and 1", overrides, refusals)
		}
	})
}
