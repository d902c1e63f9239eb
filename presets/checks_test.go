package presets_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/presets"
)

const s = time.Second

// notebook is a buffer that a logger may write to while it is read.
type notebook struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (n *notebook) Write(p []byte) (int, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.text.Write(p)
}

func (n *notebook) String() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.text.String()
}

// checked is a dependency that is asked whether it is well, and notes when.
type checked struct {
	mu    sync.Mutex
	began time.Time
	at    []time.Duration
	check func(ctx context.Context, n int) error // of the n-th check, from 1; nil for one that fails
}

func (c *checked) ask(ctx context.Context) error {
	c.mu.Lock()
	c.at = append(c.at, time.Since(c.began))
	n := len(c.at)
	c.mu.Unlock()
	if c.check == nil {
		return errDown
	}
	return c.check(ctx, n)
}

func (c *checked) askedAt() []time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.at)
}

// wasAsked compares when the checks were, since the checked was made.
func (c *checked) wasAsked(t *testing.T, want ...time.Duration) {
	t.Helper()
	synctest.Wait() // those that are due now
	if got := c.askedAt(); !slices.Equal(got, want) {
		t.Fatalf("checks were made at %v, want %v", got, want)
	}
}

// withChecks protects a name by a policy with health checks: one failure opens,
// for a minute unless change says otherwise, and two successes close.
func withChecks(t *testing.T, r *presets.Registry, name string, change func(p *presets.Policy)) (*core.Breaker, *checked) {
	t.Helper()
	c := &checked{began: time.Now()}
	p := presets.Policy{Config: core.Config{FailureThreshold: 1, Timeout: time.Minute}, HealthCheck: c.ask, Registry: r}
	if change != nil {
		change(&p)
	}
	if err := protectNothing(name, p)(t.Context()); err != nil {
		t.Fatalf("protecting %q: %v", name, err)
	}
	return breakerOf(t, r, name), c
}

// schedule runs the checks of a registry until the test ends or stop is called.
func schedule(t *testing.T, r *presets.Registry) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := r.CheckHealth(ctx); err != nil {
			t.Errorf("CheckHealth = %v, want nil when its context is done", err)
		}
	}()
	synctest.Wait()
	return func() { cancel(); <-done }
}

// until sleeps until so long after a checked was made.
func (c *checked) until(at time.Duration) { time.Sleep(time.Until(c.began.Add(at))) }

