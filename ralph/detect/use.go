package detect

import (
	"errors"

	"github.com/blackbox4/switchgear/core"
)

// Use is what was used of [Budgets], or will be.
type Use struct {
	Iterations int     `json:"iterations,omitzero"`
	Tokens     int64   `json:"tokens,omitzero"`
	Cost       float64 `json:"cost,omitzero"` // in the unit of Budgets.Cost, kept to 1e-9
	ToolCalls  int     `json:"tool_calls,omitzero"`
	Hops       int     `json:"hops,omitzero"`
}

// used is a Use in whole numbers; cost in 1e-9.
type used struct {
	Iterations, Tokens, Cost, Calls, Hops int64
}

// check returns u in whole numbers, and what is wrong with it; a number that is wrong
// is zero in used.
func (u Use) check(prefix string) (used, error) {
	var faults []error
	whole := func(v int64, field string) int64 {
		if v < 0 {
			faults = append(faults, &core.ConfigError{Field: prefix + field, Value: v, Allowed: "zero or more"})
			return 0
		}
		return v
	}
	n := used{
		Iterations: whole(int64(u.Iterations), "Iterations"),
		Tokens:     whole(u.Tokens, "Tokens"),
		Calls:      whole(int64(u.ToolCalls), "ToolCalls"),
		Hops:       whole(int64(u.Hops), "Hops"),
	}
	if u.Cost >= 0 && u.Cost <= maxCost { // false for NaN
		n.Cost = int64(u.Cost*nano + 0.5)
	} else {
		faults = append(faults, &core.ConfigError{Field: prefix + "Cost", Value: u.Cost, Allowed: "0 to 1e9; a cost that is not known is not 0"})
	}
	if faults == nil {
		return n, nil
	}
	return n, errors.Join(faults...)
}

// known is n, with what was reserved in place of what is wrong in u.
func (u Use) known(n, reserved used) used {
	if u.Iterations < 0 {
		n.Iterations = reserved.Iterations
	}
	if u.Tokens < 0 {
		n.Tokens = reserved.Tokens
	}
	if !(u.Cost >= 0 && u.Cost <= maxCost) {
		n.Cost = reserved.Cost
	}
	if u.ToolCalls < 0 {
		n.Calls = reserved.Calls
	}
	if u.Hops < 0 {
		n.Hops = reserved.Hops
	}
	return n
}
