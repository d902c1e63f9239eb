// Ralph-integration shows agents that do not get on, and what becomes of them when
// a supervisor looks after them. It needs nothing but Go, no model and no network,
// and ends by itself in about eight seconds:
//
//	go run ./examples/ralph-integration
//
// The agents' models are scripts. One agent is healthy and left alone. One repeats
// the same call, one has a tool that keeps failing, one works and gets nowhere, two
// hand the same work to each other, and two more use up a budget that they share.
// They are told so, then paused; some go on by themselves, for others a person has
// to come. Lines that begin with >> are events of the supervisor.
//
// To read the code, begin with worker.go, which is all that there is to do in the
// loop of an agent; what is told is in story.go.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/ralph"
	"github.com/blackbox4/switchgear/ralph/detect"
)

func main() { os.Exit(start()) }

// start is main with an exit status, so that what it defers runs.
func start() int {
	flag.Parse()
	if flag.NArg() > 0 {
		fmt.Fprintln(os.Stderr, "ralph-integration takes no arguments")
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "ralph-integration:", err)
		return 1
	}
	return 0
}

// config is what the supervisors of this program have in common.
func config(vitals core.Gate, tell func(ralph.Event)) ralph.Config {
	return ralph.Config{
		// Short, for a short story: the defaults are 30 s, 3 times and 2 min.
		AutoResumeAfter:     time.Second,
		ResumeJitter:        -1,
		MaxRecoveryAttempts: 2,
		EscalationTimeout:   3 * time.Second,
		Rules:               detect.Rules{NoProgress: detect.Limits{Nudge: 3, Trip: 5}}, // trips at 10 by default
		Vitals:              vitals,
		OnEvent:             tell,
	}
}

// story is one run of the program.
type story struct {
	begun      time.Time
	supervisor *ralph.Supervisor

	mu  sync.Mutex // events are told by the timer's goroutine, too
	out io.Writer
}

// run tells the story to out. When it returns, everything it started has ended.
func run(ctx context.Context, out io.Writer) (err error) {
	s := &story{begun: time.Now(), out: out}
	if s.supervisor, err = ralph.New(config(nil, s.tell)); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.supervisor.Close(context.WithoutCancel(ctx))) }()
	ctx, stop := context.WithTimeout(ctx, time.Minute) // more than it takes anywhere
	defer stop()
	for _, part := range []func(context.Context) error{s.healthy, s.repeats, s.failing, s.nowhere, s.circle, s.budget, s.host} {
		if err := part(ctx); err != nil {
			return err
		}
		s.say("")
	}
	s.end()
	return nil
}

// hire makes a worker whose model is a script: it is told the number of the call, and
// whether a person has said something, and thinks for a while.
func (s *story) hire(id string, o ralph.Options, script func(n int, told bool) reply) (*worker, error) {
	o.Session = "session-123" // with its id, it is in every event
	agent, err := s.supervisor.Monitor(id, o)
	n := 0
	return &worker{
		supervisor: s.supervisor,
		agent:      agent,
		model: func(ctx context.Context, conversation []message) (reply, error) {
			n++
			told := slices.ContainsFunc(conversation, func(m message) bool { return m.from == "sam" })
			return script(n, told), sleep(ctx, 20*time.Millisecond)
		},
		say: func(format string, args ...any) { s.say("  %-10s  %s", id, fmt.Sprintf(format, args...)) },
	}, err
}

// resume is a person who says that an agent may go on, and how.
func (s *story) resume(w *worker, advice string) error {
	w.hear("sam", advice)
	return s.supervisor.Resume(w.agent.ID(), "sam", advice)
}

// escalated checks that err is a refusal for which a person has to come.
func escalated(err error) error {
	if errors.Is(err, ralph.ErrFailsafeTriggered) { // where it is paused only: ErrAgentPaused
		return nil
	}
	return fmt.Errorf("a person should have been asked, but: %w", err)
}

// tell tells of an event; it is the supervisor's hook.
func (s *story) tell(e ralph.Event) {
	text := e.Kind.String()
	if e.From != e.To {
		text = fmt.Sprintf("%v -> %v", e.From, e.To)
	}
	switch e.Kind {
	case ralph.EventNudged, ralph.EventPaused, ralph.EventEscalated:
		text += fmt.Sprintf(": %v, rule %s (%.3g of %.3g)", e.Cause.Reason, e.Cause.Rule, e.Cause.Count, e.Cause.Threshold)
	case ralph.EventRecovered:
		text += ": it has shown progress"
	case ralph.EventBudget:
		text = "its budget was changed"
	case ralph.EventResumed, ralph.EventStopped, ralph.EventReset, ralph.EventStore:
	}
	if !e.ResumeAt.IsZero() {
		text += fmt.Sprintf(", to be resumed in %v", e.ResumeAt.Sub(e.At))
	}
	if e.To == ralph.Recovering && e.Kind == ralph.EventResumed {
		text += fmt.Sprintf(", on probation, attempt %d", e.Attempt)
	}
	if e.By != "" {
		text += ", by " + e.By
	}
	if e.Note != "" {
		text += ": " + e.Note
	}
	s.say("  >> %.2fs %s: %s", e.At.Sub(s.begun).Seconds(), e.Agent, text)
}

// end tells where the agents stand.
func (s *story) end() {
	s.say("In the end:")
	for _, st := range s.supervisor.Statuses() {
		s.say("  %-10s  %-9v  iterations: %2d, steps: %2d, errors: %d, refused: %d, hand-offs: %d", st.ID, st.State,
			st.Totals.Iterations, st.Totals.Steps, st.Totals.Errors, st.Totals.Refused, st.Handoffs)
	}
}

// say prints a line, in as many as it takes on a terminal.
func (s *story) say(format string, args ...any) {
	const width, indent = 110, "              "
	s.mu.Lock()
	defer s.mu.Unlock()
	rest := fmt.Sprintf(format, args...)
	for len(rest) > width {
		at := strings.LastIndexByte(rest[:width], ' ')
		if at <= len(indent) {
			break
		}
		fmt.Fprintln(s.out, rest[:at])
		rest = indent + rest[at+1:]
	}
	fmt.Fprintln(s.out, rest)
}

// sleep waits for d, or returns why ctx ended before.
func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