// S10: the original had flags for health checks and notifications, and no code.
func TestHealthChecksRun(t *testing.T) {
	inBubble(t, "every interval while the breaker is open", func(t *testing.T) {
		r := new(presets.Registry)
		b, c := withChecks(t, r, "x", func(p *presets.Policy) { p.Timeout = 22 * s })
		schedule(t, r)
		c.until(100 * s)
		c.wasAsked(t) // all was well
		failing(t, b, 1)
		c.until(119 * s)
		c.wasAsked(t, 105*s, 110*s, 115*s)
		c.until(122*s - 1)
		stateIs(t, b, core.Open)
		c.until(122 * s) // failed checks have not made the break longer
		stateIs(t, b, core.HalfOpen)
		c.until(200 * s)
		c.wasAsked(t, 105*s, 110*s, 115*s, 120*s)
		if got := b.Snapshot().Cause; got != core.CauseTimeoutElapsed {
			t.Errorf("the breaker is half-open because %v, want %v", got, core.CauseTimeoutElapsed)
		}
	})
	inBubble(t, "and one that succeeds ends the break", func(t *testing.T) {
		r := new(presets.Registry)
		var told []core.Transition
		b, c := withChecks(t, r, "x", func(p *presets.Policy) {
			p.HealthCheckInterval = 7 * s
			p.Hooks.Transition = func(_ context.Context, tr core.Transition) { told = append(told, tr) }
		})
		c.check = func(_ context.Context, n int) error {
			if n < 3 {
				return errDown
			}
			return nil
		}
		schedule(t, r)
		failing(t, b, 1)
		c.until(21*s - 1)
		stateIs(t, b, core.Open)
		c.until(21 * s)
		c.wasAsked(t, 7*s, 14*s, 21*s)
		stateIs(t, b, core.HalfOpen)
		if got := b.Snapshot(); got.Cause != core.CauseCheckPassed || !got.Since.Equal(c.began.Add(21*s)) {
			t.Errorf("the breaker is half-open since %v because %v, want since 21 s, because %v", got.Since, got.Cause, core.CauseCheckPassed)
		}
		for range 2 {
			if err := b.Do(t.Context(), func(context.Context) error { return nil }); err != nil {
				t.Fatalf("a probe = %v, want it admitted", err)
			}
		}
		stateIs(t, b, core.Closed)
		totalsAre(t, b, core.Totals{Calls: 4, Successes: 3, Failures: 1}) // a check is no call
		c.until(200 * s)
		c.wasAsked(t, 7*s, 14*s, 21*s)
		var causes []core.Cause
		for i, tr := range told {
			causes = append(causes, tr.Cause)
			if tr.Seq != uint64(i+1) {
				t.Errorf("transition %d has the number %d", i+1, tr.Seq)
			}
		}
		if want := []core.Cause{core.CauseConsecutiveFailures, core.CauseCheckPassed, core.CauseProbesPassed}; !slices.Equal(causes, want) {
			t.Errorf("the user's hook was told %v, want %v", causes, want)
		}
	})
	inBubble(t, "notifications on a change of state and on a failure", func(t *testing.T) {
		r := new(presets.Registry)
		var told []string
		p := in(r, presets.Policy{Config: core.Config{FailureThreshold: 2}})
		p.Hooks.Transition = func(_ context.Context, tr core.Transition) { told = append(told, tr.To.String()) }
		p.Hooks.Settled = func(_ context.Context, se core.Settlement) {
			if se.Outcome == core.Failure {
				told = append(told, se.Err.Error())
			}
		}
		call := presets.MustProtectFunc("x", p, func(context.Context) error { return errDown })
		_, _, _ = call(t.Context()), call(t.Context()), call(t.Context())
		if want := []string{errDown.Error(), "open", errDown.Error()}; !slices.Equal(told, want) {
			t.Errorf("told %q, want %q", told, want)
		}
	})
}

