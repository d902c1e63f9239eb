package ralph

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"hash/maphash"
	"io"
	"iter"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/ralph/detect"
)

// Supervisor looks after agents. It is made by [New], safe for concurrent use, and
// has to be closed. It has one timer for all agents, with Config.Path one goroutine
// that writes, and with Config.CPUThreshold and the like one that reads the host. Of one that is nil or zero, methods that return an error return
// one that says so, and the others find no agents.
type Supervisor struct {
	cfg      Config
	detector *detect.Detector
	epoch    time.Time
	seed     maphash.Seed // of replies
	schedule *schedule
	delivery delivery
	store    *store           // nil without Config.Path
	vitals   *vitals          // nil unless it reads them itself
	graphs   *detect.Detector // of hand-offs between agents
	hops     int              // that each agent may make in one task; not above zero is no limit
	roles    roles
	states   [numStates]atomic.Int64
	closed   atomic.Bool

	mu     sync.RWMutex // before Agent.mu
	agents map[string]*Agent
	swept  time.Duration

	joining sync.Mutex // before session.mu

	variantsMu sync.Mutex // after Agent.mu
	variants   map[detect.Budgets]*detect.Detector
}

var errNoSupervisor = errors.New("ralph: the Supervisor is nil, or was not made by New")

// made reports whether s is of New's making.
func (s *Supervisor) made() bool { return s != nil && s.schedule != nil }

const (
	maxText     = 256 // of an id or a name
	maxDepth    = 32
	maxVariants = 1000
	defaultName = "agent"
)

// New returns a supervisor without agents, or, with Config.Path, with those that
// were in the file: in their states, with what is left of their pauses, with their
// budgets, totals and events. What was counted in a row or in a window is
// forgotten, and so are nudges, circuit breakers and hand-offs; time that was spent
// without a supervisor ends pauses but counts for no rule, save for the Wall of a
// budget that is shared. Those that are overdue are resumed or escalated at once;
// nothing else happens to them until they are used again.
//
// The error is that of Config.Validate, or a [*StoreError] for a file that cannot
// be read, is corrupt, of a newer version, or in use by another process: it is left
// as it is.
func New(cfg Config) (*Supervisor, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	detector, err := detect.New(cfg.Rules)
	shared := cfg.Rules
	shared.Budgets.Hops = -1 // each agent has those by itself, however sessions are joined
	graphs, err2 := detect.New(shared)
	if err := errors.Join(err, err2); err != nil {
		return nil, err
	}
	s := &Supervisor{
		cfg: cfg, detector: detector, graphs: graphs, seed: maphash.MakeSeed(), agents: make(map[string]*Agent),
		delivery: delivery{hook: cfg.OnEvent, logger: cfg.Logger},
		variants: make(map[detect.Budgets]*detect.Detector),
	}
	s.hops = detector.Rules().Budgets.Hops
	if cfg.watchesHost() {
		if s.vitals, err = newVitals(cfg); err != nil {
			return nil, err
		}
		s.cfg.Vitals = s.vitals
	}
	s.epoch = time.Now()
	if cfg.Now != nil {
		s.epoch = cfg.Now()
	}
	s.schedule = newSchedule(func() time.Duration { _, now := s.clock(); return now }, s.tick, s.delivery.deliver)
	if cfg.Path != "" {
		if err := s.open(cfg.Path); err != nil {
			if s.vitals != nil {
				s.vitals.stop() // what is being read ends soon
			}
			return nil, err
		}
	}
	return s, nil
}

// Close ends the timer and the readings of the host, writes what is not in the file yet
// and waits until what is
// queued for Config.OnEvent was told, until ctx is done; it returns what went wrong.
// Agents are then refused their iterations, and nothing is resumed or escalated any
// more. A nil ctx is [context.Background]. Further calls wait for the same and return
// the same, so that one may go on waiting when the ctx of another was done. It must not
// be called by Config.OnEvent.
func (s *Supervisor) Close(ctx context.Context) error {
	if !s.made() {
		return errNoSupervisor
	}
	if ctx == nil {
		ctx = context.Background()
	}
	s.closed.Store(true)
	s.schedule.close(ctx.Done())
	return cmp.Or(s.closeAll(ctx), s.delivery.queue.Wait(ctx))
}

// Monitor returns the agent of an id, which begins to be looked after if it is new;
// it is then running, unless the tree that it joins has used up its budget. Of one
// that is known, what o gives is changed as by [Supervisor.Update]. The id is 1 to 256 bytes of UTF-8 without control characters; it identifies
// a run of an agent, such as a conversation or a process, not its role.
//
// The error is a [*core.ConfigError], or matches [ErrUnknownAgent] for a parent
// that is not monitored, [ErrTooManyAgents] or [ErrClosed]. Room for new agents is
// made, at most ten times in Config.Idle, by evicting those that have done
// nothing for that time; but never one that is paused, recovering or escalated, is
// in an iteration, or has others below it. An evicted agent that is used again is
// put back, as it was, if it still can be; in the file it is gone.
func (s *Supervisor) Monitor(id string, o Options) (*Agent, error) {
	if !s.made() {
		return nil, errNoSupervisor
	}
	if err := s.check(id, o); err != nil {
		return nil, err
	}
	if s.closed.Load() {
		return nil, ErrClosed
	}
	a, known, err := s.agentOrNew(id, o)
	switch {
	case err != nil:
		return nil, err
	case known:
		if err := s.change(a, o); err != nil {
			return nil, err
		}
	default:
		_, err = a.do(operation{do: func(time.Time, time.Duration) effect {
			a.touch()
			return effect{}
		}})
	}
	return a, err
}

