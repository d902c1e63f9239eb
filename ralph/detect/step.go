package detect

import (
	"time"
)

// Step is one thing an agent has done: a call of a tool with its outcome, or a
// reply without one. Nothing of it is kept but hashes, numbers and the tool's name.
type Step struct {
	// At is when it ended, by a clock with the monotonic reading if there is one.
	// Zero means as the event before. A clock that is set back does no harm: see
	// [Run].
	At time.Time
	// Tool is the name of the tool. Empty means a reply without one; then Output is
	// its text.
	Tool string
	// Args are the arguments, JSON or any other text, and ArgsBytes the same as
	// bytes, looked at if Args is empty.
	Args      string
	ArgsBytes []byte
	// Output is what came back, and OutputBytes the same as bytes, looked at if
	// Output is empty. The text of an error may be here or in Err.
	Output      string
	OutputBytes []byte

	// Failed says that it ended in an error; Err, Exit and Kind each say so, too.
	Failed bool
	Err    string    // the text of the error
	Exit   int       // the exit status of a process
	Kind   ErrorKind // what sort of error, if known

	// Tokens and Cost are what the step used, of a model or else. Negative and
	// not finite numbers are errors; what a call did cost must be known, and is not
	// zero because it is not.
	Tokens int64
	Cost   float64
	// Confidence is how sure the agent, or its judge, is: 0 to 1. Nil means that it
	// was not said. A step that says nothing else is a report, see [Step.Report].
	Confidence *float64

	// Question says that the agent has asked a human, Blocked that it cannot go on
	// without an answer.
	Question bool
	Blocked  bool
	// Refused says that the call was not made, because it was refused by the caller
	// of this package. It then counts as one more repeat of the call, if it is one,
	// and never as an error or as progress.
	Refused bool
	// Own says that the text was the caller's, such as a nudge. Nothing is counted
	// but what it used, and nothing is ended by it.
	Own bool
	// Reasoning says that a reply was a thought that is not to be read. Any
	// number of such replies in a row is at most a nudge.
	Reasoning bool
	// Compaction says that the step was nothing but the shortening of the context.
	Compaction bool
}

// Report reports whether s says nothing but how sure the agent is: it has a Confidence
// and nothing besides it but At. It is then no reply, so that it is neither an empty one
// nor work of any sort, and ends nothing that is counted in a row.
func (s *Step) Report() bool {
	return s.Confidence != nil && s.Tool == "" && s.Args == "" && len(s.ArgsBytes) == 0 &&
		s.Output == "" && len(s.OutputBytes) == 0 && !s.Failed && s.Err == "" && s.Exit == 0 && s.Kind == ErrorKindOther &&
		s.Tokens == 0 && s.Cost == 0 && !s.Question && !s.Blocked && !s.Refused && !s.Own && !s.Reasoning && !s.Compaction
}
