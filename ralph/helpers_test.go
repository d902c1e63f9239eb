package ralph_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/core/failsafe"
	"github.com/blackbox4/switchgear/ralph"
	"github.com/blackbox4/switchgear/ralph/detect"
)

// TestMain also looks for goroutines that outlive the tests, and is the program
// that tests start as another process.
func TestMain(m *testing.M) {
	if job := os.Getenv("RALPH_TEST_JOB"); job != "" {
		os.Exit(jobs[job]())
	}
	before := runtime.NumGoroutine()
	code := m.Run()
	for range 6000 { // a minute: a busy machine may be late to end them
		if runtime.NumGoroutine() <= before {
			os.Exit(code)
		}
		time.Sleep(10 * time.Millisecond)
	}
	buf := make([]byte, 1<<20)
	fmt.Printf("%d goroutines before, %d after\n%s\n", before, runtime.NumGoroutine(), buf[:runtime.Stack(buf, true)])
	os.Exit(1)
}

// diary collects events.
type diary struct {
	mu     sync.Mutex
	events []ralph.Event
}

func (d *diary) note(e ralph.Event) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.events = append(d.events, e)
}

func (d *diary) all() []ralph.Event {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.events)
}

func (d *diary) of(kind ralph.EventKind) []ralph.Event {
	return slices.DeleteFunc(d.all(), func(e ralph.Event) bool { return e.Kind != kind })
}

// kinds are those of an agent's events, without nudges.
func (d *diary) kinds(id string) string {
	var all []string
	for _, e := range d.all() {
		if e.Agent == id && e.Kind != ralph.EventNudged {
			all = append(all, e.Kind.String())
		}
	}
	return strings.Join(all, " ")
}

// supervise returns a supervisor that is closed when the test ends, and a diary of
// its events.
func supervise(t testing.TB, cfg ralph.Config) (*ralph.Supervisor, *diary) {
	t.Helper()
	d := new(diary)
	if hook := cfg.OnEvent; hook != nil {
		cfg.OnEvent = func(e ralph.Event) { d.note(e); hook(e) }
	} else {
		cfg.OnEvent = d.note
	}
	s, err := ralph.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return s, d
}

// closeNow closes a supervisor within a bubble, where Cleanup would be too late.
func closeNow(t testing.TB, s *ralph.Supervisor) {
	t.Helper()
	if err := s.Close(context.Background()); err != nil {
		t.Error(err)
	}
}

func monitor(t testing.TB, s *ralph.Supervisor, id string, o ralph.Options) *ralph.Agent {
	t.Helper()
	a, err := s.Monitor(id, o)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// steady are rules of which none goes by the wall clock, for tests about others.
func steady() detect.Rules {
	return detect.Rules{
		Budgets:       detect.Budgets{Iterations: -1, Wall: -1, Idle: -1},
		NoProgressFor: detect.DurationLimits{Nudge: -1, Trip: -1},
		Calls:         detect.Limits{Nudge: -1, Trip: -1},
	}
}

// doing is a step whose outcome is always the same.
func doing(tool, args string) detect.Step {
	return detect.Step{Tool: tool, Args: args, Output: "the outcome of " + tool}
}

// fresh is a step that was not taken before.
func fresh(i int) detect.Step {
	return detect.Step{Tool: "read", Args: fmt.Sprintf(`{"file":"chapter %s"}`, word(i)), Output: "text about " + word(i*7+1)}
}

// word spells a number in letters, so that it is not masked.
func word(i int) string {
	s := ""
	for i++; i > 0; i /= 7 {
		s += []string{"ba", "ce", "di", "fo", "gu", "ha", "le"}[i%7]
	}
	return s
}

// observe observes a step that must not be an error.
func observe(t testing.TB, a *ralph.Agent, step detect.Step) detect.Finding {
	t.Helper()
	f, err := a.Observe(step)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// state returns the state of an agent.
func state(t testing.TB, s *ralph.Supervisor, id string) ralph.State {
	t.Helper()
	return status(t, s, id).State
}

func status(t testing.TB, s *ralph.Supervisor, id string) ralph.Status {
	t.Helper()
	st, err := s.Status(id)
	if err != nil {
		t.Fatal(err)
	}
	return st
}

func wantState(t testing.TB, s *ralph.Supervisor, id string, want ralph.State) {
	t.Helper()
	if got := state(t, s, id); got != want {
		text, _ := s.Explain(id)
		t.Fatalf("%s is %v, want %v\n%s", id, got, want, text)
	}
}

// iterate makes an iteration that ends with err; it returns the refusal.
func iterate(a *ralph.Agent, err error) error {
	p, refusal := a.AllowIteration(context.Background())
	if refusal != nil {
		return refusal
	}
	p.Done(context.Background(), err)
	return nil
}

var errWork = errors.New("it did not work")

// host is a gate that is sick while it has conditions.
type host struct {
	mu         sync.Mutex
	conditions []failsafe.Condition
	asked      int
}

func (h *host) set(conditions ...failsafe.Condition) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.conditions = conditions
}

func (h *host) Allow(ctx context.Context) (core.Permit, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.asked++
	if err := ctx.Err(); err != nil {
		return core.Permit{}, err
	}
	if h.conditions == nil {
		return core.Permit{}, nil
	}
	return core.Permit{}, &failsafe.Error{Conditions: h.conditions}
}

func (h *host) Conditions() []failsafe.Condition {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.conditions)
}

func hot(severity failsafe.Severity) failsafe.Condition {
	return failsafe.Condition{Type: failsafe.CPU, Severity: severity, Message: "the CPU is hot", Threshold: 90, Value: 93, At: time.Now()}
}

// refusedByAgent reports whether err is the refusal of an agent, in whatever state.
func refusedByAgent(err error) bool {
	_, ok := errors.AsType[*ralph.PausedError](err)
	return ok
}
