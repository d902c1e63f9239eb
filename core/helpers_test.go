package core_test

import (
	"context"
	"errors"
	"strings"
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
