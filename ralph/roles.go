package ralph

import (
	"maps"
	"math"
	"sync"
	"sync/atomic"

	"github.com/blackbox4/switchgear/ralph/detect"
)

// result is what became of a step.
type result uint8

const (
	stepProgress result = iota
	stepNoProgress
	stepError

	numResults = iota
)

func (r result) String() string {
	return [numResults]string{"progress", "no_progress", "error"}[r]
}

const (
	maxRoles   = 200
	otherRole  = "(other)"
	maxEdges   = 1000
	numReasons = int(detect.ReasonTransient) + 1
)

// role counts for all agents of one name. Its counts only grow, also when agents
// are evicted.
type role struct {
	name        string
	steps       [numResults]atomic.Uint64
	escalations [numReasons]atomic.Uint64
}

// roles are the names of agents, of which there are at most maxRoles and one for
// all others.
type roles struct {
	mu    sync.Mutex // after Agent.mu
	known map[string]*role
	edges map[[3]string]uint64
}

func (r *roles) get(name string) *role {
	r.mu.Lock()
	defer r.mu.Unlock()
	if known := r.known[name]; known != nil {
		return known
	}
	if len(r.known) >= maxRoles {
		name = otherRole
		if known := r.known[name]; known != nil {
			return known
		}
	}
	if r.known == nil {
		r.known = make(map[string]*role)
	}
	fresh := &role{name: name}
	r.known[name] = fresh
	return fresh
}

// handed counts a hand-off between two names.
func (r *roles) handed(from, to *Agent, allowed bool) {
	edge := [3]string{from.roleName(), to.roleName(), "refused"}
	if allowed {
		edge[2] = "allowed"
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, known := r.edges[edge]; !known && len(r.edges) >= maxEdges {
		edge[0], edge[1] = otherRole, otherRole
	}
	if r.edges == nil {
		r.edges = make(map[[3]string]uint64)
	}
	r.edges[edge]++
}

func (a *Agent) roleName() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.role.name
}

func (r *roles) list() []*role {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := make([]*role, 0, len(r.known))
	for _, known := range r.known {
		all = append(all, known)
	}
	return all
}

// AgentStates returns how many agents are in each [State], by its name; all states
// are in it. This and the other methods named Agent… are for exporters of metrics:
// they count by the names of agents, of which there are at most 200, and
// "(other)".
func (s *Supervisor) AgentStates() map[string]int64 {
	out := make(map[string]int64, numStates)
	if s == nil {
		return out
	}
	for i := range s.states {
		out[State(i).String()] = s.states[i].Load()
	}
	return out
}

// AgentSteps returns how many steps were observed, by the name of the agent and
// "progress", "no_progress" or "error". A step got nowhere if it was a call or a
// reply of the last eight, was refused or had something found in it, if it was a
// thought or said nothing.
func (s *Supervisor) AgentSteps() map[[2]string]uint64 {
	out := make(map[[2]string]uint64)
	if s == nil {
		return out
	}
	for _, r := range s.roles.list() {
		for i := range r.steps {
			out[[2]string{r.name, result(i).String()}] = r.steps[i].Load()
		}
	}
	return out
}

// AgentEscalations returns how many escalations there were, by the name of the
// agent and the [detect.Reason].
func (s *Supervisor) AgentEscalations() map[[2]string]uint64 {
	out := make(map[[2]string]uint64)
	if s == nil {
		return out
	}
	for _, r := range s.roles.list() {
		for i := range r.escalations {
			if n := r.escalations[i].Load(); n > 0 || i > 0 {
				out[[2]string{r.name, detect.Reason(i).String()}] = n
			}
		}
	}
	return out
}

// AgentHandoffs returns how many hand-offs there were, by the names of who handed
// over and who was handed to, and "allowed" or "refused". There are at most 1000
// pairs and results; further ones count as between "(other)" and "(other)".
func (s *Supervisor) AgentHandoffs() map[[3]string]uint64 {
	if s == nil {
		return make(map[[3]string]uint64)
	}
	s.roles.mu.Lock()
	defer s.roles.mu.Unlock()
	out := maps.Clone(s.roles.edges)
	if out == nil {
		out = make(map[[3]string]uint64)
	}
	return out
}

// AgentConfidence returns, by the name of the agent, the lowest of what the agents
// of that name that are not stopped have said last; names of which none has said
// anything are not in it.
func (s *Supervisor) AgentConfidence() map[string]float64 {
	out := make(map[string]float64)
	for _, a := range s.list() {
		word := a.lastConfidence.Load()
		if word == 0 || a.stopped() {
			continue
		}
		name, c := a.roleName(), math.Float64frombits(word-1)
		if lowest, known := out[name]; !known || c < lowest {
			out[name] = c
		}
	}
	return out
}

func (a *Agent) stopped() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.state == Stopped
}
