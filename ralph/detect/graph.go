package detect

import (
	"cmp"
	"errors"
	"time"

	"github.com/blackbox4/switchgear/core"
)

// Graph follows the hand-offs between the agents of one session. It is not safe for
// concurrent use. It remembers the last 16 hand-offs and 64 agents, whatever their
// names are, in about 4 kB and 0.1 kB for each agent.
//
// Its methods return findings and errors like those of [Run].
//
// Names that come round mean nothing: every answer goes back to the agent that asked. So
// an agent that hands to the one that handed to it last is taken to answer. Answers are
// not counted as hand-offs between peers, nor is what goes to a child; see
// [Graph.Parent]. An agent that gives work to one after another, and gets the answers
// or does not wait for them, passes nothing on and on: only when work that was handed
// on is handed on again, and says nothing new, does [RuleHandoffs] count. Round and round means that nothing
// new is said on the whole way, nor done, where [Graph.Acted] is told of it; a
// hand-off without a payload says nothing.
//
// Payloads are compared by their words; they are near if they have 60 % of them in
// common. But where one has other words than the other only in the places where a
// template would have its variables, they are two items of one batch. A caller whose agents
// hand on the same words by design, such as "go on", reports progress, or switches
// [RuleHandoffStall] off.
//
// It is made by [Detector.NewGraph]. Of one that is nil or zero, methods that return an
// error return one that says so, and the others do nothing.
type Graph struct {
	d      *Detector
	clock  clock
	s      graphState
	agents []agent
	hops   []hop // a ring of edgeRing
	found  []Finding
}

var errNoGraph = errors.New("detect: the Graph is nil, or was not made by NewGraph of a Detector that New has made")

// made reports whether g can follow anything.
func (g *Graph) made() bool { return g != nil && g.d.made() }

// graphState is what a Graph knows besides agents and hops; see runState.
type graphState struct {
	Index        uint32 // of the last hand-off
	Next         uint8  // the place of the next hop
	RepeatSince  uint32 // Index from which on RuleHandoffRepeat counts
	Used         int64  // hand-offs of the task
	Stall, Echo  bucket
	Target       uint64 // who got work last
	Acts         [5]uint64
	Acting       uint8    // the place of the next act
	Activity     activity // of Target since
	Fresh        bool     // something new was done since the last hand-off
	Cycles       [8]cycleCount
	Fingerprints fingerprints
	Marks        marks
}

type agent struct {
	agentState
	name string
}

type agentState struct {
	Key    uint64 // a hash of its name
	Giver  uint64 // who gave it the work it has
	Parent uint64
	Depth  uint32 // how often that work was passed on
	Used   uint32 // Index when it was last used
}

type hop struct {
	From, To uint64
	At       time.Duration
	Index    uint32
	Answer   bool
	Stale    bool // says nothing new
	Text     gist
}

// Parent says that parent gives work to child and gets the answers, also when they
// come by way of others. It is needed only where the order of events does not show
// it; see [Graph].
func (g *Graph) Parent(child, parent string) error {
	if !g.made() {
		return errNoGraph
	}
	if err := checkNames(child, parent, "child", "parent"); err != nil {
		return err
	}
	p := g.agent(parent).Key
	g.agent(child).Parent = p
	return nil
}

// Handoff takes in a hand-off. An agent that hands to itself passes work on like any
// other. The error says that a name is empty; then nothing is counted.
func (g *Graph) Handoff(h Handoff) ([]Finding, error) {
	if !g.made() {
		return nil, errNoGraph
	}
	if err := checkNames(h.From, h.To, "Handoff.From", "Handoff.To"); err != nil {
		return nil, err
	}
	now := g.clock.now(h.At)
	g.s.Index++
	g.s.Used++
	g.agent(h.From) // makes room for both before either is pointed at
	to := g.agent(h.To)
	from := g.agent(h.From)
	e := g.d.handoffs.take()
	defer g.d.handoffs.giveBack(e)
	*e = handoffEvent{hop: hop{From: from.Key, To: to.Key, At: now, Index: g.s.Index, Text: gistOf(h.Payload)}, from: from, to: to}
	e.Answer = from.Parent == to.Key || from.Giver == to.Key && from != to
	e.says = g.s.Fresh && e.Text.Words > 0 || g.newToAll(&e.hop)
	g.compare(e)
	e.Stale = !g.s.Fresh && (e.Text.Words == 0 || e.alike || g.echoes(&e.hop))
	g.s.Fresh = false
	g.remember(&e.hop)
	for _, d := range g.d.table.graphs {
		d.handoff(g, e)
	}
	if !e.Answer {
		g.s.Target, g.s.Activity = e.To, activity{}
	}
	return g.take(), nil
}

// handoffEvent is a hand-off as the rules see it. The hop is the last one in the ring.
type handoffEvent struct {
	hop
	from, to *agent
	alike    bool // one like it was among the last between the same agents
	says     bool // it says something new
	exact    int  // how many of those were the very same
}

// compare looks for the same, and for nearly the same, between the same two agents,
// among the last 8 hand-offs of the sort.
func (g *Graph) compare(e *handoffEvent) {
	if e.Text.Words == 0 {
		return
	}
	for n, seen := 0, 0; n < len(g.hops) && seen < edgeNear; n++ {
		h := g.back(n)
		if h.Answer != e.Answer {
			continue
		}
		seen++
		if h.From != e.From || h.To != e.To {
			continue
		}
		if h.Text.Exact == e.Text.Exact && h.Index > g.s.RepeatSince {
			e.exact++
		}
		e.alike = e.alike || h.Text.near(&e.Text) && (!g.s.Fresh || !e.Text.partOf(&h.Text))
	}
}

