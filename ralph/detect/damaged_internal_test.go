package detect

import (
	"strings"
	"testing"
)

// TestStatesThatCannotHaveBeen are refused, though their checksums are right; and those
// that are just so are not.
func TestStatesThatCannotHaveBeen(t *testing.T) {
	d, err := New(Rules{})
	if err != nil {
		t.Fatal(err)
	}
	type state interface {
		AppendBinary(b []byte) ([]byte, error)
		UnmarshalBinary(data []byte) error
	}
	run := func(change func(r *Run)) state { r := d.NewRun(); change(r); return r }
	graph := func(change func(g *Graph)) state { g := d.NewGraph(); change(g); return g }
	money := func(change func(b *Budget)) state { b, _ := NewBudget(Budgets{}, nil); change(b); return b }
	full := make([]hop, edgeRing)
	for name, c := range map[string]struct {
		state state
		well  bool
	}{
		"run, the last place":        {run(func(r *Run) { r.s.Ring.Next = ringSize - 1 }), true},
		"run, one more":              {run(func(r *Run) { r.s.Ring.Next = ringSize }), false},
		"run, a full ring":           {run(func(r *Run) { r.s.Ring.Len = ringSize }), true},
		"run, a fuller one":          {run(func(r *Run) { r.s.Ring.Len = ringSize + 1 }), false},
		"run, the longest cycle":     {run(func(r *Run) { r.s.Cycle.Period = maxPeriod }), true},
		"run, a longer one":          {run(func(r *Run) { r.s.Cycle.Period = maxPeriod + 1 }), false},
		"run, an interval":           {run(func(r *Run) { r.s.ErrorRate.At = -1 }), false},
		"run, a time":                {run(func(r *Run) { r.clock.Last = -1 }), false},
		"run, fingerprints":          {run(func(r *Run) { r.s.Fingerprints.Next = uint8(len(r.s.Fingerprints.Seen)) }), false},
		"run, the last fingerprints": {run(func(r *Run) { r.s.Fingerprints.Next = uint8(len(r.s.Fingerprints.Seen)) - 1 }), true},
		"run, all fingerprints":      {run(func(r *Run) { r.s.Fingerprints.Len = uint8(len(r.s.Fingerprints.Seen)) }), true},
		"run, more fingerprints":     {run(func(r *Run) { r.s.Fingerprints.Len = uint8(len(r.s.Fingerprints.Seen)) + 1 }), false},
		"graph, a place":             {graph(func(g *Graph) { g.s.Next = 1 }), false},
		"graph, its place":           {graph(func(g *Graph) { g.s.Next, g.hops = 1, full[:1] }), true},
		"graph, the last place":      {graph(func(g *Graph) { g.s.Next, g.hops = edgeRing-1, full }), true},
		"graph, one more":            {graph(func(g *Graph) { g.s.Next, g.hops = edgeRing, full }), false},
		"graph, more hops":           {graph(func(g *Graph) { g.hops = make([]hop, edgeRing+1) }), false},
		"graph, as many agents":      {graph(func(g *Graph) { g.agents = make([]agent, maxAgents) }), true},
		"graph, more agents":         {graph(func(g *Graph) { g.agents = make([]agent, maxAgents+1) }), false},
		"graph, the last act":        {graph(func(g *Graph) { g.s.Acting = 4 }), true},
		"graph, one more act":        {graph(func(g *Graph) { g.s.Acting = 5 }), false},
		"graph, a time":              {graph(func(g *Graph) { g.clock.Last = -1 }), false},
		"graph, fingerprints":        {graph(func(g *Graph) { g.s.Fingerprints.Next = uint8(len(g.s.Fingerprints.Seen)) }), false},
		"budget, nothing":            {money(func(*Budget) {}), true},
		"budget, a time":             {money(func(b *Budget) { b.clock.Last = -1 }), false},
		"budget, iterations":         {money(func(b *Budget) { b.used.Iterations = -1 }), false},
		"budget, tokens":             {money(func(b *Budget) { b.used.Tokens = -1 }), false},
		"budget, cost":               {money(func(b *Budget) { b.used.Cost = -1 }), false},
		"budget, calls":              {money(func(b *Budget) { b.used.Calls = -1 }), false},
		"budget, hops":               {money(func(b *Budget) { b.used.Hops = -1 }), false},
	} {
		data, err := c.state.AppendBinary(nil)
		if err != nil {
			t.Fatal(err)
		}
		kind, _, _ := strings.Cut(name, ",")
		into := map[string]state{"run": d.NewRun(), "graph": d.NewGraph(), "budget": money(func(*Budget) {})}[kind]
		if err := into.UnmarshalBinary(data); c.well && err != nil || !c.well && (err == nil || !strings.HasPrefix(err.Error(), "detect: saved "+kind+" is damaged: ")) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
