package ralph

import (
	"errors"
	"math"
	"strconv"
	"time"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/ralph/detect"
)

// Handoff takes in that one agent passes work, or the answer to it, to another,
// and says whether it may: a [*PausedError] refuses it, because one of the two is
// paused, or because this hand-off was one too many, for which those concerned are
// paused now. It has to be asked before. The finding is the worst that the hand-off
// has brought about, as with [Agent.Observe]. The payload is what is asked or told,
// as text: hand-offs are compared by it, and never by who hands to whom alone.
//
// From its first hand-off on, an agent and all of its tree are in one session with
// the other's. An agent that hands to itself passes work on like any other. Ids that
// are not monitored match [ErrUnknownAgent].
func (s *Supervisor) Handoff(from, to, payload string) (detect.Finding, error) {
	if !s.made() {
		return detect.Finding{}, errNoSupervisor
	}
	a, err := s.Agent(from)
	b, err2 := s.Agent(to)
	if err := errors.Join(err, err2); err != nil {
		return detect.Finding{}, err
	}
	f, err := s.handoff(a, b, payload)
	s.roles.handed(a, b, err == nil)
	return f, err
}

func (s *Supervisor) handoff(a, b *Agent, payload string) (detect.Finding, error) {
	at, _ := s.clock()
	if err := a.refusalNow(); err != nil {
		a.observeRefusal("handoff", handoffArgs(b, payload))
		return detect.Finding{}, a.refusalNow()
	}
	if err := b.refusalNow(); err != nil {
		// Not its fault, and it may pass; but who tries nothing else waits, too.
		f, _ := a.Observe(detect.Step{At: at, Tool: "handoff", Args: handoffArgs(b, payload), Kind: detect.ErrorKindTransient})
		if again := a.refusalNow(); again != nil {
			err = again
		}
		return f, err
	}
	var findings []detect.Finding
	var err error
	shared := s.join(a, b)
	shared.size.Add(1)
	shared.with(func(g *detect.Graph) {
		for _, one := range []*Agent{a, b} {
			if one.parent != nil && err == nil {
				err = g.Parent(one.id, one.parent.id)
			}
		}
		if err == nil {
			findings, err = g.Handoff(detect.Handoff{At: at, From: a.id, To: b.id, Payload: payload})
		}
	})
	if err != nil {
		return detect.Finding{}, err
	}
	s.judgeHandoff(a, findings)
	more, err := a.do(operation{do: func(at time.Time, _ time.Duration) effect {
		a.runAt(at).HandedOff(at)
		a.handoffs++
		return effect{findings: a.countHandoff(at), active: true, use: detect.Use{Hops: 1}}
	}})
	if err != nil {
		return detect.Finding{}, err
	}
	if _, err := b.do(operation{do: func(time.Time, time.Duration) effect {
		b.touch()
		return effect{}
	}}); err != nil {
		return detect.Finding{}, err
	}
	if findings = mergeWorst(findings, more); len(findings) > 0 {
		return findings[0], a.refusalNow()
	}
	return detect.Finding{}, a.refusalNow()
}

// countHandoff counts a hand-off of the agent's task, and returns what its limit says of that.
// It needs mu.
func (a *Agent) countHandoff(at time.Time) []detect.Finding {
	a.hops = min(a.hops+1, math.MaxInt32)
	limit := a.sup.hops
	if a.limits != nil && a.limits.Own.Hops != 0 {
		limit = a.limits.Own.Hops
	}
	n := int(a.hops)
	warned := a.sup.cfg.Rules.Warn >= 0 && n == warnAt(limit)
	if limit <= 0 || n < limit && !warned {
		return nil
	}
	b, err := detect.NewBudget(detect.Budgets{Hops: limit}, nil) // says it as any budget does
	if err != nil {
		return nil
	}
	findings, _ := b.Spend(detect.Use{Hops: n}, at) // a number that is possible
	return findings
}

// warnAt is the number of hand-offs that a budget first nudges at.
func warnAt(limit int) int { return int(math.Ceil(0.8 * float64(limit))) }

// handing is a hand-off that was refused as the arguments of a call: of a long payload,
// what package detect looks at.
func handoffArgs(to *Agent, payload string) string {
	const edge = 4096
	if len(payload) > 2*edge {
		return to.id + " " + payload[:edge] + strconv.Itoa(len(payload)) + payload[len(payload)-edge:]
	}
	return to.id + " " + payload
}

// judgeHandoff judges the agents that findings of a session are about. A trip that
// names no agent, or none that is known, is that of the agent which handed over. A
// nudge is for that agent alone: it can hand over something else.
func (s *Supervisor) judgeHandoff(from *Agent, findings []detect.Finding) {
	for i := range findings {
		concerned := []*Agent{from}
		for _, id := range findings[i].Agents {
			if a, err := s.Agent(id); err == nil && a != from && findings[i].Level == detect.LevelTrip {
				concerned = append(concerned, a)
			}
		}
		for _, a := range concerned {
			_, _ = a.do(operation{do: func(time.Time, time.Duration) effect { return effect{findings: findings[i : i+1]} }})
		}
	}
}

var _ core.Gate = (*Agent)(nil)