func TestChecksWhen(t *testing.T) {
	inBubble(t, "one that opened before the scheduler started", func(t *testing.T) {
		r := new(presets.Registry)
		b, c := withChecks(t, r, "x", nil)
		failing(t, b, 1)
		c.until(20 * s)
		c.wasAsked(t)
		schedule(t, r)
		c.until(31 * s)
		c.wasAsked(t, 25*s, 30*s)
	})
	inBubble(t, "one that opens again is checked one interval after that", func(t *testing.T) {
		r := new(presets.Registry)
		b, c := withChecks(t, r, "x", func(p *presets.Policy) { p.Timeout = 3 * s })
		schedule(t, r)
		failing(t, b, 1)
		c.until(4 * s)
		if err := r.Apply(&presets.Fleet{Policies: map[string]presets.Policy{"x": {Config: core.Config{FailureThreshold: 1, Timeout: time.Minute}}}}); err != nil {
			t.Fatal(err) // a longer break, but the breaker is half-open
		}
		failing(t, b, 1)
		stateIs(t, b, core.Open)
		c.until(15 * s)
		c.wasAsked(t, 9*s, 14*s)
	})
	inBubble(t, "none for a negative interval or without a check", func(t *testing.T) {
		r := new(presets.Registry)
		off, c := withChecks(t, r, "off", func(p *presets.Policy) { p.HealthCheckInterval = -s })
		none, _ := withChecks(t, r, "none", func(p *presets.Policy) { p.HealthCheck = nil })
		schedule(t, r)
		failing(t, off, 1)
		failing(t, none, 1)
		c.until(59 * s)
		c.wasAsked(t)
		stateIs(t, none, core.Open)
	})
	inBubble(t, "each by its own interval", func(t *testing.T) {
		r := new(presets.Registry)
		fast, cf := withChecks(t, r, "fast", func(p *presets.Policy) { p.HealthCheckInterval = 4 * s })
		slow, cs := withChecks(t, r, "slow", func(p *presets.Policy) { p.HealthCheckInterval = 6 * s })
		schedule(t, r)
		failing(t, fast, 1)
		failing(t, slow, 1)
		cf.until(13 * s)
		cf.wasAsked(t, 4*s, 8*s, 12*s)
		cs.wasAsked(t, 6*s, 12*s)
	})
	inBubble(t, "with a context that ends after one interval", func(t *testing.T) {
		r := new(presets.Registry)
		b, c := withChecks(t, r, "x", nil)
		c.check = func(ctx context.Context, _ int) error {
			if deadline, ok := ctx.Deadline(); !ok || time.Until(deadline) != 5*s {
				t.Errorf("a check has %v, want 5s", time.Until(deadline))
			}
			<-ctx.Done()
			return nil // at once when it is told to
		}
		schedule(t, r)
		failing(t, b, 1)
		c.until(10 * s)
		synctest.Wait()
		stateIs(t, b, core.HalfOpen)
	})
	for _, o := range []core.Override{core.ForcedOpen, core.Disabled, core.Shadow} {
		inBubble(t, "under the override "+o.String(), func(t *testing.T) {
			r := new(presets.Registry)
			b, c := withChecks(t, r, "x", nil)
			schedule(t, r)
			failing(t, b, 1)
			if err := b.Force(o); err != nil {
				t.Fatal(err)
			}
			c.until(11 * s)
			if o == core.Shadow { // in which the state machine goes on
				c.wasAsked(t, 5*s, 10*s)
			} else {
				c.wasAsked(t)
			}
			b.Release()
			c.until(16 * s)
			if got := c.askedAt(); len(got) == 0 || got[len(got)-1] != 15*s {
				t.Errorf("checks were made at %v, want the last at 15s, the override being gone", got)
			}
		})
	}
}

func TestChecksBelongToABreak(t *testing.T) {
	inBubble(t, "a check that outlasts its break does not end the next", func(t *testing.T) {
		r := new(presets.Registry)
		b, c := withChecks(t, r, "x", func(p *presets.Policy) { p.Timeout = 8 * s })
		c.check = func(_ context.Context, n int) error {
			if n == 1 {
				time.Sleep(4 * s) // from 5 to 9 s
				return nil
			}
			return errDown
		}
		schedule(t, r)
		failing(t, b, 1)
		c.until(8 * s)
		failing(t, b, 1) // a probe: the next break, from 8 to 16 s
		c.until(9 * s)
		synctest.Wait()
		stateIs(t, b, core.Open)
		c.until(16*s - 1)
		stateIs(t, b, core.Open)
		if got := c.askedAt(); len(got) < 2 || got[1] < 9*s || got[1] > 14*s {
			t.Errorf("checks were made at %v, want one in the second break", got)
		}
		c.until(16 * s)
		stateIs(t, b, core.HalfOpen)
	})
	inBubble(t, "nor one of a break that was ended by hand", func(t *testing.T) {
		r := new(presets.Registry)
		b, c := withChecks(t, r, "x", nil)
		c.check = func(context.Context, int) error { time.Sleep(2 * s); return nil }
		schedule(t, r)
		failing(t, b, 1)
		c.until(6 * s)
		b.Reset()
		c.until(8 * s)
		synctest.Wait()
		stateIs(t, b, core.Closed)
	})
}

