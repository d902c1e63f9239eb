package detect

import (
	"strconv"
	"strings"

	"github.com/blackbox4/switchgear/core/failsafe"
)

// about is what there is to know about a rule. The message tells the model what
// happened and what to do instead; {n} and {x} in it stand for what was counted, as a
// whole number and with two decimals, {tool} for the tool.
type about struct {
	name     string
	reason   Reason
	severity failsafe.Severity // of a trip; it may depend on more, see Detector.severity
	shows    shows
	message  string
}

// shows says which calls a finding of a Run shows as evidence.
type shows uint8

const (
	showNone   shows = iota
	showStreak       // those in a row
	showVaried       // those in a row with new outcomes
	showPoll         // those in a row, or of the cycle
	showAll          // the latest
	showSame         // those like the last one
	showError        // those that failed like the last one
	showKind         // those that failed in the way that the rule is about
	showFailed       // those that failed
	showLast         // the last three
)

//nolint:gochecknoglobals // a constant table
var ruleTable = [numRules]about{
	RuleRepeat: {
		"repeat", ReasonStuck, failsafe.High, showStreak,
		"You have called {tool} {n} times in a row with the same arguments and the same result. Another call will not change it: use the result you have, try something else, or say what is missing.",
	},
	RulePoll: {
		"poll", ReasonStuck, failsafe.Medium, showPoll,
		"You have asked {tool} {n} times and nothing has changed. Stop waiting: do other work, or report that what you wait for is not ready.",
	},
	RuleSameCall: {
		"same_call", ReasonStuck, failsafe.Low, showVaried,
		"You have made the same call of {tool} {n} times in a row. If you are looking for something, say what, and look for it in another way.",
	},
	RuleWindow: {
		"window", ReasonStuck, failsafe.High, showSame,
		"You have come back to the same call of {tool} {n} times, with the same result. What you did in between has not changed it: work on what causes the result, or try another way.",
	},
	RuleCycle: {
		"cycle", ReasonStuck, failsafe.High, showAll,
		"You have gone round the same few calls {n} times with the same results. Leave this circle: name what you have learned, and choose a step that you have not taken yet.",
	},
	RuleSameError: {
		"same_error", ReasonFailing, failsafe.High, showError,
		"The same error of {tool} has come {n} times. Do not try the same again: read what the error says, correct its cause, or do without the tool.",
	},
	RulePermission: {
		"permission", ReasonBlocked, failsafe.High, showKind,
		"{n} calls were not permitted. Do not ask for them again: use what you are allowed to, or tell a human what you need and why.",
	},
	RuleUnknownTool: {
		"unknown_tool", ReasonFailing, failsafe.Medium, showKind,
		"You have called tools that do not exist {n} times. Use only the tools in your list, by their exact names.",
	},
	RuleAuth: {
		"auth", ReasonBlocked, failsafe.High, showKind,
		"The credentials were not accepted. No repetition will help: tell a human which access is missing.",
	},
	RuleQuota: {
		"quota", ReasonExhausted, failsafe.High, showKind,
		"A quota is used up. Stop, and report what is done and what is left.",
	},
	RuleTransient: {
		"transient", ReasonTransient, failsafe.Medium, showFailed,
		"What you call was not available {n} times in a row. Wait before you try again, or do something that does not need it.",
	},
	RuleErrors: {
		"errors", ReasonFailing, failsafe.High, showFailed,
		"The last {n} steps all failed. Stop and think: check your assumptions with a small step that cannot fail, then go on from there.",
	},
	RuleErrorRate: {
		"error_rate", ReasonFailing, failsafe.Medium, showFailed,
		"{n} % of the latest steps failed. Stop and find out what they have in common.",
	},
	RuleFailures: {
		"failures", ReasonFailing, failsafe.Medium, showNone,
		"{n} iterations in a row have failed. Do not start the next one in the same way: find out why they fail.",
	},
	RuleHandoffRepeat: {
		"handoff_repeat", ReasonStuck, failsafe.High, showNone,
		"The very same work was handed to the same agent {n} times. Use the answer you have, or ask for something else.",
	},
	RuleHandoffStall: {
		"handoff_stall", ReasonStuck, failsafe.High, showNone,
		"Nearly the same work is handed on again and again. Say what is known by now, change the plan, and hand on only what is new.",
	},
	RuleHandoffEcho: {
		"handoff_echo", ReasonStuck, failsafe.Medium, showNone,
		"The answer to what you hand on is always what was done before. Ask for something else, or ask another agent.",
	},
	RuleHandoffCycle: {
		"handoff_cycle", ReasonStuck, failsafe.High, showNone,
		"The work has gone round the same agents {n} times without anything new. Whoever has it now should finish it, or say what is missing.",
	},
	RuleHandoffs: {
		"handoffs", ReasonStuck, failsafe.High, showNone,
		"The work was passed on {n} times without progress. Whoever has it now should do it, or give it back with the reason.",
	},
	RuleNoProgress: {
		"no_progress", ReasonStuck, failsafe.Medium, showLast,
		"There was no progress for a while. Name the smallest step that would change something, and take it; if there is none, say why.",
	},
	RuleBlocked: {
		"blocked", ReasonBlocked, failsafe.High, showNone,
		"You are waiting for a human. If you can go on with an assumption, name it and go on; otherwise stop here.",
	},
	RuleEmpty: {
		"empty", ReasonStuck, failsafe.Medium, showNone,
		"Your last {n} replies said nothing new. Call a tool, give the final answer, or say what is missing.",
	},
	RuleDecline: {
		"decline", ReasonStuck, failsafe.Low, showNone,
		"You produce less and less. If the work is done, say so; if not, say what holds you up.",
	},
	RuleConfidence: {
		"confidence", ReasonStuck, failsafe.Medium, showLast,
		"You are not sure enough of what you do ({x}). Check what you have with a test or a source before you go on, or ask.",
	},
	RuleStall: {
		"stall", ReasonStuck, failsafe.Medium, showLast,
		"Several signs say that you are not getting on. Stop, sum up what you have tried, and choose another way.",
	},
	RuleCompaction: {
		"compaction", ReasonStuck, failsafe.Medium, showNone,
		"The context was shortened {n} times with nothing done in between. Keep less in it: work on a smaller part.",
	},
	RuleCalls: {
		"calls", ReasonExhausted, failsafe.High, showNone,
		"You have made {n} calls in this iteration. End it with what you have.",
	},
	RuleIterations: {
		"iterations", ReasonExhausted, failsafe.High, showNone,
		"{n} iterations are used. Finish with what you have, and say what is left.",
	},
	RuleWall: {
		"wall", ReasonExhausted, failsafe.High, showNone,
		"The task has taken {n} seconds. Finish with what you have, and say what is left.",
	},
	RuleIdle: {
		"idle", ReasonStuck, failsafe.Medium, showNone,
		"Nothing has happened for {n} seconds. Go on, or say what you wait for.",
	},
	RuleTokens: {
		"tokens", ReasonExhausted, failsafe.High, showNone,
		"{n} tokens are used. Finish with what you have, and say what is left.",
	},
	RuleCost: {
		"cost", ReasonExhausted, failsafe.High, showNone,
		"The task has cost {x}. Finish with what you have, and say what is left.",
	},
	RuleToolCalls: {
		"tool_calls", ReasonExhausted, failsafe.High, showNone,
		"{n} tool calls are used. Finish with what you have, and say what is left.",
	},
	RuleHops: {
		"hops", ReasonExhausted, failsafe.High, showNone,
		"{n} hand-offs are used. Finish with what you have, and say what is left.",
	},
}

// message tells the model what a rule has found.
func message(rule Rule, count float64, tool string) string {
	if tool == "" {
		tool = "a tool"
	}
	return strings.NewReplacer(
		"{n}", strconv.FormatFloat(count, 'f', 0, 64),
		"{x}", strconv.FormatFloat(count, 'f', 2, 64),
		"{tool}", tool,
	).Replace(ruleTable[rule].message)
}
