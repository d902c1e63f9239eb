package detect

import (
	"cmp"
	"time"

	"github.com/blackbox4/switchgear/core"
)

// Budgets say how much may be used. Where they stand says what zero means: in
// [Rules] the default of the field, in a [Budget] no limit. Negative is no limit.
type Budgets struct {
	Iterations int           `json:"iterations,omitzero"` // in Rules, zero means no limit
	Wall       time.Duration `json:"wall,omitzero"`       // since the beginning; in Rules, of work: a pause between two events counts 5 min at most, and zero means no limit
	Idle       time.Duration `json:"idle,omitzero"`       // since the last event; in Rules, zero means no limit
	Tokens     int64         `json:"tokens,omitzero"`     // zero means no limit
	Cost       float64       `json:"cost,omitzero"`       // in the caller's unit of money, at most 1e9; zero means no limit
	ToolCalls  int           `json:"tool_calls,omitzero"` // zero means no limit
	Hops       int           `json:"hops,omitzero"`       // hand-offs of any sort; in Rules, zero means 200
}

// task returns the budgets of a task: the defaults of the profile filled in, and -1 for
// no limit where 0 is something else.
func (b Budgets) task(p Profile) Budgets {
	d := by(p, [numProfiles]Budgets{
		ProfileDefault:    {Iterations: never, Wall: never, Idle: never, Hops: 200},
		ProfileStrict:     {Iterations: 100, Wall: 300 * time.Second, Idle: 10 * time.Minute, Hops: 200},
		ProfileUnattended: {Iterations: never, Wall: never, Idle: never, Hops: 2000},
	})
	b.Iterations = max(cmp.Or(b.Iterations, d.Iterations), never)
	b.Wall = max(cmp.Or(b.Wall, d.Wall), never)
	b.Idle = max(cmp.Or(b.Idle, d.Idle), never)
	b.Tokens, b.Cost, b.ToolCalls, b.Hops = max(b.Tokens, 0), max(b.Cost, 0), max(b.ToolCalls, 0), max(cmp.Or(b.Hops, d.Hops), never)
	return b
}

// limits returns b with 0 for no limit.
func (b Budgets) limits() Budgets {
	b.Iterations, b.Wall, b.Idle = max(b.Iterations, 0), max(b.Wall, 0), max(b.Idle, 0)
	b.Tokens, b.Cost = max(b.Tokens, 0), max(b.Cost, 0)
	b.ToolCalls, b.Hops = max(b.ToolCalls, 0), max(b.Hops, 0)
	return b
}

const maxCost = 1e9 // of which 1e-9 still fits into an int64

func (b Budgets) faults(prefix string) []error {
	if !(b.Cost <= maxCost) { // NaN too
		return []error{&core.ConfigError{Field: prefix + "Cost", Value: b.Cost, Allowed: "at most 1e9; 0 or negative for no limit"}}
	}
	return nil
}