// newToAll reports whether a hand-off says something that none of the last ones said,
// but for numbers, whichever agents those were between.
func (g *Graph) newToAll(one *hop) bool {
	for n := range g.hops {
		if h := g.back(n); h.Text.Exact == one.Text.Exact || h.Text.numbered(&one.Text) || h.Text.near(&one.Text) {
			return false
		}
	}
	return one.Text.Words > 0
}

// echoes reports whether an agent hands on what it was handed last, but for numbers: a
// count of the attempts does not make it another work.
func (g *Graph) echoes(one *hop) bool {
	for n := range g.hops {
		if h := g.back(n); h.To == one.From {
			return h.Text.numbered(&one.Text)
		}
	}
	return false
}

// checkNames is the error of an agent without a name.
func checkNames(a, b, fieldA, fieldB string) error {
	var faults []error
	for _, one := range [...]struct{ name, field string }{{a, fieldA}, {b, fieldB}} {
		if one.name == "" {
			faults = append(faults, &core.ConfigError{Field: one.field, Value: "", Allowed: "the name of an agent, not empty"})
		}
	}
	return errors.Join(faults...)
}

// Acted says that the agent has made a call; see [Run.Call]. It shows whether what
// was handed to it leads to anything new. A zero call says nothing.
func (g *Graph) Acted(agent string, call uint64) {
	if call == 0 || !g.made() {
		return
	}
	fresh := true
	for _, act := range g.s.Acts {
		fresh = fresh && act != call
	}
	g.s.Acts[g.s.Acting] = call
	g.s.Acting = (g.s.Acting + 1) % uint8(len(g.s.Acts))
	g.s.Fresh = g.s.Fresh || fresh
	if nameKey(agent) == g.s.Target {
		g.s.Activity.Acted = true
		g.s.Activity.New = g.s.Activity.New || fresh
	}
}

// Progress takes in what the session's work looks like now; see [Run.Progress].
func (g *Graph) Progress(fingerprint string) bool {
	if !g.made() || !g.s.Fingerprints.add(fingerprint) {
		return false
	}
	g.clear()
	return true
}

// NewTask begins a new window and a new budget; see [Run.NewTask]. Parents are kept.
func (g *Graph) NewTask(at time.Time) {
	if !g.made() {
		return
	}
	g.clock.now(at)
	g.clear()
	g.s.Used = 0
	g.s.Marks.forget(RuleHops)
	for i := range g.agents {
		g.agents[i].Giver = 0
	}
}

// Resume clears what all rules have counted but the budget; see [Run.Resume].
func (g *Graph) Resume(at time.Time) {
	if !g.made() {
		return
	}
	g.clock.now(at)
	g.clear()
	g.s.Marks = marks{}
}

// clear forgets what was counted. The agents still know from which they have their work.
func (g *Graph) clear() {
	g.hops, g.s.Next = g.hops[:0], 0
	g.s.Activity, g.s.Fresh = activity{}, false
	for _, d := range g.d.table.graphs {
		if d.clearGraph != nil {
			d.clearGraph(g)
			g.s.Marks.forget(d.rule)
		}
	}
}

// Nudged says that the agents have been told of a finding of the rule; see
// [Run.Nudged].
func (g *Graph) Nudged(rule Rule) {
	if !g.made() {
		return
	}
	if d := g.d.definition(rule); d != nil && d.nudgedGraph != nil {
		d.nudgedGraph(g)
	}
	g.s.Marks.told(rule, g.s.Index)
}

// agent returns the agent of a name, at the cost of the one that was used the
// longest time ago. It is valid until the next call with another name.
func (g *Graph) agent(name string) *agent {
	key, oldest := nameKey(name), 0
	for i := range g.agents {
		if g.agents[i].Key == key {
			g.agents[i].Used = g.s.Index
			return &g.agents[i]
		}
		if g.agents[i].Used < g.agents[oldest].Used {
			oldest = i
		}
	}
	if len(g.agents) < maxAgents {
		oldest = len(g.agents)
		g.agents = append(g.agents, agent{})
	}
	g.agents[oldest] = agent{name: clip(name), agentState: agentState{Key: key, Used: g.s.Index}}
	return &g.agents[oldest]
}

const (
	maxAgents = 64
	edgeRing  = 16 // hand-offs that a graph remembers
	edgeNear  = 8  // of which so many are compared
)

func nameKey(name string) uint64 { return cmp.Or(mixText(prime, name), 1) }

func (g *Graph) name(key uint64) string {
	for i := range g.agents {
		if g.agents[i].Key == key {
			return g.agents[i].name
		}
	}
	return ""
}

// remember puts a hop into the ring.
func (g *Graph) remember(h *hop) {
	if len(g.hops) < edgeRing {
		g.hops = append(g.hops, *h)
	} else {
		g.hops[g.s.Next] = *h
	}
	g.s.Next = (g.s.Next + 1) % edgeRing
}

// back is the hop that was n before the last one; n < len(hops).
func (g *Graph) back(n int) *hop { return &g.hops[(int(g.s.Next)+2*edgeRing-1-n)%edgeRing] }
