package detect

import (
	"time"
)

// Iteration is the end of one iteration of an agent: one pass of the loop that
// starts it, one turn, one process. It has to be told on every way out of the pass,
// above all on those of errors: what is not told is not counted.
type Iteration struct {
	// At is when it ended; zero means as the event before.
	At time.Time
	// Failed says that it did not end well; Err, Exit and Kind each say so, too.
	Failed bool
	Err    string    // the text of the error
	Exit   int       // the exit status of a process
	Kind   ErrorKind // what sort of error, if known
	// Question says that the agent did nothing but ask a human. Iterations whose
	// steps say so need not.
	Question bool
	// Output is how many bytes the agent has written, if its steps are not
	// observed.
	Output int
	// Tokens and Cost are what it used beyond its steps; see [Step].
	Tokens int64
	Cost   float64
}
