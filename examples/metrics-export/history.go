package main

import (
	"cmp"
	"context"
	"encoding/json"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/blackbox4/switchgear/core"
)

// kept is how many calls are remembered.
const kept = 100

// lastCalls remembers the last calls of all breakers. A Settled hook makes every
// call allocate and take a lock; a program has its traces for this.
type lastCalls struct {
	mu   sync.Mutex
	ring [kept]call
	seen int
}

type call struct {
	Breaker  string        `json:"breaker"`
	At       time.Time     `json:"at"`
	Outcome  core.Outcome  `json:"outcome"`
	Duration time.Duration `json:"duration_ns"`
	Probe    bool          `json:"probe,omitempty"`
	Error    string        `json:"error,omitempty"`
}

func (l *lastCalls) note(_ context.Context, s core.Settlement) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ring[l.seen%kept] = call{s.Name, time.Now(), s.Outcome, s.Duration, s.Probe, text(s.Err)}
	l.seen++
}

// of returns the calls of one breaker, oldest first.
func (l *lastCalls) of(breaker string) []call {
	calls := []call{}
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := max(l.seen-kept, 0); i < l.seen; i++ {
		if c := l.ring[i%kept]; c.Breaker == breaker {
			calls = append(calls, c)
		}
	}
	return calls
}

type history struct {
	Breaker     string          `json:"breaker"`
	State       core.State      `json:"state"`
	Totals      core.Totals     `json:"totals"`
	Durations   core.Durations  `json:"durations"`
	Transitions []transition    `json:"transitions"` // the last 64
	Series      []core.Interval `json:"series"`
	Calls       []call          `json:"calls"`
}

type transition struct {
	At     time.Time  `json:"at"`
	From   core.State `json:"from"`
	To     core.State `json:"to"`
	Reason string     `json:"reason"`
	Error  string     `json:"error,omitempty"`
}

// printHistory prints one line of JSON.
func printHistory(out io.Writer, registry *core.Registry, calls *lastCalls) error {
	var all []history
	for name, b := range registry.All() {
		s := b.Snapshot()
		h := history{Breaker: name, State: s.State, Totals: s.Totals, Durations: s.Durations, Series: s.History, Calls: calls.of(name), Transitions: []transition{}}
		for _, t := range s.Transitions {
			h.Transitions = append(h.Transitions, transition{t.At, t.From, t.To, t.Reason(), text(t.Err)})
		}
		all = append(all, h)
	}
	slices.SortFunc(all, func(a, b history) int { return cmp.Compare(a.Breaker, b.Breaker) })
	return json.NewEncoder(out).Encode(all)
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