func TestChecksThatMisbehave(t *testing.T) {
	for name, misbehave := range map[string]func(){
		"panic":     func() { panic("in the check") },
		"panic nil": func() { panic(nil) }, //nolint:govet // what is tested
		"Goexit":    runtime.Goexit,
	} {
		inBubble(t, name, func(t *testing.T) {
			r := new(presets.Registry)
			var log notebook
			b, c := withChecks(t, r, "x", func(p *presets.Policy) { p.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
			c.check = func(_ context.Context, n int) error {
				if n < 3 {
					misbehave()
				}
				return nil
			}
			schedule(t, r)
			failing(t, b, 1)
			c.until(14 * s)
			c.wasAsked(t, 5*s, 10*s)
			stateIs(t, b, core.Open)
			if name == "panic" && strings.Count(log.String(), "in the check") != 2 {
				t.Errorf("the log is %q, want both panics in it", log.String())
			}
			c.until(15 * s)
			synctest.Wait()
			stateIs(t, b, core.HalfOpen)
		})
	}
	inBubble(t, "one that hangs keeps its place, and the others go on", func(t *testing.T) {
		r := new(presets.Registry)
		release := make(chan struct{})
		hanging, ch := withChecks(t, r, "hanging", nil)
		ch.check = func(context.Context, int) error { <-release; return nil }
		other, co := withChecks(t, r, "other", nil)
		schedule(t, r)
		failing(t, hanging, 1)
		failing(t, other, 1)
		co.until(21 * s)
		ch.wasAsked(t, 5*s)
		co.wasAsked(t, 5*s, 10*s, 15*s, 20*s)
		close(release) // late, and of the same break
		synctest.Wait()
		stateIs(t, hanging, core.HalfOpen)
		stateIs(t, other, core.Open)
	})
	inBubble(t, "eight that hang keep every place", func(t *testing.T) {
		r := new(presets.Registry)
		release := make(chan struct{})
		var all []*checked
		for i := range 9 {
			b, c := withChecks(t, r, fmt.Sprint("x", i), func(p *presets.Policy) { p.Timeout = time.Hour })
			c.check = func(context.Context, int) error { <-release; return errDown }
			all = append(all, c)
			failing(t, b, 1)
		}
		schedule(t, r)
		all[0].until(50 * s)
		asked := func() (n int) {
			synctest.Wait()
			for _, c := range all {
				n += len(c.askedAt())
			}
			return n
		}
		if n := asked(); n != 8 {
			t.Errorf("%d checks were begun, want 8", n)
		}
		close(release)
		if n := asked(); n != 9 { // the ninth as soon as there is a place
			t.Errorf("%d checks were begun when there was a place, want 9", n)
		}
		all[0].until(56 * s)
		if n := asked(); n != 18 {
			t.Errorf("%d checks were begun an interval later, want 18", n)
		}
	})
}

// At most eight checks run at a time, one of a breaker, however many are open.
func TestChecksAreFew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := new(presets.Registry)
		var running, most atomic.Int64
		var all []*checked
		for i := range 50 {
			var own atomic.Int64
			b, c := withChecks(t, r, fmt.Sprint("x", i), func(p *presets.Policy) { p.Timeout, p.HealthCheckInterval = time.Hour, 20*s })
			c.check = func(context.Context, int) error {
				if n := own.Add(1); n != 1 {
					t.Errorf("%d checks of one breaker run at once", n)
				}
				most.Store(max(most.Load(), running.Add(1))) // close enough: in a bubble they start in turn
				time.Sleep(s)
				running.Add(-1)
				own.Add(-1)
				return errDown
			}
			all = append(all, c)
			failing(t, b, 1)
		}
		schedule(t, r)
		all[0].until(20*s + 7*s) // fifty, eight at a time, a second each
		synctest.Wait()
		for i, c := range all {
			if n := len(c.askedAt()); n != 1 {
				t.Errorf("breaker %d was checked %d times, want once", i, n)
			}
		}
		all[0].until(300 * s)
		synctest.Wait()
		for i, c := range all {
			if n := len(c.askedAt()); n < 10 {
				t.Errorf("breaker %d was checked %d times in 300 s, want at least 10", i, n)
			}
		}
		if got := most.Load(); got != 8 {
			t.Errorf("%d checks ran at once, want 8", got)
		}
	})
}

