package core_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/blackbox4/switchgear/core"
)

var (
	bg      = context.Background()
	errSick = errors.New("the dependency is sick")
)

// bubble runs a subtest on the bubble's clock.
func bubble(t *testing.T, name string, f func(t *testing.T)) {
	t.Helper()
	t.Run(name, func(t *testing.T) { synctest.Test(t, f) })
}

func newBreaker(t *testing.T, cfg core.Config) *core.Breaker {
	t.Helper()
	b, err := core.New("test", cfg)
	if err != nil {
		t.Fatalf("New(%+v) = %v, want a breaker", cfg, err)
	}
	return b
}

// take asks for a permit and insists on it.
func take(t *testing.T, g core.Gate) *core.Permit {
	t.Helper()
	p, err := g.Allow(bg)
	if err != nil {
		t.Fatalf("Allow = %v, want a permit", err)
	}
	return &p
}

// refusal asks for a permit and insists on a refusal.
func refusal(t *testing.T, g core.Gate) *core.OpenError {
	t.Helper()
	p, err := g.Allow(bg)
	if err == nil {
		p.Settle(bg, core.Ignored)
		t.Fatal("Allow gave a permit, want a refusal")
	}
	refused, ok := errors.AsType[*core.OpenError](err)
	if !ok || !errors.Is(err, core.ErrOpen) {
		t.Fatalf("Allow = %T %v, want an *OpenError that matches ErrOpen", err, err)
	}
	return refused
}

// settle makes n calls that end at once with an outcome.
func settle(t *testing.T, g core.Gate, o core.Outcome, n int) {
	t.Helper()
	for range n {
		take(t, g).Settle(bg, o)
	}
}

func succeed(t *testing.T, g core.Gate, n int) { t.Helper(); settle(t, g, core.Success, n) }
func fail(t *testing.T, g core.Gate, n int)    { t.Helper(); settle(t, g, core.Failure, n) }

// play makes one call for each letter: S succeeds, F fails, I is ignored.
func play(t *testing.T, g core.Gate, calls string) {
	t.Helper()
	outcomes := map[rune]core.Outcome{'S': core.Success, 'F': core.Failure, 'I': core.Ignored}
	for _, c := range calls {
		take(t, g).Settle(bg, outcomes[c])
	}
}

// lasting makes a call that takes d and ends with an outcome.
func lasting(t *testing.T, g core.Gate, d time.Duration, o core.Outcome) {
	t.Helper()
	p := take(t, g)
	time.Sleep(d)
	p.Settle(bg, o)
}

func wantState(t *testing.T, b *core.Breaker, want core.State) {
	t.Helper()
	if got := b.State(); got != want {
		t.Fatalf("state = %v, want %v (%s)", got, want, b.Explain())
	}
}

// trip fails the closed breaker until it opens.
func trip(t *testing.T, b *core.Breaker) {
	t.Helper()
	for range 1000 {
		if b.State() == core.Open {
			return
		}
		fail(t, b, 1)
	}
	t.Fatal("1000 failures did not open the breaker")
}

// opened returns a new breaker that one failure has opened.
func opened(t *testing.T, cfg core.Config) *core.Breaker {
	t.Helper()
	cfg.FailureThreshold = 1
	b := newBreaker(t, cfg)
	fail(t, b, 1)
	wantState(t, b, core.Open)
	return b
}

// halfOpened returns a new breaker whose first break, of one second unless cfg
// says otherwise, is just over.
func halfOpened(t *testing.T, cfg core.Config) *core.Breaker {
	t.Helper()
	if cfg.Timeout == 0 {
		cfg.Timeout = time.Second
	}
	b := opened(t, cfg)
	time.Sleep(cfg.Timeout)
	wantState(t, b, core.HalfOpen)
	return b
}

// inState returns a new breaker in a state; FailureThreshold 1, Timeout 1 s and
// SuccessThreshold 1 unless cfg says otherwise.
func inState(t *testing.T, state core.State, cfg core.Config) *core.Breaker {
	t.Helper()
	if cfg.SuccessThreshold == 0 {
		cfg.SuccessThreshold = 1
	}
	switch state {
	case core.Open:
		if cfg.Timeout == 0 {
			cfg.Timeout = time.Second
		}
		return opened(t, cfg)
	case core.HalfOpen:
		return halfOpened(t, cfg)
	case core.Closed:
	}
	if cfg.FailureThreshold == 0 {
		cfg.FailureThreshold = 1
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = time.Second
	}
	return newBreaker(t, cfg)
}

// breakOf returns how long the open breaker stays open from now on.
func breakOf(t *testing.T, b *core.Breaker) time.Duration {
	t.Helper()
	wantState(t, b, core.Open)
	snap := b.Snapshot()
	return snap.RetryAt.Sub(snap.At)
}

// diary keeps what the hooks are told.
type diary struct {
	transitions []core.Transition
	refused     []*core.OpenError
	settled     []core.Settlement
}

func (r *diary) hooks() core.Hooks {
	return core.Hooks{
		Transition: func(_ context.Context, t core.Transition) { r.transitions = append(r.transitions, t) },
		Refused:    func(_ context.Context, err *core.OpenError) { r.refused = append(r.refused, err) },
		Settled:    func(_ context.Context, s core.Settlement) { r.settled = append(r.settled, s) },
	}
}

// path is the states that the transitions went through: "closed open half-open".
func path(transitions []core.Transition) string {
	var states []string
	for i, t := range transitions {
		if i == 0 {
			states = append(states, t.From.String())
		}
		states = append(states, t.To.String())
	}
	return strings.Join(states, " ")
}

func wantPath(t *testing.T, transitions []core.Transition, want string) {
	t.Helper()
	if got := path(transitions); got != want {
		t.Fatalf("transitions: %q, want %q", got, want)
	}
}

