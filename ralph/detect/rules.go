package detect

import (
	"time"
)

// Rules are the limits of every rule.
//
// The zero Rules are the documented defaults. A field that is left out is the
// default, too; see [Limits] for how to switch a rule off. Rules are plain data:
// they can be copied and filled from JSON, with durations in nanoseconds; Key is
// not part of that.
type Rules struct {
	// Profile says what the fields that are left out are. The defaults that stand with
	// the fields are those of [ProfileDefault]; [Profile] shows what is other in the others.
	Profile Profile `json:"profile,omitzero"`

	// Repeat is for the same call with the same outcome, in a row. Zero means 3
	// and 5.
	Repeat Limits `json:"repeat,omitzero"`
	// Poll is for the same in a row of a tool of class [ClassPoll] or [ClassRepeatable], with
	// at least PollEvery between, with passing errors, or, where they go well, with
	// other ids in the arguments: the agent waits for something, or works through a
	// batch. A trip also needs PollFor since the first. Zero means 10 and 20.
	Poll Limits `json:"poll,omitzero"`
	// PollEvery is the time between two equal calls from which on they are a poll.
	// Zero means 30 s, negative that only the class makes one.
	PollEvery time.Duration `json:"poll_every,omitzero"`
	// PollFor is how long a poll may go on at least. Zero means 1 h, negative no
	// time.
	PollFor time.Duration `json:"poll_for,omitzero"`
	// SameCall is for the same call in a row whatever comes of it. Zero means 10 and
	// never.
	SameCall Limits `json:"same_call,omitzero" aka:"varied"`
	// Window is for the same call with the same outcome among the last 20 steps; if
	// it goes well, since there was a call that was not among them. Zero means 3
	// and 5.
	Window Limits `json:"window,omitzero"`
	// Fruitless is for calls in a row that found nothing: their outcome is short and says so,
	// or is empty though the call is a search. Zero means 6 and 40.
	Fruitless Limits `json:"fruitless,omitzero"`
	// Cycle is for how often 2 to 32 calls, not all the same, were made round and
	// round with the same outcomes. Zero means 2 and 3.
	Cycle Limits `json:"cycle,omitzero"`

	// SameError is for errors of one tool that read the same but for ids and
	// numbers, among the last 20 steps; those of which more is known by their kind
	// count in the next fields instead. Zero means 3 and 5.
	SameError Limits `json:"same_error,omitzero"`
	// Permission is for steps that were not allowed, among the last 20. Zero means
	// 1 and 2.
	Permission Limits `json:"permission,omitzero"`
	// UnknownTool is for calls of tools that do not exist, among the last 20
	// steps. Zero means 2 and 3.
	UnknownTool Limits `json:"unknown_tool,omitzero"`
	// Auth is for errors of credentials, among the last 20 steps. Zero means never
	// and 1.
	Auth Limits `json:"auth,omitzero"`
	// Quota is for quotas that are used up, among the last 20 steps. Zero means
	// never and 1.
	Quota Limits `json:"quota,omitzero"`
	// Transient is for passing errors in a row. Zero means 3 and 5.
	Transient Limits `json:"transient,omitzero"`
	// Errors is for steps in a row that ended in an error of any sort. Zero means
	// 4 and 10.
	Errors Limits `json:"errors,omitzero"`
	// ErrorsAlike is for the same if at most 3 of the last 5 are different, numbers and
	// ids aside. Only its trip counts, and only if
	// Errors trips, too. Zero means never and 5.
	ErrorsAlike Limits `json:"errors_alike,omitzero"`
	// ErrorRate is for the share of errors in the last ErrorRateFor, in percent, at a
	// step that failed and once the task has taken as long. Zero means never and 80. A trip has medium severity, from 70 on high, from
	// 90 on critical.
	ErrorRate Limits `json:"error_rate,omitzero"`
	// ErrorRateFor is the time that ErrorRate looks back, in 12 intervals. Zero
	// means 60 s.
	ErrorRateFor time.Duration `json:"error_rate_for,omitzero"`
	// ErrorRateSteps is how many steps there must be for a rate. Zero means 10.
	ErrorRateSteps int `json:"error_rate_steps,omitzero"`
	// Failures is for iterations that failed, in a row. Zero means 2 and 3.
	Failures Limits `json:"failures,omitzero"`

	// HandoffRepeat is for the very same work handed to the same agent, among the
	// last 9 hand-offs. Zero means 2 and never.
	HandoffRepeat Limits `json:"handoff_repeat,omitzero"`
	// HandoffStall is for a bucket that a hand-off fills by one if the same agents
	// had one that reads nearly the same among the last 8 and is not another item of
	// the same batch, or if it counts for HandoffEcho, and empties by one otherwise.
	// Zero means 2 and 4.
	HandoffStall Limits `json:"handoff_stall,omitzero"`
	// HandoffEcho is for a bucket that a hand-off fills by one if nothing but calls
	// that were among the session's last 5 was done since the one before, and empties
	// by one if anything else was. Zero means never and 2.
	HandoffEcho Limits `json:"handoff_echo,omitzero"`
	// HandoffCycle is for how often hand-offs went round between the same agents
	// without progress; see [Graph]. Zero means 2 and 3.
	HandoffCycle Limits `json:"handoff_cycle,omitzero"`
	// Handoffs is for how often work was passed on between peers without coming
	// back and without progress; see [Graph]. Zero means 4 and 5.
	Handoffs Limits `json:"handoffs,omitzero"`

	// NoProgress is for iterations since the last progress; see [Run.Progress].
	// Zero means 3 and 10.
	NoProgress Limits `json:"no_progress,omitzero"`
	// NoProgressSteps is for steps since the last progress, in a task that has no
	// iterations. Zero means 40 and 120.
	NoProgressSteps Limits `json:"no_progress_steps,omitzero"`
	// NoProgressFor is for the time since the last progress; in a task that has
	// iterations, once two have ended since. Zero means never.
	NoProgressFor DurationLimits `json:"no_progress_for,omitzero"`
	// Blocked is for iterations in a row in which the agent did nothing but ask a
	// human. A step that is Blocked trips at once, unless it is off. Zero means 1
	// and 2.
	Blocked Limits `json:"blocked,omitzero"`
	// Empty is for replies in a row, without a call between, that are empty or read
	// nearly like one of the 4 before. Zero means 2 and 3.
	Empty Limits `json:"empty,omitzero"`
	// NoSteps is for iterations in a row without any step, of an agent whose steps are
	// told. Zero means 5 and 50.
	NoSteps Limits `json:"no_steps,omitzero"`
	// Decline is for iterations in a row with less than 30 % of the output of the
	// ones before. Zero means 3 and never.
	Decline Limits `json:"decline,omitzero"`
	// Confidence is for what [Step] says of it.
	Confidence ConfidenceLimits `json:"confidence,omitzero"`
	// Stall is for a bucket that the nudges of SameCall, Errors, Decline and
	// Confidence and every refused call fill by one, and progress, or 20 steps
	// without, empties by one. It trips if not all came from one rule, or some were
	// refusals. Zero means 2 and 4.
	Stall Limits `json:"stall,omitzero"`
	// Compaction is for steps that did nothing but shorten the context, with at most two
	// others between them.
	// Zero means 3 and 10.
	Compaction Limits `json:"compaction,omitzero"`
	// Calls is for the calls in one iteration; in a task without iterations, in the
	// task. Zero means 500 and never.
	Calls Limits `json:"calls,omitzero"`
	// Budgets are what one task may use; a nudge comes at Warn of each. See the
	// fields for what zero means.
	Budgets Budgets `json:"budgets,omitzero"`
	// Warn is the share of a budget, in (0, 1), from which on it nudges. Zero means
	// 0.8, negative never.
	Warn float64 `json:"warn,omitzero"`

	// Tools are the classes of tools by name, at most 1000. A tool that is not
	// there is [ClassOrdinary].
	Tools map[string]Class `json:"tools,omitempty"`
	// Key, if not nil, returns what two calls of a tool are compared by instead of
	// its arguments, for tools of which it knows better; false means that it does
	// not. It must not keep args, and be safe for concurrent use.
	Key func(tool, args string) (key string, ok bool) `json:"-" yaml:"-"`
}
