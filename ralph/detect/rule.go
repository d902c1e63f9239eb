package detect

import (
	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/internal/enum"
)

// Rule is one way of not getting anywhere. There are no others than the constants,
// so that a Rule is safe as a label of a metric.
type Rule uint8

// The rules. Which field of [Rules] sets the limits is said in brackets.
const (
	RuleRepeat        Rule = 1 + iota // the same call with the same outcome, in a row [Repeat]
	RulePoll                          // the same of a poll, or with time between [Poll]
	RuleSameCall                      // the same call in a row, whatever comes of it [SameCall]
	RuleWindow                        // the same call with the same outcome, among others [Window]
	RuleCycle                         // 2 to 32 different calls, round and round [Cycle]
	RuleSameError                     // the same error, among others [SameError]
	RulePermission                    // calls that were not allowed [Permission]
	RuleUnknownTool                   // calls of tools that do not exist [UnknownTool]
	RuleAuth                          // wrong credentials [Auth]
	RuleQuota                         // a quota is used up [Quota]
	RuleTransient                     // passing errors in a row [Transient]
	RuleErrors                        // errors of any sort in a row [Errors]
	RuleErrorRate                     // the share of errors in a time [ErrorRate]
	RuleFailures                      // iterations that failed, in a row [Failures]
	RuleHandoffRepeat                 // the same work handed to the same agent [HandoffRepeat]
	RuleHandoffStall                  // nearly the same work handed on again and again [HandoffStall]
	RuleHandoffEcho                   // an agent that answers work with what it did before [HandoffEcho]
	RuleHandoffCycle                  // round and round between agents [HandoffCycle]
	RuleHandoffs                      // passed on and on between peers [Handoffs]
	RuleNoProgress                    // iterations, steps or time without progress [NoProgress…]
	RuleBlocked                       // a human is needed [Blocked]
	RuleEmpty                         // replies that say nothing new [Empty]
	RuleDecline                       // less and less output [Decline]
	RuleConfidence                    // not sure enough [Confidence]
	RuleStall                         // several weak signs together [Stall]
	RuleCompaction                    // the context is shortened again and again [Compaction]
	RuleCalls                         // calls in one iteration [Calls]
	RuleIterations                    // budget [Budgets]
	RuleWall                          // budget: time since the task began [Budgets]
	RuleIdle                          // budget: time since the last event [Budgets]
	RuleTokens                        // budget [Budgets]
	RuleCost                          // budget [Budgets]
	RuleToolCalls                     // budget [Budgets]
	RuleHops                          // budget: hand-offs of any sort [Budgets]
	RuleFruitless                     // calls that find nothing, in a row [Fruitless]
	RuleNoSteps                       // iterations without a step, in a row [NoSteps]

	numRules = iota + 1
)

// table has a line for each rule. A rule is defined in the file that has its name. The
// order is that in which the rules look at an event.
//
//nolint:gochecknoglobals // a constant table
var table = [...]*definition{
	&compaction, &confidence, &calls,
	&cycle, &poll, &repeat, &sameCall, &window,
	&sameError, &permission, &unknownTool, &auth, &quota,
	&fruitless, &empty, &stall,
	&errorRate, &transient, &errorsInARow,
	&failures, &blocked, &decline, &noSteps,
	&handoffRepeat, &handoffStall, &handoffEcho, &handoffCycle, &handoffs,
	&iterations, &tokens, &cost, &toolCalls, &hops, &wall, &idle,
	&noProgress,
}

//nolint:gochecknoglobals // a constant table
var allRules = newRuleSet(table[:])

//nolint:gochecknoglobals // a table
var ruleNames = func() enum.Names[Rule] {
	names := make([]string, numRules)
	names[0] = "none"
	for _, d := range table {
		names[d.rule] = d.name
	}
	return enum.Names[Rule]{Type: "Rule", Of: names}
}()

// String returns the rule's name, lower case with underscores.
func (r Rule) String() string { return ruleNames.String(r) }

// MarshalText makes a Rule readable in JSON and YAML. It never fails.
func (r Rule) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText reads what MarshalText has written. The error, a *core.ConfigError,
// names what is allowed.
func (r *Rule) UnmarshalText(text []byte) error {
	if allowed := ruleNames.Parse(text, r); allowed != "" {
		return &core.ConfigError{Field: ruleNames.Type, Value: string(text), Allowed: allowed}
	}
	return nil
}
