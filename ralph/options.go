package ralph

import "github.com/blackbox4/switchgear/ralph/detect"

// Options are what is said of an agent when it is monitored, and changed by
// [Supervisor.Update]. The zero Options are an agent without a parent, with the
// budgets of [Config].
type Options struct {
	// Name is the agent's role, "reviewer", by which metrics count: there should
	// be few. Past 200 names, more count as "(other)". 1 to 256 bytes of UTF-8
	// without control characters; empty means "agent".
	Name string
	// Session and Task are the ids of what the agent is part of and works on, "" if
	// there are none: they stand in its [Status] and in every [Event] and line of the
	// log, and in no metric, whose labels must be few. Another Task than the agent has
	// begins as by [Agent.NewTask]. At most 256 bytes of UTF-8 without control characters.
	// Updated with "", they stay.
	Session string
	Task    string
	// Parent is the id of the agent that this one works for. Budgets are shared
	// with it, see Tree. It cannot be changed later. Empty means none.
	Parent string
	// Budget is what the agent may use by itself in one task. Zero fields are
	// those of Config.Rules.Budgets, negative ones no limit.
	Budget detect.Budgets
	// Tree is what the agent and all below it may use together in one task. Zero
	// fields are no limit; for an agent without a parent, the zero Tree is
	// Config.Budget. What is used of it is used of the parent's as well.
	Tree detect.Budgets
}