func TestChecksAndTheScheduler(t *testing.T) {
	inBubble(t, "is one goroutine while all is well", func(t *testing.T) {
		r := new(presets.Registry)
		before := runtime.NumGoroutine()
		for i := range 100 {
			withChecks(t, r, fmt.Sprint("x", i), nil)
		}
		stop := schedule(t, r)
		time.Sleep(time.Hour)
		synctest.Wait()
		if got := runtime.NumGoroutine(); got > before+1 {
			t.Errorf("%d goroutines, %d before, want one more", got, before)
		}
		stop()
	})
	inBubble(t, "sleeps when all is well again", func(t *testing.T) {
		r := new(presets.Registry)
		var looked atomic.Int64
		r.Attach = func(string, *presets.Policy) { looked.Add(1) }
		b, c := withChecks(t, r, "x", nil)
		schedule(t, r)
		failing(t, b, 1)
		c.until(2 * time.Minute)
		synctest.Wait()
		before := looked.Load()
		c.until(2 * time.Hour)
		synctest.Wait()
		if n := looked.Load() - before; n != 0 {
			t.Errorf("the policy was looked at %d times after the break, want none", n)
		}
	})
	inBubble(t, "a second one is an error", func(t *testing.T) {
		r := new(presets.Registry)
		stop := schedule(t, r)
		for range 2 {
			if err := r.CheckHealth(t.Context()); err == nil {
				t.Error("a second CheckHealth = nil, want an error")
			}
		}
		stop()
		stop = schedule(t, r) // one after the other is well
		if err := r.CheckHealth(t.Context()); err == nil {
			t.Error("a second CheckHealth = nil after the first was started again, want an error")
		}
		stop()
		other := schedule(t, new(presets.Registry)) // and so is one of another registry
		other()
	})
	inBubble(t, "ends with its context, and its checks before it", func(t *testing.T) {
		r := new(presets.Registry)
		var log notebook
		b, c := withChecks(t, r, "x", func(p *presets.Policy) { p.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
		ended := false
		c.check = func(ctx context.Context, _ int) error {
			<-ctx.Done()
			time.Sleep(s) // it takes a while to end
			ended = true
			return ctx.Err()
		}
		stop := schedule(t, r)
		failing(t, b, 1)
		before := log.String()
		c.until(6 * s)
		began := time.Now()
		stop()
		if took := time.Since(began); took != s || !ended {
			t.Errorf("it ended after %v with the check ended %t, want 1s, after the check", took, ended)
		}
		if added := strings.TrimPrefix(log.String(), before); added != "" {
			t.Errorf("the log went on with %q, want nothing: the check was broken off", added)
		}
		c.until(55 * s)
		c.wasAsked(t, 5*s)
		stateIs(t, b, core.Open)
	})
	inBubble(t, "goes on where one before it ended", func(t *testing.T) {
		r := new(presets.Registry)
		b, c := withChecks(t, r, "x", nil)
		stop := schedule(t, r)
		failing(t, b, 1)
		c.until(6 * s)
		stop()
		c.until(20 * s)
		schedule(t, r)
		c.until(26 * s)
		c.wasAsked(t, 5*s, 25*s)
	})
	inBubble(t, "logs what a check returns", func(t *testing.T) {
		r := new(presets.Registry)
		var log notebook
		b, c := withChecks(t, r, "x", func(p *presets.Policy) { p.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
		schedule(t, r)
		failing(t, b, 1)
		c.until(11 * s)
		synctest.Wait()
		if got := strings.Count(log.String(), errDown.Error()); got < 2 || !strings.Contains(log.String(), "breaker=x") || !strings.Contains(log.String(), "health check failed") {
			t.Errorf("the log is %q, want both failed checks of x", log.String())
		}
	})
	inBubble(t, "checks what Attach attaches", func(t *testing.T) {
		c := &checked{began: time.Now()}
		r := registryFor(t, &presets.Fleet{Defaults: presets.Policy{Config: core.Config{FailureThreshold: 1}, HealthCheckInterval: 3 * s}})
		r.Attach = func(name string, p *presets.Policy) {
			if name == "x" {
				p.HealthCheck = c.ask
			}
		}
		schedule(t, r)
		failing(t, breakerOf(t, r, "x"), 1) // no function is protected by it
		failing(t, breakerOf(t, r, "y"), 1)
		c.until(7 * s)
		c.wasAsked(t, 3*s, 6*s)
	})
	inBubble(t, "checks the breaker that names share", func(t *testing.T) {
		c := &checked{began: time.Now()}
		r := registryFor(t, &presets.Fleet{Registry: presets.Limits{Max: 1}, Defaults: presets.Policy{Config: core.Config{FailureThreshold: 1}}})
		r.Attach = func(_ string, p *presets.Policy) { p.HealthCheck = c.ask }
		schedule(t, r)
		breakerOf(t, r, "own")
		failing(t, breakerOf(t, r, "another"), 1)
		c.until(11 * s)
		c.wasAsked(t, 5*s, 10*s)
	})
}

// A reload, or a Protect, changes the checks of a breaker that is open.
func TestChecksAndReload(t *testing.T) {
	fleet := func(every time.Duration) *presets.Fleet {
		return &presets.Fleet{Policies: map[string]presets.Policy{"x": {Config: core.Config{FailureThreshold: 1, Timeout: time.Hour}, HealthCheckInterval: every}}}
	}
	inBubble(t, "it does not put them off", func(t *testing.T) {
		r := registryFor(t, fleet(5*s))
		b, c := withChecks(t, r, "x", nil)
		schedule(t, r)
		failing(t, b, 1)
		for i := range 10 {
			c.until(time.Duration(2*i+2) * s)
			apply(t, r, fleet(5*s))
		}
		c.wasAsked(t, 5*s, 10*s, 15*s, 20*s)
	})
	inBubble(t, "it can make them more often", func(t *testing.T) {
		r := registryFor(t, fleet(time.Hour))
		b, c := withChecks(t, r, "x", nil)
		schedule(t, r)
		failing(t, b, 1)
		c.until(10 * s)
		apply(t, r, fleet(5*s))
		c.until(21 * s)
		c.wasAsked(t, 15*s, 20*s)
	})
	inBubble(t, "it can end them", func(t *testing.T) {
		r := registryFor(t, fleet(5*s))
		b, c := withChecks(t, r, "x", nil)
		schedule(t, r)
		failing(t, b, 1)
		c.until(6 * s)
		apply(t, r, fleet(-s))
		c.until(60 * s)
		c.wasAsked(t, 5*s)
		apply(t, r, fleet(5*s))
		c.until(66 * s)
		c.wasAsked(t, 5*s, 65*s)
	})
	inBubble(t, "Protect brings one for a breaker that is open already", func(t *testing.T) {
		r := registryFor(t, fleet(5*s))
		failing(t, breakerOf(t, r, "x"), 1)
		schedule(t, r)
		c := &checked{began: time.Now()}
		protectNothing("x", presets.Policy{HealthCheck: c.ask, Registry: r})
		c.until(11 * s)
		c.wasAsked(t, 5*s, 10*s)
	})
}

// Without a scheduler nothing is kept of breakers that have opened, be they ever
// so many; nor after one has ended.
func TestChecksKeepNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const names = 10_000
		r := registryFor(t, &presets.Fleet{Registry: presets.Limits{Max: 500, Idle: time.Minute}})
		r.Attach = func(_ string, p *presets.Policy) {
			p.FailureThreshold = 1
			p.HealthCheck = func(context.Context) error { return nil }
		}
		schedule(t, r)()
		used := func() uint64 {
			forget(t, r, time.Minute)
			runtime.GC()
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			return m.HeapAlloc
		}
		var before uint64
		for i := range names {
			if i == names/10 {
				before = used()
			}
			if i%1000 == 0 {
				forget(t, r, time.Minute)
			}
			b := breakerOf(t, r, fmt.Sprintf("%0200d", i))
			failing(t, b, 1)
			b.Reset()
		}
		// Names alone would be 2 MB.
		after := used()
		runtime.KeepAlive(r)
		if after > before+1<<19 {
			t.Errorf("%d KiB after %d names have opened, %d KiB before; want no more", after>>10, names, before>>10)
		}
	})
}

// panics is a slog.Handler that panics.
type panics struct{ slog.Handler }

func (panics) Enabled(context.Context, slog.Level) bool  { return true }
func (panics) Handle(context.Context, slog.Record) error { panic("in the logger") }

// A Logger that panics is survived, as by the breaker itself. As the panic would
// be in a goroutine of the scheduler's, it is tried in a process of its own.
func TestChecksSurviveALogger(t *testing.T) {
	const inside = "TEST_CHECKS_SURVIVE_A_LOGGER"
	if os.Getenv(inside) == "" {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestChecksSurviveALogger$", "-test.count=1")
		cmd.Env = append(os.Environ(), inside+"=1")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("a process whose Logger panics: %v\n%s", err, out)
		}
		return
	}
	synctest.Test(t, func(t *testing.T) {
		r := new(presets.Registry)
		b, c := withChecks(t, r, "x", func(p *presets.Policy) { p.Logger = slog.New(panics{}) })
		schedule(t, r)
		failing(t, b, 1)
		c.until(11 * s)
		c.wasAsked(t, 5*s, 10*s)
	})
}

