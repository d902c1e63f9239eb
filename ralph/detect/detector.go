package detect

import (
	"maps"
	"sync"

	"github.com/blackbox4/switchgear/core/failsafe/condition"
)

// Detector is a set of [Rules], checked and ready. It is safe for concurrent use
// and shared by any number of runs and graphs. What is made by one that is nil, or was
// not made by [New], says so instead of following anything.
type Detector struct {
	rules      Rules            // with all defaults
	limits     [numRules]Limits // those of rules, by Rule
	table      *ruleSet
	names      names
	steps      inputs[stepInput]
	iterations inputs[Iteration]
	handoffs   inputs[handoffEvent]
}

// made reports whether d is of New's making, which leaves no interval at zero.
func (d *Detector) made() bool { return d != nil && d.rules.ErrorRateFor > 0 }

func (d *Detector) definition(rule Rule) *definition { return d.table.byRule[rule] }

// inputs are what the rules look at, while they do. They are reused, because the funcs
// of the rules would make each escape to the heap.
type (
	inputs[T any] struct{ pool sync.Pool }
	stepInput     struct {
		event event
		step  Step
	}
)

func (p *inputs[T]) take() *T {
	if in, ok := p.pool.Get().(*T); ok {
		return in
	}
	return new(T)
}

// giveBack lets go of the texts that the input holds.
func (p *inputs[T]) giveBack(in *T) {
	var zero T
	*in = zero
	p.pool.Put(in)
}

// severity is that of a rule at a level.
func (d *Detector) severity(rule Rule, level Level, count float64) condition.Severity {
	return d.table.byRule[rule].severityAt(&d.rules, level, count)
}

// New returns a Detector with the rules, or what [Rules.Validate] says of them.
// Nothing of rules is kept that the caller could change.
func New(rules Rules) (*Detector, error) {
	if err := rules.Validate(); err != nil {
		return nil, err
	}
	d := &Detector{rules: rules.withDefaults(), table: allRules}
	for _, def := range table {
		if len(def.limits) > 0 {
			d.limits[def.rule] = *def.limits[0].of(&d.rules)
		}
	}
	return d, nil
}

// Rules returns the rules with every default filled in, and -1 for what is off.
func (d *Detector) Rules() Rules {
	if !d.made() {
		return Rules{}
	}
	r := d.rules
	r.Tools = maps.Clone(r.Tools)
	return r
}

// NewRun returns a Run of one agent that has done nothing yet.
func (d *Detector) NewRun() *Run { return &Run{d: d} }

// NewGraph returns a Graph of one session without hand-offs yet.
func (d *Detector) NewGraph() *Graph { return &Graph{d: d} }