// agentOrNew returns the agent of an id that is known, or else a new one as o says.
func (s *Supervisor) agentOrNew(id string, o Options) (a *Agent, known bool, err error) {
	_, now := s.clock()
	s.mu.Lock()
	defer s.mu.Unlock()
	if a := s.agents[id]; a != nil {
		return a, true, nil
	}
	a = s.newAgent(id, now)
	if o.Parent != "" {
		a.parent = s.agents[o.Parent]
		if a.parent == nil {
			return nil, false, fmt.Errorf("%w %s, as the parent of %s", ErrUnknownAgent, quoted(o.Parent), quoted(id))
		}
		if a.parent.depth() >= maxDepth {
			return nil, false, &core.ConfigError{Field: "Parent", Value: o.Parent, Allowed: "one with less than 32 above it"}
		}
	}
	if !s.makeRoom(a, now) {
		return nil, false, fmt.Errorf("%w: there are %d, which is MaxAgents, and none has been idle for %v", ErrTooManyAgents, len(s.agents), s.cfg.Idle)
	}
	if o.Tree == (detect.Budgets{}) && o.Parent == "" {
		o.Tree = s.cfg.Budget
	}
	a.role = s.roles.get(or(o.Name, defaultName))
	a.setIDs(o.Session, o.Task)
	if o.Task != "" {
		a.task = hashOf(o.Task)
	}
	a.setTree(o.Tree)
	a.setOwn(o.Budget)
	a.seen.Store(int64(now))
	s.add(a)
	return a, false, nil
}

// newAgent returns an agent that is running and not known yet.
func (s *Supervisor) newAgent(id string, now time.Duration) *Agent {
	return &Agent{sup: s, id: id, since: now, resumeAt: never, escalateAt: never, due: never}
}

// depth is how many agents there are from a up, itself included.
func (a *Agent) depth() int {
	n := 1
	for a.parent != nil {
		a = a.parent
		n++
	}
	return n
}

// check is what is known of an id and of Options without looking at other agents.
func (s *Supervisor) check(id string, o Options) error {
	for _, one := range [][2]string{{"id", id}, {"Name", or(o.Name, defaultName)}} {
		if text := one[1]; text == "" || len(text) > maxText || !utf8.ValidString(text) || strings.ContainsFunc(text, unicode.IsControl) {
			return &core.ConfigError{Field: one[0], Value: text, Allowed: "1 to 256 bytes of UTF-8 without control characters"}
		}
	}
	for _, one := range [][2]string{{"Session", o.Session}, {"Task", o.Task}} {
		if text := one[1]; len(text) > maxText || !utf8.ValidString(text) || strings.ContainsFunc(text, unicode.IsControl) {
			return &core.ConfigError{Field: one[0], Value: text, Allowed: "at most 256 bytes of UTF-8 without control characters; none if it is empty"}
		}
	}
	if o.Parent == id {
		return &core.ConfigError{Field: "Parent", Value: o.Parent, Allowed: "another agent"}
	}
	_, own := detect.NewBudget(o.Budget, nil)
	_, tree := detect.NewBudget(o.Tree, nil)
	return errors.Join(append(prefixFaults("Budget", own), prefixFaults("Tree", tree)...)...)
}

// add makes an agent known that has its id, its parent and its state. It needs mu.
func (s *Supervisor) add(a *Agent) {
	if p := a.parent; p != nil {
		if p.childList == nil {
			p.childList = new([]*Agent)
		}
		*p.childList = append(*p.childList, a)
	}
	s.agents[a.id] = a
	s.states[a.state].Add(1)
}

// children are the agents right below a. It needs the supervisor's mu.
func (a *Agent) children() []*Agent {
	if a.childList == nil {
		return nil
	}
	return *a.childList
}

// Agent returns the agent of an id; the error matches [ErrUnknownAgent].
func (s *Supervisor) Agent(id string) (*Agent, error) {
	if !s.made() {
		return nil, errNoSupervisor
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	if a := s.agents[id]; a != nil {
		return a, nil
	}
	return nil, fmt.Errorf("%w %s", ErrUnknownAgent, quoted(id))
}

// All ranges over the agents in no particular order, as they were when it began.
func (s *Supervisor) All() iter.Seq[*Agent] {
	return func(yield func(*Agent) bool) {
		for _, a := range s.list() {
			if !yield(a) {
				return
			}
		}
	}
}

func (s *Supervisor) list() []*Agent {
	if s == nil {
		return nil
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	all := make([]*Agent, 0, len(s.agents))
	for _, a := range s.agents {
		all = append(all, a)
	}
	return all
}

// clock reads the time, also since the epoch.
func (s *Supervisor) clock() (time.Time, time.Duration) {
	if s.cfg.Now != nil {
		at := s.cfg.Now()
		return at, max(at.Sub(s.epoch), 0)
	}
	at := time.Now()
	return at, at.Sub(s.epoch)
}

// since is a time as one since the epoch; the zero time never comes.
func (s *Supervisor) since(at time.Time) time.Duration {
	if at.IsZero() {
		return never
	}
	return at.Sub(s.epoch)
}

// hashOf makes a number of the id of a task, the same in every process; 0 is none.
func hashOf(text string) uint64 {
	h := fnv.New64a()
	_, _ = io.WriteString(h, text) // never fails
	return h.Sum64() | 1
}