func wantWindow(t *testing.T, b *core.Breaker, want core.Counts) {
	t.Helper()
	if got := b.Snapshot().Window; got != want {
		t.Fatalf("window = %+v, want %+v", got, want)
	}
}

func wantTotals(t *testing.T, b *core.Breaker, want core.Totals) {
	t.Helper()
	if got := b.Snapshot().Totals; got != want {
		t.Fatalf("totals\n %+v, want\n %+v", got, want)
	}
}

// fakeClock is a clock for Config.Now that moves by hand, also back.
type fakeClock struct{ at time.Time }

func newFakeClock() *fakeClock {
	return &fakeClock{time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
}

func (c *fakeClock) now() time.Time          { return c.at }
func (c *fakeClock) advance(d time.Duration) { c.at = c.at.Add(d) }

// one has one place for probes and closes by one success.
var one = core.Config{HalfOpenMaxCalls: 1, SuccessThreshold: 1, ProbeTimeout: 10 * time.Second}

// wantRecovery insists that the breaker finds back by itself, given time.
func wantRecovery(t *testing.T, b *core.Breaker) {
	t.Helper()
	for range 3 {
		time.Sleep(time.Minute)
		if p, err := b.Allow(bg); err == nil {
			p.Settle(bg, core.Success)
		}
	}
	wantState(t, b, core.Closed)
}

// onItsOwn runs f on a goroutine that f may end, and survives its panic.
func onItsOwn(f func()) {
	var wg sync.WaitGroup
	wg.Go(func() {
		defer func() { _ = recover() }()
		f()
	})
	wg.Wait()
}

func force(t *testing.T, b *core.Breaker, o core.Override) {
	t.Helper()
	if err := b.Force(o); err != nil {
		t.Fatalf("Force(%v) = %v, want nil", o, err)
	}
	if got := b.Snapshot().Override; got != o {
		t.Fatalf("override = %v, want %v", got, o)
	}
}

func update(t *testing.T, b *core.Breaker, cfg core.Config) {
	t.Helper()
	if err := b.Update(cfg); err != nil {
		t.Fatalf("Update(%+v) = %v, want nil", cfg, err)
	}
}

func get(t *testing.T, r *core.Registry, name string) *core.Breaker {
	t.Helper()
	b, err := r.Get(name)
	if err != nil || b == nil {
		t.Fatalf("Get(%q) = %v, %v; want a breaker", name, b, err)
	}
	return b
}

func names(r *core.Registry) map[string]bool {
	seen := map[string]bool{}
	for name := range r.All() {
		seen[name] = true
	}
	return seen
}

func always(cfg core.Config) func(string) core.Config { return func(string) core.Config { return cfg } }

// underRace reports whether the race detector is in this binary.
func underRace() bool {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return false
	}
	for _, s := range info.Settings {
		if s.Key == "-race" {
			return s.Value == "true"
		}
	}
	return false
}

// scaled is n, or less where time is short.
func scaled(n int) int {
	if testing.Short() || underRace() {
		n /= 5
	}
	return max(n, 1)
}

// neverOpens returns c without rules, or with the rates that it sets.
func neverOpens(c core.Config) core.Config {
	c.FailureThreshold = -1
	if c.FailureRateThreshold == 0 {
		c.FailureRateThreshold = -1
	}
	return c
}

// withoutRules returns a breaker that never opens, whatever its window.
func withoutRules(name string, c core.Config) *core.Breaker {
	c.FailureThreshold = -1
	b := core.MustNew(name, c)
	core.SwitchRatesOff(b)
	return b
}

// hammer runs f from many goroutines at once.
func hammer(goroutines, times int, f func(goroutine, i int)) {
	var arrived atomic.Int32
	var wg sync.WaitGroup
	for g := range goroutines {
		wg.Go(func() {
			arrived.Add(1)
			for arrived.Load() < int32(min(goroutines, runtime.GOMAXPROCS(0))) {
				runtime.Gosched()
			}
			for i := range times {
				f(g, i)
				if i&63 == g {
					runtime.Gosched()
				}
			}
		})
	}
	wg.Wait()
}

// handClock is a clock set by hand.
type handClock struct{ at atomic.Int64 }

var handEpoch = time.Unix(0, 0)

func (c *handClock) now() time.Time          { return handEpoch.Add(time.Duration(c.at.Load())) }
func (c *handClock) advance(d time.Duration) { c.at.Add(int64(d)) }
func (c *handClock) since() time.Duration    { return time.Duration(c.at.Load()) }

// logbook is a slog.Handler that keeps each line as "LEVEL message key=value …".
type logbook struct {
	mu     sync.Mutex
	lines  []string
	before func(msg string) // runs before a line is kept
}

func (l *logbook) Enabled(context.Context, slog.Level) bool { return true }
func (l *logbook) WithAttrs([]slog.Attr) slog.Handler       { return l }
func (l *logbook) WithGroup(string) slog.Handler            { return l }

func (l *logbook) Handle(_ context.Context, r slog.Record) error {
	if l.before != nil {
		l.before(r.Message)
	}
	var line strings.Builder
	fmt.Fprintf(&line, "%v %s", r.Level, r.Message)
	var add func(a slog.Attr)
	add = func(a slog.Attr) {
		v := a.Value.Resolve()
		if v.Kind() != slog.KindGroup {
			fmt.Fprintf(&line, " %s=%v", a.Key, v)
			return
		}
		for _, part := range v.Group() {
			add(part)
		}
	}
	r.Attrs(func(a slog.Attr) bool { add(a); return true })
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, line.String())
	return nil
}

func (l *logbook) count(part string) int {
	n := 0
	for _, line := range l.lines {
		if strings.Contains(line, part) {
			n++
		}
	}
	return n
}
