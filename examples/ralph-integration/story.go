package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/blackbox4/switchgear/core/failsafe"
	"github.com/blackbox4/switchgear/ralph"
	"github.com/blackbox4/switchgear/ralph/detect"
)

// healthy is an agent that gets on.
func (s *story) healthy(ctx context.Context) error {
	s.say("An agent that gets on is left alone.")
	coder, err := s.hire("coder", ralph.Options{}, func(n int, _ bool) reply {
		return reply{calls: []call{{"write_test", fmt.Sprintf(`{"of": "order %d"}`, n)}}, done: n == 4}
	})
	if err != nil {
		return err
	}
	tests := 0
	coder.state = func() string { return fmt.Sprintf("tests that pass: %d", tests) }
	coder.tool = func(string, string) (string, error) {
		tests++
		return coder.state(), nil
	}
	return coder.work(ctx)
}

// repeats is an agent that makes the same call again and again, two in a reply,
// whatever the supervisor says, until a person says what to do instead.
func (s *story) repeats(ctx context.Context) error {
	s.say("An agent repeats the same call. That is grave, and a person is asked at once.")
	researcher, err := s.hire("researcher", ralph.Options{}, func(_ int, told bool) reply {
		if told {
			return reply{calls: []call{{"fetch", `{"url": "https://museum.example/visit"}`}}, done: true}
		}
		search := call{"search", `{"query": "museum opening hours"}`}
		return reply{calls: []call{search, search}}
	})
	if err != nil {
		return err
	}
	researcher.tool = func(name, _ string) (string, error) {
		if name == "fetch" {
			return "open from 10 to 18", nil
		}
		return "no results", nil
	}
	if err := escalated(researcher.work(ctx)); err != nil {
		return err
	}
	if err := s.resume(researcher, "look on the museum's own site"); err != nil {
		return err
	}
	return researcher.work(ctx)
}

// failing is an agent whose tool is away for a while.
func (s *story) failing(ctx context.Context) error {
	s.say("An agent's tool keeps failing. The agent is paused, and resumed by itself, on probation.")
	letters := []string{"ann", "bob", "cid", "dee", "eve", "fay"}
	mailer, err := s.hire("mailer", ralph.Options{}, func(n int, _ bool) reply {
		r := reply{done: n == 6}
		for i := range 2 {
			r.calls = append(r.calls, call{"send", fmt.Sprintf(`{"to": %q}`, letters[(2*n-2+i)%len(letters)])})
		}
		return r
	})
	if err != nil {
		return err
	}
	sent := 0
	mailer.state = func() string { return fmt.Sprintf("letters sent: %d", sent) }
	outage := time.Now().Add(time.Second) // the agent is paused before it is over, and for longer
	mailer.tool = func(string, string) (string, error) {
		if time.Now().Before(outage) {
			return "", errUnavailable
		}
		sent++
		return "sent", nil
	}
	return mailer.work(ctx)
}

// nowhere is an agent that does something new each time, and nothing gets better.
func (s *story) nowhere(ctx context.Context) error {
	s.say("An agent gets nowhere. It is resumed on probation, twice, and then a person is asked.")
	fixer, err := s.hire("fixer", ralph.Options{}, func(n int, _ bool) reply {
		return reply{calls: []call{{"edit", fmt.Sprintf(`{"change": %d}`, n)}}}
	})
	if err != nil {
		return err
	}
	fixer.state = func() string { return "tests that pass: 12" }
	fixer.tool = func(string, string) (string, error) { return fixer.state(), nil }
	if err := escalated(fixer.work(ctx)); err != nil {
		return err
	}
	text, _, _ := strings.Cut(fixer.agent.Explain(), "\n")
	fixer.say("explained: %s", text)
	return s.supervisor.Stop("fixer", "sam", "I do this one myself")
}

