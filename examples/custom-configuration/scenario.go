package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/presets"
)

// many is how many calls a part of the story makes at most.
const many = 100

func (s *story) begin(context.Context) error {
	s.say("Three functions are protected.")
	s.describe("payments", "by name in breakers.yaml")
	s.describe("billing-eu", "by pattern in breakers.yaml")
	s.describe("search", "in the code")
	return nil
}

// fail lets the gateway fail until its breaker refuses.
func (s *story) fail(ctx context.Context) error {
	s.say("\nThe payment gateway goes down.")
	s.gateway.down.Store(true)
	for range many {
		before := s.gateway.asked.Load()
		_, err := s.charge(ctx, 1999)
		s.say("  charge, attempts: %d: %v", s.gateway.asked.Load()-before, err)
		s.told()
		if errors.Is(err, core.ErrOpen) {
			answer, err := s.search(ctx, "lamps")
			s.say("  search, which has a fallback: %s, %v", answer, err)
			s.say("  invoice, which has another breaker: %v", s.invoice(ctx))
			return nil
		}
	}
	return fmt.Errorf("%d calls failed and the breaker of payments is still closed; give it a lower failure_threshold", many)
}

// change replaces the file by a good one, as an operator would.
func (s *story) change(ctx context.Context) error {
	s.say("\nbreakers.yaml is changed while the program runs.")
	changed := s.fleet.Policy("payments").With(func(p *presets.Policy) {
		p.FailureThreshold = max(p.FailureThreshold, 0) + 1 // negative is off
		p.SuccessThreshold = 1
		p.CallTimeout = 5 * time.Second
	})
	if s.fleet.Policies == nil {
		s.fleet.Policies = make(map[string]presets.Policy)
	}
	s.fleet.Policies["payments"] = changed
	var text strings.Builder
	if err := presets.Encode(&text, s.fleet); err != nil {
		return err
	}
	if err := s.replace(text.String()); err != nil {
		return err
	}
	b, err := s.registry.Breakers().Get("payments")
	if err != nil {
		return err
	}
	for b.Config().FailureThreshold != changed.FailureThreshold { // what the registry says comes first
		if err := pause(ctx, 5*time.Millisecond); err != nil {
			return fmt.Errorf("the file was not applied: %w", err)
		}
	}
	s.describe("payments", "as in the new file")
	return s.look("what it has seen is kept")
}

// spoil replaces the file by a bad one.
func (s *story) spoil(ctx context.Context) error {
	s.say("\nbreakers.yaml is changed again, in a hurry.")
	if err := s.replace("policies:\n  payments:\n    preset: external_api\n    failure_treshold: 9\n"); err != nil {
		return err
	}
	select {
	case err := <-s.faults:
		s.say("  %s", strings.ReplaceAll(err.Error(), s.path, filepath.Base(s.path)))
	case <-ctx.Done():
		return fmt.Errorf("the file was not refused: %w", ctx.Err())
	}
	s.describe("payments", "as before")
	return nil
}

// heal lets the gateway recover, and the health check find out.
func (s *story) heal(ctx context.Context) error {
	s.say("\nThe payment gateway is well again, and a health check finds out.")
	s.gateway.down.Store(false)
	opened := s.last
	if err := s.next(ctx); err != nil {
		return fmt.Errorf("no health check found out: %w", err)
	}
	if s.last.Cause == core.CauseCheckPassed {
		s.say("  that is %v before the end of the break", opened.RetryAt.Sub(s.last.At).Round(time.Second/10))
	}
	b, err := s.registry.Breakers().Get("payments")
	if err != nil {
		return err
	}
	for range many {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		receipt, err := s.charge(ctx, 1999)
		s.say("  charge: %s, %v", receipt, err)
		if b.State() == core.Closed {
			break
		}
	}
	for s.last.To != core.Closed { // the goroutine of the check may be the one that tells
		if err := s.next(ctx); err != nil {
			return fmt.Errorf("the breaker of payments does not close: %s: %w", b.Explain(), err)
		}
	}
	return nil
}

// replace puts text in place of the file. By a rename, no reader sees half of
// it.
func (s *story) replace(text string) error {
	return errors.Join(os.WriteFile(s.path+".new", []byte(text), 0o600), os.Rename(s.path+".new", s.path))
}

// describe tells what policy a name has now.
func (s *story) describe(name, why string) {
	p := s.registry.Policy(name)
	s.say("  %-10s  opens after %d failures, for %v; closes after %d successes; call timeout %v (%s)",
		name, p.FailureThreshold, p.Timeout, p.SuccessThreshold, p.CallTimeout, why)
}

// look tells where the breaker of payments stands.
func (s *story) look(why string) error {
	b, err := s.registry.Breakers().Get("payments")
	if err == nil {
		s.say("  %-10s  %s (%s)", b.Name(), b.Explain(), why)
	}
	return err
}

// told tells the transitions that were not told yet.
func (s *story) told() {
	for len(s.transitions) > 0 {
		s.tell(<-s.transitions)
	}
}

// next waits for a transition and tells it.
func (s *story) next(ctx context.Context) error {
	select {
	case t := <-s.transitions:
		s.tell(t)
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *story) tell(t core.Transition) {
	s.last = t
	s.say("  >> %s: %v -> %v: %s", t.Name, t.From, t.To, t.Reason())
}

func (s *story) say(format string, args ...any) { fmt.Fprintf(s.out, format+"\n", args...) }

// pause waits for d, or returns why ctx ended before.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