// Checks, calls, reloads and a second scheduler at once; for the race detector.
func TestChecksConcurrently(t *testing.T) { synctest.Test(t, testChecksConcurrently) }

func testChecksConcurrently(t *testing.T) {
	r := new(presets.Registry)
	p := in(r, presets.Policy{Config: core.Config{FailureThreshold: 1, Timeout: time.Minute}, HealthCheckInterval: 10 * time.Millisecond})
	var checks atomic.Int64
	p.HealthCheck = func(context.Context) error {
		if checks.Add(1)%2 == 0 {
			return errDown
		}
		return nil
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := r.CheckHealth(ctx); err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("CheckHealth = %v, want nil", err)
		}
	})
	for g := range 8 {
		calls := 0
		call := presets.MustProtectFunc(fmt.Sprint("x", g), p, func(context.Context) error {
			if calls++; calls%3 == 0 {
				return errDown
			}
			return nil
		})
		wg.Go(func() {
			for ctx.Err() == nil {
				_ = call(ctx)
				time.Sleep(time.Millisecond)
			}
		})
	}
	wg.Go(func() {
		for ctx.Err() == nil {
			apply(t, r, oldFleet())
			apply(t, r, nil)
			time.Sleep(time.Millisecond)
			if checks.Load() > 50 {
				cancel()
			}
		}
	})
	wg.Wait()
	if n := checks.Load(); n <= 50 {
		t.Errorf("%d checks in 20 s, want more than 50", n)
	}
}

// Many breakers that are open cost a check each, not a look at all.
func TestChecksOfMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const many = 5000
		registry, err := presets.NewRegistry(&presets.Fleet{Defaults: presets.Policy{
			Config: core.Config{FailureThreshold: 1, Timeout: time.Hour, MaxTimeout: time.Hour}, HealthCheckInterval: 10 * time.Second,
		}})
		if err != nil {
			t.Fatal(err)
		}
		var checks atomic.Int64
		registry.Attach = func(_ string, p *presets.Policy) {
			p.HealthCheck = func(context.Context) error { checks.Add(1); return errDown }
		}
		for i := range many {
			b, err := registry.Breakers().Get("n" + strconv.Itoa(i))
			if err != nil {
				t.Fatal(err)
			}
			_ = b.Do(t.Context(), func(context.Context) error { return errDown })
		}
		ctx, stop := context.WithTimeout(t.Context(), 35*time.Second)
		defer stop()
		if err := registry.CheckHealth(ctx); err != nil {
			t.Fatal(err)
		}
		if got := checks.Load(); got != 3*many {
			t.Errorf("%d checks of %d breakers in 35 s, want 3 of each", got, many)
		}
	})
}