// circle is two agents of which each takes the work for the other's.
func (s *story) circle(ctx context.Context) error {
	s.say("Two agents hand the same work to each other.")
	planner, err := s.hire("planner", ralph.Options{}, func(_ int, told bool) reply {
		if told {
			return reply{calls: []call{{"write", `{"file": "NOTES.md"}`}}, done: true}
		}
		return reply{handoff: &handoff{"critic", "Please write the notes for the release."}}
	})
	if err != nil {
		return err
	}
	planner.tool = func(string, string) (string, error) { return "written", nil }
	critic, err := s.hire("critic", ralph.Options{}, func(int, bool) reply {
		return reply{handoff: &handoff{"planner", "I only review. Please write the notes for the release."}}
	})
	if err != nil {
		return err
	}
	for w, other := planner, critic; err == nil; w, other = other, w {
		if err = w.turn(ctx); err == nil && w.handed != nil {
			other.hear(w.agent.ID(), w.handed.payload)
		}
	}
	if err := escalated(err); err != nil {
		return err
	}
	if err := s.resume(critic, "wait for the notes"); err != nil {
		return err
	}
	if err := s.resume(planner, "write them yourself"); err != nil {
		return err
	}
	return planner.work(ctx)
}

// budget is two agents that work for a third one, which may spend 1.00 with all
// below it.
func (s *story) budget(ctx context.Context) error {
	s.say("Two agents use up the budget of the one that they work for.")
	if _, err := s.supervisor.Monitor("editor", ralph.Options{Tree: detect.Budgets{Cost: 1}}); err != nil {
		return err
	}
	var readers []*worker
	for _, id := range []string{"reader-1", "reader-2"} {
		reader, err := s.hire(id, ralph.Options{Name: "reader", Parent: "editor"}, func(n int, _ bool) reply {
			return reply{calls: []call{{"read", fmt.Sprintf(`{"file": %q, "page": %d}`, id, n)}}, done: n == 6, cost: 0.12}
		})
		if err != nil {
			return err
		}
		reader.tool = func(string, string) (string, error) { return "a page of text", nil }
		readers = append(readers, reader)
	}
	var err error
	for i := 0; err == nil; i++ {
		err = readers[i%2].turn(ctx)
	}
	if err := escalated(err); err != nil {
		return err
	}
	if err := s.supervisor.Update("editor", ralph.Options{Tree: detect.Budgets{Cost: 2}}); err != nil {
		return err
	}
	if err := s.supervisor.Resume("editor", "sam", "you may spend 2.00"); err != nil {
		return err
	}
	for _, reader := range readers {
		if err := s.resume(reader, "go on"); err != nil {
			return err
		}
		if err := reader.work(ctx); err != nil {
			return err
		}
	}
	return nil
}

// host is a supervisor that asks the machine before it lets an agent work. More than
// 1 % of the memory is in use everywhere.
func (s *story) host(ctx context.Context) (err error) {
	s.say("The host has no memory left, for a supervisor that allows 1 percent. A pause whose cause does not end is told to a person.")
	vitals, err := failsafe.New(failsafe.Config{CPU: -1, Disk: -1, Memory: 1, Margin: -1, Samples: 1, Interval: 100 * time.Millisecond, MaxAge: time.Minute})
	if err != nil {
		return err
	}
	reading, stop := context.WithCancel(ctx)
	var background sync.WaitGroup
	defer func() { stop(); background.Wait() }()
	background.Go(func() { vitals.Run(reading) })
	for !errors.Is(err, failsafe.ErrFailsafe) { // until the first reading
		if err := sleep(ctx, 10*time.Millisecond); err != nil {
			return err
		}
		_, err = vitals.Allow(ctx)
	}
	supervisor, err := ralph.New(config(vitals, s.tell))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, supervisor.Close(context.WithoutCancel(ctx))) }()
	agent, err := supervisor.Monitor("builder", ralph.Options{})
	if err != nil {
		return err
	}
	builder := &worker{agent: agent, model: func(context.Context, []message) (reply, error) { return reply{done: true}, nil }}
	return escalated(builder.work(ctx))
}
